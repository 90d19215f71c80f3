"""
Networks with NATs.  A public wire joins hosts and NATs, and behind each NAT is a wire of its own; a NAT
is a network namespace that translates by nftables.  What it does to ports is its kind:

  static      one address for one, ports stay, and who is outside may begin
  masquerade  only who is inside may begin; a port stays where it is free
  random      the same, and each flow gets another port
  forward     as masquerade, and UDP 500 and 4500 lead to one host inside: a gateway's router
"""

from collections import namedtuple

from .host import Failure, Host
from .wire import Wire

PUBLIC = "192.0.2"
KINDS = ("static", "masquerade", "random", "forward")
PORTS = 10_000  # of a range; another range after each reboot
IKE_PORTS = "{ 500, 4500 }"

RULES = """\
flush ruleset
table ip nat {{
  chain out {{
    type nat hook postrouting priority srcnat;
{out}  }}
  chain in {{
    type nat hook prerouting priority dstnat;
{into}  }}
}}
table ip filter {{
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ip protocol icmp accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
  }}
}}
"""

# What another host knows of one: where it is seen.  Peers take it in place of a Host.
Seen = namedtuple("Seen", "name v4")
Seen.addr = lambda self, family=4: self.v4


class End(Host):
    """A host on one of the wires; outside is the address that hosts on the public wire see."""

    def __init__(self, lab, name, v4, outside):
        super().__init__(lab, name, v4, None)
        self.outside = outside

    def seen(self):
        return Seen(self.name, self.outside)

    def mappings(self):
        """Of what ESP is in UDP: {(source, destination, SPI): (source port, destination port)}."""
        found, where = {}, None
        for line in self.states_text().splitlines():
            words = line.split()
            if words[0] == "src":
                where = words[1], words[3]
            elif words[0] == "proto":
                spi = words[3]
            elif words[:2] == ["encap", "type"]:
                found[*where, spi] = int(words[4]), int(words[6])
        return found


class _Wire:
    """A bridge, which is in a host, and the network on it."""

    def __init__(self, host, bridge, net):
        self.host, self.bridge, self.net, self.ports = host, bridge, net, 0
        host.run("ip", "link", "add", bridge, "type", "bridge")
        host.run("ip", "link", "set", bridge, "up")

    def attach(self, end, address, *more):
        """A cable from a host's eth0 to here, and what ip must do besides."""
        lab, port = end.lab, f"p{self.ports}"
        self.ports += 1
        lab.ip("link", "add", "eth0", "netns", end.name,
               "type", "veth", "peer", "name", port, "netns", self.host.name)
        self.host.write("port", f"link set {port} master {self.bridge}\nlink set {port} up\n")
        lab.ip("-n", self.host.name, "-batch", self.host.path("port"))
        lines = ["link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up", *more]
        lab.ip("-n", end.name, "-batch", end.write("links", "\n".join(lines) + "\n"))


def _end(lab, name, wire, address, outside):
    end = End(lab, name, address, outside)
    lab.hosts.append(end)
    wire.attach(end, address, f"route add default {wire.gateway}")
    return end


