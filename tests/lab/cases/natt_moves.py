"""
Mappings that change and time out under live SAs, and what strangers send: the SAs follow what is
authentic and nothing else, with their keys, counters and sequence numbers.
"""

import os
import re
import signal
import time

from cases.daemons import kill_worker
from labkit.host import Failure, wait_until
from labkit.nat import behind
from labkit.natpeers import (KEEPALIVE, PEERS, Natted, finish, ours, ping, reached_at, same_spis, up)
from labkit.peers import asks_by_packet
from labkit.registry import case
from labkit.traffic import DOWN, Beat, Server, tcp, together
from labkit.wire import Recorder, forged_esp, forged_ike, is_esp, is_ike, throw

INTERVAL = 3  # NatKeepAliveInterval, seconds


def start(lab, begin, answer, agreement, theirs=None):
    """A client behind a NAPT and a server: (client's host, server's host, NAT, daemons)."""
    left, right, (nat,) = behind(lab, "random")
    b = PEERS[answer](right, left, (theirs or agreement) if answer != "own" else agreement)
    a = PEERS[begin](left, right, (theirs or agreement) if begin != "own" else agreement,
                     initiator=True, **asks_by_packet(begin))
    up(left, right, agreement)
    return left, right, nat, a, b


def sequence(host):
    """Of each SA the sequence numbers that it has reached: {SPI: (inbound, outbound)}."""
    found = {}
    for block in re.split(r"^(?=src )", host.run("ip", "-s", "xfrm", "state").stdout, flags=re.M):
        spi = re.search(r"proto esp spi (0x[0-9a-f]+)", block)
        numbers = [re.search(rf"\b{name} (0x[0-9a-f]+)", block) for name in ("seq", "oseq")]
        if spi and all(numbers):
            found[spi[1]] = tuple(int(number[1], 16) for number in numbers)
    return found


def check_moved(right, nat, left, spis, before):
    """The same SAs, at the NAT's new port, with numbers that went on."""
    if same_spis(left, right) != spis:
        raise Failure(f"the SAs are others than before: {left.sas()} {right.sas()}")
    ports = nat.outer_ports(left)
    seen = {dport if source == right.v4 else sport
            for (source, _, _), (sport, dport) in right.mappings().items()}
    if seen != ports:
        raise Failure(f"the server's SAs have the ports {seen}, the NAT has {ports}")
    now = sequence(right)
    for spi, numbers in before.items():
        if any(after < earlier for earlier, after in zip(numbers, now[spi])):
            raise Failure(f"SA {spi} went from the numbers {numbers} back to {now[spi]}")


def register_reboot(begin, answer, mode, plain):
    @case(f"natt-reboot-{begin}-to-{answer}-{mode}", plain=plain, seconds=120)
    def run(lab):
        """Other ports under a stream, three times: back within one keepalive interval each time."""
        agreement = Natted(mode=mode, keepalive=INTERVAL)
        left, right, nat, a, b = start(lab, begin, answer, agreement)
        spis = same_spis(left, right)
        server, to = Server(right), reached_at(right, agreement)
        for way in range(3):
            beat = Beat(left, to)
            time.sleep(0.5)
            before = sequence(right)
            nat.reboot()
            rebooted = time.monotonic()
            time.sleep(0.1)
            wait_until(lambda: beat.last() > rebooted + 0.05, INTERVAL + 2, "the stream is back")
            time.sleep(1)
            gap = beat.stop()
            if gap > INTERVAL:
                raise Failure(f"round {way}: nothing came for {gap:.2f} s")
            check_moved(right, nat, left, spis, before)
        # A stream of TCP, either way, over two more.
        def reboots():
            for _ in range(2):
                time.sleep(0.3)
                nat.reboot()
        together(lambda: tcp(left, to, "up", 3_000_000),
                 lambda: tcp(left, to, "down", 3_000_000, direction=DOWN), reboots)
        ping(left, right, agreement, seconds=3)  # the last reboot may be later than the streams
        if mode == "tunnel":
            ping(right, left, agreement, seconds=3)
        # IKE has moved along: each side's deletion reaches the other.
        if answer == "own":
            b.terminate()
        else:
            a.terminate()
        wait_until(lambda: not left.sas() and not right.sas(), 8, "SAs gone on both sides")
        server.stop()
        finish(lab, a, b)


register_reboot("own", "own", "transport", True)
register_reboot("strongswan", "own", "tunnel", True)
register_reboot("libreswan", "own", "transport", False)
register_reboot("own", "strongswan", "tunnel", True)
register_reboot("own", "own", "tunnel", False)
register_reboot("strongswan", "own", "transport", False)
register_reboot("libreswan", "own", "tunnel", False)
register_reboot("own", "strongswan", "transport", False)


