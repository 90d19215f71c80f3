"""
Each change of an SA is recorded once, whatever is killed while tunnels come and go, files are rotated
and compressed: what trmd wrote is held against what the kernel told its witness.
"""

import os
import random
import signal
import socket
import threading
import time
from collections import Counter

from labkit.disk import Disk, halt_me_in
from labkit.fault import COUNT, KILL
from labkit.host import Failure, wait_until
from labkit.lab import say
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan
from labkit.witness import changes, compare

from .audit import Audited

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
PORTS = range(7101, 7105)  # a tunnel each, and one more for all the rest
KILLS = 20
# At any time, or at one of the next calls whose effect somebody else can see (labkit/fault.py).
VICTIMS = ("worker", "worker-at", "trmd", "trmd-at", "trmd-at", "parent", "all")
CALLS = {"worker": 60, "trmd": 25}
TRMD_CALLS, ROTATE_CALLS = 60, 24
IKED_CALLS = 60


def text(me, peer, services, **more):
    first = [rule(f"Port{port}", me, peer, "ipsec", service("Udp", **{
        ("Destination" if services == "there" else "Source") + "PortRange": port}))
        for port in PORTS] if services else ()
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY, first=first, **more)


class Traffic:
    """Datagrams that ask for every tunnel, all the time."""

    def __init__(self, host, peer):
        self.stopping = False
        self.sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.to = [(peer.v4, port) for port in (*PORTS, 7000)]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for to in self.to:
                try:
                    self.sock.sendto(b"busy", to)
                except OSError:
                    pass
            time.sleep(0.05)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.sock.close()


class Busy:
    """One audited host and its peer, between which tunnels come and go."""

    def __init__(self, a, b, chance):
        self.a, self.b, self.chance = a, b, chance
        self.killed = Counter()
        self.rotated = self.reached = 0

    # ---- what people do; a daemon that is not there does not answer ----

    def change(self):
        """Something that begins, refreshes or ends tunnels, from either side."""
        what = self.chance.choice(("end", "end", "end-child", "refresh", "refresh", "refresh-ike",
                                   "peer", "peer-child", "nothing"))
        if what == "end":
            self.a.drop_all()
        elif what == "end-child":
            self.a.ipsec("-y", "deactivate", "-a", "all", ok=None)
        elif what.startswith("refresh"):
            letter = "-k" if what == "refresh-ike" else "-y"
            ids = {e["TunnelID"] for e in self.a.entries(letter, "display")}
            if ids:
                self.a.ipsec(letter, "refresh", "-a", *sorted(ids), ok=None)
        elif what == "peer":
            self.b.drop_all()
        elif what == "peer-child":
            self.b.terminate_child()

    def rotate(self):
        """trmd begins another file and compresses the one before."""
        if self.a.trmd.running():
            self.a.trmd.popen.send_signal(signal.SIGHUP)
        self.rotated += 1

    # ---- what is killed ----

    def start_iked(self):
        """As an init system does: again, when it cannot yet."""
        def started():
            try:
                self.a.start_iked()
                return True
            except Failure:
                return False
        wait_until(started, 30, "iked starts again", step=0.2)

    def kill_trmd(self):
        if self.a.trmd.running():
            self.a.trmd.kill()

    def wait_for(self, fault, seconds=1):
        """It may never make so many calls."""
        end = time.monotonic() + seconds
        while not fault.happened() and time.monotonic() < end:
            time.sleep(0.01)
        self.reached += fault.happened()

    def kill(self, victim):
        a = self.a
        if victim == "worker":
            for pid in a.iked.children("--worker"):
                os.kill(pid, signal.SIGKILL)
        elif victim == "trmd":
            self.kill_trmd()
            time.sleep(self.chance.random() / 5)
            a.start_trmd()
        else:
            if victim == "parent":
                os.kill(a.iked.pid, signal.SIGKILL)
                a.iked.popen.wait(10)
            else:
                a.iked.kill()
            time.sleep(self.chance.random() / 5)
            self.start_iked()

    def changes(self):
        """Two changes, and perhaps another file."""
        for _ in range(2):
            try:
                self.change()
            except Failure:
                pass  # nobody answers just now
            time.sleep(self.chance.random() / 4)
        if self.chance.random() < 0.5:
            time.sleep(self.chance.random() / 4)
            self.rotate()

    def turn(self, victim):
        """One time in four they meet what restores after the last one."""
        if self.chance.random() < 0.75:
            wait_until(self.answers, 40, "iked answers", step=0.1)
        self.killed[victim] += 1
        name, _, at = victim.partition("-")
        if not at:
            self.changes()
            time.sleep(self.chance.random())
            self.kill(name)
            return
        workers = self.a.iked.children("--worker")
        fault = self.a.faults["trmd" if name == "trmd" else "iked"]
        fault.arm(KILL, self.chance.randint(1, CALLS[name]))
        self.changes()
        self.wait_for(fault)
        fault.arm(COUNT)
        if name == "trmd" or self.a.iked.children("--worker") == workers:
            self.kill(name)

    def answers(self):
        return self.a.ipsec("-k", "display", ok=None).returncode == 0

    # ---- the end ----

    def settle(self):
        """Nobody asks for tunnels any more: all end, and all that happened is recorded."""
        a = self.a
        wait_until(self.answers, 40, "iked answers", step=0.2)

        def gone():
            a.drop_all()
            self.b.drop_all()
            return not a.host.sas() and not self.b.host.sas()
        wait_until(gone, 40, "SAs gone", step=0.5)
        a.wait_gone(20)
        a.wait_recorded(30)

    def files(self):
        names = os.listdir(self.a.directory)
        return sum(n.endswith(".smf") for n in names), sum(n.endswith(".smf.gz") for n in names)


