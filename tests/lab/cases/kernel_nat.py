"""
The kernel side of NAT traversal alone, without daemons: SAs keyed by hand, clients behind a NAT that
translates ports, and a server with our table and marks.
"""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time

from labkit.host import Failure, Host, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs

SERVER, PUBLIC = "10.9.0.2", "10.9.0.9"
BEHIND = "10.8.0.5"  # a host behind the server
INNER = {"c1": "10.1.1.2", "c2": "10.1.2.2"}  # behind the NAT, a wire each
SAME, OTHER = "192.168.7.7", "192.168.7.8"  # what both have in tunnel mode, or the second one
RULE_ID = 16
UDP_ENCAP, ESP_IN_UDP = 100, 2
IKE_MARK = 0x20000  # as iked has it on its sockets


def key(spi, size):
    """As tests/lab/xfrm_lab.c computes it."""
    return "0x" + "".join(f"{(spi * 31 + i) & 0xff:02x}" for i in range(size))


class Client:
    """A peer behind the NAT, with plain XFRM."""

    def __init__(self, host, number, mode, far, data=SAME):
        self.host, self.number, self.mode, self.far = host, number, mode, far
        self.addr = INNER[host.name]
        self.data = data if mode == "tunnel" else self.addr
        self.port = 61000 + number  # where the NAT shows it
        self.out, self.into = 0x1000 * number + 1, 0x1000 * number + 2  # SPIs, from here
        self.mark, self.tunnel = 8192 + number, number

    def up(self):
        if self.mode == "tunnel":
            self.host.run("ip", "addr", "add", f"{self.data}/32", "dev", "lo")
            self.host.run("ip", "route", "replace", self.far, "via", gateway(self.addr),
                          "src", self.data)
        self.socket = self.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, ESP_IN_UDP)
        self.socket.bind(("0.0.0.0", 4500))
        self.fresh()
        for src, dst, direction in ((self.addr, SERVER, "out"), (SERVER, self.addr, "in")):
            # As IKE daemons have it for their sockets.
            self.host.run("ip", "xfrm", "policy", "add", "src", src, "dst", dst, "proto", "udp",
                          "sport", "4500", "dport", "4500", "dir", direction)
            ends = (self.data, self.far) if direction == "out" else (self.far, self.data)
            self.host.run("ip", "xfrm", "policy", "add", "src", ends[0], "dst", ends[1],
                          "dir", direction, "priority", "100", "tmpl", "src", src, "dst", dst, "proto", "esp",
                          "mode", self.mode)

    def fresh(self):
        """SAs as the server's are when they are new."""
        self.host.run("ip", "xfrm", "state", "flush")
        for src, dst, spi in ((self.addr, SERVER, self.out), (SERVER, self.addr, self.into)):
            self.host.run("ip", "xfrm", "state", "add", "src", src, "dst", dst, "proto", "esp",
                          "spi", hex(spi), "mode", self.mode, "replay-window", "32",
                          "enc", "cbc(aes)", key(spi, 32),
                          "auth-trunc", "hmac(sha256)", key(spi + 1, 32), "128",
                          "encap", "espinudp", "4500", "4500", "0.0.0.0")

    def arguments(self, mark):
        data = [self.far, self.data] if self.mode == "tunnel" else []
        return [str(mark), str(self.tunnel), str(self.port), self.mode, SERVER, PUBLIC,
                hex(self.into), hex(self.out), *data]


def gateway(address):
    return address.rsplit(".", 1)[0] + ".1"