class Nat(End):
    """One NAT, between the wire that it is attached to and its own."""

    def __init__(self, lab, name, wire, v4, outside, kind, net):
        super().__init__(lab, name, v4, outside)
        self.kind, self.reboots, self.inner = kind, 0, None
        wire.attach(self, v4, f"route add default {wire.gateway}")
        self.wire = _Wire(self, "lan", net)
        self.wire.gateway = f"via {net}.1"
        self.run("ip", "addr", "add", f"{net}.1/24", "dev", "lan")
        self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self._load()

    def host(self, name, last=2):
        """A host inside; those that are outside see it at this NAT's own outside address."""
        return _end(self.lab, name, self.wire, f"{self.wire.net}.{last}", self.outside)

    def lead_in(self, inner):
        """What comes from outside leads to this host: static and forward need it."""
        self.inner = inner
        self._load()

    def reboot(self, address=None):
        """
        All mappings are forgotten, and the next ones get ports of another range, or of another
        address on the public wire.
        """
        self.reboots += 1
        if address:
            self.run("ip", "addr", "del", f"{self.v4}/24", "dev", "eth0")
            self.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
            self.run("ip", "route", "replace", "default", "dev", "eth0")
            self.v4 = self.outside = address
        self._load()
        self.forget()

    def forget(self):
        self.run("conntrack", "-F")

    def timeouts(self, seconds):
        """After so many idle seconds a UDP mapping is gone."""
        names = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
        self.run("sh", "-c", f"echo {seconds} >{names}; echo {seconds} >{names}_stream")

    def flows(self, expect=None):
        """conntrack's view of the UDP flows, a line each."""
        out = self.run("conntrack", "-L", "-p", "udp").stdout
        return [line for line in out.splitlines() if line.startswith("udp")
                and (expect is None or expect in line)]

    def outer_ports(self, inner, port=4500):
        """The ports that an inner host's flows to this port have outside."""
        found = set()
        for line in self.flows(f"src={inner.v4} "):
            words = [w.partition("=")[::2] for w in line.split() if "=" in w]
            dports = [v for k, v in words if k == "dport"]
            if dports[0] == str(port):
                found.add(int(dports[1]))
        return found

    def _load(self):
        low = 20_000 + self.reboots * PORTS % 40_000
        ports = f":{low}-{low + PORTS - 1}"
        out, into = [], []
        if self.kind == "random" or (self.reboots and self.kind != "static"):
            out.append(f'oifname "eth0" meta l4proto {{ tcp, udp }} masquerade to {ports} fully-random')
        out.append('oifname "eth0" masquerade')
        if self.inner:
            to = f"dnat to {self.inner.v4}"
            which = {"static": "", "forward": f"udp dport {IKE_PORTS} "}[self.kind]
            into.append(f"ip daddr {self.v4} {which}{to}")
            # A hairpin: from inside, by the outside address, to another one inside.
            out.append(f'oifname "lan" ct status dnat ip saddr {self.wire.net}.0/24 snat to {self.v4}')
        text = RULES.format(out="".join(f"    {line}\n" for line in out),
                            into="".join(f"    {line}\n" for line in into))
        self.run("nft", "-f", self.write("nat.nft", text))


class Internet:
    """The public wire of a lab, and all that is on it."""

    def __init__(self, lab):
        self.lab = lab
        self.switch = Host(lab, "internet", None, None)
        lab.between.append(self.switch)
        self.wire = _Wire(self.switch, "public", PUBLIC)
        # What is not on the wire is nowhere; policies take what is theirs before that shows.
        self.wire.gateway = "dev eth0"
        self.used = 0

    def host(self, name):
        address = self._address()
        return _end(self.lab, name, self.wire, address, address)

    def nat(self, name, kind, behind=None, last=9, net=None):
        """A NAT on the public wire, or behind another one; net: the network inside, if not a new one."""
        if kind not in KINDS:
            raise Failure(f"no kind of NAT is called {kind}")
        wire = behind.wire if behind else self.wire
        address = f"{wire.net}.{last}" if behind else self._address()
        self.used += bool(behind)
        nat = Nat(self.lab, name, wire, address, behind.outside if behind else address, kind,
                  net or f"10.{self.used}.0")
        self.lab.between.append(nat)
        return nat

    def capture(self):
        """Of all that is sent on the public wire."""
        ends = [h for h in self.lab.hosts + self.lab.between
                if isinstance(h, End) and h.v4.startswith(PUBLIC + ".")]
        self.lab.wire = Wire(ends)
        return self.lab.wire

    def _address(self):
        self.used += 1
        return f"{PUBLIC}.{self.used}"


def behind(lab, left=None, right=None):
    """
    Hosts left and right, each on the public wire or behind a NAT of the kind given: (left, right, NATs).
    What comes from outside to a static or a forwarding NAT leads to that host.
    """
    net, ends, nats = Internet(lab), [], []
    for name, kind in (("left", left), ("right", right)):
        if kind == "double":
            outer = net.nat(f"{name}-isp", "random")
            nat = net.nat(f"{name}-nat", "masquerade", behind=outer)
            nats += [nat, outer]
        elif kind:
            nat = net.nat(f"{name}-nat", kind)
            nats.append(nat)
        end = nat.host(name) if kind else net.host(name)
        if kind in ("static", "forward"):
            nat.lead_in(end)
        ends.append(end)
    lab.net = net
    return *ends, nats
