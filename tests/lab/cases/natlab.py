"""
Cases that prove the NATs, the traffic and the forgeries of the lab, with strongSwan and libreswan at the
ends: what natt.py finds is then the product's.
"""

import socket
import time

from labkit.host import Failure, wait_until
from labkit.nat import Internet, behind
from labkit.natpeers import (AGREED, ESP_IN_UDP, KEEPALIVE, agreed, clear_on_wire, finish, libre,
                             ping, reached_at, same_spis, swan, up)
from labkit.registry import case
from labkit.traffic import (DOWN, HEAD, PORT, UP, Beat, Content, Server, everything, tcp, together,
                            udp)
from labkit.wire import Recorder, forged_esp, forged_ike, is_esp, is_ike, throw

TUNNEL = agreed(mode="tunnel")


# ---- NATs alone, without any IPsec ----

@case("natlab-kinds")
def kinds(lab):
    """What each kind does to ports, and whom it lets in."""
    net = Internet(lab)
    server = net.host("server")
    serving = Server(server)
    for kind, stays, enters in (("static", True, True), ("masquerade", True, False),
                                ("random", False, False), ("forward", True, False)):
        nat = net.nat(kind, kind)
        inner = nat.host(f"{kind}-in")
        if kind in ("static", "forward"):
            nat.lead_in(inner)
        udp(inner, server.v4, kind, 3, source=4500)
        came = serving.came[kind]
        if came[0] != nat.v4 or (came[1] == 4500) != stays:
            raise Failure(f"{kind}: from 4500 the server saw {came}")
        tcp(inner, server.v4, f"{kind}-t", 100_000)
        inside = Server(inner)
        try:
            udp(server, nat.v4, f"{kind}-in", 1, seconds=1)
            entered = True
        except Failure:
            entered = False
        inside.stop()
        if entered != enters:
            raise Failure(f"{kind}: from outside {'some' if entered else 'none'} enters")
        if kind == "forward":
            inside = Server(inner, 4500)
            udp(server, nat.v4, "forwarded", 1, port=4500)
            inside.stop()
    serving.stop()


@case("natlab-same-port")
def same_port(lab):
    """A masquerading NAT keeps the first client's port and gives the second one another."""
    net = Internet(lab)
    server = net.host("server")
    serving = Server(server)
    nat = net.nat("nat", "masquerade")
    ends = [nat.host(f"in{n}", n) for n in (2, 3)]
    for end in ends:
        udp(end, server.v4, end.name, 3, source=4500)
    ports = [serving.came[end.name][1] for end in ends]
    if ports[0] != 4500 or ports[1] == 4500:
        raise Failure(f"two clients' port 4500 became {ports}")
    if [nat.outer_ports(end, 7007) for end in ends] != [{p} for p in ports]:
        raise Failure(f"conntrack has not these ports: {nat.flows()}")
    serving.stop()


@case("natlab-reboot-and-timeout")
def reboot_and_timeout(lab):
    """After a reboot, and after idle seconds, a flow has another port; before, it has not."""
    net = Internet(lab)
    server = net.host("server")
    serving = Server(server)
    nat = net.nat("nat", "random")
    inner = nat.host("inner")
    nat.timeouts(2)

    def port(name):
        udp(inner, server.v4, name, 2, source=4500)
        return serving.came[name][1]

    first = port("first")
    if port("again") != first:
        raise Failure("a mapping changed that was in use")
    nat.reboot()
    second = port("second")
    if second // 10_000 != first // 10_000 + 1:
        raise Failure(f"port {first} became {second} by a reboot")
    time.sleep(3.5)
    if nat.flows():
        raise Failure(f"a mapping is still there: {nat.flows()}")
    if port("third") == second:
        raise Failure("a mapping has its port again after a timeout")
    beat = Beat(inner, server.v4)
    time.sleep(1)
    nat.reboot()
    time.sleep(1)
    gap = beat.stop()
    if gap > 0.7:
        raise Failure(f"a flow was interrupted for {gap:.2f} s by a reboot")
    serving.stop()


