"""What trmd writes of tunnels and packets, against what the kernel says of them."""

import itertools
import json
import random
import re
import socket
import subprocess
import time
from collections import Counter

from cases import manual
from cases.agent import pagent, refreshed, start_with
from labkit.fault import COUNT, KILL, Fault
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs

SUITE = SUITES["aes256-sha256-modp2048"]
DENIED = 7009  # a port
TURNS = 12
MANUAL_TURNS = 24


def policy(me, peer):
    """A rule that denies, and logs, before the one that protects the rest."""
    denied = rule("Denied", me, peer, "deny", service("Udp", DestinationPortRange=DENIED))
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), "correct-horse-battery",
                        first=(denied,))


class Audited(Ours):
    """Our daemons and trmd, and a witness of the kernel's SAs that knows nothing of ours."""

    def __init__(self, host, text):
        super().__init__(host, text, start=False)
        self.config = host.path("conf/iked.conf")
        with open(self.config) as f:
            config = f.read()
        host.write("conf/iked.conf", config.replace("{", "{\n  SMF119 IKEALL", 1))
        self.directory = host.path("smf")
        with open(host.path("witness"), "w") as f:  # a pipe that nobody reads would fill up
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

    def events(self, peer):
        """What the kernel said of each SA with the peer: whether it came or went, SPI and reqid."""
        self.witness.terminate()
        self.witness.wait(10)
        with open(self.host.path("witness")) as f:
            text = f.read()
        seen = re.findall(r"^(Deleted |Updated |)src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+) reqid (\d+)",
                          text, flags=re.M)
        return [(how != "Deleted ", int(spi, 16), int(reqid)) for how, src, dst, spi, reqid in seen
                if peer.v4 in (src, dst)]

    def witnessed(self, peer):
        """SPIs of the SAs with the peer that came, and of those that went again."""
        ours = self.events(peer)
        came = {spi for there, spi, _ in ours if there}
        # The kernel's own, which stand for a tunnel that is asked for, go and have not come.
        return came, {spi for there, spi, _ in ours if not there} & came


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
    twice = {key: n for key, n in keys(records).items() if n != 1}
    if twice:
        raise Failure(f"records that are there more than once: {twice}")
    for begun, ended in ((73, 74), (75, 76), (77, 78)):
        these = [{key[1:] for key in keys(records) if key[0] == subtype} for subtype in (begun, ended)]
        if these[0] != these[1] or not these[0]:
            raise Failure(f"{begun} and {ended} are not of the same tunnels: {these}")
    for subtype, seen in zip((77, 78), a.witnessed(right)):
        recorded = {int(r[f"IPTun{way}EncryptSPI"], 16) for r in records if r["SubType"] == subtype
                    for way in ("Inb", "Outb")}
        if recorded != seen:
            raise Failure(f"subtype {subtype}: recorded and not seen in the kernel {recorded - seen},"
                          f" the other way round {seen - recorded}")
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    a.stop()
    b.stop()


@case("audit-filter-logs", seconds=120)
def audit_filter_logs(lab):
    """A denied packet is a line; what was denied while trmd was away is told as lost."""
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
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    send(500)
    a.start_trmd()
    wait_until(lambda: lines("CSI6102W", "Denied", "count= 500"), 20, "the loss of 500", step=0.2)
    a.witness.kill()
    a.witness.wait(10)
    a.trmd.stop()
    a.stop()


def whole(events):
    """How often each manual tunnel, both SAs of it, came and went, by its number."""
    present, came, went = {}, Counter(), Counter()
    for there, spi, reqid in events:
        number = reqid & 0x3FFFF
        sas = present.setdefault(number, set())
        before = len(sas)
        (sas.add if there else sas.discard)(spi)
        came[number] += before == 1 and len(sas) == 2
        went[number] += before == 2 and len(sas) == 1
    return +came, +went


