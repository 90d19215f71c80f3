"""./dev demo: two hosts, their policies, a ping through ESP, and everything there is to look at."""

import os
import pathlib
import subprocess

from labkit.host import Failure, wait_until
from labkit.lab import Lab, say
from labkit.ours import Ours
from labkit.wire import ESP, between, clear_between

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

NEXT = """\
Read and change   examples/left.policy, examples/right.policy; run ./dev demo again
Check a policy    build/policy/pagent -n examples/left.policy
Break it          give right another SharedKey, and read what both sides say about it
See the cases     ./dev lab --list; run some: ./dev lab 'psk-to-strongswan-*'
Stay in the lab   ./dev demo --shell
Run everything    ./dev test
On your own hosts README.md, "Use it"
Read on           README.md, docs/architecture.md, CONTRIBUTING.md"""

CONNECT_TELNET = "timeout 2 bash -c '</dev/tcp/192.0.2.2/23' || echo no connection"
# Of the 54 columns of the wide form those that tell filters apart.
FILTERS = "ipsec -p left -f display -r wide | cut -s -d'|' -f1,6,7,10,12,17,52"
SAS = "ip -s xfrm state list mode transport | grep -E '^src|spi|[0-9]\\(bytes'"


def caption(title, *text):
    say("")
    say(f"== {title}")
    for line in text:
        say(line)


class Prompt:
    """Runs command lines on a host as a user would type them, with our programs in the PATH."""

    def __init__(self, host, build):
        self.host = host
        self.path = f"{build}/ipsec-cli:{build}/policy:{os.environ['PATH']}"

    def __call__(self, line):
        say(f"{self.host.name}$ {line}")
        done = self.host.run("sh", "-c", f"cd '{EXAMPLES.parent}' && {line}", ok=None,
                             env={"PATH": self.path})
        out = done.stdout.rstrip()
        say(out)
        return out


def show_policy(left):
    caption("The policy of left, in the language of z/OS: the first rule that matches decides")
    left("sed -n '/^IpFilterPolicy/,/^}/p' examples/left.policy")
    left("install -m 600 examples/left.policy /run/lab/left.policy")  # it has a key in it
    left("pagent -p left -n /run/lab/left.policy")


def show_denied(left, right):
    caption("Telnet is denied",
            "although the next rule would protect it. It does not start a negotiation either.")
    left(CONNECT_TELNET)
    if "0 entries selected" not in left("ipsec -p left -k display | tail -n 1"):
        raise Failure("there is an IKE tunnel before anything needed one")


def show_ping(left, right):
    caption("A ping is protected",
            "There is no tunnel yet: the first packet makes the kernel ask iked for one (ACQUIRE), Main"
            " Mode and",
            "Quick Mode run, and then the packets go out as ESP.")
    out = left("ping -n -c 5 -i 0.3 192.0.2.2")
    if "bytes from" not in out:
        left.host.ping(right.host)
    elif "icmp_seq=1 " not in out:
        say("(The first packet asked for the tunnel and is lost; TCP would send it again.)")
    wait_until(lambda: len(left.host.sas()) == 2 and set(left.host.sas()) == set(right.host.sas()),
               5, "the same SA pair in both kernels")


def show_wire(wire, left, right):
    caption("What went over the wire",
            "Nine messages of IKE, then ESP: no ping in clear, and nothing of the telnet.")
    lines = wire.lines(f"{between(left.host, right.host)} and not arp")
    for line in lines[:14]:
        say("  " + line)
    if len(lines) > 14:
        say(f"  ... {len(lines) - 14} more")


def show_displays(left):
    caption("The IKE tunnel (phase 1), as z/OS shows it; here without what does not apply")
    left("ipsec -p left -k display | grep -v '  n/a$'")
    caption("The dynamic tunnel (phase 2)")
    left("ipsec -p left -y display | grep -v '  n/a$'")
    caption("The filters in force, in search order",
            "The tunnel's own filters (Dynamic) stand before the anchor of the rule that they come"
            " from. What no rule",
            "matches ends in a DenyAllRule, for IPv4 and for IPv6. The wide form is for scripts; so"
            " is --json.")
    left(FILTERS)


def show_kernel(left, right):
    caption("The kernel's own view: the same two SAs on both hosts, and what they carried")
    left(SAS)
    right(SAS)


def show_logs(ends):
    for end in ends:
        for daemon in ("pagent", "iked"):
            caption(f"What {daemon} of {end.host.name} logged")
            say(getattr(end, daemon).log().rstrip())


def check_wire(wire, left, right):
    clear = wire.lines(clear_between(left.host, right.host))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if wire.count(f"{between(left.host, right.host)} and {ESP}") < 4:
        raise Failure("no ESP on the wire")


def start(lab):
    guest = os.environ.get("CSIPSEC_LAB_GUEST")
    say("Two hosts, left (192.0.2.1) and right (192.0.2.2): network namespaces joined by a veth"
        + (", in the lab kernel." if guest else "."))
    ends = []
    for host in lab.pair():
        ends.append(Ours(host, (EXAMPLES / f"{host.name}.policy").read_text(), start=False))
        say(f"On {host.name}: pagent loads examples/{host.name}.policy, iked waits for work.")
        ends[-1].start_pagent()
        ends[-1].start_iked()
    return ends


def demonstrate(lab):
    ends = start(lab)
    left, right = (Prompt(end.host, lab.build) for end in ends)
    show_policy(left)
    show_denied(left, right)
    try:
        show_ping(left, right)
    except Failure:
        show_logs(ends)  # they say why, when somebody has broken a policy to see it
        raise
    lab.wire.stop()
    show_wire(lab.wire, left, right)
    show_displays(left)
    show_kernel(left, right)
    show_logs(ends)
    check_wire(lab.wire, left, right)
    if os.environ.get("CSIPSEC_LAB_SHELL"):
        shell(lab, ends)
        return

    caption("The end: the IKE tunnel is deactivated on left, and the SAs go on both hosts")
    left("ipsec -p left -k deactivate -a all")
    wait_until(lambda: not left.host.sas() and not right.host.sas(), 5, "SAs gone on both hosts")
    for end in ends:
        end.stop()
    lab.check_clean()
    say("left and right hold no SA, no policy and no table of ours any more.")
    caption("What to try next", NEXT)


RC = """
PATH={build}/ipsec-cli:{build}/policy:$PATH
for host in left right; do
  eval "$host() {{ CSIPSEC_RUNDIR={dir}/$host/run CSIPSEC_STATEDIR={dir}/$host/state \
    CSIPSEC_CONFDIR={dir}/$host/conf ip netns exec $host \"\$@\"; }}"
done
PS1='lab# '
"""


def shell(lab, ends):
    """The user's turn, with both hosts running."""
    caption("A shell beside the two hosts; exit ends everything")
    say("left COMMAND, right COMMAND    run a command on a host:   left ping 192.0.2.2")
    say("our commands too:              left ipsec -p left -y display -b")
    for end in ends:
        say(f"{end.host.name}: policy {end.policy_path}, which pagent reads again when it changes;"
            f" logs {end.host.dir}/*.log")
    rc = f"{lab.dir}/bashrc"
    with open(rc, "w") as f:
        f.write(RC.format(dir=lab.dir, build=lab.build))
    subprocess.run(["setsid", "--ctty", "--wait", "bash", "--rcfile", rc, "-i"],
                   cwd=lab.dir, check=False)


def main(build, _libreswan, out):
    lab = Lab("/run/lab/demo", build, f"{out}/logs")
    try:
        demonstrate(lab)
        return 0
    except Failure:
        lab.snapshot()
        raise
    finally:
        lab.destroy()
