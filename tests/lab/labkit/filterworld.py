"""
A host between two others, random filter policies for it, and random packets of every kind that a filter
can tell apart: sent by it, to it, through it, in fragments, and out of tunnels.
"""

import ipaddress
import random
import socket
import struct
from dataclasses import dataclass, field

TCP, UDP, ICMP, ICMPV6, OSPF, MH, ESP, AH, IGMP, GRE = 6, 17, 1, 58, 89, 135, 50, 51, 2, 47
OPAQUE = -1  # of a packet: unknown
NAMES = {TCP: "Tcp", UDP: "Udp", ICMP: "Icmp", ICMPV6: "Icmpv6", OSPF: "Ospf", MH: "MIPv6",
         ESP: "Esp", AH: "Ah", IGMP: "Igmp", GRE: "47"}
HOSTS = 4
CLASS = {"left": 7, "right": 255}  # of the host's interfaces; of right none is set
# Addresses by where they are: on the host itself, to the left, to the right.
NETS = {4: {"own": "10.0.0.", "left": "10.1.0.", "right": "10.2.0."},
        6: {"own": "2001:db8:0:1::", "left": "2001:db8:0:2::", "right": "2001:db8:0:3::"}}
# What neighbours and errors of the host itself need is let pass without asking the list.
KINDS = {ICMP: (0, 5, 8, 11, 13, 14), ICMPV6: (3, 4, 128, 129, 144, 160)}


# What World.selectors can say.
SELECTORS = {"IPv4", "IPv6", "an address", "a range of addresses", "a prefix", "a group of addresses",
             "all addresses", "source port", "destination port", "range of source ports",
             "range of destination ports", "Icmp type", "Icmp code", "Icmpv6 type", "Icmpv6 code",
             "range of types", "range of codes", "MIPv6 type", "Ospf type", "Opaque", "FragmentsOnly",
             "Bidirectional", "Inbound", "Outbound", "InboundConnect", "OutboundConnect", "Local",
             "Routed", "Either", "SecurityClass", *NAMES.values()}


def address(family, place, number):
    return f"{NETS[family][place]}{number}"


@dataclass
class Packet:
    family: int
    src: str
    dst: str
    proto: int
    outbound: bool = False  # sent by the host
    routed: bool = False
    side: str = "left"  # where it comes from, or goes to when outbound
    fragment: str = ""  # "", "first", "later"; "both": two that are the whole
    number: int = 7  # by which fragments are known to be of one packet
    ports: tuple = (0, 0)
    kind: tuple = (0, 0)
    opens: bool = False
    tunnel: int = 0  # the rule id of the SA that it comes by
    hops: int = 64

    def known(self):
        return self.fragment != "later"

    def line(self, outbound, security_class):
        """As tests/lab/filter_lab.c reads it, as it arrives or as it leaves."""
        ports = self.proto in (TCP, UDP) and self.known()
        typed = self.proto in (ICMP, ICMPV6, MH, OSPF) and self.known()
        coded = self.proto in (ICMP, ICMPV6) and self.known()
        values = (int(outbound), int(self.routed), self.src, self.dst, self.proto,
                  int(bool(self.fragment)), int(ports), *(self.ports if ports else (0, 0)),
                  self.kind[0] if typed else -1, self.kind[1] if coded else -1,
                  int(self.proto == TCP and self.known() and self.opens), security_class,
                  0 if outbound else self.tunnel)
        return " ".join(map(str, values))

    def upper(self, fragment):
        if fragment == "later":
            return bytes(range(32))
        if self.proto == TCP:
            return struct.pack("!HHIIBBHHH", *self.ports, 1, 0, 0x50, 2 if self.opens else 0x10,
                               512, 0xbad, 0)
        if self.proto == UDP:
            return struct.pack("!HHHH", *self.ports, 16, 0xbad) + bytes(8)
        if self.proto in (ICMP, ICMPV6):
            return struct.pack("!BBHI", *self.kind, 0xbad, 0) + bytes(24)
        if self.proto == MH:
            return struct.pack("!BBBBHH", 59, 0, self.kind[0], 0, 0xbad, 0)
        if self.proto == OSPF:
            return struct.pack("!BBH", 2, self.kind[0], 24) + bytes(20)
        return struct.pack("!II", 0x12345678, 1) + bytes(24)

    def datagrams(self):
        if self.fragment == "both":
            return [self._datagram("first", 0), self._datagram("later", len(self._data("first")))]
        return [self._datagram(self.fragment, 160 if self.fragment == "later" else 0)]

    def bytes(self):
        return self.datagrams()[0]

    def _data(self, fragment):
        data = self.upper(fragment)
        return data + bytes(-len(data) % 8) if fragment == "first" else data

    def _datagram(self, fragment, offset):
        data = self._data(fragment)
        more = fragment == "first"
        if self.family == 4:
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), self.number,
                               (0x2000 if more else 0) | offset // 8, self.hops, self.proto, 0,
                               socket.inet_aton(self.src), socket.inet_aton(self.dst))
            total = sum(struct.unpack("!10H", head))
            total = (total & 0xffff) + (total >> 16)
            total = (total & 0xffff) + (total >> 16)
            return head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + data
        # Destination options may stand before what cannot be seen.
        proto = 60 if self.proto == OPAQUE else self.proto
        following = proto
        if fragment:
            data = struct.pack("!BBHI", proto, 0, offset | int(more), self.number) + data
            following = 44
        return struct.pack("!IHBB16s16s", 6 << 28, len(data), following, self.hops,
                           socket.inet_pton(socket.AF_INET6, self.src),
                           socket.inet_pton(socket.AF_INET6, self.dst)) + data


