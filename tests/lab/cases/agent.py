"""The life of a policy: default filters, refreshes that fail, and a pagent that is killed in one."""

import difflib
import os
import random
import re
import socket
import sqlite3
import subprocess
import threading
import time

from labkit.fault import COUNT, FAIL, KILL, Fault
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.stream import Stream
from labkit.suites import SUITES, Pfs
from labkit.wire import ESP, between

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
DENIED = 7001  # never in clear, by every policy here and by the default filters
PROFILE = """\
; what is permitted while no policy is in force
IPSEC LOGENABLE
IPSECRULE * * PROTOCOL ICMP DIRECTION BIDIRECTIONAL
IPSEC6RULE * * PROTOCOL ICMPV6
ENDIPSEC
"""


# ---- what is in force ----

def table(host):
    """Generation and rules of our table, without counters; None: there is none."""
    done = host.run("nft", "-s", "list", "table", "inet", "csipsec", ok=None)
    if done.returncode != 0:
        return None
    found = re.findall(r"\tchain generation_(\d+) \{\n\t\}\n", done.stdout)
    if len(found) != 1:
        raise Failure(f"{host.name}: the table has {len(found)} generations")
    # The chain's name and what is logged tell the generation.
    return int(found[0]), re.sub(r'(?<=generation_)\d+|(?<=prefix "csipsec )\d+', "N", done.stdout)


def entries(host):
    """The SPD as a set of texts."""
    text = host.policies_text()
    return {" ".join(block.split()) for block in re.split(r"^(?=src )", text, flags=re.M) if block}


def stored(ours):
    """The generation that the store has in force, and whether it has the rule that only B has."""
    path = ours.host.path(f"state/{ours.stack}")
    db = sqlite3.connect(f"{path}/policy.db")
    try:
        row = db.execute("SELECT generation FROM in_force").fetchone()
        if row is None:
            return None, False
        has = db.execute("SELECT count(*) FROM node WHERE generation = ? AND name = 'Extra'",
                         row).fetchone()[0]
    finally:
        db.close()
    db = sqlite3.connect(f"{path}/secrets.db")
    try:
        if not db.execute("SELECT 1 FROM digest WHERE generation = ?", row).fetchone():
            raise Failure("the generation in force has no secrets")
    finally:
        db.close()
    return row[0], has > 0


def texts(left, right, rules=12):
    """Two policies: B has one more ipsec rule, and another port in one of many."""
    def text(extra, port):
        many = [rule(f"Filler{i}", left, right, "deny",
                     service("Tcp", DestinationPortRange=port if i == 7 else 20000 + i))
                for i in range(rules)]
        many.append(rule("Ping", left, right, "permit", service("Icmp")))
        many.append(rule("Denied", left, right, "deny", service("Udp", DestinationPortRange=DENIED)))
        if extra:
            many.append(rule("Extra", left, right, "ipsec",
                             service("Tcp", DestinationPortRange=7100)))
        return host_to_host(left, right, SUITE, "transport", Pfs("none", SUITE), KEY, first=many)
    return {"A": text(False, 20007), "B": text(True, 30007)}


class Leak:
    """Sends to a port that is denied, all the time; none of it may be on the wire."""

    def __init__(self, lab, host, peer):
        self.lab, self.n, self.stopping = lab, 0, False
        self.sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.to = (peer.v4, DENIED)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                self.sock.sendto(b"leak", self.to)
            except OSError:
                pass
            self.n += 1
            time.sleep(0.01)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.sock.close()
        self.lab.wire.stop()
        leaked = self.lab.wire.lines(f"udp port {DENIED}")
        if self.n < 100 or leaked:
            raise Failure(f"of {self.n} denied packets {len(leaked)} were on the wire")


def pagent(ours, *argv, ok=(0,), timeout=60):
    return ours.host.run(ours.program("pagent"), "-p", ours.stack, *argv, ok=ok, timeout=timeout)


def start_with(ours, fault):
    """Its pagent, which the fault can reach."""
    ours.pagent = ours.host.start("pagent", ours.program("pagent"), "-f", "-p", ours.stack, "-c",
                                  ours.policy_path, env=fault.env)


def refreshed(ours, text, ok=(0,)):
    ours.host.write("policy", text)
    return pagent(ours, "-r", "refresh", ok=ok).stdout


