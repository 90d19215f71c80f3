"""
The kernel against the reference evaluator: random policies by a real pagent, real packets of every kind, and the
counters of the rules they met.  And what NFLOG says about packets that were let pass or dropped.
"""

import os
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from functools import partial

from labkit.filterworld import CLASS, ICMPV6, NETS, SELECTORS, UDP, Packet, World, address
from labkit.host import Failure, Host, wait_until
from labkit.registry import case

ETHERTYPE = {4: 0x0800, 6: 0x86dd}
LINK = {"left": {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8:a::1", "2001:db8:a::2")},
        "right": {4: ("192.0.3.1", "192.0.3.2"), 6: ("2001:db8:b::1", "2001:db8:b::2")}}
CLASS_UNKNOWN = 0  # as it is forwarded: no rule has it
SO_MARK = 36
IPV6_HDRINCL = 36
KEY = "0x" + "5a" * 20
# What arrives in clear at the ends, or is delivered to a socket of the host; not its errors.
PROBE = """\
table inet probe {{
  chain c {{
    type filter hook {hook}; policy accept;
    icmp type destination-unreachable accept
    icmpv6 type destination-unreachable accept
    ip daddr {v4}0/24 counter
    ip6 daddr {v6}/64 counter
  }}
}}
"""


class Bench:
    """Host mid with left and right beside it, and what is sent by, to and through it."""

    def __init__(self, lab):
        self.lab, self.tool = lab, f"{lab.build}/tests/lab/filter_lab"
        self.mid, self.left, self.right = (Host(lab, name, "", "") for name in
                                           ("mid", "left", "right"))
        self.pagent = self.asked = None
        self.n_passed = 0  # decisions that are not a rule's because the SA is of another peer
        self.matched = Counter()  # packets by rule, service and direction since the policy came
        self.mac_of, self.raw = {}, {}
        lab.hosts.extend((self.mid, self.left, self.right))
        for host in lab.hosts:
            host.run("ip", "link", "set", "lo", "up")
        for side in ("left", "right"):
            self.wire(side)
        settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                    "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0",
                    # Nobody is to hear of fragments that are missing.
                    "net.ipv4.ipfrag_time=3600", "net.ipv6.ip6frag_time=3600"]
        for host in lab.hosts:
            settings += [f"net.ipv4.conf.{i}.rp_filter=0" for i in ("all", "default")]
            host.run("sysctl", "-qw", *settings)
            settings = []
        for number in range(1, 7):
            self.mid.run("ip", "addr", "add", address(4, "own", number) + "/32", "dev", "lo")
            self.mid.run("ip", "addr", "add", address(6, "own", number) + "/128", "dev", "lo")
        self.mid.run("ip", "link", "set", "left", "group", "7")
        self.probe(self.mid, "input priority 300", "own")
        self.probe(self.left, "prerouting priority -300", "left")
        self.probe(self.right, "prerouting priority -300", "right")

    def host(self, side):
        return self.left if side == "left" else self.right

    def wire(self, side):
        far = self.host(side)
        self.lab.ip("link", "add", side, "netns", "mid", "type", "veth", "peer", "name", "mid",
                    "netns", side)
        for family, bits in ((4, 24), (6, 64)):
            near, there = LINK[side][family]
            nodad = ("nodad",) if family == 6 else ()
            self.mid.run("ip", "addr", "add", f"{near}/{bits}", "dev", side, *nodad)
            far.run("ip", "addr", "add", f"{there}/{bits}", "dev", "mid", *nodad)
        self.mid.run("ip", "link", "set", side, "up")
        far.run("ip", "link", "set", "mid", "up")
        self.mac_of[side] = self.mac(self.mid, side)
        for a, dev, mac, end in ((self.mid, side, self.mac(far, "mid"), 1),
                                 (far, "mid", self.mac_of[side], 0)):
            for family in (4, 6):
                a.run("ip", "neigh", "replace", LINK[side][family][end], "lladdr", mac, "dev", dev,
                      "nud", "permanent")
        for family, bits in ((4, 24), (6, 64)):
            near, there = LINK[side][family]
            end = "0" if family == 4 else ""
            self.mid.run("ip", "route", "add", f"{NETS[family][side]}{end}/{bits}", "via", there)
            far.run("ip", "route", "add", "default", "via", near)

    @staticmethod
    def mac(host, dev):
        text = host.run("ip", "link", "show", dev).stdout
        return re.search(r"link/ether (\S+)", text)[1]

    @staticmethod
    def probe(host, hook, place):
        host.run("nft", "-f", host.write("probe.nft", PROBE.format(
            hook=hook, v4=NETS[4][place], v6=NETS[6][place])))

    def policy(self, text):
        path = self.mid.write("random.policy", text)
        os.chmod(path, 0o600)
        if self.pagent:
            self.stop_policy()
        self.pagent = self.mid.start("pagent", f"{self.lab.build}/policy/pagent", "-f", "-p", "TCPIP",
                                     "-c", path)
        if not any("csipsec" in t for t in self.mid.tables()):
            raise Failure("pagent installed nothing: " + self.pagent.log()[-600:])
        self.asked = subprocess.Popen([self.tool, "ask", f"{self.mid.path('state')}/TCPIP"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=self.mid.enter)
        self.matched.clear()
        # Verdict and id of each rule in force.
        self.rules = [(f[1], int(f[2])) for f in map(str.split, self.ask("rules"))]

    def stop_policy(self):
        self.asked.stdin.close()
        self.asked.wait(10)
        self.asked.stdout.close()
        self.pagent.stop()
        self.mid.run(f"{self.lab.build}/policy/pagent", "-p", "TCPIP", "-u")
        for host in (self.mid, self.left):
            host.run("ip", "xfrm", "state", "flush")
            host.run("ip", "xfrm", "policy", "flush")
        self.pagent = None

    def ask(self, question):
        """The lines that filter_lab answers with."""
        self.asked.stdin.write(question + "\n")
        self.asked.stdin.flush()
        lines = []
        for line in self.asked.stdout:
            if line == ".\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise Failure(f"filter_lab does not answer to {question}")

    def counts(self):
        """Packets by rule, service and direction."""
        return Counter({(int(rule), int(service), direction): int(n) for rule, service, direction, n
                        in map(str.split, self.ask("counts"))})

    @staticmethod
    def probed(host):
        """What the host's probe has counted."""
        text = host.run("nft", "list", "table", "inet", "probe").stdout
        return sum(map(int, re.findall(r"counter packets (\d+)", text)))

    # ---- tunnels ----

    def tunnel(self, rule_id, family, spi):
        """A manual SA from left to mid that belongs to the rule, and a mark of left's that leads into it."""
        near, there = LINK["left"][family]
        state = ("src", there, "dst", near, "proto", "esp", "spi", str(spi), "mode", "tunnel",
                 "auth", "hmac(sha1)", KEY, "enc", "cbc(aes)", KEY[:34])
        self.mid.run("ip", "xfrm", "state", "add", *state, "reqid", str(rule_id << 18 | 1))
        self.left.run("ip", "xfrm", "state", "add", *state, "reqid", str(spi))
        every = "0.0.0.0/0" if family == 4 else "::/0"
        self.left.run("ip", "xfrm", "policy", "add", "dir", "out", "src", every, "dst", every, "mark",
                      str(rule_id), "tmpl", "src", there, "dst", near, "proto", "esp", "reqid",
                      str(spi), "mode", "tunnel")

    def tunnel_out(self, rule_id, src, dst):
        """What iked would make: an SA of the rule from mid to left, and the policy that leads to it."""
        near, there = LINK["left"][4]
        self.mid.run("ip", "xfrm", "state", "add", "src", near, "dst", there, "proto", "esp", "spi",
                     "0x2000", "mode", "tunnel", "reqid", str(rule_id << 18 | 2), "auth", "hmac(sha1)",
                     KEY, "enc", "cbc(aes)", KEY[:34], "output-mark", "0x20000", "mask", "0x3fff0000")
        self.mid.run("ip", "xfrm", "policy", "add", "dir", "out", "src", src, "dst", dst, "priority",
                     "1000", "mark", str(rule_id << 16), "mask", "0x3fff0000", "tmpl", "src", near,
                     "dst", there, "proto", "esp", "reqid", str(rule_id << 18 | 2), "mode", "tunnel")

    # ---- sending ----

    def socket(self, host, family, kind):
        key = host.name, family, kind
        if key not in self.raw:
            if kind == "wire":
                s = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            else:
                s = host.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                socket.SOCK_RAW, socket.IPPROTO_RAW)
            self.raw[key] = s
        return self.raw[key]

    def send(self, p):
        for data in p.datagrams():
            self.send_one(p, data)

    def send_one(self, p, data):
        try:
            if p.outbound or p.tunnel:
                s = self.socket(self.mid if p.outbound else self.left, p.family, "raw")
                if p.tunnel:
                    s.setsockopt(socket.SOL_SOCKET, SO_MARK, p.tunnel)
                s.sendto(data, (p.dst, 0))
            else:
                far = self.host(p.side)
                mac = bytes.fromhex(self.mac_of[p.side].replace(":", ""))
                self.socket(far, 0, "wire").sendto(data, ("mid", ETHERTYPE[p.family], 0, 0, mac))
        except PermissionError:
            pass  # what a rule drops; of an ipsec rule nobody hears

    # ---- what must be ----

    def expected(self, world, packets):
        """The counters that the packets must move, who gets how many, and the rules that decided."""
        moves, arrive, decided = Counter(), Counter(), []
        for p in packets:
            *passed, rule = map(int, self.ask(p.line(p.outbound, CLASS[p.side])))
            for number in (*passed, rule):
                moves[number, "o" if p.outbound else "i"] += 1
            self.n_passed += len(passed)
            decided.append(rule)
            verdict, rule_id = (self.rules + [("deny", 0)])[rule]
            passes, at = verdict == "permit" and not p.tunnel, "mid"
            if p.tunnel and verdict == "ipsec":
                passes = rule_id == p.tunnel
            if p.outbound:
                passes, at = verdict == "permit", p.side
            elif passes and p.routed:
                rule = int(self.ask(p.line(True, CLASS_UNKNOWN))[0])
                moves[rule, "o"] += 1
                decided.append(rule)
                passes = (self.rules + [("deny", 0)])[rule][0] == "permit"
                at = "right" if p.side == "left" else "left"
            arrive[at] += passes
            # IPv4 puts together before the host's own probe, IPv6 behind it.
            if p.fragment == "both" and p.family == 6:
                arrive[at] += not world.protects(p)
            elif p.fragment == "both" and world.protects(p):
                arrive[at] -= passes
        return moves, arrive, decided

    def difference(self, world, packets):
        """Sends them; how the kernel's decisions differ, or None, and the rules that decided."""
        want, arrive, decided = self.expected(world, packets)
        # What the host answers is a decision about what leaves, too, and comes to the ends.
        looked_at = "o" if packets[0].outbound else "io" if packets[0].routed else "i"
        ends = (self.left, self.right) if "o" in looked_at else (self.mid,)
        before, was = self.counts(), [self.probed(host) for host in ends]
        for p in packets:
            self.send(p)
        for _ in range(5):
            counted = Counter({k: n - before[k] for k, n in self.counts().items()
                               if n != before[k] and k[2] in looked_at})
            moved = Counter()
            for (rule, _, direction), n in counted.items():
                moved[rule, direction] += n
            came = {host.name: self.probed(host) - n for host, n in zip(ends, was)}
            if moved == want and all(came[name] == arrive[name] for name in came):
                self.matched += counted
                return None, decided
            time.sleep(0.05)
        return (f"counters moved {dict(moved)}, {came} came; should be {dict(want)}, "
                f"{dict(arrive)}"), decided

    def compare(self, world, way, n, tunnels, seed):
        packets = [world.packet(way, tunnels) for _ in range(n)]
        wrong, decided = self.difference(world, packets)
        if wrong:
            for p in packets:
                alone, _ = self.difference(world, [p])
                if alone:
                    raise Failure(f"seed {seed}, {way}: {p}: {alone}")
            raise Failure(f"seed {seed}, {way}: together, not alone: {wrong}")
        return decided

    def close(self):
        if self.pagent:
            self.stop_policy()
        for s in self.raw.values():
            s.close()


