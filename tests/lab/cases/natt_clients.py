"""
Several clients behind one NAPT at once, of different makes, with equal source ports and with equal
addresses: no byte of one comes to another.
"""

import time

from cases.clients import PASSWORD, Vpnc, gateway_of
from labkit.host import Failure, wait_until
from labkit.nat import Internet
from labkit.natpeers import Natted, finish, libre, ours, ping, reached_at, swan
from labkit.registry import case
from labkit.traffic import DOWN, Server, tcp, together, udp

SOURCE = 40_000  # the port that two clients send from
MAKES = (ours, swan, libre)


def packets(makes):
    """What makes a client negotiate for a packet; ours does so in any case."""
    return [{} if make is ours else {"trap": True} for make in makes]


def world(lab, agreement, makes, kind="random"):
    """Our server, and clients behind one NAPT: (server's host, ours on it, clients' hosts, daemons)."""
    net = Internet(lab)
    server = net.host("server")
    nat = net.nat("nat", kind)
    ends = [nat.host(f"client{n}", 2 + n) for n in range(len(makes))]
    remote = "10.0.0.0/8" if agreement.mode == "tunnel" else None
    b = ours(server, ends[0], agreement, several=True, remote=remote)
    daemons = [make(end, server, agreement, initiator=True, **more)
               for make, end, more in zip(makes, ends, packets(makes))]
    lab.net = net
    return server, b, ends, daemons


def streams(server, ends, agreement, size, tag):
    """Each client sends and receives at once; the first two by the same source ports."""
    jobs = []
    to = reached_at(server, agreement)
    for n, end in enumerate(ends):
        source = SOURCE if n < 2 else None
        jobs += [lambda e=end, s=source: tcp(e, to, f"{e.name}-{tag}-up", size, source=s),
                 lambda e=end, s=source: tcp(e, to, f"{e.name}-{tag}-down", size, direction=DOWN,
                                             source=s and s + 1),
                 lambda e=end, s=source: udp(e, to, f"{e.name}-{tag}", 50, source=s)]
    together(*jobs, seconds=500)


def translations(b):
    return b.entries("-o", "display")


def check_translations(b, nat):
    """Where two clients' ports clash one has a substitute, and the display tells it."""
    shown = translations(b)
    for protocol in (6, 17):
        found = [e for e in shown if e["Protocol"] == protocol and e["OrigRmtConnPort"] == SOURCE]
        if not found:
            raise Failure(f"ipsec -o has no port {SOURCE} of protocol {protocol}: {shown}")
        for e in found:
            if e["RmtIpAddress"] != nat or not 1024 <= e["TransRmtConnPort"] <= 65535:
                raise Failure(f"ipsec -o says {e}")


def register_transport(name, size, plain, seconds):
    @case(name, plain=plain, seconds=seconds)
    def run(lab):
        """
        To the server all three have one address; two of them have one port, too.  Each keeps its
        own tunnel, and what is translated for it goes when its tunnel goes.
        """
        agreement = Natted()
        server, b, ends, daemons = world(lab, agreement, MAKES)
        for end in ends:
            ping(end, server, agreement)
        if len(server.sas()) != 6:
            raise Failure(f"the server has not three pairs: {server.sas().keys()}")
        serving = Server(server)
        streams(server, ends, agreement, size, "a")
        places = {serving.came[f"{e.name}-a-up"] for e in ends}
        if len(places) != 3:
            raise Failure(f"the server saw its clients' streams come from {places}")
        # Datagrams once more, for they are forgotten sooner than the streams may take.
        together(*(lambda e=end: udp(e, reached_at(server, agreement), e.name, 3, source=SOURCE)
                   for end in ends[:2]))
        serving.stop()
        check_translations(b, ends[0].outside)
        # One after the other goes, and those that stay go on.
        for n, (end, daemon) in enumerate(zip(ends, daemons)):
            daemon.terminate()
            wait_until(lambda: len(server.sas()) == 4 - 2 * n, 10, f"{end.name}'s SAs gone", step=0.1)
            for other in ends[n + 1:]:
                ping(other, server, agreement, seconds=2)
        wait_until(lambda: not translations(b), 10, "no translation left", step=0.2)
        finish(lab, *daemons, b)


