"""
iked's worker is killed again and again, also in mid-exchange, under twenty tunnels: of what goes through
them nothing is lost, and no SA has a successor before its time.
"""

import calendar
import os
import random
import signal
import time
from collections import Counter

from cases.audit_kills import seed_of
from cases.daemons import worker_of
from labkit.fault import COUNT, KILL, Fault
from labkit.fleet import Plutos, Swans, Block
from labkit.host import Failure, wait_until
from labkit.lab import say
from labkit.nat import PUBLIC, Internet
from labkit.ours import Ours
from labkit.registry import case
from labkit.stream import Stream
from labkit.suites import SUITES
from labkit.traffic import Flow

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
DPD = 5         # the peers', seconds
CALLS = 40      # of which the worker dies before one, in the midst of refreshes
TIME_OF_ONE = 10  # seconds that a worker has to live for the next one to be started at once
BURST = 5
SHORT = 60      # the life of the tunnels that are refreshed by themselves, seconds

# Name, how many tunnels, and what its actions say of who may begin; of the last one a NAT is before the peer.
GROUPS = (("Either", 6, "Either", "Main"), ("Short", 2, "Either", "Main"),
          ("Remote", 6, "RemoteOnly", "DoNot"), ("Natted", 6, "RemoteOnly", "DoNot"))

POLICY = """\
IpFilterPolicy
{{
  AllowOnDemand Yes
  IpFilterRuleRef IKE
{refs}}}
IpFilterRule IKE
{{
  IpSourceAddr {local}
  IpDestAddr   All4
  IpService
  {{
    Protocol        Udp
    SourcePortRange 500
    Direction       Bidirectional
    Routing         Local
  }}
  IpService
  {{
    Protocol        Udp
    SourcePortRange 4500
    Direction       Bidirectional
    Routing         Local
  }}
  IpGenericFilterActionRef permit
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
{rules}KeyExchangePolicy
{{
{ke_refs}}}
{ke_rules}"""

RULE = """\
IpFilterRule {name}
{{
  IpSourceAddr {local}
  IpDestAddr   {net}
  IpService
  {{
    Protocol  All
    Direction Bidirectional
    Routing   Local
  }}
  IpGenericFilterActionRef ipsec
  IpDynVpnActionRef        {name}
  IpLocalStartActionRef    {name}
}}
IpLocalStartAction {name}
{{
  LocalSecurityEndpointAddr {local}
{endpoint}  RemoteIpGranularity       Packet
}}
IpDynVpnAction {name}
{{
  Initiation {initiation}
  IpDataOffer
  {{
    HowToEncap   {mode}
    HowToEncrypt {suite.esp_encrypt}
    HowToAuth    {suite.esp_auth}
    RefreshLifetimeProposed {life}
    RefreshLifetimeAccepted 1 480
  }}
}}
"""

KE_RULE = """\
KeyExchangeRule {name}
{{
  LocalSecurityEndpoint
  {{
    Identity Fqdn {me}.example
    Location {local}
  }}
  RemoteSecurityEndpoint
  {{
    Identity Fqdn *.example
    Location {location}
  }}
  KeyExchangeActionRef {name}
  SharedKey Ascii {key}
}}
KeyExchangeAction {name}
{{
  HowToInitiate     {initiate}
  HowToRespondIKEv1 Main
  AllowNat          {nat}
  KeyExchangeOffer
  {{
    HowToEncrypt   {suite.ike_encrypt}
    HowToAuthMsgs  {suite.ike_hash}
    HowToAuthPeers PresharedKey
    DHGroup        Group{suite.group}
  }}
}}
"""