def decide(lab, worlds, batches, least):
    """least: so many packets are decided by services that ask for each selector, at least."""
    bench = Bench(lab)
    total = first = none = 0
    asked, wanted = Counter(), set(SELECTORS)
    for seed, world in worlds:
        bench.policy(world.text())
        ids = [i for verdict, i in bench.rules if verdict == "ipsec"][:2]
        tunnels, ways = [], ["out", "in", "routed"]
        if ids and not world.predecap:
            for spi, (rule_id, family) in enumerate(((i, f) for i in ids for f in (4, 6)), 0x1000):
                bench.tunnel(rule_id, family, spi)
                tunnels.append((rule_id, family))
            ways += ["tunnel-in", "tunnel-routed"]
            wanted.add("another peer's SA")
        if ids:
            wanted.add("RemoteIdentity")
        for _ in range(batches):
            for way in ways:
                decided = bench.compare(world, way, 25, tunnels, seed)
                total += len(decided)
                first += decided.count(0)
                none += decided.count(len(bench.rules))
        for (rule, service, _), n in bench.matched.items():
            if rule < len(bench.rules):
                asked.update({what: n for what in world.selectors(rule, service)})
    asked["another peer's SA"] = bench.n_passed
    bench.close()
    if 2 * (first + none) > total:
        raise Failure(f"of {total} decisions {first} were the first rule's and {none} nobody's")
    rare = {what: asked[what] for what in wanted if asked[what] < least}
    if rare:
        raise Failure(f"of {total} decisions too few are by services that ask for {rare}")