def ends_as_seen(a, peer):
    """The tunnel goes, and there is a record of each time that the kernel's SAs came and went."""
    host = a.host
    pagent(a, "-r", "refresh")  # what was changed last is in force
    a.ipsec("-m", "activate", "-n", "Manual")
    a.ipsec("-m", "deactivate", "-a", "all")
    if host.sas():
        raise Failure(f"a deactivated tunnel has SAs: {host.sas()}")
    time.sleep(0.5)  # the witness has written what it saw
    came, went = whole(a.events(peer))

    def manuals(subtype):
        return Counter(int(r["IPTunID"][1:]) for r in a.dump() if r["SubType"] == subtype)

    wait_until(lambda: manuals(80).total() >= went.total(), 20, "records of all ends", step=0.2)
    time.sleep(3)  # another look of trmd at pagent's rows
    for subtype, seen in ((79, came), (80, went)):
        if manuals(subtype) != seen:
            raise Failure(f"subtype {subtype}: recorded and not seen in the kernel {manuals(subtype) - seen},"
                          f" the other way round {seen - manuals(subtype)}")
    for r in a.dump():
        if r["SubType"] in (79, 80) and (r["IPTunVPNAction"], r["IPTunLclEndpt"]) != ("Manual", host.v4):
            raise Failure(f"a record of another tunnel: {r}")
    if came != went or came.total() < 10 or len(came) < 3:
        raise Failure(f"too little has happened: {came}, {went}")
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    a.stop()


def changing(me, peer):
    """Policies of a tunnel whose keys change, so that each is another tunnel than the one before."""
    keys = itertools.cycle((manual.SHA1, (manual.SHA1[1], manual.SHA1[0])))
    return (manual.policy(me, peer, "aes-sha1", "Tunnel", keys=key) for key in keys)


@case("audit-manual", seconds=280)
def audit_manual(lab):
    """A manual tunnel comes, goes and changes while pagent and trmd are killed: each change is one record."""
    left, right = lab.pair()
    texts = changing(left, right)
    a, b = Audited(left, next(texts)), manual.ours(right, left, "aes-sha1", "Tunnel", left=False)
    chance = random.Random(11)
    left.ping(right, count=3)
    a.ipsec("-m", "deactivate", "-a", "all")
    a.ipsec("-m", "activate", "-n", "Manual")
    for turn in range(MANUAL_TURNS):
        # By what the policy says, or by command, whose answer nobody waits for.
        asking = None
        if turn % 3 == 2:
            left.write("policy", next(texts))  # is noticed after half a second
        else:
            word = ("activate", "-n", "Manual") if turn % 2 else ("deactivate", "-a", "all")
            asking = subprocess.Popen([a.program("ipsec"), "-p", a.stack, "-m", *word], env=left.env,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=left.enter)
        if turn % 4 != 3:
            time.sleep(chance.random() * (0.1 if asking else 0.9))
            a.pagent.kill()
            if turn % 4 == 1:
                a.trmd.kill()
                a.start_trmd()
            a.start_pagent()
        if asking:
            asking.wait(20)
        time.sleep(chance.random() / 2)

    ends_as_seen(a, right)
    first = next(r for r in a.dump() if r["SubType"] == 80)
    if min(int(first[f"IPMan{way}Pkts"]) for way in ("Inb", "Outb")) < 3:
        raise Failure(f"the first end has not the packets of the pings: {first}")
    b.stop()


@case("audit-manual-kills", seconds=400)
def audit_manual_kills(lab):
    """pagent dies before each call by which it activates, deactivates or changes a tunnel: the same."""
    left, right = lab.pair()
    texts = changing(left, right)
    a, fault = Audited(left, next(texts)), Fault(left)
    a.pagent.stop()
    start_with(a, fault)

    def activate(ok=None):
        a.ipsec("-m", "activate", "-n", "Manual", ok=ok)

    def deactivate(ok=None):
        a.ipsec("-m", "deactivate", "-a", "all", ok=ok)

    def change():
        refreshed(a, next(texts), ok=None)

    for before, what in ((deactivate, activate), (activate, deactivate), (activate, change)):
        n, died = 0, True
        while died:
            n += 1
            before(ok=(0,))
            fault.arm(KILL, n)
            what()
            died = fault.happened()
            fault.arm(COUNT)
            if died:
                a.pagent.popen.wait(10)
                start_with(a, fault)
        if n < 10:
            raise Failure(f"{what.__name__} has only {n} calls")
    ends_as_seen(a, right)