@case("natt-reboot-quiet", seconds=120)
def quiet(lab):
    """
    While nothing is sent but what asks whether the peer lives: the IKE message moves the SAs, ESP too, and
    the server's own next packet arrives.
    """
    agreement = Natted(mode="tunnel", keepalive=INTERVAL, dpd=5)
    left, right, nat, a, b = start(lab, "own", "own", agreement)
    before = right.mappings()
    nat.reboot()
    wait_until(lambda: right.mappings() != before, 15, "the SAs follow", step=0.1)
    ping(right, left, agreement, seconds=3)
    ping(left, right, agreement, seconds=3)
    finish(lab, a, b)


@case("natt-reboot-other-address", seconds=120)
def other_address(lab):
    """Not the port alone: the NAT has another address, as a provider gives one at night."""
    agreement = Natted(mode="tunnel", keepalive=INTERVAL)
    left, right, (nat,) = behind(lab, "random")
    b = ours(right, left, agreement, moves="192.0.2.0/24")
    a = PEERS["strongswan"](left, right, agreement, initiator=True, trap=True)
    up(left, right, agreement)
    spis = same_spis(left, right)
    server = Server(right)
    beat = Beat(left, reached_at(right, agreement))
    time.sleep(0.5)
    before = sequence(right)
    old, new = nat.v4, "192.0.2.200"
    nat.reboot(new)
    wait_until(lambda: any(new in key for key in right.mappings()), 8, "the SAs have the new address")
    time.sleep(1)
    gap = beat.stop()
    if gap > INTERVAL:
        raise Failure(f"nothing came for {gap:.2f} s")
    if any(old in key for key in right.mappings()):
        raise Failure(f"some SAs have the old address: {right.mappings()}")
    if {spi for _, spi in right.sas()} != spis:
        raise Failure("the SAs are others than before")
    now = sequence(right)
    for spi, numbers in before.items():
        if any(after < earlier for earlier, after in zip(numbers, now[spi])):
            raise Failure(f"SA {spi} went from the numbers {numbers} back to {now[spi]}")
    ping(right, left, agreement, seconds=3)
    server.stop()
    finish(lab, a, b)


TIMEOUT = 3  # the NAT's, seconds


def register_idle(begin, keepalive, plain):
    word = "keepalive" if keepalive else "off"

    @case(f"natt-idle-{begin}-{word}", plain=plain, seconds=120)
    def run(lab):
        """
        Idle for twice the NAT's timeout.  With keepalives the server still reaches the client; without
        any its packets are lost, and all is well again when the client speaks.
        """
        agreement = Natted(mode="tunnel", keepalive=keepalive)
        left, right, (nat,) = behind(lab, "random")
        lab.net.capture()
        b = ours(right, left, Natted(mode="tunnel"))
        a = PEERS[begin](left, right, agreement, initiator=True, **asks_by_packet(begin))
        up(left, right, agreement)
        spis = same_spis(left, right)
        nat.timeouts(TIMEOUT)
        ping(left, right, agreement)  # from which on the new timeout counts
        ports = nat.outer_ports(left)
        time.sleep(2 * TIMEOUT + 1)
        if (nat.outer_ports(left) == ports) != bool(keepalive):
            raise Failure(f"the NAT's ports were {ports} and are {nat.outer_ports(left)}")
        ping(right, left, agreement, seconds=2, expect=bool(keepalive))
        ping(left, right, agreement, seconds=3)
        ping(right, left, agreement, seconds=3)
        if same_spis(left, right) != spis:
            raise Failure("the SAs are others than before")
        finish(lab, a, b)
        lab.wire.stop()
        kept = lab.wire.count(f"{KEEPALIVE} and src host {nat.v4}")
        if bool(kept) != bool(keepalive):
            raise Failure(f"{kept} keepalives of the client")
        if lab.wire.count(f"{KEEPALIVE} and src host {right.v4}"):
            raise Failure("the server, which is behind no NAT, sends keepalives")


register_idle("own", 2, True)
register_idle("own", 0, True)
register_idle("strongswan", 2, False)
register_idle("libreswan", 0, False)


# ---- what strangers send ----

def attack(lab, left, right, agreement, mallory, forgeries):
    """Nothing that is thrown moves an SA, stops a stream or makes the server send to a stranger."""
    server = Server(right)
    beat = Beat(left, reached_at(right, agreement))
    time.sleep(0.3)
    caught = Recorder(mallory)
    before = right.mappings()
    for forged in forgeries:
        throw(mallory, forged)
        time.sleep(0.01)
    time.sleep(0.7)
    gap = beat.stop()
    server.stop()
    if right.mappings() != before:
        raise Failure(f"forgeries moved SAs from {before} to {right.mappings()}")
    if gap > 0.5:
        raise Failure(f"forgeries stopped a stream for {gap:.2f} s")
    got = caught.take(lambda d: d.src == right.v4 and d.sport == 4500 and is_esp(d))
    if got:
        raise Failure(f"the server sent a stranger {len(got)} packets of ESP")
    caught.stop()
    ping(right, left, agreement, seconds=2)