def seed_of():
    """One that failed can be given again; times will differ all the same."""
    return int(os.environ.get("CSIPSEC_LAB_SEED") or random.randrange(1 << 30))


def audited(lab, peer, seed, kill, least):
    """
    Tunnels between an audited host and its peer come and go while kill(busy) is at work; at the end
    each of at least so many pairs of SAs has its records.
    """
    left, right = lab.pair(capture=False)
    own = peer == "own"
    if own:
        b = Ours(right, text(right, left, "here"))
    else:
        b = Swan(right, left, SUITE, "transport", Pfs("none", SUITE), KEY, trap=True)
    a = Audited(left, text(left, right, "there" if own else ""))
    busy = Busy(a, b, random.Random(seed))
    traffic = Traffic(left, right)
    try:
        kill(busy)
    finally:
        traffic.stop()
    busy.settle()
    records = a.dump()
    try:
        pairs, doubt, had = a.check(right, records)
    except Failure as failure:
        raise Failure(f"seed {seed}: {failure}") from None
    plain, packed = busy.files()
    say(f"  seed {seed}: killed {dict(busy.killed)} ({busy.reached} at a call), {len(records)} records,"
        f" {pairs} pairs of SAs, {doubt} of them in doubt, of which {had} were there;"
        f" {busy.rotated} rotations, {plain} and {packed} compressed files")
    if pairs < least or not packed:
        raise Failure(f"seed {seed}: {pairs} pairs of SAs, {packed} compressed files: too few to mean"
                      " anything")
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    a.stop()
    b.stop()


