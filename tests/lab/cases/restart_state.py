"""What iked finds when it is started again and something is wrong with iked.db, or with the clock."""

import glob
import os
import random
import signal
import sqlite3
import time

from cases.audit import Audited, policy
from cases.audit_disk import Disk
from cases.daemons import facts, kill_worker, text, worker_of
from cases.restart import seconds_of
from labkit.host import Failure, wait_until
from labkit.negotiate import same_pair
from labkit.ours import Ours
from labkit.peers import agreed, finish, pair_with
from labkit.registry import case
from labkit.stream import Stream

PAGE = 4096


def path_of(ours):
    return ours.host.path(f"state/{ours.stack}/iked/iked.db")


def ask(path, question):
    db = sqlite3.connect(path)
    answer = db.execute(question).fetchone()
    db.close()
    return answer[0]


def aside(ours):
    """What was set aside, the log of each not counted."""
    return [p for p in glob.glob(path_of(ours) + ".aside-*") if not p.endswith(("-wal", "-shm"))]


def fold(ours):
    """The write-ahead log into the file, so that there is something to damage."""
    ask(path_of(ours), "PRAGMA wal_checkpoint(TRUNCATE)")


def damage(ours, first, last):
    """Garbage in these pages."""
    with open(path_of(ours), "r+b") as f:
        f.seek(first * PAGE)
        f.write(random.Random(1).randbytes((last - first) * PAGE))


def pages(ours):
    return os.path.getsize(path_of(ours)) // PAGE


def told(ours, n):
    """The log says what became of it, and the path."""
    files = aside(ours)
    if len(files) != n or len(ours.log_lines("CSI2070E", "set aside as")) != n:
        raise Failure(f"set aside are {files}, and the log says {ours.log_lines('CSI207')}")
    if not all(ours.log_lines("CSI2070E", name) for name in files):
        raise Failure(f"the log does not name {files}")


@case("store-damaged", seconds=120)
def store_damaged(lab):
    """
    Garbage in iked.db, in its middle and from its header on, and one of a later iked: the worker serves
    after each, with all that can be read, and what cannot live on is negotiated anew.
    """
    left, right = lab.pair(capture=False)
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left))
    for _ in range(25):  # so that records fill some pages
        left.ping(right)
        a.terminate()
        a.wait_gone()
        b.wait_gone()
    left.ping(right)
    wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
    before, records = facts(a), ask(path_of(a), "SELECT count(*) FROM outbox")

    stream = Stream(left, right)
    fold(a)
    # The last pages are records'; tables of SAs are few pages at the beginning.
    damage(a, pages(a) - 4, pages(a) - 1)
    kill_worker(a)
    told(a, 1)
    if facts(a) != before:
        raise Failure(f"what lived on is not what was there: {before}, {facts(a)}")
    stream.stop()
    kept = ask(path_of(a), "SELECT count(*) FROM outbox")
    if not records // 2 < kept < records or not a.log_lines("CSI2071E"):
        raise Failure(f"of {records} records {kept} were taken over, and the log says"
                      f" {a.log_lines('CSI2071E')}")

    # Cut under a running worker: seen with the next record, and the cache has what is up again.
    fold(a)
    a.ipsec("-k", "refresh", "-a", before[0][0], "--wait", "10")
    os.truncate(path_of(a), 2 * PAGE)
    a.ipsec("-k", "refresh", "-a", before[0][0], "--wait", "10")
    wait_until(lambda: len(aside(a)) == 2, 10, "another one set aside", step=0.1)
    time.sleep(1)
    kill_worker(a)
    told(a, 2)
    if facts_of_pair(a) != pair_of(before):
        raise Failure(f"the tunnel is another: {before[1]}, {facts_of_pair(a)}")

    # Of a later iked: all is taken over, also after a full stop.
    kept = ask(path_of(a), "SELECT count(*) FROM outbox")
    a.iked.stop()
    stream = Stream(left, right)
    make_newer(a)
    a.start_iked()
    told(a, 3)
    if facts_of_pair(a) != pair_of(before) or ask(path_of(a), "SELECT count(*) FROM outbox") < kept:
        raise Failure(f"of a later iked's database was lost: {before}, {facts_of_pair(a)}")
    stream.stop()

    # Nothing of it can be read: the tunnel ends, and the next packet begins another one.
    b.drop_all()
    a.drop_all()
    a.wait_gone()
    left.ping(right)
    fold(a)
    damage(a, 0, pages(a))
    kill_worker(a)
    told(a, 4)
    left.ping(right, seconds=20)
    right.ping(left, seconds=20)
    finish(lab, a, b)


def make_newer(ours):
    """As a later iked would leave it."""
    db = sqlite3.connect(path_of(ours))
    db.execute("PRAGMA user_version=99")
    db.close()


@case("store-aside-audit", seconds=120)
def store_aside_audit(lab):
    """A database is set aside while trmd is away, and while it reads: each change is one record all the same."""
    left, right = lab.pair(capture=False)
    a, b = Audited(left, policy(left, right)), Ours(right, policy(right, left))

    def some():
        for _ in range(4):
            left.ping(right, seconds=20)
            a.drop_all()
            b.drop_all()
            a.wait_gone()
        left.ping(right, seconds=20)
    some()
    for n, away in ((1, True), (2, False)):
        if away:
            a.trmd.kill()
        some()
        a.iked.stop()
        make_newer(a)
        a.start_iked()
        told(a, n)
        some()
        if away:
            a.start_trmd()
    b.drop_all()
    a.drop_all()
    wait_until(lambda: not left.sas() and not right.sas(), 10, "SAs gone", step=0.1)
    a.wait_recorded()
    a.check(right, a.dump())
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    a.stop()
    b.stop()


