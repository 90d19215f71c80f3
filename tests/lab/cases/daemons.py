"""The daemons' own conduct: the commands' exit status, a killed worker, a checked file."""

import os
import signal
import sqlite3

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.stream import Stream
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

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


def kill_worker(ours):
    """kill -9, and waits until another one answers."""
    old = worker_of(ours.iked)
    os.kill(old, signal.SIGKILL)

    def back():
        try:
            return worker_of(ours.iked) != old
        except Failure:
            return False
    wait_until(back, 10, "another worker")
    wait_until(lambda: ours.ipsec("-k", "display", ok=None).returncode == 0, 10,
               "the new worker answers", step=0.1)


def same(ours, before):
    """Tunnels, SPIs and cookies are what they were."""
    now = facts(ours)
    if now != before:
        raise Failure(f"{ours.host.name}: what lived on is not what was there: {before}, {now}")


def facts(ours):
    ike, = ours.ike_tunnels()
    tunnel, = ours.entries("-y", "display", "-b")
    return [(e["TunnelID"], e["Generation"], *(e[k] for k in keys))
            for e, keys in ((ike, ("InitiatorCookie", "ResponderCookie")),
                            (tunnel, ("ParentIKETunnelID", "EncryptInboundSpi", "EncryptOutboundSpi")))]