KINDS = {"protected": {}, "icmp": {"icmp": True}, "predecap": {"predecap": True},
         "clear": {"ipsec": False}}
# The first of four seeds whose packets are enough of every kind.
SEEDS = {"protected": 120, "icmp": 128, "predecap": 152, "clear": 100}


@case("filter-packets", seconds=240)
def filter_packets(lab):
    decide(lab, [(seed, World(seed, 80, **how)) for seed, how in enumerate(KINDS.values(), 5)], 2, 3)


def many(lab, kind):
    decide(lab, [(seed, World(seed, 100, **KINDS[kind]))
                 for seed in range(SEEDS[kind], SEEDS[kind] + 4)], 4, 5)


for _kind in KINDS:
    case(f"filter-packets-many-{_kind}", plain=False, seconds=280)(partial(many, kind=_kind))


# ---- classes of interfaces ----

# Of mid's two interfaces left is of class 7 and right of none, which is 255.
CLASSES = """\
IpFilterPolicy
{{
  PreDecap      Off
  AllowOnDemand No
  IpFilterRuleRef Default
  IpFilterRuleRef Seven
  IpFilterRuleRef Secret
}}
IpFilterRule Default
{{
  IpSourceAddr All4
  IpDestAddr   All4
  IpService
  {{
    Protocol      Udp
    Routing       Either
    SecurityClass 255
  }}
  IpGenericFilterActionRef permit
}}
IpFilterRule Seven
{{
  IpSourceAddr All4
  IpDestAddr   All4
  IpService
  {{
    Protocol      Udp
    Routing       Either
    Direction     Inbound
    SecurityClass 7
  }}
  IpGenericFilterActionRef deny
}}
IpFilterRule Secret
{{
  IpSourceAddr {own}
  IpDestAddr   {far}
  IpGenericFilterActionRef ipsec
  IpDynVpnActionRef        Gold
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction deny
{{
  IpFilterAction Deny
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
IpDynVpnAction Gold
{{
  IpDataOffer
  {{
    HowToEncrypt AES_CBC KeyLength 128
    HowToAuth    ESP HMAC_SHA1
  }}
}}
"""