class Net:
    """The server, a NAT, and two clients behind it."""

    def __init__(self, lab, mode, install=True, behind=False, hairpin=False):
        self.lab, self.tool = lab, f"{lab.build}/tests/lab/xfrm_lab"
        self.server, self.nat = self.host("s", SERVER), self.host("n", PUBLIC)
        self.wire(self.server, SERVER, self.nat, PUBLIC)
        self.clients = []
        for number, name in enumerate(("c1", "c2"), 1):
            host = self.host(name, INNER[name])
            self.wire(host, INNER[name], self.nat, gateway(INNER[name]))
            host.run("ip", "route", "add", "default", "via", gateway(INNER[name]))
            far, data = BEHIND if behind else SERVER, SAME
            if hairpin:
                far, data = (OTHER, SAME) if number == 1 else (SAME, OTHER)
            self.clients.append(Client(host, number, mode, far, data))
        self.nat.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.map()
        self.encap = self.server.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.encap.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, IKE_MARK)
        self.encap.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, ESP_IN_UDP)
        self.encap.bind(("0.0.0.0", 4500))
        self.server.run("ip", "route", "add", "default", "via", PUBLIC)
        remote = SAME if mode == "tunnel" else PUBLIC
        self.far = self.server
        if behind:
            self.far = self.host("h", BEHIND)
            self.wire(self.server, gateway(BEHIND), self.far, BEHIND)
            self.far.run("ip", "route", "add", "default", "via", gateway(BEHIND))
            self.server.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.xfrm("install", "nat", "routed", "10.8.0.0/24", remote)
        elif hairpin:
            self.far = self.clients[1].host
            self.server.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.xfrm("install", "nat", "routed", "192.168.7.0/24", "192.168.7.0/24")
        elif install:
            self.xfrm("install", "nat", SERVER, remote)
        for client in self.clients:
            client.up()

    def host(self, name, address):
        host = Host(self.lab, name, address, "::")
        self.lab.hosts.append(host)
        host.run("ip", "link", "set", "lo", "up")
        return host

    def wire(self, a, address_a, b, address_b):
        names = f"{a.name}{b.name}", f"{b.name}{a.name}"
        self.lab.ip("link", "add", names[0], "netns", a.name, "type", "veth", "peer", "name",
                    names[1], "netns", b.name)
        for host, name, address in ((a, names[0], address_a), (b, names[1], address_b)):
            host.run("ip", "addr", "add", f"{address}/24", "dev", name)
            host.run("ip", "link", "set", name, "up")

    def map(self):
        """The NAT shows each client at its port; what was there before is forgotten."""
        rules = "".join(f"ip saddr {c.addr} udp sport 4500 snat to {PUBLIC}:{c.port}\n"
                        for c in self.clients)
        self.nat.run("nft", "table ip nat; delete table ip nat; table ip nat { chain post {"
                     " type nat hook postrouting priority srcnat\n" + rules + "}; }")
        self.nat.run("conntrack", "-F", ok=None)

    def xfrm(self, *argv):
        return self.server.run(self.tool, *argv).stdout

    def connect(self, *marks):
        for client, mark in zip(self.clients, marks):
            self.xfrm("client", *client.arguments(mark))

    def counter(self, comment):
        text = self.server.run("nft", "list", "table", "inet", "csipsec").stdout
        return sum(int(n) for n in re.findall(r"counter packets (\d+) bytes \d+ drop comment \""
                                              + comment + '"', text))

    def sa(self, host, spi):
        """Sequence number and packets of an SA, and where it is."""
        text = host.run("ip", "-s", "xfrm", "state").stdout
        for block in re.split(r"^(?=src )", text, flags=re.M):
            if f"({hex(spi)})" in block.replace("0x0000", "0x") or f"spi 0x{spi:08x}" in block:
                return block
        raise Failure(f"{host.name}: no SA {spi:#x}: {text}")


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise Failure(f"no {pattern} in: {text}")
    return int(found[1], 0)


# ---- traffic ----