def policy(me, blocks, nat):
    """blocks: the Block of each group that there is."""
    rules = ke_rules = ""
    groups = [group for group in GROUPS if group[0] in blocks]
    for name, _, initiation, initiate in groups:
        natted, net = name == "Natted", blocks[name].net
        rules += RULE.format(
            name=name, local=me.v4, net=net, initiation=initiation, suite=SUITE,
            mode="Tunnel" if natted else "Transport", life=SHORT // 60 if name == "Short" else 240,
            endpoint=f"  RemoteSecurityEndpointAddr {nat.v4}\n" if natted else "")
        ke_rules += KE_RULE.format(name=name, me=me.name, local=me.v4, location=nat.v4 if natted else net,
                                   key=KEY, initiate=initiate, nat="Yes" if natted else "No", suite=SUITE)
    refs = [f"Ref {name}\n" for name, *_ in groups]
    return POLICY.format(local=me.v4, refs="".join(f"  IpFilterRule{ref}" for ref in refs), rules=rules,
                         ke_refs="".join(f"  KeyExchangeRule{ref}" for ref in refs), ke_rules=ke_rules)


class World:
    """Ours, and the peers: one daemon on the same wire and one behind a NAT, with ten tunnels and more each."""

    def __init__(self, lab, make):
        net = Internet(lab)
        self.too_soon = make is Plutos
        self.left, self.open = net.host("left"), net.host("open")
        nat = net.nat("nat", "random")
        self.inside = nat.host("inside")
        self.blocks = {}
        for number, (name, n, *_) in enumerate(GROUPS):
            natted = name == "Natted"
            host, prefix = (self.inside, nat.wire.net) if natted else (self.open, PUBLIC)
            self.blocks[name] = Block(prefix, 4 + number, n)
            Block.give(host, self.blocks[name].seats)
        in_clear = [seat for name, *_ in GROUPS if name != "Natted" for seat in self.blocks[name].seats]
        self.peers = [make(self.open, in_clear, self.left, SUITE, "transport", KEY, DPD),
                      make(self.inside, self.blocks["Natted"].seats, self.left, SUITE, "tunnel", KEY, DPD)]
        self.ours = Killed(self.left, policy(self.left, self.blocks, nat))
        self.groups = []
        self.begin([name for name, *_ in GROUPS if name != "Short"])

    def begin(self, groups):
        """The tunnels of these, too."""
        self.groups += groups
        for name in groups:
            for seat in self.blocks[name].seats:
                if self.is_theirs(name):
                    self.peers[name == "Natted"].initiate(seat)
                else:
                    self.left.ping(seat)
        n = len(self.seats())
        wait_until(lambda: len(self.ours.tunnels()) == n, 20, f"{n} tunnels", step=0.2)

    @staticmethod
    def is_theirs(group):
        """Nobody but the peer may begin."""
        return group in ("Remote", "Natted")

    def host_of(self, group):
        return self.inside if group == "Natted" else self.open

    def stop(self):
        for peer in self.peers:
            peer.drop_all()
        self.ours.drop_all()
        hosts = self.left, self.open, self.inside
        wait_until(lambda: not any(host.sas() for host in hosts), 20, "SAs gone", step=0.2)
        self.ours.wait_gone()
        self.ours.stop()
        for peer in self.peers:
            peer.stop()

    def seats(self):
        return [(name, seat) for name in self.groups for seat in self.blocks[name].seats]


class Killed(Ours):
    """Whose worker dies before a call of ours."""

    def __init__(self, host, text):
        super().__init__(host, text, start=False)
        self.fault = Fault(host)
        self.env = {"iked": self.fault.env}
        self.start_pagent()
        self.start_iked()
        self.began = time.monotonic()  # the worker

    def answers(self):
        return self.ipsec("-k", "display", ok=None).returncode == 0


# ---- what goes through them ----