def facts_of_pair(ours):
    """As facts() has it of a tunnel, whichever phase 1 it is under: a full stop has another one begun."""
    tunnel, = ours.entries("-y", "display", "-b")
    return tuple(tunnel[k] for k in ("TunnelID", "Generation", "EncryptInboundSpi",
                                     "EncryptOutboundSpi"))


def pair_of(before):
    """The same of what facts() had."""
    tunnel, generation, _parent, *spis = before[1]
    return (tunnel, generation, *spis)


@case("store-full", seconds=120)
def store_full(lab):
    """
    The file system of iked.db is full: tunnels go on, a worker that died is followed by one that serves,
    and so is all of iked, or it says why it cannot begin; when there is room all is well again.
    """
    left, right = lab.pair(capture=False)
    with Disk(left.path(f"state/{left.name}/iked"), 1024) as disk:
        a, b = Ours(left, text(left, right)), Ours(right, text(right, left))
        left.ping(right)
        before = facts(a)
        stream = Stream(left, right)
        disk.fill()
        kill_worker(a)
        if facts(a) != before:
            raise Failure(f"what lived on is not what was there: {before}, {facts(a)}")
        a.iked.stop()
        a.start_iked()
        disk.free()
        # The first that could not be written ended with that iked; the next may have found room.
        wait_until(lambda: len(a.log_lines("CSI2013I")) >= len(a.log_lines("CSI2012E")) - 1, 15,
                   "it can be written again")
        # Without a log in the file system one cannot even be opened.
        a.iked.stop()
        disk.fill()
        try:
            a.start_iked()
        except Failure as failure:
            if path_of(a) not in str(failure):
                raise Failure(f"the start does not say what is wrong: {failure}") from None
        else:
            raise Failure("iked started and its database cannot be written")
        disk.free()
        a.start_iked()
        stream.stop()
        if facts_of_pair(a) != pair_of(before):
            raise Failure(f"the tunnel is another: {before}, {facts_of_pair(a)}")
        a.drop_all()
        b.drop_all()
        wait_until(lambda: not left.sas() and not right.sas(), 10, "SAs gone", step=0.1)
        a.stop()
        b.stop()


# ---- the clock ----

HOUR = 3600
TIMES = ("LifetimeRefresh", "LifetimeExpires")


def set_clock(by):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + by)


def times(ours):
    """What both displays say of lifetimes, and SPIs and cookies."""
    ike, = ours.ike_tunnels()
    tunnel, = ours.tunnels()
    return [seconds_of(e[t]) for e in (ike, tunnel) for t in TIMES], facts(ours)


def expect_moved(ours, before, by):
    """The expirations are as far away as they were, the refreshes about so, and the SAs are the same."""
    now, what = times(ours)
    moved = [after - earlier for after, earlier in zip(now, before[0])]
    for n, seconds in enumerate(moved):
        # When a worker is begun it draws the time of a refresh anew, from a tenth of eight hours at most.
        if abs(seconds - by) > (3 if n % 2 else 8 * HOUR // 10 + 3):
            raise Failure(f"the clock was set by {by} s and the times moved by {moved}")
    if what != before[1]:
        raise Failure(f"the SAs are others: {before[1]}, {what}")


def spent(pid):
    """Seconds of CPU time."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def idle(ours, seconds=2):
    """No worker is kept busy by a deadline that never comes."""
    worker = worker_of(ours.iked)
    before = spent(worker)
    time.sleep(seconds)
    used = spent(worker) - before
    if used > seconds / 4:
        raise Failure(f"the worker took {used:.1f} s of CPU in {seconds} s")


def set_under_worker(a, by):
    before = times(a)
    set_clock(by)
    idle(a)
    expect_moved(a, before, by)


def set_between_workers(a, by):
    before = times(a)
    worker = worker_of(a.iked)
    os.kill(worker, signal.SIGKILL)
    set_clock(by)
    wait_until(lambda: a.iked.children("--worker") not in ([], [worker])
               and a.ipsec("-k", "display", ok=None).returncode == 0, 40, "another worker", step=0.2)
    expect_moved(a, before, by)
    idle(a)


@case("clock-set", seconds=200)
def clock_set(lab):
    """
    The clock is set by an hour, forward and back: under live SAs, between a worker and the next one, and
    by five between a stop and a start.  Nothing is lost, and refreshes come when they would have.
    """
    if not os.environ.get("CSIPSEC_LAB_GUEST"):
        return  # it would be this machine's
    # The peer's SAs are in the same kernel.
    a, b = pair_with(lab, "strongswan", agreed(dpd=30), peer_more={"lives": (26000, 26000)},
                     lives=(480, 240))
    left, right = lab.hosts
    left.ping(right)
    stream = Stream(left, right)
    time.sleep(2)  # the kernel looks at the clock in the first second of an SA
    now, began = time.time(), time.monotonic()
    try:
        for by in (HOUR, -HOUR):
            set_under_worker(a, by)
            set_between_workers(a, by)
        # Nobody sees this one: what is over by the clock is refreshed at once.
        for by in (5 * HOUR, -5 * HOUR):
            number, generation = (a.tunnels()[0][k] for k in ("TunnelID", "Generation"))
            a.iked.stop()
            set_clock(by)
            a.start_iked()
            if by > 0:
                wait_until(lambda: a.tunnels()[0]["Generation"] > generation, 30, "a refresh", step=0.5)
            if {e["TunnelID"] for e in a.tunnels()} != {number}:
                raise Failure(f"by {by} s: tunnel {number} is {a.tunnels()}")
            idle(a)
    finally:
        time.clock_settime(time.CLOCK_REALTIME, now + time.monotonic() - began)
    stream.stop()
    finish(lab, a, b)
