"""./dev demo: two hosts, their policies, a ping through ESP, and everything there is to look at."""

import os
import pathlib
import re
import subprocess

from labkit.host import Failure, wait_until
from labkit.lab import Lab, say
from labkit.ours import Ours
from labkit.wire import ESP, between, clear_between

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

FILTER_LINES = "^(CS|Primary|Source:|FilterName:|TunnelID|Type:|Action|Direction|Protocol:|FilterM|.* sel|$)"

NEXT = """\
Read and change   examples/left.policy, examples/right.policy; run ./dev demo again
Check a policy    build/policy/pagent -n examples/left.policy
Break it          give right another SharedKey, and read what both sides say about it
See the cases     ./dev lab --list; run some: ./dev lab 'psk-to-strongswan-*'
Stay in the lab   ./dev demo --shell
Run everything    ./dev test
On your own hosts make -C build install, then pagent -c FILE and iked; README.md tells how
Read on           README.md, docs/architecture.md, CONTRIBUTING.md"""


def caption(text):
    say("")
    say(f"== {text}")


def show(host, *argv, label=None):
    say(f"{host.name}$ {label or ' '.join(argv)}")
    out = host.run(*argv, ok=None).stdout.rstrip()
    say(out)
    return out


def demonstrate(lab):
    guest = os.environ.get("CSIPSEC_LAB_GUEST")
    say("Two hosts, left (192.0.2.1) and right (192.0.2.2), are network namespaces joined by a veth."
        + (" They live in the lab kernel (User-Mode Linux), because the running kernel lacks ESP or"
           " nftables." if guest else ""))
    left, right = lab.pair()
    ends = []
    for host in (left, right):
        ends.append(Ours(host, (EXAMPLES / f"{host.name}.policy").read_text(), start=False))
        say(f"{host.name}: pagent loads examples/{host.name}.policy, iked waits for work")
        ends[-1].start_pagent()
        ends[-1].start_iked()
    a, b = ends

    caption("A ping. Its first packet finds no tunnel: the kernel asks iked for one (ACQUIRE), Main Mode"
            " and Quick Mode run, and what follows is protected.")
    show(left, "ping", "-n", "-c", "5", "-i", "0.3", right.v4)
    left.ping(right)
    wait_until(lambda: len(left.sas()) == 2 and set(left.sas()) == set(right.sas()), 5,
               "the same SA pair in both kernels")
    lab.wire.stop()

    caption("What went over the wire: nine messages of IKE, then ESP and nothing else.")
    for line in lab.wire.lines(f"{between(left, right)} and not arp")[:20]:
        say("  " + line)

    tools = {"ipsec": a.program("ipsec")}
    for what, letter in (("The IKE tunnel (phase 1)", "-k"), ("The dynamic tunnel (phase 2)", "-y")):
        caption(what)
        show(left, tools["ipsec"], "-p", "left", letter, "display",
             label=f"ipsec -p left {letter} display")
    caption("The filters in force, in search order; of some 50 lines a filter those that tell them apart")
    say(f"left$ ipsec -p left -f display | grep -E '{FILTER_LINES}'")
    for line in left.run(tools["ipsec"], "-p", "left", "-f", "display").stdout.splitlines():
        if re.search(FILTER_LINES, line):
            say(line)

    caption("The kernel's own view: two SAs, the same on both hosts, and what they have carried")
    for host in (left, right):
        show(host, "ip", "-s", "xfrm", "state", "list", "nokeys", "proto", "esp")

    for end in ends:
        for daemon in ("pagent", "iked"):
            caption(f"What {daemon} of {end.host.name} logged")
            say(getattr(end, daemon).log().rstrip())

    clear = lab.wire.lines(clear_between(left, right))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if lab.wire.count(f"{between(left, right)} and {ESP}") < 4:
        raise Failure("no ESP on the wire")

    if os.environ.get("CSIPSEC_LAB_SHELL"):
        shell(lab, ends)
        return

    caption("ipsec -p left -k deactivate -a all: the SAs go on both hosts")
    show(left, tools["ipsec"], "-p", "left", "-k", "deactivate", "-a", "all",
         label="ipsec -p left -k deactivate -a all")
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone on both hosts")
    a.stop()
    b.stop()
    lab.check_clean()
    say("left and right hold no SA, no policy and no table of ours any more.")

    caption("What to try next")
    say(NEXT)


RC = """
left() {{ ip netns exec left "$@"; }}
right() {{ ip netns exec right "$@"; }}
for host in left right; do
  eval "ipsec_$host() {{ CSIPSEC_RUNDIR={dir}/$host/run $host {build}/ipsec-cli/ipsec -p $host \\"\\$@\\"; }}"
done
PS1='lab# '
"""


def shell(lab, ends):
    """The user's turn, with both hosts running."""
    caption("A shell beside the two hosts; exit ends everything.")
    say("left COMMAND, right COMMAND    run a command on a host:   left ping 192.0.2.2")
    say("ipsec_left ..., ipsec_right .. the ipsec command there:    ipsec_left -y display")
    for end in ends:
        say(f"{end.host.name}: policy {end.policy_path} (kill -HUP {end.pagent.pid} reads it again),"
            f" logs {end.host.dir}/*.log")
    rc = f"{lab.dir}/bashrc"
    with open(rc, "w") as f:
        f.write(RC.format(dir=lab.dir, build=lab.build))
    subprocess.run(["setsid", "--ctty", "--wait", "bash", "--rcfile", rc, "-i"],
                   cwd=lab.dir, check=False)


def main(build, out):
    lab = Lab("/run/lab/demo", build, f"{out}/logs")
    try:
        demonstrate(lab)
        return 0
    except Failure:
        lab.snapshot()
        raise
    finally:
        lab.destroy()
