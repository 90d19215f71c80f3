"""
All of iked is stopped for a minute, under traffic both ways, and started again: what is lost meanwhile,
and what brings a tunnel back that the peer has ended, is what iked(8) says under START AND STOP.
"""

import socket
import struct
import threading
import time

from cases.restart import KEY, SUITE, policy
from labkit.fleet import Block, Plutos, Swans
from labkit.host import Failure, wait_until
from labkit.lab import say
from labkit.nat import PUBLIC, Internet
from labkit.ours import Ours
from labkit.registry import case

STOPPED = 60  # seconds
DPD = 5       # of the peers that have it; after four times as many they give up
EVERY = 0.1   # between two packets
SOON = 3      # seconds until all is as before, once iked is there
NUMBER = struct.Struct("!I")


class OneWay:
    """Numbered datagrams from one host to an address of another one: when which of them was lost."""

    def __init__(self, host, source, other, address):
        self.out = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.into = other.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind((source, 0))
        self.into.bind((address, 0))
        self.into.settimeout(1)
        self.to = self.into.getsockname()
        self.sent, self.came, self.running = [], set(), True
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._take)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        while self.running:
            try:
                self.out.sendto(NUMBER.pack(len(self.sent)), self.to)
            except OSError:
                pass  # counts as sent and lost
            self.sent.append(time.monotonic())
            time.sleep(EVERY)

    def _take(self):
        while self.running:
            try:
                self.came.add(NUMBER.unpack(self.into.recv(100))[0])
            except OSError:
                pass

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(5)
        self.out.close()
        self.into.close()

    def lost(self):
        """When those were sent that have not come; what is just on its way has not."""
        return [when for n, when in enumerate(self.sent[:-5]) if n not in self.came]


class Tunnel:
    """To one address of a peer, which sends all the time; so does this host, if both ways are used."""

    def __init__(self, name, left, host, seat, both):
        self.name, self.seat, self.both = name, seat, both
        self.natted = name.startswith("Natted")
        self.there = OneWay(left, left.v4, host, seat.v4) if both else None
        self.back = OneWay(host, seat.v4, left, left.v4)

    def check(self, way, first, last, moment=0):
        """
        Lost is what was sent from first to last, all of it to a second, and nothing else; None: no more
        than a moment's packets.
        """
        lost = getattr(self, way).lost()
        what = f"{self.name}, {way}"
        if first is None:
            if len(lost) * EVERY > moment:
                raise Failure(f"{what}: {len(lost)} packets were lost")
            return f"{what}: {len(lost) * EVERY:.1f} s"
        if not lost:
            raise Failure(f"{what}: nothing was lost")
        if not first[0] <= lost[0] <= first[1] or not last[0] <= lost[-1] <= last[1]:
            raise Failure(f"{what}: lost from {lost[0]:.1f} to {lost[-1]:.1f}, not from {first} to {last}")
        if len(lost) * EVERY < (lost[-1] - lost[0]) * 0.8:
            raise Failure(f"{what}: {len(lost)} packets in {lost[-1] - lost[0]:.1f} s, so some came through")
        return f"{what}: {lost[-1] - lost[0]:.1f} s"

    def stop(self):
        for way in filter(None, (self.there, self.back)):
            way.stop()


def spis(ours):
    return {e["RemoteAddressBase"]: (e["EncryptInboundSpi"], e["EncryptOutboundSpi"]) for e in ours.tunnels()}


# Group of the policy, seconds of DPD, and whether there is traffic both ways.  What comes by ESP is a sign
# of life to all peers.  Between two hosts that is also what the kernel says of the closed port, so the
# peer gives up where nothing is sent to it and the security endpoint is not the data's own end.
TUNNELS = (("Either", None, True), ("Either", DPD, True), ("Either", DPD, False),
           ("Natted", None, True), ("Natted", DPD, False))


def world(lab, make):
    """Ours and a peer for each tunnel: (left, ours, peers, tunnels)."""
    net = Internet(lab)
    left, nat = net.host("left"), net.nat("nat", "random")
    blocks = {"Either": Block(PUBLIC, 4, 3), "Natted": Block(nat.wire.net, 7, 2)}
    a = Ours(left, policy(left, blocks, nat))
    seats = {group: iter(block.seats) for group, block in blocks.items()}
    peers, tunnels = [], []
    for n, (group, dpd, both) in enumerate(TUNNELS):
        natted, seat = group == "Natted", next(seats[group])
        host = nat.host(f"host{n}", 2 + n) if natted else net.host(f"host{n}")
        Block.give(host, [seat])
        peer = make(host, [seat], left, SUITE, "tunnel" if natted else "transport", KEY, dpd, trap=True)
        peers.append(peer)
        if natted:
            peer.initiate(seat)
        else:
            left.ping(seat)
        name = f"{group}{', DPD' if dpd else ''}{'' if both else ', one way'}"
        tunnels.append(Tunnel(name, left, host, seat, both))
    wait_until(lambda: len(a.tunnels()) == len(TUNNELS), 10, "all tunnels", step=0.2)
    return a, peers, tunnels


def lost(tunnel, stopped, begun):
    """What iked(8) says of it."""
    first = last = None
    if tunnel.natted:
        first = stopped - 1, stopped + 1
        last = begun - 1, begun + (SOON if tunnel.both else 5 * DPD)
    # A peer that asks and has no other sign of life gives up when iked does not know its phase 1 SA,
    # and begins anew with its next packet.
    said = [tunnel.check("back", first, last, moment=0 if tunnel.both else 1)]
    if tunnel.both:
        said.append(tunnel.check("there", None, None))
    return said


def stop(lab, make):
    a, peers, tunnels = world(lab, make)
    before = spis(a)
    time.sleep(2)
    a.iked.stop()
    stopped = time.monotonic()
    time.sleep(STOPPED)
    a.start_iked()
    begun = time.monotonic()
    time.sleep(30)
    now = spis(a)
    for tunnel in tunnels:
        tunnel.stop()
    said = []
    for tunnel in tunnels:
        same = now.get(tunnel.seat.v4) == before[tunnel.seat.v4]
        if same != tunnel.both and (tunnel.both or tunnel.natted):
            raise Failure(f"{tunnel.name}: the tunnel was {before[tunnel.seat.v4]}, is {now.get(tunnel.seat.v4)}")
        said += lost(tunnel, stopped, begun)
    say("  lost: " + "; ".join(said))
    for peer in peers:
        peer.drop_all()
    a.drop_all()
    wait_until(lambda: not any(h.sas() for h in lab.hosts), 20, "SAs gone", step=0.2)
    a.stop()
    for peer in peers:
        peer.stop()


for _peer, _make in (("strongswan", Swans), ("libreswan", Plutos)):
    @case(f"stop-60-{_peer}", plain=False, seconds=200)
    def run(lab, make=_make):
        """A full stop of a minute: of each tunnel that is lost which iked(8) says."""
        stop(lab, make)
