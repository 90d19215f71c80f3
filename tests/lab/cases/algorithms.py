"""Algorithms of phase 2, and the largest ECP group in phase 1, against each peer."""

from labkit.negotiate import negotiate_and_delete
from labkit.peers import NAMES, PEERS, agreed, asks_by_packet, directions, ours
from labkit.registry import case
from labkit.suites import ALGORITHMS

PLAIN = {("to-strongswan", "aes256gcm16"), ("from-libreswan", "ecp521")}


def started(make, peer, what, initiator):
    """A function that starts one side on a host."""
    more = asks_by_packet(peer) if initiator and make is not ours else {}
    return lambda host, other: make(host, other, what, initiator=initiator, **more)


def register(peer, word, begin, answer, who, name):
    what = agreed(suite=ALGORITHMS[name], mode="tunnel" if name.startswith("aes256") else "transport")
    feature = "Phase 1 with ECP-521" if name == "ecp521" else f"Phase 2 with {name}"

    @case(f"algorithm-{word}-{name}", plain=(word, name) in PLAIN, interop=word.startswith("to-"),
          shows=(NAMES[peer], feature))
    def run(lab):
        negotiate_and_delete(lab, started(begin, peer, what, True),
                             started(answer, peer, what, False))


for _peer in PEERS:
    for _direction in directions(_peer):
        for _name in ALGORITHMS:
            register(_peer, *_direction, _name)