# ---- policies ----


@dataclass
class Service:
    proto: int | None
    opaque: bool = False
    direction: str = "Bidirectional"
    connect: str = ""
    routing: str = "Local"
    ports: list = field(default_factory=lambda: [None, None])
    kind: list = field(default_factory=lambda: [None, None])
    security_class: int = 0
    fragments: bool = False

    def narrow(self):
        """How many of the rare selectors it has."""
        return (sum(map(bool, self.kind)) + bool(self.connect) + bool(self.security_class)
                + 2 * self.opaque + self.fragments + sum(1 for p in self.ports if p and p[0] < p[1]))

    def text(self):
        name = "Opaque" if self.opaque else "All" if self.proto is None else NAMES[self.proto]
        lines = [f"Protocol {name}", f"Direction {self.direction} {self.connect}",
                 f"Routing {self.routing}"]
        for keyword, value in zip(("SourcePortRange", "DestinationPortRange", "Type", "Code"),
                                  self.ports + self.kind):
            if value:
                lines.append(f"{keyword} {value[0]} {value[1]}")
        if self.security_class:
            lines.append(f"SecurityClass {self.security_class}")
        if self.fragments:
            lines.append("FragmentsOnly Yes")
        return "  IpService\n  {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


@dataclass
class Rule:
    family: int
    src: list  # (text, first, last)
    dst: list
    services: list
    action: str
    peer: bool = False  # it has a RemoteIdentity