@case("filter-class")
def filter_class(lab):
    """What permits by class lets nothing pass whose interface is not known where it is decided."""
    bench = Bench(lab)
    own, other, left, right = (address(4, place, n) for place, n in
                               (("own", 1), ("own", 2), ("left", 1), ("right", 1)))
    bench.policy(CLASSES.format(own=own, far=left))

    def passes(host, wanted, what, packet):
        was = bench.probed(host)
        if isinstance(packet, Packet):
            bench.send(packet)
        else:
            with bench.mid.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
                s.bind((packet[0], 1000))
                s.sendto(b"hello", (packet[1], 1001))
        time.sleep(0.3)
        if bench.probed(host) - was != int(wanted):
            raise Failure(f"{what} {'was stopped' if wanted else 'passed'}")

    def udp(src, dst, **how):
        return Packet(4, src, dst, UDP, ports=(1000, 1001), **how)

    passes(bench.right, True, "what leaves by class 255", udp(own, right, outbound=True))
    passes(bench.left, False, "what leaves by class 7", udp(other, left, outbound=True))
    # Of a raw socket's packets the kernel does not know the source when it routes them first.
    passes(bench.left, False, "what is to be protected and leaves by class 7", (own, left))
    passes(bench.mid, True, "what arrives by class 255", udp(right, own, side="right"))
    passes(bench.mid, False, "what arrives by class 7", udp(left, other, side="left"))
    passes(bench.left, False, "what is forwarded to class 7",
           udp(right, left, routed=True, side="right"))
    bench.close()