@case("worker-killed")
def worker_killed(lab):
    """kill -9 of both workers, twice: no packet is lost, the same SAs go on, and their end is told."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    before = facts(a), facts(b)
    stream = Stream(left, right)
    for _ in range(2):
        for ours in (a, b):
            kill_worker(ours)
            if not ours.log_lines("1 phase 1 and 1 phase 2 tunnels live on"):
                raise Failure(f"{ours.host.name}: the log does not tell what lives on")
    same(a, before[0])
    same(b, before[1])
    stream.stop()
    if not a.log_lines("worker", "signal 9"):
        raise Failure("the log does not tell of the worker's end")
    # Under the same phase 1: the end of a tunnel, and another one.
    b.ipsec("-y", "deactivate", "-a", "all")
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone on both sides")
    left.ping(right)
    if facts(a)[0] != before[0][0]:
        raise Failure("another tunnel took another phase 1")
    finish(lab, a, b)


@case("worker-killed-policy-locked")
def worker_killed_policy_locked(lab):
    """Workers that cannot read the policy leave all as it is for one that can."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    before = facts(a)
    stream = Stream(left, right)
    lock = sqlite3.connect(left.path(f"state/{a.stack}/policy.db"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    os.kill(worker_of(a.iked), signal.SIGKILL)
    wait_until(lambda: a.log_lines("EZD1045I", "policy.db", "locked"), 30, "a worker gives up")
    lock.execute("ROLLBACK")
    lock.close()
    wait_until(lambda: a.ipsec("-k", "display", ok=None).returncode == 0, 20,
               "a worker answers", step=0.1)
    stream.stop()
    same(a, before)
    finish(lab, a, b)


@case("worker-killed-strongswan")
def worker_killed_strongswan(lab):
    """The same with strongSwan as the peer, which deletes the tunnel in the end."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Swan(right, left, SUITE, "transport", Pfs("none", SUITE), KEY)
    left.ping(right)
    before = facts(a)
    stream = Stream(left, right)
    kill_worker(a)
    stream.stop()
    same(a, before)
    b.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone on both sides")
    a.stop()
    b.stop()


@case("iked-restarted")
def iked_restarted(lab):
    """A full stop and start: phase 2 goes on, and gets a new phase 1 at once, without INITIAL-CONTACT."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    before = facts(a)[1]
    old, = a.ike_tunnels()
    stream = Stream(left, right)
    a.iked.stop()
    a.start_iked()
    stream.stop()
    wait_until(lambda: [t for t in a.ike_tunnels() if t["State"] == "DONE"], 5, "phase 1 is there anew")
    if a.ike_tunnels()[0]["TunnelID"] == old["TunnelID"]:
        raise Failure("phase 1 keys outlived the parent")
    if len(right.sas()) != 2:
        raise Failure("the new phase 1 has cost the peer its SAs")
    tunnel, = a.entries("-y", "display", "-b")
    if (tunnel["TunnelID"], tunnel["EncryptInboundSpi"]) != (before[0], before[3]):
        raise Failure(f"the tunnel is another: {before}, {tunnel}")
    a.ipsec("-y", "deactivate", "-a", "all")  # which can be told now
    wait_until(lambda: not right.sas(), 5, "the peer's old SAs gone")
    left.ping(right)
    finish(lab, a, b)


@case("command-stop")
def command_stop(lab):
    """-k stop and -r refresh reach the daemon that runs, and never a process that has its old number."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))

    def iked(*argv, ok=(0,)):
        return left.run(a.program("iked"), "-p", a.stack, *argv, ok=ok).stdout

    if f"process {a.iked.pid} serves" not in iked("-c", left.path("conf/iked.conf"), ok=(3,)):
        raise Failure("a second start does not name the first's process")
    iked("-r", "refresh")
    # Who may ask the socket, but not signal the parent, is not told that it is done.
    said = left.run("setpriv", "--reuid", "1234", "--regid", "0", "--clear-groups", a.program("iked"),
                    "-p", a.stack, "-r", "refresh", ok=(1,)).stdout
    if "cannot signal it" not in said:
        raise Failure(f"the refused refresh does not say why: {said.strip()}")
    iked("-k", "stop")
    if a.iked.popen.poll() != 0:
        raise Failure("-k stop ended before iked did")
    with open(left.path(f"run/{a.stack}/iked.pid"), "w") as f:
        f.write(f"{os.getpid()}\n")
    iked("-k", "stop", ok=(4,))
    iked("-r", "refresh", ok=(4,))
    a.start_iked()
    with open(left.path(f"run/{a.stack}/iked.pid")) as f:
        if int(f.read()) != a.iked.pid:
            raise Failure("the pid file does not name the parent")
    a.stop()


@case("one-iked-a-namespace")
def one_iked_a_namespace(lab):
    """A second iked in the namespace, another stack's on another port, ends and takes no SA along."""
    a, b = both(lab)
    left, right = lab.hosts
    left.ping(right)
    before = left.sas().keys()
    done = left.run(a.program("iked"), "-f", "-p", "OTHER", "--port", "4501", "-c",
                    left.path("conf/iked.conf"), "--user", "nobody", ok=(1,))
    if f"the iked of stack {a.stack} serves this network namespace" not in done.stdout:
        raise Failure(f"the second iked does not name the first: {done.stdout.strip()}")
    if left.sas().keys() != before:
        raise Failure("the second iked removed the first one's SAs")
    left.ping(right, seconds=3)
    finish(lab, a, b)


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
    if "^~~~~~~\n      = expected: Permit, Deny or IpSec" not in shown:
        raise Failure(f"no line of the file is shown: {shown}")


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
    said = left.run(a.program("pagent"), "-p", a.stack, "-r", "refresh", ok=(1,)).stdout
    if "    3 | Nonsense\n      | ^~~~~~~~\n" not in said:
        raise Failure(f"-r refresh does not show the line: {said}")
    left.ping(right, seconds=3)
    if left.sas().keys() != before:
        raise Failure("a refused policy changed the SAs")
    left.write("policy", text(left, right) + "# another generation\n")
    a.pagent.popen.send_signal(signal.SIGHUP)
    left.ping(right, seconds=3)
    if left.sas().keys() != before:
        raise Failure("a policy whose rules are the same changed the SAs")
    finish(lab, a, b)


@case("state-read-only")
def state_read_only(lab):
    """pagent starts on a state that cannot be written yet, and writes it when it can."""
    left, right = lab.pair()
    state = left.path("state")
    a = Ours(left, text(left, right), start=False)
    left.run("mount", "-t", "tmpfs", "tmpfs", state)
    a.start_pagent()
    a.pagent.stop()
    left.run("mount", "-o", "remount,ro", state)
    a.start_pagent()
    if not a.log_lines("CSI3006I", daemon=a.pagent):
        raise Failure("the stored policy did not come into force")
    left.write("policy", text(left, right, vpn_life=60))
    said = left.run(a.program("pagent"), "-p", a.stack, "-r", "refresh", ok=(1,)).stdout
    if "readonly" not in said:
        raise Failure(f"a refresh that could not be stored says: {said.strip()}")
    left.run("mount", "-o", "remount,rw", state)
    left.run(a.program("pagent"), "-p", a.stack, "-r", "refresh")
    a.stop()
    left.run("umount", state)
