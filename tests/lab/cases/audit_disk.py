"""What becomes of the audit trail while a disk is full, read-only or gone."""

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter

from cases.audit import Audited, policy
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.registry import case
from labkit.witness import key, kind, pair


def mount(*argv):
    subprocess.run(["mount", *argv], check=True, stdin=subprocess.DEVNULL, timeout=20)


class Disk:
    """A small file system of its own that can be filled, and stays so though some of it is freed."""

    def __init__(self, path, kib):
        self.path, self.full = path, False
        self.thread, self.reached = None, threading.Event()
        os.makedirs(path)
        mount("-t", "tmpfs", "-o", f"size={kib}k,mode=0755", "csipsec-lab", path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()
        subprocess.run(["umount", "-l", self.path], check=True)

    def _write(self):
        with open(f"{self.path}/ballast", "wb", buffering=0) as f:
            while self.full:
                try:
                    f.write(bytes(4096))
                except OSError:
                    self.reached.set()
                    time.sleep(0.02)

    def fill(self):
        self.full = True
        self.reached.clear()
        self.thread = threading.Thread(target=self._write)
        self.thread.start()
        if not self.reached.wait(20):
            raise Failure(f"{self.path} does not become full")

    def still(self):
        """No more is written, and what was stays."""
        self.full = False
        if self.thread:
            self.thread.join()
        self.thread = None

    def free(self):
        self.still()
        if os.path.exists(f"{self.path}/ballast"):
            os.unlink(f"{self.path}/ballast")

    def remount(self, how):
        mount("-o", f"remount,{how}", self.path)


class Load:
    """Tunnels that come and go all the time, under new and old IKE tunnels."""

    def __init__(self, ours):
        self.ours, self.going, self.up, self.why = ours, True, 0, None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        turn = 0
        try:
            while self.going:
                turn += 1
                done = self.ours.ipsec("-y", "activate", "-l", "Activate", "--wait", "4", ok=None)
                self.up += done.returncode == 0
                self.ours.ipsec("-k" if turn % 3 == 0 else "-y", "deactivate", "-a", "all", ok=None)
        except Exception as e:
            self.why = e

    def more(self, n, seconds):
        begun = self.up
        wait_until(lambda: self.up >= begun + n or self.why, seconds, f"{n} more tunnels", step=0.1)

    def stop(self):
        """All tunnels are gone then."""
        self.going = False
        self.thread.join()
        if self.why:
            raise self.why
        wait_until(lambda: self.ours.drop_all() or not self.ours.ike_tunnels()
                   and not self.ours.tunnels(), 30, "tunnels gone", step=0.2)


def settled(ours, seconds=20):
    """The records, when no more come."""
    def quiet():
        before = ours.dump()
        time.sleep(1.5)
        return before == ours.dump() and before
    return wait_until(quiet, seconds, "the last record")


def told(ours, daemon, *words):
    return len(ours.log_lines(*words, daemon=daemon))


def once(ours, *words, most=1):
    """The messages of an outage: it, and its end, each said once; or as often as its reason may change."""
    for word in words:
        n = told(ours, ours.trmd, word)
        if not 1 <= n <= most:
            raise Failure(f"{word} came {n} times: " + "\n".join(
                ours.log_lines("CSI60", daemon=ours.trmd)[-8:]))


def start_log_anew(ours):
    """Lines up to now do not count."""
    os.truncate(ours.trmd.log_path, 0)


# ---- under the SMF files ----

def full(a, disk, seconds):
    disk.fill()
    wait_until(lambda: told(a, a.trmd, "CSI6007E", "No space left"), 20, "CSI6007E of a full disk")
    before = len(a.dump())
    time.sleep(seconds)
    if len(a.dump()) != before:
        raise Failure("records were written to a full disk")
    disk.free()
    wait_until(lambda: told(a, a.trmd, "CSI6008I"), 10, "CSI6008I")


def away(a, path, seconds):
    os.rename(path, path + ".away")
    wait_until(lambda: told(a, a.trmd, "CSI6007E", "No such file"), 20, "CSI6007E of no directory")
    time.sleep(seconds)
    os.rename(path + ".away", path)
    wait_until(lambda: told(a, a.trmd, "CSI6008I"), 10, "CSI6008I")


def read_only(a, disk, seconds):
    """A running trmd has files open, and the kernel makes nothing read-only under an open file."""
    a.trmd.stop()
    disk.remount("ro")
    a.start_trmd()
    wait_until(lambda: told(a, a.trmd, "CSI6007E", "Read-only"), 20, "CSI6007E of a read-only disk")
    time.sleep(seconds)
    disk.remount("rw")
    wait_until(lambda: told(a, a.trmd, "CSI6008I"), 10, "CSI6008I")


def smf(lab, seconds, others):
    left, right = lab.pair()
    with Disk(left.path("disk"), 4096) as disk:
        a = Audited(left, policy(left, right), smf="disk/smf")
        b = Ours(right, policy(right, left))
        load = Load(a)
        load.more(3, 30)
        for outage in (lambda: full(a, disk, seconds), lambda: away(a, a.directory, others),
                       lambda: read_only(a, disk, others)):
            start_log_anew(a)
            outage()
            once(a, "CSI6007E", "CSI6008I")
            load.more(2, 30)
        load.stop()
        records = settled(a)
        a.check(right, records)
        if a.trmd.stop() != 0:
            raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
        a.stop()
        b.stop()


@case("audit-disk-smf", seconds=150)
def audit_disk_smf(lab):
    """The SMF directory's disk is full, gone, read-only under load: said once, and nothing is lost."""
    smf(lab, 10, 3)


@case("audit-disk-smf-minute", plain=False, seconds=240)
def audit_disk_smf_minute(lab):
    """The same with a minute of a full disk."""
    smf(lab, 60, 10)


# ---- under iked's database ----

class Stuck(Audited):
    """With iked's database on a disk of its own."""

    def __init__(self, host, text, how):
        self.how = how
        super().__init__(host, text)

    def start_iked(self, *options):
        super().start_iked("--store-stuck", self.how, *options)


def outbox(path):
    """Rows that trmd has not removed."""
    db = sqlite3.connect(path)
    n, = db.execute("SELECT count(*) FROM outbox").fetchone()
    db.close()
    return n


def store(lab, how, seconds, meanwhile, afterwards):
    left, right = lab.pair()
    with Disk(left.path(f"state/{left.name}/iked"), 4096) as disk:
        a = Stuck(left, policy(left, right), how)
        b = Audited(right, policy(right, left))
        load = Load(a)
        load.more(3, 30)
        os.kill(a.trmd.pid, signal.SIGSTOP)
        load.more(3, 30)
        disk.fill()
        os.kill(a.trmd.pid, signal.SIGCONT)
        wait_until(lambda: told(a, a.trmd, "CSI6003W", "cannot be removed"), 10,
                   "trmd says that it cannot remove rows whose records are written")
        wait_until(lambda: told(a, a.iked, "CSI2012E"), 60, "iked says that it is stuck")
        time.sleep(1)  # what was committed before is installed
        meanwhile(a, right, seconds)
        if told(a, a.iked, "CSI2012E") != 1 or told(a, a.iked, "CSI2013I"):
            raise Failure("a full disk came and went: " + "\n".join(a.log_lines("CSI201")))
        disk.free()
        wait_until(lambda: told(a, a.iked, "CSI2013I"), 15, "iked says that it can write")
        wait_until(lambda: told(a, a.trmd, "CSI6004I"), 15, "trmd says that it reads")
        once(a, "CSI6003W", most=1 + seconds // 60)  # once a minute at most
        once(a, "CSI6004I")
        load.more(3, 60)
        load.stop()
        b.wait_gone(20)
        records, theirs = settled(a), settled(b)
        afterwards(a, right, records, theirs)
        b.check(left, theirs)
        rows = outbox(f"{disk.path}/iked.db")
        if rows:
            raise Failure(f"{rows} rows are still in the outbox")
        for ours in (a, b):
            if ours.trmd.stop() != 0:
                raise Failure("trmd did not end as it should: " + ours.trmd.log()[-400:])
            ours.stop()


def nothing_new(a, peer, seconds):
    before = a.seen(peer)[0]
    time.sleep(seconds)
    new = a.seen(peer)[0] - before
    if new:
        raise Failure(f"{len(new)} SAs were installed without a record of what is intended")


def cookies(records, subtype):
    return {(r["IKETunICookie"], r["IKETunRCookie"]) for r in records if r["SubType"] == subtype}


def nothing_lost(a, peer, records, theirs):
    lost = a.log_lines("EZZ9325I", daemon=a.trmd)
    if lost or not a.log_lines("CSI2013I", "0 records were lost"):
        raise Failure(f"there is a loss: {lost}, {a.log_lines('CSI2013I')}")
    a.check(peer, records)
    for subtype in (73, 74):
        if cookies(records, subtype) != cookies(theirs, subtype):
            raise Failure(f"subtype {subtype}: IKE tunnels are others than the peer's")


def goes_on(a, peer, seconds):
    before = a.seen(peer)[0]
    time.sleep(seconds)
    new = a.seen(peer)[0] - before
    if len(new) < seconds // 3:
        raise Failure(f"only {len(new)} SAs were installed")


def loss_told(a, peer, records, theirs):
    """What the kernel, and for IKE tunnels the peer's trmd, saw and no record is of."""
    a.witness.stop()
    twice = {which: n for which, n in Counter(map(key, records)).items() if n != 1}
    if twice:
        raise Failure(f"records that are there more than once: {twice}")
    missing = {}
    for subtype, seen in zip((77, 78), a.seen(peer)):
        recorded = {spi for r in records if r["SubType"] == subtype for _, spi in pair(r, a.host.v4)}
        if recorded - seen:
            raise Failure(f"subtype {subtype}: recorded and not seen {recorded - seen}")
        missing[subtype] = len(seen - recorded) // 2
    for subtype in (73, 74):
        recorded, seen = cookies(records, subtype), cookies(theirs, subtype)
        if recorded - seen:
            raise Failure(f"subtype {subtype}: recorded here and not at the peer {recorded - seen}")
        missing[subtype] = len(seen - recorded)
    lines = a.log_lines("EZZ9325I", daemon=a.trmd)
    lost = sum(int(line.split("logmissing= ")[1].split()[0]) for line in lines)
    if sum(missing.values()) != lost or not lost or any(kind(r) == "failed" for r in records):
        raise Failure(f"missing are {missing}, and the loss told is {lost}: {lines}")


@case("audit-disk-store-wait", seconds=150)
def audit_disk_store_wait(lab):
    """The disk of iked's database is full: nothing is installed until it works, and nothing is lost."""
    store(lab, "wait", 10, nothing_new, nothing_lost)


@case("audit-disk-store-wait-minute", plain=False, seconds=240)
def audit_disk_store_wait_minute(lab):
    """The same for a minute."""
    store(lab, "wait", 60, nothing_new, nothing_lost)


@case("audit-disk-store-go-on", seconds=150)
def audit_disk_store_go_on(lab):
    """With go-on SAs come and go, and the loss that is told is what the kernel saw and no record is of."""
    store(lab, "go-on", 10, goes_on, loss_told)


@case("audit-disk-store-go-on-minute", plain=False, seconds=240)
def audit_disk_store_go_on_minute(lab):
    """The same for a minute."""
    store(lab, "go-on", 60, goes_on, loss_told)