# ---- broadcast that is forwarded ----

ONE_RULE = """\
IpFilterPolicy
{{
  AllowOnDemand No
  IpFilterRule Udp
  {{
    IpSourceAddr All4
    IpDestAddr   All4
    IpService
    {{
      Protocol Udp
      Routing  {routing}
    }}
    IpGenericFilterActionRef permit
  }}
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
"""
DIRECTED = "192.0.3.255"  # of the network of mid's interface right


@case("filter-broadcast")
def filter_broadcast(lab):
    """To the kernel a broadcast is for this host; where it is forwarded, rules for local traffic do not let it."""
    bench = Bench(lab)
    bench.mid.run("sysctl", "-qw", *(f"net.ipv4.conf.{i}.bc_forwarding=1" for i in ("all", "left")))
    bench.right.run("nft", "add table ip seen; add chain ip seen c "
                    "{ type filter hook prerouting priority -300; }; "
                    f"add rule ip seen c ip daddr {DIRECTED} counter")

    def came():
        bench.send(Packet(4, LINK["left"][4][1], DIRECTED, UDP, ports=(1000, 1001), routed=True,
                          side="left"))
        time.sleep(0.3)
        text = bench.right.run("nft", "list table ip seen").stdout
        return int(re.search(r"counter packets (\d+)", text)[1])

    if came() != 1:
        raise Failure("without a policy a directed broadcast is not forwarded")
    bench.policy(ONE_RULE.format(routing="Local"))
    if came() != 1:
        raise Failure("it is forwarded by a rule for local traffic")
    bench.policy(ONE_RULE.format(routing="Either"))
    if came() != 2:
        raise Failure("it is not forwarded by a rule for routed traffic")
    bench.close()


# ---- neighbours, and key exchange ----

ALMOST_NOTHING = """\
IpFilterPolicy
{{
  PreDecap      Off
  AllowOnDemand No
  IpFilterRule Through
  {{
    IpSourceAddr {through}
    IpDestAddr   All6
    IpService
    {{
      Protocol  Icmpv6
      Direction Inbound
      Routing   Routed
    }}
    IpService
    {{
      Protocol  Icmpv6
      Direction Outbound
      Routing   Routed
    }}
    IpGenericFilterActionRef permit
  }}
  IpFilterRule Echo
  {{
    IpSourceAddr All6
    IpDestAddr   All6
    IpService
    {{
      Protocol Icmpv6
      Type     128 129
    }}
    IpGenericFilterActionRef permit
  }}
  IpFilterRule IKE
  {{
    IpSourceAddr {own}
    IpDestAddr   {peer}
    IpService
    {{
      Protocol             Udp
      SourcePortRange      500
      DestinationPortRange 500
    }}
    IpGenericFilterActionRef permit
  }}
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
"""