def kills(lab, peer):
    seed = seed_of()
    chance = random.Random(seed)
    victims = []
    while len(victims) < KILLS:
        victims += chance.sample(VICTIMS, len(VICTIMS))

    def kill(busy):
        for victim in victims[:KILLS]:
            busy.turn(victim)
    audited(lab, peer, seed, kill, KILLS // 2)


@case("audit-kills", seconds=280)
def audit_kills(lab):
    """kill -9 of iked's worker, its parent or trmd, 20 times in a busy period: one record a change."""
    kills(lab, "own")


@case("audit-kills-strongswan", seconds=280, plain=False)
def audit_kills_strongswan(lab):
    """The same with strongSwan as the peer."""
    kills(lab, "strongswan")


# With these two it is 200 kills.
for number in range(2, 10):
    case(f"audit-kills-{number}", plain=False, seconds=280)(audit_kills)


# ---- call by call ----

@case("audit-kills-trmd-calls", seconds=280, plain=False)
def audit_kills_trmd_calls(lab):
    """
    trmd dies at its first call that somebody can see, at its second and so on: when it begins, finds out
    what was left, writes what has come meanwhile and acknowledges, and when it rotates and compresses.
    """
    def kill(busy):
        fault = busy.a.faults["trmd"]

        def dies():
            busy.killed["trmd"] += 1
            busy.wait_for(fault)
            fault.arm(COUNT)
            busy.kill_trmd()

        for n in range(1, TRMD_CALLS + 1):
            busy.kill_trmd()
            busy.changes()
            fault.arm(KILL, n)
            try:
                busy.a.start_trmd()
            except Failure:
                pass  # it did not come so far
            dies()
        for n in range(1, ROTATE_CALLS + 1):
            busy.a.start_trmd()
            busy.changes()
            fault.arm(KILL, n)
            busy.rotate()
            dies()
        busy.a.start_trmd()
        if busy.reached < (TRMD_CALLS + ROTATE_CALLS) * 3 // 4:
            raise Failure(f"{busy.reached} calls were reached")
    audited(lab, "own", seed_of(), kill, TRMD_CALLS)


@case("audit-kills-iked-calls", seconds=280, plain=False)
def audit_kills_iked_calls(lab):
    """iked's worker dies at its first call that somebody can see, at its second and so on."""
    def kill(busy):
        fault = busy.a.faults["iked"]
        for n in range(1, IKED_CALLS + 1):
            wait_until(busy.answers, 40, "iked answers", step=0.05)
            busy.killed["worker"] += 1
            fault.arm(KILL, n)
            busy.changes()
            busy.wait_for(fault)
            fault.arm(COUNT)
            busy.kill("all")  # or the parent would wait longer each time
        if busy.reached < IKED_CALLS // 2:
            raise Failure(f"of {IKED_CALLS} calls {busy.reached} were reached")
    audited(lab, "own", seed_of(), kill, IKED_CALLS)


# ---- the whole guest ----

def seen_before(lab, name, peer):
    """What the witness of each guest before this one saw come; all of it went with the guest."""
    came = Counter()
    for halted in range(lab.halted):
        with open(f"{lab.out}/{name}.witness.{halted}", errors="replace") as f:
            came += changes(f.read(), {peer.v4})[0]
    return came


def halts(lab, name, n):
    """
    Each guest settles what the one before it left on the disk, and all records so far are held against
    all that was seen; then it is busy until it is halted, but for the last one.
    """
    seed = seed_of() + lab.halted
    chance = random.Random(seed)
    left, right = lab.pair(capture=False)
    disk = Disk(left, "state")
    a = Audited(left, text(left, right, "there"), smf="state/smf",
                witness=f"{lab.out}/{name}.witness.{lab.halted}")
    b = Ours(right, text(right, left, "here"))
    busy = Busy(a, b, chance)
    if lab.halted:
        busy.settle()
        came = seen_before(lab, name, right)
        records = a.dump()
        pairs, doubt, had = compare(records, came, came, left.v4)
        say(f"  seed {seed}, {lab.halted} halts: {len(records)} records, {pairs} pairs of SAs, {doubt} of"
            f" them in doubt, of which {had} were there")
        if pairs < 2 * lab.halted:
            raise Failure("too few SAs to mean anything")
    if lab.halted < n:
        traffic = Traffic(left, right)
        left.ping(right, seconds=20)

        def more():
            busy.change()
            if chance.random() < 0.3:
                busy.rotate()
            time.sleep(chance.random() / 2)
        halt_me_in(chance.random() * 8, more)
        traffic.stop()
    a.witness.stop()
    a.trmd.stop()
    a.stop()
    b.stop()
    disk.free()


def register_halts(name, n, plain):
    @case(name, seconds=120, plain=plain, halts=n)
    def run(lab):
        """The guest loses its power in a busy period, again and again: one record a change."""
        halts(lab, name, n)


register_halts("audit-halt", 1, True)
for number in range(2, 6):
    register_halts(f"audit-halt-{number}", 5, False)