class Load:
    """A ping flood and a TCP stream through each tunnel."""

    def __init__(self, world):
        self.world, self.pings, self.flows = world, [], []
        self.begin()

    def begin(self):
        """Through those that have none."""
        world = self.world
        for group, seat in world.seats()[len(self.pings):]:
            self.pings.append((seat, Stream(world.left, seat, every=0.05)))
            self.flows.append(Flow(world.left, world.host_of(group), seat.v4, seat.name, 0.1))

    def stop(self):
        """How much there was of it; no less may have come."""
        for flow in self.flows:
            flow.stop()
        ended = [(seat, *ping.end()) for seat, ping in self.pings]
        lost = {seat.v4: sent - 1 - back for seat, sent, back, _ in ended if back < sent - 1 or sent < 20}
        stat = self.world.left.xfrm_stat()
        # libreswan sends by a new SA with its message 2, before anybody else can have the keys; what
        # comes of that while our worker is dead cannot be helped.
        if sum(lost.values()) > (stat.pop("XfrmAcquireError", 0) if self.world.too_soon else 0) or stat:
            raise Failure(f"echoes lost: {lost}; the kernel counts {self.world.left.xfrm_stat()}")
        return sum(sent for _, sent, *_ in ended), sum(flow.sent for flow in self.flows)


# ---- what is there ----

def spis(ours):
    """{the peer's address: (tunnel, SPIs)} of the newest generation."""
    return {e["RemoteAddressBase"]: (e["TunnelID"], e["EncryptInboundSpi"], e["EncryptOutboundSpi"])
            for e in ours.tunnels()}


def cookies(ours):
    return {e["TunnelID"]: (e["InitiatorCookie"], e["ResponderCookie"]) for e in ours.ike_tunnels()}


def packets(host):
    return {spi: n for (_, spi), (n, _) in host.sas().items()}


class Kills:
    """kill -9 of the worker, at a time of chance or at a call, with refreshes under way or without."""

    def __init__(self, world, chance):
        self.world, self.ours, self.chance = world, world.ours, chance
        self.kinds, self.reached, self.longest = Counter(), 0, 0
        self.spis, self.cookies = spis(self.ours), cookies(self.ours)
        parents = {e["RemoteAddressBase"]: e["ParentIKETunnelID"] for e in self.ours.tunnels()}
        self.may, self.quiet, self.quiet_p1 = [], [], set(self.cookies)
        for n, (group, seat) in enumerate(world.seats()):
            # Every other one has nothing to do with refreshes.
            if n % 2:
                self.may.append(self.spis[seat.v4][0])
                if not world.is_theirs(group):
                    self.may.append(parents[seat.v4])
                    self.quiet_p1.discard(parents[seat.v4])
            else:
                self.quiet.append((group, seat))

    def know(self, group):
        """Also of tunnels that have come meanwhile."""
        now = cookies(self.ours)
        addresses = {seat.v4 for seat in self.world.blocks[group].seats}
        self.spis.update({a: s for a, s in spis(self.ours).items() if a in addresses})
        self.cookies.update({e["ParentIKETunnelID"]: now[e["ParentIKETunnelID"]]
                             for e in self.ours.tunnels() if e["RemoteAddressBase"] in addresses})

    def refresh(self):
        which = self.chance.sample(self.may, 4)
        for letter in "ky":
            ids = [i for i in which if i[0] == letter.upper()]
            if ids:
                self.ours.ipsec(f"-{letter}", "refresh", "-a", *ids, ok=None)

    def kill(self):
        worker = worker_of(self.ours.iked)
        kind = self.chance.choice(("idle", "refresh", "refresh", "call"))
        self.kinds[kind] += 1
        if kind == "call":
            self.ours.fault.arm(KILL, self.chance.randint(1, CALLS))
        if kind != "idle":
            self.refresh()
        time.sleep(self.chance.random() * 0.3)
        self.reached += kind == "call" and self.ours.fault.happened()
        self.ours.fault.arm(COUNT)
        began = time.monotonic()
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            pass
        wait_until(lambda: self.ours.iked.children("--worker") not in ([], [worker]), 40, "another worker")
        self.ours.began = time.monotonic()
        wait_until(self.ours.answers, 20, "it answers", step=0.1)
        self.longest = max(self.longest, time.monotonic() - began)

    def burst(self):
        """A worker that dies at once is followed by one that waits longer each time."""
        time.sleep(max(0, self.world.ours.began + TIME_OF_ONE - time.monotonic()))
        for _ in range(BURST):
            self.kill()

    def check_same(self):
        """What there was no reason to negotiate is what it was, and there is not more of anything."""
        now, now_p1 = spis(self.ours), cookies(self.ours)
        if {a: t for a, (t, *_) in now.items()} != {a: t for a, (t, *_) in self.spis.items()}:
            raise Failure(f"the tunnels are others: {self.spis}, {now}")
        # A phase 1 tunnel has another number when the peer alone had the successor of its SA.
        if len(now_p1) != len(self.cookies) or not self.quiet_p1 <= set(now_p1):
            raise Failure(f"the phase 1 tunnels are others: {set(self.cookies)}, {set(now_p1)}")
        other = {seat.v4: (self.spis[seat.v4], now[seat.v4]) for _, seat in self.quiet
                 if now[seat.v4] != self.spis[seat.v4]}
        other.update({k: (self.cookies[k], now_p1[k]) for k in self.quiet_p1
                      if self.cookies[k] != now_p1[k]})
        if other:
            raise Failure(f"SAs that nobody wanted to be others: {other}")

    def check_counts(self):
        """Of those each side has sent what the other has got, to a packet."""
        here = packets(self.world.left)
        there = {**packets(self.world.open), **packets(self.world.inside)}
        for _, seat in self.quiet:
            for spi in self.spis[seat.v4][1:]:
                key = f"0x{spi:08x}"
                if here.get(key) != there.get(key) or not here.get(key):
                    raise Failure(f"{seat.v4}: SA {key} has {here.get(key)} packets here, {there.get(key)} there")