class Echo(threading.Thread):
    """A TCP server that gives back what it gets, and remembers with whom it spoke."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.socket = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host.v4, port))
        self.socket.listen(8)
        self.peers, self.connections = [], []
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                c, peer = self.socket.accept()
                self.peers.append(peer)
                self.connections.append(c)
                threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    @staticmethod
    def serve(c):
        with contextlib.suppress(OSError):
            while data := c.recv(65536):
                c.sendall(data)


def tcp(client, port, source):
    s = client.host.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((client.data, source))
    s.settimeout(10)
    s.connect((client.far, port))
    return s


def exchange(s, data):
    """Sends and reads back."""
    sender = threading.Thread(target=s.sendall, args=(data,), daemon=True)
    sender.start()
    got = b""
    while len(got) < len(data):
        piece = s.recv(65536)
        if not piece:
            raise Failure(f"the stream ended after {len(got)} bytes")
        got += piece
    sender.join()
    if got != data:
        raise Failure("what came back is not what was sent")


def both(net, port=5000, source=40000, size=200_000):
    """Both clients, one port, at once: each hears itself."""
    echo = Echo(net.far, port)
    streams = [tcp(c, port, source) for c in net.clients]
    errors = []

    def go(s, byte):
        try:
            for _ in range(4):
                exchange(s, bytes([byte]) * (size // 4))
        except (OSError, Failure) as e:
            errors.append(str(e))

    threads = [threading.Thread(target=go, args=(s, n + 1)) for n, s in enumerate(streams)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise Failure("; ".join(errors))
    ports = sorted(p for _, p in echo.peers)
    if len(set(ports)) != 2 or source not in ports or min(ports) < 1024:
        raise Failure(f"the server saw ports {ports}")
    return echo, streams


def udp_both(net, port=5001, source=1701):
    server = net.far.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((net.far.v4, port))
    server.settimeout(3)
    seen = {}
    for _ in range(2):
        for c in net.clients:
            s = seen.get(c)
            if s is None:
                s = seen[c] = c.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind((c.data, source))
                s.settimeout(3)
            s.sendto(c.host.name.encode(), (c.far, port))
            data, peer = server.recvfrom(100)
            server.sendto(data + b" again", peer)
            if s.recv(100) != c.host.name.encode() + b" again":
                raise Failure("a datagram went to the other client")


def pings(net, size=100, expect=True):
    """With equal identifiers."""
    runs = [subprocess.Popen(["ping", "-n", "-q", "-e", "77", "-c", "3", "-i", "0.2", "-W", "2",
                              "-s", str(size), "-I", c.data, c.far], preexec_fn=c.host.enter,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for c in net.clients]
    for c, run in zip(net.clients, runs):
        text = run.communicate(timeout=30)[0]
        if ("3 received" in text) != expect:
            raise Failure(f"{c.host.name}: {' '.join(text.split())}")


# ---- cases ----


def clients(lab, mode, *marks, behind=False):
    net = Net(lab, mode, behind=behind)
    net.connect(*marks)
    pings(net)
    pings(net, size=3000)
    udp_both(net)
    echo, streams = both(net)
    return net, echo, streams


def check_connections(net, translated):
    text = net.xfrm("connections")
    lines = [line for line in text.splitlines() if " proto 6 " in line]
    if len(lines) != translated + 1 or len([s for s in lines if "seen 40000" not in s]) != 1:
        raise Failure(f"connections: {text}")


def end(net):
    net.xfrm("uninstall")
    for c in net.clients:
        c.host.run("ip", "xfrm", "state", "flush")
        c.host.run("ip", "xfrm", "policy", "flush")


def register_clients(name, mode, first, translated):
    @case(f"kernel-clients-{name}", seconds=200)
    def run(lab):
        """Two clients behind one NAT, everything of them equal: each has its own, also when one ends."""
        net, echo, streams = clients(lab, mode, first, 8194)
        check_connections(net, translated)
        one_ends(net, echo, streams)
        end(net)


register_clients("transport", "transport", 8193, 1)
register_clients("tunnel", "tunnel", 8193, 1)  # with one inner address
register_clients("first", "transport", 0, 0)  # the first has its rule's mark, as who is alone may


@case("kernel-clients-gateway", seconds=200)
def clients_gateway(lab):
    """The same, and what they speak to is a host behind."""
    net, _, streams = clients(lab, "tunnel", 8193, 8194, behind=True)
    check_connections(net, 1)
    for s, client in zip(streams, net.clients):
        s.close()
        net.xfrm("noclient", *client.arguments(client.mark))
    end(net)


@case("kernel-clients-hairpin", seconds=200)
def clients_hairpin(lab):
    """From one client through the gateway to another, and back."""
    net = Net(lab, "tunnel", hairpin=True)
    first, second = net.clients
    net.connect(first.mark, 0)
    second.socket.sendto(b"\xff", (SERVER, 4500))  # a keepalive: the NAT must know it
    first.host.run("ping", "-n", "-q", "-c", "2", "-W", "2", "-I", SAME, OTHER)
    net.far.v4 = OTHER
    Echo(net.far, 5000)
    stream = tcp(first, 5000, 40000)
    exchange(stream, b"round" * 10000)
    stream.close()
    net.xfrm("noclient", *first.arguments(first.mark))
    net.xfrm("noclient", *second.arguments(0))
    end(net)


@case("kernel-clients-ports", seconds=200)
def clients_ports(lab):
    """pagent makes what clients need where the policy allows NAT, and ipsec -o shows their ports."""
    net = Net(lab, "transport", install=False)
    suite = next(iter(SUITES.values()))
    policy = host_to_host(net.server, net.nat, suite, "transport", Pfs("none", suite), "some-key")
    policy = policy.replace("  HowToInitiate ", "  AllowNat Yes\n  HowToInitiate ", 1)
    ours = Ours(net.server, policy, start=False)
    ours.start_pagent()
    early = net.server.run("sysctl", "-n", "net.ipv4.tcp_early_demux").stdout.strip()
    if early != "0":
        raise Failure("early demultiplexing is on")
    net.connect(8193, 8194)
    if ours.entries("-o", "display"):
        raise Failure("ports are shown before there is a connection")
    _, streams = both(net)
    shown = ours.entries("-o", "display")
    ports = [e["TransRmtConnPort"] for e in shown]
    for entry, client in zip(shown, net.clients):
        wanted = {"RmtIpAddress": PUBLIC, "Protocol": 6, "OrigRmtConnPort": 40000,
                  "RmtInnerIpAddress": None, "RmtUdpEncapPort": client.port}
        if {k: entry[k] for k in wanted} != wanted:
            raise Failure(f"shown is {entry}")
    if len(shown) != 2 or 40000 not in ports or len(set(ports)) != 2 or min(ports) < 1024:
        raise Failure(f"shown are {shown}")
    # They go with the SA.
    net.xfrm("noclient", *net.clients[1].arguments(8194))
    if len(ours.entries("-o", "display")) != 1:
        raise Failure("a client that has gone is shown")
    net.xfrm("noclient", *net.clients[0].arguments(8193))
    for s in streams:
        s.close()
    ours.pagent.stop()
    ours.host.run(ours.program("pagent"), "-p", ours.stack, "-u")
    early = net.server.run("sysctl", "-n", "net.ipv4.tcp_early_demux").stdout.strip()
    if early != "1":
        raise Failure("early demultiplexing stays off")
    end(net)


def one_ends(net, echo, streams):
    """The second client's SAs end: what answers it vanishes, and nobody else gets it."""
    first, second = net.clients
    theirs = next(c for c, peer in zip(echo.connections, echo.peers) if peer[1] != 40000)
    before = packets(net, first.into)
    net.xfrm("noclient", *second.arguments(second.mark))
    lost = net.counter("unprotected")
    with contextlib.suppress(OSError):
        theirs.send(b"x" * 1000)
    wait_until(lambda: net.counter("unprotected") > lost, 5, "an answer to a client that ended is dropped")
    if packets(net, first.into) != before:
        raise Failure("the other client got it")
    # Once it is known to be gone its mark may be somebody else's.
    net.xfrm("gone")
    net.xfrm("client", *[*map(str, (second.mark, 3, 61099)), *second.arguments(0)[3:]])
    lost = net.counter("client gone")
    with contextlib.suppress(OSError):
        theirs.send(b"x" * 1000)
    wait_until(lambda: net.counter("client gone") > lost, 5, "an answer to a client that has gone is dropped")
    if packets(net, second.into) != 0 or packets(net, first.into) != before:
        raise Failure("another client got it")
    net.xfrm("noclient", *[*map(str, (second.mark, 3, 61099)), *second.arguments(0)[3:]])
    # It returns with its mark, and goes on.
    second.fresh()
    net.xfrm("client", *second.arguments(second.mark))
    exchange(streams[0], b"still here" * 100)
    streams[1].settimeout(20)
    streams[1].sendall(b"back")
    got = b""
    while not got.endswith(b"back"):
        piece = streams[1].recv(65536)
        if not piece:
            raise Failure("the connection of the client that came back ended")
        got += piece
    net.xfrm("noclient", *second.arguments(second.mark))
    net.xfrm("noclient", *first.arguments(0 if ports_mark(net, first) else first.mark))