@case("natlab-mixed-bytes")
def mixed_bytes(lab):
    """A byte of another stream is found wherever it stands, or the streams prove nothing."""
    net = Internet(lab)
    server, client = net.host("server"), net.host("client")
    serving = Server(server)
    together(lambda: tcp(client, server.v4, "one", 3_000_001),
             lambda: tcp(client, server.v4, "two", 3_000_001, direction=DOWN),
             lambda: udp(client, server.v4, "three"))
    serving.stop()
    # One bit of a megabyte, by whoever is on the way.
    serving = Server(server)
    content = Content("four", UP)
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect((server.v4, PORT))
        sock.sendall(HEAD.pack(b"four", UP, 1_000_000))
        for number in range(15):
            made = bytearray(content.chunk(number))
            made[777] ^= number == 9
            try:
                sock.sendall(made)
            except ConnectionError:
                break
        wait_until(lambda: serving.failures, 5, "the server finds the bit")
    if "is not the one sent" not in str(serving.failures.pop()):
        raise Failure("the server found something else")
    serving.stop()


# ---- strongSwan and libreswan through them ----

def carry(lab, left, right, a, b, agreement, size=200_000):
    """left begins; TCP, UDP and ping by the tunnel, and nothing clear on the public wire."""
    up(left, right, agreement)
    server = Server(right)
    everything(left, server, size, reached_at(right, agreement))
    server.stop()
    server = Server(left)
    everything(right, server, size, reached_at(left, agreement))
    server.stop()
    finish(lab, a, b)
    lab.wire.stop()
    clear = clear_on_wire(lab.wire)
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if lab.wire.count(ESP_IN_UDP) < 100:
        raise Failure("hardly any ESP in UDP on the wire")


ROUNDS = (("static", None, swan, libre, TUNNEL), ("masquerade", None, libre, swan, AGREED),
          ("random", None, swan, swan, AGREED), ("random", None, libre, swan, TUNNEL),
          (None, "static", libre, swan, TUNNEL), (None, "forward", swan, libre, TUNNEL),
          ("random", "forward", swan, swan, TUNNEL), ("double", None, libre, swan, AGREED))


def register(before, after, begin, answer, agreement):
    words = [f"before-{before}"] * bool(before) + [f"behind-{after}"] * bool(after)
    who = f"{begin.__name__}-{answer.__name__}"

    @case(f"natlab-{who}-{'-'.join(words)}-{agreement.mode}",
          plain=(before, after) in ((None, "forward"), ("double", None)))
    def run(lab):
        left, right, _ = behind(lab, before, after)
        lab.net.capture()
        b = answer(right, left, agreement)
        a = begin(left, right, agreement, initiator=True, trap=True)
        carry(lab, left, right, a, b, agreement)


for _round in ROUNDS:
    register(*_round)


@case("natlab-hairpin", plain=False)
def hairpin(lab):
    """Two hosts behind one NAT, and one knows the other by the outside address."""
    net = Internet(lab)
    nat = net.nat("nat", "static")
    left, right = nat.host("left"), nat.host("right", 3)
    nat.lead_in(right)
    b = swan(right, left, TUNNEL)
    a = swan(left, right, TUNNEL, initiator=True, trap=True)
    up(left, right, TUNNEL)
    places = [set(sum(([s, d] for s, d, _ in host.mappings()), [])) for host in (left, right)]
    if places != [{left.v4, nat.v4}, {right.v4, nat.v4}]:
        raise Failure(f"the SAs are between {places}, not by way of {nat.v4}")
    server = Server(right)
    everything(left, server, address=right.v4)
    server.stop()
    finish(lab, a, b)


