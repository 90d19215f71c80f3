"""
Wires that lose, double and reorder what both sides send.  What is lost cannot be repeated from a seed, so
a case asks only that the protocol's own repetition comes to an end in time and both sides agree.
"""

import signal
import subprocess

from labkit.host import Failure, wait_until
from labkit.peers import (NAMES, PEERS, AGREED, asks_by_packet, directions, finish,
                          one_pair_carries, ours)
from labkit.registry import case

WEATHER = {
    "loss": ("loss", "5%"),
    "duplication": ("duplicate", "50%"),
    "reordering": ("delay", "20ms", "reorder", "50%", "50%"),
    "all": ("delay", "20ms", "loss", "5%", "duplicate", "20%", "reorder", "30%", "50%"),
}
RETRIES = 8       # of ours, so that a refusal by chance is as good as out of the question
UP = 40           # seconds
PLAIN = {("from-strongswan", "all")}


def begins(make, peer, initiator):
    if make is ours:
        return lambda host, other: ours(host, other, AGREED, initiator=initiator, retries=RETRIES)
    more = asks_by_packet(peer) if initiator else {}
    return lambda host, other: make(host, other, AGREED, initiator=initiator, **more)


def refreshed(end):
    """Phase 2 and phase 1, each by a command that a chance may refuse."""
    for letter, tunnels in (("-y", end.tunnels), ("-k", end.ike_tunnels)):
        before = max(int(t["Generation"]) for t in tunnels())
        end.ipsec(letter, "refresh", "-a", tunnels()[0]["TunnelID"], "--wait", str(UP), ok=None)
        wait_until(lambda: max(int(t["Generation"]) for t in tunnels()) > before, UP,
                   f"another generation by ipsec {letter} refresh", step=0.5)


def register(peer, word, begin, answer, who, weather):
    @case(f"weather-{word}-{weather}", plain=(word, weather) in PLAIN,
          interop=weather == "all", seconds=240,
          shows=(NAMES[peer], "Negotiation and refresh under loss, duplication and reordering"))
    def run(lab):
        left, right = lab.pair(capture=False)
        lab.wire_is(*WEATHER[weather])
        b = begins(answer, peer, False)(right, left)
        a = begins(begin, peer, True)(left, right)
        left.ping(right, seconds=UP)
        traffic = subprocess.Popen(["ping", "-n", "-q", "-i", "0.05", right.v4],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                   preexec_fn=left.enter)
        refreshed(a if begin is ours else b)
        traffic.send_signal(signal.SIGINT)
        said = traffic.communicate(timeout=10)[0]
        if " 0 received" in said:
            raise Failure(f"nothing came back beside the refresh: {said}")
        lab.wire_is()
        wait_until(lambda: one_pair_carries(left, right), 15, "one SA pair that carries", step=0.5)
        finish(lab, a, b)


for _peer in PEERS:
    for _direction in directions(_peer):
        for _weather in WEATHER:
            register(_peer, *_direction, _weather)
