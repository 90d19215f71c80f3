"""
A day of real daemons on a real kernel in some minutes: the lab kernel's clock jumps to the next thing that
happens.  SAs are refreshed all day under traffic, and at the end there is not more of anything.

No program here may wait by spinning, for no time passes then: ping does, so the case sends by itself.
"""

import re
import socket
import time

from labkit.host import Failure, wait_until
from labkit.lab import say
from labkit.negotiate import same_pair
from labkit.peers import agreed, finish, pair_with
from labkit.registry import case

HOURS = 24
EVERY = 10      # seconds between two packets, each way
PORT = 7000
MORE_MEMORY = 1024  # kB: SQLite keeps pages of the store as it grows, up to some 2 MB


class Beat:
    """A datagram each way every ten seconds, and how many in a row did not arrive."""

    def __init__(self, hosts):
        self.ends = []
        for host in hosts:
            end = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.bind((host.v4, PORT))
            end.settimeout(2)
            self.ends.append((end, host.v4))
        self.number, self.lost, self.worst = 0, [0, 0], 0

    def arrives(self, sender):
        """Sends one; an older one that comes late counts as lost."""
        (out, _), (into, address) = self.ends[sender], self.ends[1 - sender]
        self.number += 1
        data = self.number.to_bytes(4, "big") + bytes(1396)
        try:
            out.sendto(data, (address, PORT))
            while into.recv(2000) != data:
                pass
        except OSError:
            return False
        return True

    def hours(self, n):
        for _ in range(int(n * 3600 / EVERY)):
            time.sleep(EVERY)
            for sender in (0, 1):
                self.lost[sender] = 0 if self.arrives(sender) else self.lost[sender] + 1
            self.worst = max(self.worst, *self.lost)

    def stop(self):
        for end, _ in self.ends:
            end.close()


def memory(ours):
    """kB of the daemon's processes."""
    total = 0
    for pid in (ours.iked.pid, *ours.iked.children("--worker")):
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])
    return total


def newest(entries):
    return max((int(e["Generation"]) for e in entries), default=0)


def few_sas(lab, ours):
    """What is replaced does not pile up, neither in the kernels nor with us."""
    for host in lab.hosts:
        if len(host.sas()) > 6:
            raise Failure(f"{host.name} holds {len(host.sas())} SAs")
    for letter in ("-k", "-y"):
        if len(ours.entries(letter, "display", "-c", "all")) > 3:
            raise Failure(f"more than three generations in ipsec {letter} display")


def as_expected(ours, phase1, phase2):
    """A refresh begins at 80 to 90 % of a life, or at 95 % where the peer was to begin."""
    for what, entries, (least, most) in (("IKE", ours.ike_tunnels(), phase1),
                                         ("dynamic", ours.tunnels(), phase2)):
        if not least <= newest(entries) <= most:
            raise Failure(f"the {what} tunnel is in generation {newest(entries)} after a day,"
                          f" not {least} to {most}")


def dead_and_back(lab, beat):
    """The wire is cut for a quarter of an hour; each side finds the other dead, and a packet begins anew."""
    lab.wire_is("loss", "100%")
    time.sleep(900)
    for host in lab.hosts:
        if host.sas():
            raise Failure(f"{host.name} has SAs with a peer that was away for 15 minutes")
    lab.wire_is()
    wait_until(lambda: beat.arrives(1), 10, "a packet after the cut")


def register(peer, how, phase1, phase2, gap, peer_more=(), **more):
    """
    phase1, phase2: the least and the most generations after a day.  gap: how many packets in a row may
    be lost.  more is of our policy, peer_more of the peer.
    """
    @case(f"day-{peer}-{how}", plain=False, virtual=True, seconds=100000)
    def run(lab):
        a, b = pair_with(lab, peer, agreed(dpd=30), peer_more=peer_more, **more)
        beat = Beat(lab.hosts)
        wait_until(lambda: beat.arrives(0), 10, "a first packet")
        beat.hours(2)
        before = memory(a)
        for hour in range(3, HOURS + 1):
            beat.hours(1)
            few_sas(lab, a)
            if hour % 6 == 0:
                say(f"    {hour} hours: generations {newest(a.ike_tunnels())} and"
                    f" {newest(a.tunnels())}, {memory(a)} kB")
        if beat.worst > gap:
            raise Failure(f"{beat.worst} packets in a row were lost")
        as_expected(a, phase1, phase2)
        if memory(a) > before + MORE_MEMORY:
            raise Failure(f"iked grew from {before} to {memory(a)} kB in a day")
        # The last old pair is deleted 60 s after its successor came.
        wait_until(lambda: same_pair(*lab.hosts), 90, "one SA pair in both kernels", step=1)
        dead_and_back(lab, beat)
        beat.stop()
        finish(lab, a, b)


# VpnLife ends the tunnel after 14 hours, with the packet that asks for another one, whose generations
# count from 1.
register("strongswan", "by-time", (7, 8), (11, 14), 1, lives=(240, 60), vpn_life=840)
# 1,428 bytes go each way every ten seconds, so 1,000 kB last for two hours and not for eight.
register("strongswan", "by-kilobytes", (4, 5), (12, 17), 0, peer_more={"lives": (26000, 26000)},
         lives=(480, 480), kbytes=1000, vpn_life=0)
# libreswan refreshes by no kilobytes; its own times are longer, so that we begin.  With the tunnel that
# VpnLife ends it deletes the phase 1 SA, so that generations of both count from 1.
register("libreswan", "by-time", (3, 4), (11, 14), 1,
         peer_more={"more": (("ikelifetime", "8h"), ("salifetime", "2h"))}, lives=(240, 60), vpn_life=840)