def short(datagram):
    """The begins of a message, and what is not even one."""
    return [datagram._replace(payload=datagram.payload[:n]) for n in (0, 1, 4, 5, 20, 40)]


FORGERIES = {
    "esp": (lambda esp, ike: [forged_esp(esp[-1], n) for n in (1, 2, 70, 5000)],
            lambda esp, ike: esp[-20:]),
    "ike": (lambda esp, ike: [forged_ike(d) for d in ike[-2:]] + short(ike[-1]),
            lambda esp, ike: ike,
            lambda esp, ike: [esp[-1]._replace(payload=b"\xff")]),
}


def register_spoof(what):
    @case(f"natt-spoof-{what}", seconds=120)
    def run(lab):
        """Forged, replayed and cut, from a stranger's address and from the NAT's with another port."""
        left, right, (nat,) = behind(lab, "random")
        mallory = lab.net.host("mallory")
        lab.hosts.remove(mallory)
        lab.between.append(mallory)
        agreement = Natted(mode="tunnel", dpd=2)
        b = ours(right, left, agreement)
        record = Recorder(right)
        a = PEERS["strongswan"](left, right, agreement, initiator=True, trap=True)
        up(left, right, agreement)
        for _ in range(3):
            ping(left, right, agreement)
        wait_until(lambda: len(record.take(lambda d: is_ike(d) and d.dst == right.v4)) > 4, 15,
                   "an IKE message after phase 2")
        taken = record.take(lambda d: d.dst == right.v4)
        record.stop()
        esp, ike = ([d for d in taken if wanted(d)] for wanted in (is_esp, is_ike))
        places = (mallory.v4, 4500), (mallory.v4, 500), (nat.v4, 4711)
        for choose in FORGERIES[what]:
            attack(lab, left, right, agreement, mallory,
                   [d._replace(src=src, sport=sport) for d in choose(esp, ike) for src, sport in places])
        finish(lab, a, b)


for _what in FORGERIES:
    register_spoof(_what)


# ---- our own end ----

@case("natt-killed", seconds=120)
def killed(lab):
    """kill -9 of both workers: no packet is lost, the SAs go on, move, and their end is told."""
    agreement = Natted(keepalive=INTERVAL)
    left, right, nat, a, b = start(lab, "own", "own", agreement)
    spis = same_spis(left, right)
    server = Server(right)
    beat = Beat(left, right.outside)
    for end in (a, b):
        kill_worker(end)
    time.sleep(0.5)
    gap = beat.stop()
    if gap > 0.5 or beat.lost() > 2:
        raise Failure(f"{beat.lost()} packets were lost, and nothing came for {gap:.2f} s")
    if same_spis(left, right) != spis:
        raise Failure("the SAs are others than before")
    before = right.mappings()
    nat.reboot()
    ping(left, right, agreement)
    wait_until(lambda: right.mappings() != before, 5, "the SAs of the new worker follow")
    tunnel, = b.tunnels()
    if not tunnel["RmtNATDetected"] or not tunnel["UdpEncapMode"]:
        raise Failure(f"the new worker has forgotten the NAT: {tunnel}")
    server.stop()
    b.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone on both sides")
    finish(lab, a, b)


@case("natt-moved-while-dead", seconds=120)
def moved_while_dead(lab):
    """The mapping changes while the server's worker is dead: the next one finds the client."""
    agreement = Natted(mode="tunnel", keepalive=INTERVAL)
    left, right, nat, a, b = start(lab, "own", "own", agreement)
    os.kill(b.iked.children("--worker")[0], signal.SIGSTOP)
    nat.reboot()
    left.run("ping", "-n", "-q", "-c", "2", "-i", "0.2", "-w", "1", right.v4, ok=None)
    kill_worker(b)
    ping(left, right, agreement, seconds=5)
    ping(right, left, agreement, seconds=3)
    finish(lab, a, b)


def register_refresh(begin, answer, plain):
    @case(f"natt-refresh-{begin}-to-{answer}", plain=plain, seconds=120)
    def run(lab):
        """Both phases get successors under a stream, which stays whole; after a reboot, too."""
        agreement = Natted(keepalive=INTERVAL)
        left, right, nat, a, b = start(lab, begin, answer, agreement)
        server = Server(right)
        beat = Beat(left, right.outside)
        ends = [end for end, make in ((a, begin), (b, answer)) if make == "own"]
        for end in ends:
            for letter in ("-y", "-k", "-y"):
                tunnel = (end.tunnels() if letter == "-y" else end.ike_tunnels())[0]["TunnelID"]
                end.ipsec(letter, "refresh", "-a", tunnel, "--wait", "15")
            nat.reboot()
            time.sleep(0.5)
        gap = beat.stop()
        if gap > 1:
            raise Failure(f"nothing came for {gap:.2f} s")
        server.stop()
        finish(lab, a, b)


register_refresh("own", "own", True)
register_refresh("strongswan", "own", False)
register_refresh("own", "strongswan", False)