def seconds_of(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def on_time(world, seconds=SHORT):
    """The next refresh of the tunnels that have a short life begins when it was said to."""
    short = {seat.v4 for seat in world.blocks["Short"].seats}
    due, done = {}, {}

    def look():
        now = time.time()
        for e in world.ours.tunnels():
            where, generation = e["RemoteAddressBase"], e["Generation"]
            if where not in short or where in done:
                continue
            if where in due and due[where][0] != generation:
                done[where] = now - due[where][1]
            elif e["LifetimeRefresh"]:
                due[where] = generation, seconds_of(e["LifetimeRefresh"])
        return len(done) == len(short)
    wait_until(look, seconds, "refreshes of all with a short life", step=0.5)
    return done



def run(lab, make, n):
    seed = seed_of()
    world = World(lab, make)
    load = Load(world)
    kills = Kills(world, random.Random(seed))
    try:
        for _ in range(n // BURST - 1):
            kills.burst()
        world.begin(["Short"])
        load.begin()
        kills.know("Short")
        kills.burst()
        late = on_time(world)
        kills.check_same()
        pings, parts = load.stop()
        kills.check_counts()
    except Failure as failure:
        raise Failure(f"seed {seed}: {failure}") from None
    dead = [line for peer in world.peers for line in peer.log_of_dead()]
    if dead:
        raise Failure(f"seed {seed}: a peer thought that we were dead: {dead[0]}")
    say(f"  seed {seed}: killed {dict(kills.kinds)} ({kills.reached} at a call), away {kills.longest:.1f} s at"
        f" most; {pings} echoes and {parts} parts of streams; refreshes late by"
        f" {', '.join(f'{s:.1f}' for s in late.values())} s")
    if max(late.values()) > 5 or min(late.values()) < -1:
        raise Failure(f"seed {seed}: refreshes were late by {late}")
    world.stop()


def register(peer, make, n, plain):
    @case(f"restart-kills-{peer}{'' if plain else '-50'}", plain=plain, seconds=120 if plain else 480)
    def kills(lab):
        """kill -9 of the worker under twenty tunnels: no packet is lost, and no SA is another one."""
        run(lab, make, n)


for _peer, _make in (("strongswan", Swans), ("libreswan", Plutos)):
    register(_peer, _make, 10, True)
    register(_peer, _make, 50, False)