def ports_mark(net, client):
    """Whether this client has no mark of its own."""
    return "set-mark" not in net.sa(net.server, client.out).replace("output-mark", "set-mark")


def packets(net, spi):
    return number(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", net.sa(net.server, spi))


@contextlib.contextmanager
def watching(net):
    path = net.server.path("watch.log")
    with open(path, "w") as out:
        watch = subprocess.Popen([net.tool, "watch", "60"], preexec_fn=net.server.enter, stdout=out,
                                 stderr=subprocess.STDOUT)
    def said():
        with open(path) as f:
            return f.read()
    wait_until(lambda: "watching" in said(), 5, "events are watched")
    try:
        yield said
    finally:
        watch.kill()
        watch.wait()


def sequence(net, spi, which):
    return number(which + r" (0x[0-9a-f]+)", net.sa(net.server, spi))


def moved(net, client, peer, port):
    """Both SAs go to where the client is now; nothing of them begins anew."""
    before = {spi: (packets(net, spi), sequence(net, spi, which))
              for spi, which in ((client.into, "oseq"), (client.out, "seq-hi 0x0, seq"))}
    age = re.search(r"add (\S+ \S+)", net.sa(net.server, client.into))[1]
    net.xfrm("move", "in", SERVER, hex(client.out), peer, str(port))
    old = re.search(r"dst (\S+)", net.sa(net.server, client.into))[1]
    net.xfrm("move", "out", old, hex(client.into), peer, str(port))
    for spi, which in ((client.into, "oseq"), (client.out, "seq-hi 0x0, seq")):
        after = (packets(net, spi), sequence(net, spi, which))
        if after[0] < before[spi][0] or after[1] < before[spi][1] or before[spi][1] == 0:
            raise Failure(f"SA {spi:#x}: {before[spi]} before, {after} after")
    block = net.sa(net.server, client.into)
    if f"dport {port}" not in block or f"dst {peer}" not in block or f"add {age}" not in block:
        raise Failure(f"the outbound SA is not there: {block}")
    block = net.sa(net.server, client.out)
    if f"sport {port}" not in block or f"src {peer}" not in block:
        raise Failure(f"the inbound SA is not there: {block}")


@case("kernel-nat-moves", seconds=200)
def nat_moves(lab):
    """A mapping that changes under a stream: told once it is authentic, and followed."""
    net = Net(lab, "tunnel")
    net.connect(8193, 8194)
    client = net.clients[0]
    echo = Echo(net.server, 5000)
    s = tcp(client, 5000, 40000)
    exchange(s, b"before" * 1000)
    with watching(net) as said:
        # What was captured and comes from elsewhere is no proof.
        replay(net, client)
        time.sleep(0.3)
        if "mapping" in said():
            raise Failure(f"a replay was taken for a new mapping: {said()}")
        client.port = 62001
        net.map()
        s.sendall(b"moved")
        wait_until(lambda: "mapping" in said(), 5, "the new mapping is told")
        line = next(t for t in said().splitlines() if t.startswith("mapping"))
        wanted = (f"mapping {client.out:#x} reqid {RULE_ID << 18 | 1} {PUBLIC}:61001 to "
                  f"{PUBLIC}:62001")
        if line.replace("[", "").replace("]", ":") != wanted and line != wanted:
            raise Failure(f"told was: {line}, not: {wanted}")
        moved(net, client, PUBLIC, 62001)
    if s.recv(100) != b"moved":
        raise Failure("the stream did not go on")
    exchange(s, b"after" * 1000)
    # Another address, too: the policy follows, as iked would have it.
    net.nat.run("ip", "addr", "add", "10.9.0.10/24", "dev", "ns")
    move_address(net, client)
    exchange(s, b"elsewhere" * 1000)
    pings(net)
    if len(echo.peers) != 1:
        raise Failure("there was another connection")
    end_moved(net)


def replay(net, client):
    """An ESP packet that was on the wire, from another address."""
    raw = net.nat.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind(("ns", 3))  # all, what is sent as well
    raw.settimeout(3)
    spoof = net.nat.socket(socket.AF_INET, socket.SOCK_DGRAM)
    spoof.bind((PUBLIC, 63333))
    subprocess.run(["ping", "-q", "-c1", "-W2", "-I", client.data, SERVER],
                   preexec_fn=client.host.enter, stdout=subprocess.DEVNULL, check=True)
    while True:
        frame = raw.recv(65536)
        udp = 14 + (frame[14] & 15) * 4
        if frame[23] == 17 and frame[udp + 2:udp + 4] == (4500).to_bytes(2, "big"):
            break
    spoof.sendto(frame[udp + 8:], (SERVER, 4500))


def move_address(net, client):
    arguments = client.arguments(client.mark)
    net.nat.run("nft", "table ip nat; delete table ip nat; table ip nat { chain post {"
                " type nat hook postrouting priority srcnat\n"
                f"ip saddr {client.addr} udp sport 4500 snat to 10.9.0.10:62002\n"
                f"ip saddr {net.clients[1].addr} udp sport 4500 snat to {PUBLIC}:61002\n" "}; }")
    net.nat.run("conntrack", "-F", ok=None)
    moved(net, client, "10.9.0.10", 62002)
    arguments[5] = "10.9.0.10"
    net.xfrm("repolicy", *arguments)
    client.moved = arguments


def end_moved(net):
    net.xfrm("noclient", *net.clients[0].moved)
    net.xfrm("noclient", *net.clients[1].arguments(8194))
    end(net)
