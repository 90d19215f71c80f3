"""What trmd writes of tunnels and packets, against what the kernel says of them."""

import json
import random
import re
import socket
import subprocess
import time
from collections import Counter

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs

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

    def __init__(self, host, text, smf="smf"):
        super().__init__(host, text, start=False)
        self.config = host.path("conf/iked.conf")
        with open(self.config) as f:
            config = f.read()
        host.write("conf/iked.conf", config.replace("{", "{\n  SMF119 IKEALL", 1))
        self.directory = host.path(smf)
        # To a file: a pipe that is full would stop it, and the kernel does not wait.
        with open(host.path("witness"), "w") as f:
            self.witness = subprocess.Popen(["ip", "xfrm", "monitor", "SA", "expire"], stdout=f,
                                            preexec_fn=host.enter)
        self.start_pagent()
        self.start_iked()
        self.start_trmd()

    def start_trmd(self):
        self.trmd = self.host.start("trmd", self.program("trmd"), "-f", "-p", self.stack, "-c",
                                    self.config, "--user", "nobody", "--directory", self.directory)

    def dump(self):
        text = self.host.run(self.program("smfdump"), "--json", self.directory).stdout
        return [json.loads(line) for line in text.splitlines()]

    def seen(self, peer):
        """SPIs of the SAs with the peer that came up to now, and of those that went again."""
        with open(self.host.path("witness")) as f:
            text = f.read()
        seen = re.findall(r"^(Deleted |Updated |)src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+)", text,
                          flags=re.M)
        ours = [(how, int(spi, 16)) for how, src, dst, spi in seen
                if {src, dst} == {peer.v4, self.host.v4}]
        came = {spi for how, spi in ours if how != "Deleted "}
        # The kernel's own, which stand for a tunnel that is asked for, go and have not come.
        return came, {spi for how, spi in ours if how == "Deleted "} & came

    def stop_witness(self):
        self.witness.terminate()
        self.witness.wait(10)

    def check(self, peer, records):
        """Each change is one record: not twice, ends are of what began, and as the kernel had it."""
        twice = {key: n for key, n in keys(records).items() if n != 1}
        if twice:
            raise Failure(f"records that are there more than once: {twice}")
        never = {(r["IPTunID"], r["IPDynGeneration"]) for r in records if failed(r)}
        for begun, ended in ((73, 74), (75, 76), (77, 78)):
            these = [{key[1:] for key in keys(records) if key[0] == subtype} - never
                     for subtype in (begun, ended)]
            if these[0] != these[1] or not these[0]:
                raise Failure(f"{begun} and {ended} are not of the same tunnels: {these}")
        # What a responder has ready for the last message of a negotiation that then fails.
        half = spis(filter(failed, records), 76)
        for subtype, seen in zip((77, 78), self.seen(peer)):
            recorded, seen = spis(records, subtype), seen - half
            if recorded != seen:
                raise Failure(f"subtype {subtype}: recorded and not seen in the kernel"
                              f" {recorded - seen}, the other way round {seen - recorded}")


def spis(records, subtype):
    return {int(r[f"IPTun{way}EncryptSPI"], 16) for r in records if r["SubType"] == subtype
            for way in ("Inb", "Outb")}


def failed(record):
    """A negotiation whose result never served has an end alone."""
    return record["SubType"] == 76 and record["IPDynIKEEndReason"] == "negotiation_failed"


def keys(records):
    """Each once: subtype, tunnel and generation."""
    return Counter((r["SubType"], r["IKETunID"], r["IKETunGeneration"]) if r["SubType"] < 75 else
                   (r["SubType"], r["IPTunID"], r["IPDynGeneration"]) for r in records)


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

    def ends():
        n = keys(a.dump())
        return sum(c for (subtype, _, _), c in n.items() if subtype == 78) >= TURNS

    wait_until(ends, 20, "records of all ends", step=0.2)
    time.sleep(1)
    records = a.dump()
    a.stop_witness()
    a.check(right, records)
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
    a.stop_witness()
    a.trmd.stop()
    a.stop()
