"""The daemons' own conduct: the commands' exit status, a killed worker, a checked file."""

import os
import signal

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"


def text(me, peer, **more):
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY, **more)


def both(lab):
    left, right = lab.pair()
    return Ours(left, text(left, right)), Ours(right, text(right, left))


def finish(lab, a, b):
    left, right = lab.hosts
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()


@case("command-wait")
def command_wait(lab):
    """activate --wait ends with 0 when the tunnel is up, and its failures have their own status."""
    a, b = both(lab)
    a.activate()
    if not a.host.sas():
        raise Failure("activate --wait ended with 0 and there is no SA")
    tunnel, = a.tunnels()
    if tunnel["State"] != "Active":
        raise Failure(f"State is {tunnel['State']}")
    unknown = a.ipsec("-y", "activate", "-l", "NoSuchRule", "--wait", "5", ok=(1, 2, 3, 5, 6))
    if "NoSuchRule" not in unknown.stdout:
        raise Failure(f"the refusal does not name the rule: {unknown.stdout.strip()}")
    a.ipsec("-y", "deactivate", "-a", tunnel["TunnelID"])
    wait_until(lambda: not a.host.sas() and not b.host.sas(), 5, "SAs gone on both sides")
    if len(a.ike_tunnels()) != 1:
        raise Failure("-y deactivate took the IKE tunnel too")
    finish(lab, a, b)


@case("command-no-daemon")
def command_no_daemon(lab):
    """Without a daemon the command says so and ends with its own status."""
    left, _ = lab.pair()
    a = Ours(left, "", start=False)
    done = a.ipsec("-k", "display", ok=(4,))
    if "iked" not in done.stdout:
        raise Failure(f"the message does not name the daemon: {done.stdout.strip()}")


@case("command-displays")
def command_displays(lab):
    """The three displays in z/OS's shape and as JSON, with a tunnel up; no key in any of them."""
    a, b = both(lab)
    a.activate()
    for letter, labels in (("-k", ("TunnelID:                     K1", "State:                        DONE",
                                   "DiffieHellmanGroup:           14")),
                           ("-y", ("State:                        Active",
                                   "HowToEncap:                   Transport")),
                           ("-f", ("FilterName:                   Data",
                                   "DenyAllRule_Generated___________"))):
        shown = a.ipsec(letter, "display").stdout
        for label in (*labels, "entries selected", "Stack Name: left"):
            if label not in shown:
                raise Failure(f"ipsec {letter} display lacks '{label}'")
        entries = a.entries(letter, "display")
        if f"{len(entries)} entries selected" not in shown:
            raise Failure(f"ipsec {letter}: {len(entries)} JSON entries, and the report counts"
                          f" otherwise: {shown.strip()[-40:]}")
        if KEY in shown or KEY.encode().hex() in shown.lower():
            raise Failure(f"ipsec {letter} display shows the preshared key")
    finish(lab, a, b)


def worker_of(iked):
    """The worker is the child of the process that we started, beside a certificate helper."""
    workers = iked.children("--worker")
    if len(workers) != 1:
        raise Failure(f"iked's parent has {len(workers)} workers, not one")
    return workers[0]


@case("worker-killed")
def worker_killed(lab):
    """kill -9 of iked's worker: the parent starts another, traffic goes on, new tunnels come up."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    old = worker_of(a.iked)
    os.kill(old, signal.SIGKILL)
    left.ping(right, seconds=3)

    def back():
        try:
            return worker_of(a.iked) != old
        except Failure:
            return False
    wait_until(back, 10, "another worker")
    wait_until(lambda: a.ipsec("-k", "display", ok=None).returncode == 0, 10,
               "the new worker answers", step=0.1)
    if not a.log_lines("worker"):
        raise Failure("the log does not tell of the worker's end")
    left.ping(right, seconds=3)
    b.terminate()
    wait_until(lambda: not right.sas(), 5, "the peer's SAs gone")
    a.activate()
    left.ping(right)
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 10, "SAs gone on both sides")
    a.stop()
    b.stop()


@case("policy-refused")
def policy_refused(lab):
    """A wrong file: every fault with its place, and pagent -n ends with 1; a right one with 0."""
    left, right = lab.pair()
    good = left.write("good.policy", text(left, right))
    bad = left.write("bad.policy", text(left, right).replace("Group14", "Group99")
                     .replace("IpFilterAction  Deny", "IpFilterAction  Perhaps"))
    a = Ours(left, "", start=False)
    left.run(a.program("pagent"), "-n", good)
    shown = left.run(a.program("pagent"), "-n", bad, ok=(1,)).stdout
    faults = [line for line in shown.splitlines() if line.startswith(f"{bad}:")]
    if len(faults) < 2 or "Group99" not in shown or "Perhaps" not in shown:
        raise Failure(f"not every fault is named with its line: {shown}")


@case("policy-changed")
def policy_changed(lab):
    """A new policy that is wrong changes nothing; a right one comes into force on SIGHUP."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    before = left.sas().keys()
    left.write("policy", "IpFilterPolicy\n{\n  Nonsense\n}\n")
    a.pagent.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: a.log_lines("Nonsense", daemon=a.pagent), 5, "pagent tells of the fault")
    left.ping(right, seconds=3)
    if left.sas().keys() != before:
        raise Failure("a refused policy changed the SAs")
    left.write("policy", text(left, right) + "# another generation\n")
    a.pagent.popen.send_signal(signal.SIGHUP)
    left.ping(right, seconds=3)
    if left.sas().keys() != before:
        raise Failure("a policy whose rules are the same changed the SAs")
    finish(lab, a, b)