def profile(ours, text=PROFILE):
    return ours.host.write(f"conf/{ours.stack}.profile", text)


def source(ours):
    return ours.ipsec("-f", "display").stdout.partition("Source:")[2].split("Scope")[0].strip()


def end(ours):
    """Without iked; the table goes, too."""
    ours.pagent.stop()
    pagent(ours, "-u")


# ---- default and reload ----

@case("agent-default-reload", seconds=230)
def default_reload(lab):
    """ipsec -f default and reload: in force over restarts, SAs live on, and nothing passes between."""
    left, right = lab.pair()
    a, b = [Ours(me, host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY))
            for me, peer in ((left, right), (right, left))]
    left.ping(right)
    before = left.sas().keys()
    said = a.ipsec("-f", "default", ok=(5,)).stdout
    if "left.profile does not exist" not in said or source(a) != "Stack Policy":
        raise Failure(f"default without a profile: {said.strip()}")
    for ours in (a, b):
        profile(ours)
    leak = Leak(lab, left, right)
    for ours in (a, b):
        said = ours.ipsec("-f", "default").stdout
        if "Function: Default" not in said or not re.search("Stack Profile +Active", said):
            raise Failure(f"default says: {said.strip()}")
    if source(a) != "Stack Profile":
        raise Failure("the display does not tell of the profile's filters")
    names = {e["FilterName"] for e in a.entries("-f", "display")}
    if names != {"SYSDEFAULTRULE.1", "SYSDEFAULTRULE.2", "SYSDEFAULTDENYRULE"}:
        raise Failure(f"the default filters are {names}")
    esp = lab.wire.count(f"{between(left, right)} and {ESP}")
    left.ping(right)
    if lab.wire.count(f"{between(left, right)} and {ESP}") != esp:
        raise Failure("a tunnel was used while the default filters are in force")
    if left.sas().keys() != before:
        raise Failure("the default filters ended the tunnels")
    a.pagent.stop()
    a.start_pagent()
    if source(a) != "Stack Profile":
        raise Failure("the choice did not last over a restart of pagent")
    for _ in range(3):  # to and fro
        a.ipsec("-f", "reload")
        a.ipsec("-f", "default")
    for ours in (a, b):
        ours.ipsec("-f", "reload")
    if source(a) != "Stack Policy" or a.entries("-f", "display", "-c", "profile")[0]["FilterName"] != \
            "SYSDEFAULTRULE.1":
        raise Failure("reload did not bring the policy's filters back")
    left.ping(right)
    if left.sas().keys() != before:
        raise Failure("what lives on over default and reload is not what was there")
    leak.stop()
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 10, "SAs gone")
    a.stop()
    b.stop()


@case("agent-boot", seconds=150)
def boot(lab):
    """pagent --boot: filters from before the network is up, pagent's after that, never none."""
    left, right = lab.pair()
    a = Ours(left, "", start=False)
    left.run("ip", "link", "set", "eth0", "down")
    pagent(a, "--boot")
    if table(left):
        raise Failure("without a policy and a profile there are filters")
    profile(a)
    pagent(a, "--boot")
    defaults = table(left)
    leak = Leak(lab, left, right)
    left.run("ip", "link", "set", "eth0", "up")
    left.ping(right)
    text = texts(left, right)["A"]
    left.write("policy", text)
    a.start_pagent()
    generation, _ = policy = table(left)
    if generation != 1 or stored(a)[0] != 1:
        raise Failure(f"generation {generation} is in force after the start")
    a.pagent.kill()
    if table(left) != policy:
        raise Failure("the filters went with pagent")
    left.run("ip", "link", "set", "eth0", "down")  # as after a boot
    pagent(a, "-u")
    pagent(a, "--boot")
    left.run("ip", "link", "set", "eth0", "up")
    if table(left) != policy:
        raise Failure("the stored policy is not in force at boot")
    a.start_pagent()
    a.ipsec("-f", "default")
    a.pagent.kill()
    pagent(a, "--boot")
    if table(left) != defaults:
        raise Failure("the choice did not last over the boot")
    a.start_pagent()
    if table(left) != defaults:
        raise Failure("the choice did not last over pagent's start")
    a.ipsec("-f", "reload")
    leak.stop()
    end(a)