class World:
    """A random policy; packets are made to meet its rules."""

    def __init__(self, seed, n_rules, ipsec=True, predecap=False, icmp=False):
        self.random = random.Random(seed)
        self.ipsec, self.predecap, self.icmp = ipsec, predecap, icmp
        self.rules = [self._rule() for _ in range(n_rules)]
        self.n_packets = 0

    def _pick(self, *choices):
        return self.random.choice(choices)

    def _interval(self, low, high):
        a = self.random.randint(low, high)
        return (a, a if self.random.random() < 0.5 else self.random.randint(a, high))

    def _range(self, family, places):
        place = self._pick(*places)
        a = self.random.randint(1, HOSTS)
        first = address(family, place, a)
        shape = self.random.random()
        if shape < 0.27:
            net = ipaddress.ip_network("0.0.0.0/0" if family == 4 else "::/0")
            return f"All{family}", net[0], net[-1]
        if shape < 0.55:
            net = ipaddress.ip_network(f"{first}/{self._pick(29, 30, 24) + (96 if family == 6 else 0)}",
                                       strict=False)
            return str(net), net[0], net[-1]
        if shape < 0.75:
            a, b = sorted(self.random.sample(range(1, HOSTS + 1), 2))
            first, last = address(family, place, a), address(family, place, b)
            return f"{first}-{last}", ipaddress.ip_address(first), ipaddress.ip_address(last)
        return first, ipaddress.ip_address(first), ipaddress.ip_address(first)

    def _ranges(self, family, places):
        n = 1 if self.random.random() < 0.8 else self.random.randint(2, 3)
        ranges = [self._range(family, places) for _ in range(n)]
        return [r for r in ranges if not r[0].startswith("All")] or ranges[:1] if n > 1 else ranges

    def _service(self, family, action, routing):
        r = self.random
        protos = [TCP, TCP, TCP, UDP, UDP, None, OSPF, ESP, GRE]
        protos += [ICMP, ICMP, ICMP, IGMP, AH] if family == 4 else [ICMPV6, ICMPV6, ICMPV6, MH, MH]
        s = Service(r.choice(protos), routing=routing)
        if family == 6 and routing != "Local" and r.random() < 0.3:
            s.proto, s.opaque = None, True
        if not action.startswith("ipsec") and r.random() < 0.3:
            s.direction = self._pick("Inbound", "Outbound")
        if s.proto == TCP and s.direction == "Bidirectional" and r.random() < 0.4:
            s.connect = self._pick("InboundConnect", "OutboundConnect")
        # Where an ipsec rule may have a packet's addresses, where it leaves is seen too late, and
        # what denies is not to depend on it.
        if r.random() < (0.4 if s.direction == "Inbound" else
                         0.1 if action.startswith("permit") and not self.ipsec else 0):
            s.security_class = self._pick(7, 8, 255)
        s.fragments = r.random() < 0.08
        if routing != "Local":
            return s
        if s.proto in (TCP, UDP):
            s.ports = [self._interval(1000, 1020) if r.random() < 0.5 else None for _ in range(2)]
        if s.proto in (ICMP, ICMPV6) and r.random() < 0.85:
            t = r.choice(KINDS[s.proto])
            s.kind[0] = (t, t if r.random() < 0.7 else min(255, t + r.randint(1, 20)))
            if s.kind[0][0] == s.kind[0][1] and r.random() < 0.75:
                s.kind[1] = self._interval(0, 4)
        elif s.proto in (MH, OSPF) and r.random() < 0.7:
            s.kind[0] = self._interval(0, 6)
        return s

    def _rule(self):
        family = self._pick(4, 6)
        action = self._pick("permit", "permit", "permitlog", "deny", "denylog", "denyicmp",
                            *(("ipsec", "ipseclog") if self.ipsec else ()))
        routing = self._pick("Local", "Local", "Routed", "Either")
        own = ("own",) if routing == "Local" else ("own", "left", "right")
        services = [self._service(family, action, routing)
                    for _ in range(self._pick(1, 1, 1, 2))]
        if any(s.direction == "Inbound" for s in services):
            own = ("own", "left", "right")
        return Rule(family, self._ranges(family, own), self._ranges(family, ("left", "right", "own")
                    if services[0].direction == "Inbound" else ("left", "right")), services, action,
                    # Of several services that fit each counts a packet that passes the rule.
                    action.startswith("ipsec") and self.random.random() < 0.4 and len(services) == 1)

    def text(self):
        out = ["IpFilterPolicy\n{\n", f"  PreDecap {'On' if self.predecap else 'Off'}\n",
               f"  ImplicitDiscardAction {'ICMP' if self.icmp else 'Silent'}\n",
               "  FilterLogging On\n  AllowOnDemand No\n"]
        out += [f"  IpFilterRuleRef R{i}\n" for i in range(len(self.rules))] + ["}\n"]
        for i, rule in enumerate(self.rules):
            ends = ""
            for side, ranges in (("Source", rule.src), ("Dest", rule.dst)):
                if len(ranges) == 1:
                    ends += f"  Ip{side}Addr {ranges[0][0]}\n"
                    continue
                ends += f"  Ip{side}AddrGroupRef G{i}{side}\n"
                out.append(f"IpAddrGroup G{i}{side}\n{{\n")
                for text, first, last in ranges:
                    if first == last:
                        out.append(f"  IpAddr\n  {{\n    Addr {text}\n  }}\n")
                    else:
                        word = "Prefix" if "/" in text else "Range"
                        out.append(f"  IpAddrSet\n  {{\n    {word} {text}\n  }}\n")
                out.append("}\n")
            vpn = "  IpDynVpnActionRef Gold\n" if rule.action.startswith("ipsec") else ""
            if rule.peer:
                vpn += "  RemoteIdentity\n  {\n    Identity Fqdn *.example.com\n  }\n"
            out.append(f"IpFilterRule R{i}\n{{\n{ends}" + "".join(s.text() for s in rule.services)
                       + f"  IpGenericFilterActionRef {rule.action}\n{vpn}}}\n")
        for name, action, log, discard in (
                ("permit", "Permit", "No", "Silent"), ("permitlog", "Permit", "Yes", "Silent"),
                ("deny", "Deny", "No", "Silent"), ("denylog", "Deny", "Yes", "Silent"),
                ("denyicmp", "Deny", "No", "ICMP"), ("ipsec", "IpSec", "No", "Silent"),
                ("ipseclog", "IpSec", "Yes", "Silent")):
            out.append(f"IpGenericFilterAction {name}\n{{\n  IpFilterAction {action}\n"
                       f"  IpFilterLogging {log}\n  DiscardAction {discard}\n}}\n")
        out.append("IpDynVpnAction Gold\n{\n  IpDataOffer\n  {\n    HowToEncap Tunnel\n"
                   "    HowToEncrypt AES_CBC KeyLength 128\n    HowToAuth ESP HMAC_SHA1\n  }\n}\n")
        return "".join(out)

    def selectors(self, rule, service):
        """What a service of a rule asks of a packet."""
        r = self.rules[rule]
        s = r.services[service]
        asked = {s.direction, s.routing, f"IPv{r.family}"}
        for ranges in (r.src, r.dst):
            if len(ranges) > 1:
                asked.add("a group of addresses")
            for text, first, last in ranges:
                asked.add("all addresses" if text.startswith("All") else "a prefix" if "/" in text
                          else "a range of addresses" if first != last else "an address")
        if s.proto is not None:
            asked.add(NAMES[s.proto])
        for what, value in zip(("source port", "destination port", "type", "code"),
                               s.ports + s.kind):
            if value:
                kind = what if what.endswith("port") else f"{NAMES[s.proto]} {what}"
                asked |= {kind, f"range of {what}s"} if value[0] != value[1] else {kind}
        for what, has in (("Opaque", s.opaque), ("FragmentsOnly", s.fragments), (s.connect, s.connect),
                          ("SecurityClass", s.security_class), ("RemoteIdentity", r.peer)):
            if has:
                asked.add(what)
        return asked

    # ---- packets ----

    def _inside(self, rule_ranges, family, place):
        """An address at a place, in one of the ranges if there is one."""
        pool = [address(family, place, n) for n in range(1, HOSTS + 1)]
        fit = [a for a in pool if any(lo <= ipaddress.ip_address(a) <= hi
                                      for _, lo, hi in rule_ranges)]
        return self.random.choice(fit if fit and self.random.random() < 0.95 else pool)

    def _service_of(self, rule):
        return rule, self.random.choice(rule.services)

    def _fits(self, rule, outbound, routed):
        return any((s.direction == "Bidirectional" or (s.direction == "Outbound") == outbound)
                   and (s.routing == "Either" or (s.routing == "Routed") == routed)
                   for s in rule.services)

    def protects(self, p):
        """
        Must a later fragment for the host come by an SA? It has no ports, types or flags: of what permits or
        protects the first rule that it could be of tells.
        """
        src, dst = ipaddress.ip_address(p.src), ipaddress.ip_address(p.dst)
        for rule in self.rules:
            if rule.action.startswith("deny") or rule.family != p.family:
                continue
            for s in rule.services:
                if s.direction == "Outbound" or s.routing == "Routed":
                    continue
                ends = (rule.src, rule.dst) if s.direction == "Inbound" else (rule.dst, rule.src)
                if (s.proto in (None, p.proto) and not s.opaque
                        and s.security_class in (0, CLASS[p.side])
                        and any(lo <= src <= hi for _, lo, hi in ends[0])
                        and any(lo <= dst <= hi for _, lo, hi in ends[1])):
                    return rule.action.startswith("ipsec")
        return False

    def packet(self, way, tunnels=()):
        """way: out, in, routed, tunnel-in, tunnel-routed."""
        r = self.random
        outbound, routed = way == "out", way.endswith("routed")
        families = [f for f in (4, 6) if way[:6] != "tunnel" or any(t[1] == f for t in tunnels)]
        fit = [rule for rule in self.rules
               if rule.family in families and self._fits(rule, outbound, routed)]
        # Of three the one that asks for most: what asks for less decides often enough.
        rule, s = max((self._service_of(r.choice(fit or self.rules)) for _ in range(3)),
                      key=lambda pair: pair[1].narrow())
        family = rule.family if rule.family in families else families[0]
        turned = not outbound and s.direction == "Bidirectional"
        src, dst = (rule.dst, rule.src) if turned else (rule.src, rule.dst)
        side = "left" if way.startswith("tunnel") else self._pick("left", "right")
        other = "right" if side == "left" else "left"
        places = {"out": ("own", side), "in": (side, "own"), "routed": (side, other),
                  "tunnel-in": (side, "own"), "tunnel-routed": (side, other)}[way]
        p = Packet(family, self._inside(src, family, places[0]), self._inside(dst, family, places[1]),
                   self._proto(s, family, way), outbound, routed, side)
        if not outbound and (routed or way == "in") and r.random() < (0.8 if s.fragments else 0.15):
            p.fragment = ("both" if way == "in" else
                          "later" if s.opaque or r.random() < 0.5 else "first")
        self.n_packets += 1
        p.number = self.n_packets
        if s.opaque and p.fragment == "later" and family == 6 and r.random() < 0.8:
            p.proto = OPAQUE
        ports = s.ports[::-1] if turned else s.ports
        p.ports = tuple(r.choice(v) if v and r.random() < 0.9 else r.randint(1000, 1022)
                        for v in ports)
        if p.proto in KINDS:
            value = s.kind[0][r.randint(0, 1)] if s.kind[0] and s.proto == p.proto else 0
            p.kind = (value if value in KINDS[p.proto] else r.choice(KINDS[p.proto]),
                      r.choice(s.kind[1]) if s.kind[1] and r.random() < 0.8 else r.randint(0, 5))
        else:
            p.kind = (r.choice(s.kind[0]) if s.kind[0] and r.random() < 0.8 else r.randint(0, 7), 0)
        p.opens = r.random() < 0.5
        if way.startswith("tunnel"):
            p.tunnel = r.choice([t for t, f in tunnels if f == family])
        return p

    def _proto(self, s, family, way):
        others = [TCP, UDP, OSPF, GRE] + ([ICMP, IGMP] if family == 4 else [ICMPV6, MH])
        proto = s.proto
        if proto is None or self.random.random() < 0.08:
            proto = self.random.choice(others)
        # Of another family: what its rule's addresses do not allow anyway.
        if proto not in others + [ESP] + ([AH] if family == 4 else []):
            proto = TCP
        # ESP and AH for this host are no business of the list, unless it is asked before.
        if proto in (ESP, AH) and not self.predecap and way.endswith("in"):
            proto = GRE
        return proto
