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
    """To one address of a peer, with traffic both ways."""

    def __init__(self, name, left, host, seat, dpd):
        self.name, self.seat, self.dpd = name, seat, dpd
        self.there = OneWay(left, left.v4, host, seat.v4)
        self.back = OneWay(host, seat.v4, left, left.v4)

    def check(self, way, first, last):
        """Lost is what was sent from first to last, all of it to a second, and nothing else; None: nothing."""
        lost = getattr(self, way).lost()
        what = f"{self.name}, {way}"
        if first is None:
            if lost:
                raise Failure(f"{what}: {len(lost)} packets were lost")
            return f"{what}: 0 s"
        if not lost:
            raise Failure(f"{what}: nothing was lost")
        if not first[0] <= lost[0] <= first[1] or not last[0] <= lost[-1] <= last[1]:
            raise Failure(f"{what}: lost from {lost[0]:.1f} to {lost[-1]:.1f}, not from {first} to {last}")
        if len(lost) * EVERY < (lost[-1] - lost[0]) * 0.8:
            raise Failure(f"{what}: {len(lost)} packets in {lost[-1] - lost[0]:.1f} s, so some came through")
        return f"{what}: {lost[-1] - lost[0]:.1f} s"

    def stop(self):
        self.there.stop()
        self.back.stop()


def spis(ours):
    return {e["RemoteAddressBase"]: (e["EncryptInboundSpi"], e["EncryptOutboundSpi"]) for e in ours.tunnels()}


def stop(lab, make):
    net = Internet(lab)
    left, nat = net.host("left"), net.nat("nat", "random")
    blocks = {"Either": Block(PUBLIC, 4, 2), "Natted": Block(nat.wire.net, 7, 2)}
    hosts, peers = [], []
    for group, place in (("Either", net), ("Natted", nat)):
        for n, seat in enumerate(blocks[group].seats):
            host = place.host(f"{group.lower()}{n}", *((2 + n,) if place is nat else ()))
            Block.give(host, [seat])
            hosts.append((group, host, seat, DPD if n else None))
            peers.append(make(host, [seat], left, SUITE, "tunnel" if place is nat else "transport", KEY,
                              DPD if n else None, trap=True))
    a = Ours(left, policy(left, blocks, nat))
    for (group, host, seat, _), peer in zip(hosts, peers):
        if group == "Natted":
            peer.initiate(seat)
        else:
            left.ping(seat)
    wait_until(lambda: len(a.tunnels()) == 4, 10, "four tunnels", step=0.2)
    before = spis(a)
    tunnels = [Tunnel(f"{group}{', DPD' if dpd else ''}", left, host, seat, dpd)
               for group, host, seat, dpd in hosts]
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
    given_up = stopped + 3 * DPD, stopped + 6 * DPD
    again = begun - STOPPED, begun + 25
    said = []
    for tunnel in tunnels:
        natted, same = tunnel.name.startswith("Natted"), now[tunnel.seat.v4] == before[tunnel.seat.v4]
        if same == bool(tunnel.dpd):
            raise Failure(f"{tunnel.name}: the tunnel is {'the same' if same else 'another'}")
        if tunnel.dpd:
            said.append(tunnel.check("there", given_up, again))
            said.append(tunnel.check("back", (stopped - 1, stopped + 1) if natted else given_up, again))
        else:
            said.append(tunnel.check("there", None, None))
            said.append(tunnel.check("back", *(((stopped - 1, stopped + 1), (begun - SOON, begun + SOON))
                                               if natted else (None, None))))
    say("  lost: " + "; ".join(said))
    for peer in peers:
        peer.drop_all()
    a.drop_all()
    wait_until(lambda: not any(h.sas() for h in lab.hosts), 20, "SAs gone", step=0.2)
    a.stop()
    for peer in peers:
        peer.stop()


for _peer, _make in (("strongswan", Swans), ("libreswan", Plutos)):
    @case(f"stop-60-{_peer}", plain=_peer == "strongswan", seconds=200)
    def run(lab, make=_make):
        """A full stop of a minute: of each tunnel that is lost which iked(8) says."""
        stop(lab, make)