# ---- refreshes that fail ----

@case("agent-refresh-refused", seconds=150)
def refresh_refused(lab):
    """The kernel refuses a policy: the old one is in force and stored, and the new one comes later."""
    left, right = lab.pair()
    text = texts(left, right)
    a = Ours(left, text["A"], start=False)
    a.start_pagent()
    was, spd = table(left), entries(left)
    left.run("ip", "link", "set", "lo", "down")
    said = refreshed(a, text["B"], ok=(1,))
    if "lo is down" not in said:
        raise Failure(f"the refused refresh says: {said.strip()}")
    if table(left) != was or stored(a) != (1, False) or entries(left) != spd:
        raise Failure("a refused policy changed what is in force")
    left.run("ip", "link", "set", "lo", "up")
    # It waits longer after each try that failed meanwhile.
    wait_until(lambda: stored(a) == (2, True) and table(left)[0] == 2, 70, "the policy tried again",
               step=0.3)
    end(a)


@case("agent-netlink-fails", plain=False, seconds=230)
def netlink_fails(lab):
    """Messages to the kernel fail, one after the other: the old policy or the new one, then the new one."""
    left, right = lab.pair()
    text, fault = texts(left, right), Fault(left)
    a = Ours(left, text["A"], start=False)
    start_with(a, fault)
    whole = references(a, text)
    fault.arm(COUNT)
    refreshed(a, text["B"])
    messages = fault.made()[1]
    if messages < 10:
        raise Failure(f"a refresh has {messages} messages to the kernel")
    leak = Leak(lab, left, right)
    now, failed = "B", 0
    for n in range(1, messages + 1):  # the first ones ask, later ones change
        now = "B" if now == "A" else "A"
        fault.arm(FAIL, n)
        refreshed(a, text[now], ok=(0, 1))
        failed += fault.happened()
        if not a.pagent.running():
            raise Failure(f"message {n} of {messages} failed, and pagent ended:"
                          f" {a.pagent.log()[-300:]}")
        check_whole(a, whole, f"message {n} of {messages} failed")
        wait_until(lambda: agrees(a, whole, now), 30,
                   f"message {n} of {messages} failed: the policy tried again", step=0.2)
    # pagent asks some things again by itself, so a message that failed need not fail the refresh.
    if failed < messages // 2:
        raise Failure(f"of {messages} messages {failed} failed")
    leak.stop()
    end(a)


@case("agent-disk-full", seconds=150)
def disk_full(lab):
    """A full disk: the refresh is refused, and the old policy is in force and stored."""
    left, right = lab.pair()
    text = texts(left, right, rules=100)
    state = left.path("state")
    left.run("mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", state)
    a = Ours(left, texts(left, right, rules=3)["A"], start=False)
    a.start_pagent()
    was, spd = table(left), entries(left)
    left.run("dd", "if=/dev/zero", f"of={state}/fill", "bs=4k", ok=None)
    said = refreshed(a, text["B"], ok=(1,))
    if "full" not in said:
        raise Failure(f"a refresh on a full disk says: {said.strip()}")
    if table(left) != was or stored(a) != (1, False) or entries(left) != spd:
        raise Failure("a policy that could not be stored changed what is in force")
    os.unlink(f"{state}/fill")
    refreshed(a, text["B"])
    if stored(a)[1] is not True or table(left)[0] != stored(a)[0]:
        raise Failure("with room again the policy is not in force")
    end(a)
    left.run("umount", state)


# ---- kill -9 ----

def references(ours, text):
    """What the kernel has for each policy and for the default filters: table and SPD."""
    whole = {}
    for name in ("B", "A"):
        refreshed(ours, text[name])
        whole[name] = table(ours.host)[1], entries(ours.host)
    return whole


def differences(a, b):
    """The first lines in which two texts differ."""
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), n=0, lineterm="")
    return [line for line in lines if not re.match(r"---|[+]{3}|@@", line)][:6]


def at_one_moment(host):
    """Table and SPD, without a commit between the two: a pagent that runs may just try again."""
    while True:
        found, spd = table(host), entries(host)
        if table(host) == found:
            return found, spd