def almost_nothing(lab):
    bench = Bench(lab)
    bench.policy(ALMOST_NOTHING.format(through=address(6, "left", 2), own=address(4, "own", 1),
                                       peer=address(4, "left", 1)))

    def came(host, what, wanted, *args, **how):
        was = bench.probed(host)
        bench.send(Packet(*args, **how))
        time.sleep(0.2)
        if bench.probed(host) - was != int(wanted):
            raise Failure(f"{what} {'was stopped' if wanted else 'passed'}")

    return bench, came


@case("filter-neighbours", seconds=120)
def filter_neighbours(lab):
    """What neighbours say passes without the list; what looks like it and is of nobody on the link does not."""
    bench, came = almost_nothing(lab)
    own, left, right = (address(6, place, 1) for place in ("own", "left", "right"))
    for kind in (*range(130, 138), 143):
        listener = kind < 133 or kind == 143
        for hops in (1, 64, 255):
            what = f"type {kind} with hop limit {hops}"
            how = {"kind": (kind, 0), "hops": hops}
            discovery = not listener and hops == 255
            came(bench.right, what + ", forwarded,", False, 6, left, right, ICMPV6, routed=True,
                 **how)
            came(bench.mid, what, discovery, 6, left, own, ICMPV6, **how)
            came(bench.mid, what + " of the link", discovery or listener and hops == 1, 6, "fe80::9",
                 own, ICMPV6, **how)
            came(bench.left, what + ", sent,", discovery, 6, own, left, ICMPV6, outbound=True, **how)
        came(bench.right, f"type {kind} that a rule lets through", True, 6, address(6, "left", 2),
             right, ICMPV6, routed=True, kind=(kind, 0))
    near, there = LINK["left"][6]
    bench.mid.run("ip", "neigh", "del", there, "dev", "left")
    bench.left.run("ip", "neigh", "del", near, "dev", "mid")
    bench.left.run("ping", "-n", "-q", "-c", "1", "-w", "5", near)
    bench.close()


@case("filter-ike-ports", seconds=90)
def filter_ike_ports(lab):
    """What comes to the ports of IKE meets the list as all else does."""
    bench, came = almost_nothing(lab)
    own, left = address(4, "own", 1), address(4, "left", 1)
    came(bench.mid, "what a rule permits", True, 4, left, own, UDP, ports=(500, 500))
    for port in (500, 4500):
        came(bench.mid, f"port {port} of a stranger", False, 4, address(4, "left", 2), own, UDP,
             ports=(port, port))
        came(bench.mid, f"port {port} of another address here", False, 4, left,
             address(4, "own", 2), UDP, ports=(port, port))
        came(bench.mid, f"another port to {port}", False, 4, left, own, UDP, ports=(1000, port))
    bench.close()


# ---- logs ----

LOGGING = """\
IpFilterPolicy
{{
  PreDecap      Off
  FilterLogging {switch}
  IpFilterRuleRef Allowed
  IpFilterRuleRef Denied
  IpFilterRuleRef Refused
  IpFilterRuleRef Quiet
  IpFilterRuleRef Secret
  IpFilterRuleRef SecretDenials
}}
{rules}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
  IpFilterLogging Yes
}}
IpGenericFilterAction deny
{{
  IpFilterAction Deny
  IpFilterLogging Yes
}}
IpGenericFilterAction refuse
{{
  IpFilterAction Deny
  IpFilterLogging Yes
  DiscardAction ICMP
}}
IpGenericFilterAction quiet
{{
  IpFilterAction Deny
}}
IpGenericFilterAction secret
{{
  IpFilterAction IpSec
  IpFilterLogging Yes
}}
IpGenericFilterAction secretdenials
{{
  IpFilterAction IpSec
  IpFilterLogging LogDeny
}}
IpDynVpnAction Gold
{{
  IpDataOffer
  {{
    HowToEncap Tunnel
    HowToEncrypt AES_CBC KeyLength 128
    HowToAuth ESP HMAC_SHA1
  }}
}}
"""
LOGGED = (("Allowed", 1, "permit"), ("Denied", 2, "deny"), ("Refused", 3, "refuse"),
          ("Quiet", 4, "quiet"), ("Secret", 5, "secret"), ("SecretDenials", 6, "secretdenials"))


