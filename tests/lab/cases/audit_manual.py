"""What trmd writes of manual tunnels, against what the kernel says of them."""

import itertools
import random
import re
import sqlite3
import subprocess
import time
from collections import Counter

from cases import manual
from cases.agent import pagent, refreshed, start_with
from cases.audit import Audited
from labkit.fault import COUNT, KILL, Fault
from labkit.host import Failure, wait_until
from labkit.registry import case

TURNS = 24


def events(a, peer):
    """What the kernel said of each SA with the peer: whether it came or went, SPI and reqid."""
    seen = re.findall(r"^(Deleted |Updated |)src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+) reqid (\d+)",
                      a.witness.stop(), flags=re.M)
    return [(how != "Deleted ", int(spi, 16), int(reqid)) for how, src, dst, spi, reqid in seen
            if {src, dst} == {peer.v4, a.host.v4}]


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
    came, went = whole(events(a, peer))

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
    for turn in range(TURNS):
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


@case("audit-manual-undo", seconds=120)
def audit_manual_undo(lab):
    """pagent was killed with the tunnel up and no row of it yet; undoing records both."""
    left, right = lab.pair()
    a = Audited(left, manual.policy(left, right, "aes-sha1", "Tunnel"))

    def recorded(subtype):
        return sum(r["SubType"] == subtype for r in a.dump())

    wait_until(lambda: recorded(79) == 1, 20, "a record of the activation", step=0.2)
    a.pagent.kill()
    # As a kill between the kernel's change and the row leaves it.
    db = sqlite3.connect(f"{left.path('state')}/{a.stack}/audit.db")
    with db:
        db.execute("UPDATE tunnel SET up = 0, since = 0")
    db.close()
    if "2 records of manual tunnels wait" not in pagent(a, "-u").stdout:
        raise Failure("undoing does not say what waits for trmd")
    if left.sas():
        raise Failure(f"SAs after undoing: {left.sas()}")
    a.start_pagent()
    wait_until(lambda: (recorded(79), recorded(80)) == (3, 1), 20, "what was undone, and what is up now", step=0.2)
    a.stop()
