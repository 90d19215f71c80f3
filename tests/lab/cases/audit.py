"""What trmd writes of tunnels and packets, against what the kernel says of them."""

import json
import random
import socket
import sqlite3
import time

from labkit.fault import Fault
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.witness import Witness, changes, compare

SUITE = SUITES["aes256-sha256-modp2048"]
DENIED = 7009  # a port
TURNS = 12


def policy(me, peer):
    """A rule that denies, and logs, before the one that protects the rest."""
    denied = rule("Denied", me, peer, "deny", service("Udp", DestinationPortRange=DENIED))
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), "correct-horse-battery",
                        first=(denied,))


class Audited(Ours):
    """Our daemons and trmd, and a witness of the kernel's SAs that knows nothing of ours."""

    def __init__(self, host, text, smf="smf", witness=None):
        super().__init__(host, text, start=False)
        self.config = host.path("conf/iked.conf")
        with open(self.config) as f:
            config = f.read()
        host.write("conf/iked.conf", config.replace("{", "{\n  SMF119 IKEALL", 1))
        self.directory = host.path(smf)
        self.witness = Witness(host, witness)
        # They die at a chosen call, when they are told to.
        self.faults = {name: Fault(host, f"kill-{name}") for name in ("iked", "trmd")}
        self.env = {name: fault.env for name, fault in self.faults.items()}
        self.start_pagent()
        self.start_iked()
        self.start_trmd()

    def start_trmd(self):
        self.trmd = self.host.start("trmd", self.program("trmd"), "-f", "-p", self.stack, "-c",
                                    self.config, "--user", "nobody", "--directory", self.directory,
                                    env=self.env["trmd"])

    def dump(self):
        text = self.host.run(self.program("smfdump"), "--json", self.directory).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_recorded(self, seconds=20):
        """Until nothing is up, intended or between iked and trmd: all that happened is in SMF files."""
        left = " + ".join(f"(SELECT count(*) FROM {t})" for t in ("p1", "p2", "intents", "outbox"))
        path = f"{self.host.path('state')}/{self.stack}/iked/iked.db"
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            wait_until(lambda: db.execute(f"SELECT {left}").fetchone()[0] == 0, seconds,
                       "all recorded", step=0.1)
        finally:
            db.close()

    def seen(self, peer):
        """SPIs of the SAs with the peer that came up to now, and of those that went again."""
        return [{spi for _, spi in sas} for sas in changes(self.witness.text(), {peer.v4})]

    def check(self, peer, records):
        """Each change is one record, as the witness saw it; what compare() says."""
        return compare(records, *changes(self.witness.stop(), {peer.v4}), self.host.v4)


@case("audit-tunnels", seconds=280)
def audit_tunnels(lab):
    """Tunnels come and go while trmd and iked's worker are killed: each change is one record."""
    left, right = lab.pair()
    a, b = Audited(left, policy(left, right)), Ours(right, policy(right, left))
    chance = random.Random(7)
    for turn in range(TURNS):
        left.ping(right, seconds=20)
        if turn % 2:
            a.trmd.kill()
        if turn % 4 == 2:
            worker = a.iked.children("--worker")
            for pid in worker:
                left.run("kill", "-9", str(pid))
            wait_until(lambda: set(a.iked.children("--worker")) - set(worker), 10, "another worker")
            left.ping(right, seconds=20)
        time.sleep(chance.random() / 2)
        a.terminate()
        a.wait_gone(20)
        if turn % 2:
            a.start_trmd()
            time.sleep(chance.random() / 10)

    a.wait_recorded()
    a.check(right, a.dump())
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    a.stop()
    b.stop()


@case("audit-filter-logs", seconds=120)
def audit_filter_logs(lab):
    """A denied packet is a line, with what is known of it; audit-flood has many."""
    left, right = lab.pair()
    a = Audited(left, policy(left, right))

    def send(n):
        with left.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
            for _ in range(n):
                try:
                    s.sendto(b"hello", (right.v4, DENIED))
                except PermissionError:
                    pass  # that is the rule

    def lines(*words):
        return a.log_lines(*words, daemon=a.trmd)

    time.sleep(4)  # the first look at counters, from which losses are known, is over
    send(3)
    wait_until(lambda: len(lines("EZD0815I")) == 3, 10, "three lines of denied packets", step=0.1)
    for word in ("filter rule= Denied", f"sipaddr= {left.v4}", f"dipaddr= {right.v4}",
                 f"dport= {DENIED}"):
        if len(lines("EZD0815I", word)) != 3:
            raise Failure(f"no {word} in {lines('EZD0815I')}")
    if lines("CSI6104W"):
        raise Failure("pagent does not answer: " + a.trmd.log()[-400:])
    a.witness.stop()
    a.trmd.stop()
    a.stop()