@case("natlab-clients", plain=False)
def clients(lab):
    """Three clients behind one NAPT at once, in tunnels."""
    net = Internet(lab)
    server = net.host("server")
    nat = net.nat("nat", "random")
    ends = [nat.host(f"client{n}", 2 + n) for n in range(3)]
    b = swan(server, ends[0], TUNNEL, several=True, remote="10.0.0.0/8")
    daemons = [make(end, server, TUNNEL, initiator=True, trap=True)
               for make, end in zip((swan, libre, swan), ends)]
    for end in ends:
        ping(end, server, TUNNEL)
    serving = Server(server)
    together(*(lambda e=end: tcp(e, server.v4, e.name, 1_000_000) for end in ends))
    serving.stop()
    if len(server.sas()) != 6 or len({d for _, d in server.mappings().values()}) != 4:
        raise Failure(f"the server has these: {server.mappings()}")
    finish(lab, *daemons, b)


@case("natlab-moves")
def moves(lab):
    """strongSwan follows a NAT that is rebooted under a stream; the beat tells how long that took."""
    left, right, (nat,) = behind(lab, "random")
    b = swan(right, left, AGREED)
    a = swan(left, right, AGREED, initiator=True, trap=True)
    up(left, right, AGREED)
    server = Server(right)
    beat = Beat(left, right.outside)
    time.sleep(1)
    before = right.mappings()
    nat.reboot()
    wait_until(lambda: right.mappings() != before, 10, "another mapping in the kernel")
    time.sleep(1)
    if time.monotonic() - beat.last() > 0.5:
        raise Failure("the beat did not come back")
    gap = beat.stop()
    if gap > 5:
        raise Failure(f"the beat was away for {gap:.1f} s")
    server.stop()
    finish(lab, a, b)


@case("natlab-keepalive", plain=False)
def keepalive(lab):
    """A keepalive holds the mapping open, and without one the server's packets are lost."""
    for interval in (2, 0):
        agreement = agreed(keepalive=interval)
        if interval == 2:
            left, right, (nat,) = behind(lab, "random")
            lab.net.capture()
        nat.timeouts(4)
        b = swan(right, left, agreed(keepalive=0))
        a = swan(left, right, agreement, initiator=True, trap=True)
        up(left, right, agreement)
        time.sleep(9)
        ping(right, left, agreement, seconds=2, expect=interval > 0)
        ping(left, right, agreement)
        ping(right, left, agreement)
        finish(lab, a, b)
    lab.wire.stop()
    if lab.wire.count(KEEPALIVE) < 3:
        raise Failure("no keepalives on the wire")


@case("natlab-forgeries")
def forgeries(lab):
    """Forged and replayed ESP reach the kernel and are refused there; IKE reaches the daemon."""
    left, right, (nat,) = behind(lab, "random")
    mallory = lab.net.host("mallory")
    b = swan(right, left, AGREED)
    a = swan(left, right, AGREED, initiator=True, trap=True)
    record = Recorder(right)
    up(left, right, AGREED)
    ping(left, right, AGREED)
    before = right.mappings(), right.xfrm_stat()
    to_right = record.take(lambda d: d.dst == right.v4)
    esp = [d for d in to_right if is_esp(d)]
    ike = [d for d in to_right if is_ike(d)]
    if not esp or not ike:
        raise Failure(f"{len(esp)} ESP and {len(ike)} IKE datagrams recorded")
    for sent in esp:
        throw(mallory, sent._replace(src=mallory.v4, sport=4500))
    throw(mallory, forged_esp(esp[-1])._replace(src=mallory.v4, sport=4500))
    throw(mallory, forged_ike(ike[-1])._replace(src=mallory.v4, sport=4500))

    def stat(name):
        return right.xfrm_stat().get(name, 0) - before[1].get(name, 0)

    wait_until(lambda: stat("XfrmInStateProtoError") == 1, 3, "a forged packet counted")
    if stat("XfrmInStateSeqError") != len(esp):
        raise Failure(f"{len(esp)} packets replayed: {right.xfrm_stat()}")
    wait_until(lambda: f"from {mallory.v4}" in b.log(), 3, "the daemon has seen the message")
    if right.mappings() != before[0]:
        raise Failure("the forgeries moved the SAs")
    ping(left, right, AGREED, seconds=2)
    record.stop()
    lab.hosts.remove(mallory)
    lab.between.append(mallory)
    finish(lab, a, b)