def check_whole(ours, whole, when):
    """The table is one of these as it should be; which one. The SPD has at least what it needs."""
    found, spd = at_one_moment(ours.host)
    names = [name for name, (rules, _) in whole.items() if found and found[1] == rules]
    if len(names) != 1:
        others = {name: differences(rules, found[1] if found else "")
                  for name, (rules, _) in whole.items()}
        raise Failure(f"{when}: the table is neither the old nor the new one: {others}")
    missing = whole[names[0]][1] - spd
    if missing:
        raise Failure(f"{when}: the SPD of {names[0]} lacks {missing}")
    return names[0]


def agrees(ours, whole, name):
    """Kernel and store have this policy, all of it and nothing else."""
    generation, has_extra = stored(ours)
    found = table(ours.host)
    if not found or found[1] != whole[name][0] or entries(ours.host) != whole[name][1]:
        return False
    return name == "D" or (found[0] == generation and has_extra == (name == "B"))


def kill_at_points(lab, points):
    left, right = lab.pair()
    text, fault = texts(left, right), Fault(left)
    a = Ours(left, text["A"], start=False)
    profile(a)
    start_with(a, fault)
    whole = references(a, text)
    a.ipsec("-f", "default")
    whole["D"] = table(left)[1], entries(left)
    a.ipsec("-f", "reload")
    ipsec = (a.program("ipsec"), "-p", a.stack, "-f")
    refresh = (a.program("pagent"), "-p", a.stack, "-r", "refresh")

    def act(way, policy):
        left.write("policy", text[policy])
        left.run(*(refresh if way == "refresh" else (*ipsec, way)), ok=None)

    calls = {}
    for way, policy in (("refresh", "B"), ("refresh", "A"), ("default", "A"), ("reload", "A")):
        fault.arm(COUNT)
        act(way, policy)
        calls[way] = fault.made()[0]
    leak, stream = Leak(lab, left, right), Stream(left, right, every=0.05)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    policy, chosen, reached, ends = "A", False, 0, {"old": 0, "new": 0}
    # One point in each part of the calls, in any order.
    parts = chance.sample(range(points), points)
    for n in range(points):
        # Four refreshes for each switch; a refresh brings the other policy.
        way = "refresh" if n % 5 < 4 else "reload" if chosen else "default"
        if way == "refresh" and chosen:
            a.ipsec("-f", "reload")
            chosen = False
        before = "D" if chosen else policy
        if way == "refresh":
            policy = "B" if policy == "A" else "A"
        call = 1 + int((parts[n] + chance.random()) * calls[way] / points)
        when = f"seed {seed}, point {n}, {way}, killed at call {call} of {calls[way]}"
        fault.arm(KILL, call)
        act(way, policy)
        try:
            a.pagent.popen.wait(2)
            reached += 1
        except subprocess.TimeoutExpired:
            a.pagent.kill()
        fault.arm(COUNT)
        after = "D" if way == "default" else policy
        found = check_whole(a, whole, when)
        if found not in (before, after):
            raise Failure(f"{when}: {found} is in force, not {before} or {after}")
        ends["new" if found == after else "old"] += 1
        # What the store says is in force without a look at the files; and pagent has it.
        pagent(a, "--boot")
        chosen = os.path.exists(left.path(f"state/{a.stack}/default-filters"))
        kept = "D" if chosen else "B" if stored(a)[1] else "A"
        if kept not in (before, after) or not agrees(a, whole, kept):
            raise Failure(f"{when}: store and kernel differ after the boot ({kept})")
        start_with(a, fault)
        if not agrees(a, whole, "D" if chosen else policy):
            raise Failure(f"{when}: the file's policy is not in force after the start")
    # Most calls of a refresh come before the kernel's commit, so ten points may all leave the old one.
    if reached < points * 2 // 3 or not ends["old"]:
        raise Failure(f"of {points} points {reached} were reached, {ends}: too few to mean anything")
    stream.stop()
    leak.stop()
    if chosen:
        a.ipsec("-f", "reload")
    end(a)


POINTS = 10  # a case must end within minutes


@case("agent-killed", seconds=230)
def killed(lab):
    """kill -9 of pagent at 10 points of a refresh, default or reload: old or new, wholly."""
    kill_at_points(lab, POINTS)


# With these it is 200 points.
for number in range(2, 21):
    case(f"agent-killed-{number}", plain=number == 2, seconds=230)(killed)