def logging_policy(switch):
    rules = ""
    for name, port, action in LOGGED:
        vpn = "  IpDynVpnActionRef Gold\n" if action.startswith("secret") else ""
        rules += (f"IpFilterRule {name}\n{{\n  IpSourceAddr {address(4, 'own', 1)}\n"
                  f"  IpDestAddr {NETS[4]['left']}0/24\n  IpService\n  {{\n    Protocol Udp\n"
                  f"    DestinationPortRange {port}\n  }}\n"
                  f"  IpGenericFilterActionRef {action}\n{vpn}}}\n")
    return LOGGING.format(switch=switch, rules=rules)


class Log:
    """What NFLOG tells a listener."""

    def __init__(self, bench):
        self.popen = subprocess.Popen([bench.tool, "logs", "600"], stdout=subprocess.PIPE, text=True,
                                      stdin=subprocess.DEVNULL, preexec_fn=bench.mid.enter)
        self.lines = []
        if self.popen.stdout.readline() != "ready\n":
            raise Failure("filter_lab logs does not listen")
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))

    def take(self, n):
        """The next n, and none more; the kernel keeps them for a second."""
        wait_until(lambda: len(self.lines) >= n, 10, f"{n} packets logged, not {self.lines}")
        time.sleep(1.5)
        lines, self.lines = self.lines, []
        return lines

    def stop(self):
        self.popen.terminate()
        self.popen.wait(10)
        self.thread.join(10)
        self.popen.stdout.close()


@case("filter-logs", seconds=240)
def filter_logs(lab):
    """Each packet once, with its rule and what became of it."""
    bench = Bench(lab)
    log = Log(bench)
    own, far = address(4, "own", 1), address(4, "left", 1)
    bench.policy(logging_policy("On"))
    ids = {name: rule_id for (name, _, _), (_, rule_id) in zip(LOGGED, bench.rules)}
    bench.tunnel(ids["Secret"], 4, 0x1000)
    bench.tunnel(ids["SecretDenials"], 4, 0x1001)

    def out(port):
        return Packet(4, own, far, UDP, outbound=True, ports=(9, port))

    def came(port, tunnel=""):
        return Packet(4, far, own, UDP, ports=(port, 9), tunnel=ids.get(tunnel, 0))

    def expect(packet, *wanted):
        bench.send(packet)
        lines = log.take(len(wanted))
        for line, (reason, direction, rule, name) in zip(lines, wanted):
            prefix, _, payload = line.partition("|")
            if prefix != f"csipsec {generation} {reason} {direction} {rule} {name}":
                raise Failure(f"{packet} is logged as {prefix}, not as {wanted}")
            if payload[:120] != packet.bytes().hex()[:len(payload)][:120] and not packet.outbound:
                raise Failure(f"{packet} is logged with other bytes: {payload}")
        if len(lines) != len(wanted):
            raise Failure(f"{packet} is logged {len(lines)} times, not {len(wanted)}: {lines}")

    generation = 1
    expect(out(1), ("permit", "o", 0, "Allowed"))
    expect(came(1), ("permit", "i", 0, "Allowed"))
    expect(came(1, "Secret"), ("mismatch", "i", 0, "Allowed"))
    expect(out(2), ("deny", "o", 1, "Denied"))
    expect(came(3), ("deny", "i", 2, "Refused"))
    expect(came(4))
    expect(out(7), ("implicit", "o", 6, "-"))
    expect(came(7), ("implicit", "i", 6, "-"))
    expect(came(5), ("unprotected", "i", 4, "Secret"))
    expect(came(5, "Secret"), ("permit", "i", 4, "Secret"))
    expect(came(5, "SecretDenials"), ("mismatch", "i", 4, "Secret"))
    expect(came(6, "SecretDenials"))
    expect(came(6), ("unprotected", "i", 5, "SecretDenials"))
    expect(out(6), ("held", "o", 5, "SecretDenials"))
    bench.tunnel_out(ids["Secret"], own, far)
    expect(out(5), ("permit", "o", 4, "Secret"))
    bench.policy(logging_policy("Off"))
    for packet in (out(2), came(2), came(7), came(5)):
        expect(packet)
    log.stop()
    bench.close()