register_transport("natt-clients-transport", 2_000_000, True, 120)
register_transport("natt-clients-transport-100mb", 100_000_000, False, 900)


def register_tunnel(name, size, plain, seconds):
    @case(name, plain=plain, seconds=seconds)
    def run(lab):
        agreement = Natted(mode="tunnel")
        server, b, ends, daemons = world(lab, agreement, MAKES)
        for end in ends:
            ping(end, server, agreement)
        serving = Server(server)
        streams(server, ends, agreement, size, "a")
        serving.stop()
        places = {serving.came[f"{e.name}-a-up"] for e in ends}
        if places & {(e.v4, SOURCE) for e in ends[:2]} == set() or len(places) != 3:
            raise Failure(f"the server saw its clients' streams come from {places}")
        if len(server.sas()) != 6 or len(b.ike_tunnels()) != 3:
            raise Failure(f"the server has not three pairs: {server.sas().keys()}")
        finish(lab, *daemons, b)


register_tunnel("natt-clients-tunnel", 1_000_000, True, 120)
register_tunnel("natt-clients-tunnel-100mb", 100_000_000, False, 900)


@case("natt-clients-equal-addresses", seconds=120)
def equal_addresses(lab):
    """Two homes with the same network behind one provider's NAPT: two clients with one inner address."""
    net = Internet(lab)
    agreement = Natted(mode="tunnel")
    server = net.host("server")
    isp = net.nat("isp", "random")
    homes = [net.nat(f"home{n}", "masquerade", behind=isp, last=n, net="10.77.0") for n in (8, 9)]
    ends = [home.host(f"client{n}") for n, home in enumerate(homes)]
    b = ours(server, ends[0], agreement, several=True)
    daemons = [ours(ends[0], server, agreement, initiator=True),
               swan(ends[1], server, agreement, initiator=True, trap=True)]
    for end in ends:
        ping(end, server, agreement)
    serving = Server(server)
    streams(server, ends, agreement, 1_000_000, "a")
    serving.stop()
    for end in ends:
        ping(end, server, agreement, seconds=2)
    if len(server.sas()) != 4:
        raise Failure(f"the server has not two pairs: {server.sas().keys()}")
    finish(lab, *daemons, b)


@case("natt-clients-same-again", seconds=120)
def same_again(lab):
    """A client that starts anew behind the NAPT takes its own place, not that of the other one."""
    agreement = Natted()
    server, b, ends, daemons = world(lab, agreement, (swan, swan))
    for end in ends:
        ping(end, server, agreement)
    daemons[1].process.kill()
    ends[1].run("ip", "xfrm", "state", "flush")
    ends[1].run("ip", "xfrm", "policy", "flush")
    daemons[1].start()
    ping(ends[1], server, agreement, seconds=15)
    for end in ends:
        ping(end, server, agreement, seconds=2)
    # Nobody has told the server of the old pair's end, but that client's INITIAL-CONTACT.
    wait_until(lambda: len(server.sas()) == 4, 40, "two pairs at the server", step=0.5)
    finish(lab, *daemons, b)


@case("natt-vpnc", shows=("vpnc", "NAT traversal, XAuth, Mode Config, the peer begins"))
def vpnc(lab):
    """vpnc behind a NAPT, with an address of our pool."""
    net = Internet(lab)
    server = net.host("server")
    inner = net.nat("nat", "random").host("client")
    server.run("ip", "route", "add", "10.9.0.0/24", "dev", "eth0")
    b = gateway_of(server, nat=True)
    a = Vpnc(inner, server, PASSWORD, nat=True)
    address, dns = wait_until(a.told, 20, "vpnc has an address")
    inner.run("ping", "-n", "-q", "-c", "3", "-i", "0.2", "-w", "10", dns)
    time.sleep(0.2)
    if len(server.mappings()) != 2:
        raise Failure(f"the gateway's SAs are not in UDP: {server.states_text()[:300]}")
    server.run("ping", "-n", "-q", "-c", "2", "-i", "0.2", "-w", "5", "-I", dns, address)
    a.stop()
    wait_until(lambda: not server.sas(), 5, "SAs gone after vpnc has ended")
    b.wait_gone()
    b.stop()
