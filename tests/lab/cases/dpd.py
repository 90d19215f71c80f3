"""
Dead peer detection: the wire is cut without any farewell, and each side finds the other dead by
asking; while both live neither does, however long nothing is sent.
"""

import time

from labkit.host import Failure, wait_until
from labkit.peers import NAMES, PEERS, agreed, finish, pair_with, up
from labkit.registry import case

INTERVAL = 5        # LivenessInterval here
QUESTIONS = 12      # seconds that our six questions take, which begin up to a quarter interval late
SLACK = 4           # a busy machine's
PEERS_DELAY = 3     # dpd_delay, dpddelay
# Beyond four times the delay: libreswan begins to count at its first question without an answer.
PEERS_DEATH = 4 * PEERS_DELAY + 2 * PEERS_DELAY + SLACK


def cut(lab):
    lab.wire_is("loss", "100%")


def register_we_find(peer, plain):
    @case(f"dpd-{peer}-cut", plain=plain, interop=True, seconds=120,
          shows=(NAMES[peer], "Dead peer detection, we find the peer dead"))
    def run(lab):
        """The peer is found dead in time, both SAs end with one warning, and the next packet begins anew."""
        a, b = pair_with(lab, peer, agreed(dpd=INTERVAL), agreed())
        left, right = lab.hosts
        up(lab)
        cut(lab)
        began = time.monotonic()
        wait_until(lambda: not left.sas(), INTERVAL * 5 / 4 + QUESTIONS + SLACK, "the dead peer's SAs gone",
                   step=0.2)
        if time.monotonic() - began < QUESTIONS:
            raise Failure("the peer was found dead before it was asked six times")
        a.wait_gone(2)
        warnings = a.log_lines("CSI1026W", right.v4)
        if len(warnings) != 1 or "1 phase 1 and 1 phase 2" not in warnings[0]:
            raise Failure(f"not one warning of both tunnels' end: {warnings}")
        lab.wire_is()
        # The peer may hold its old pair until it asks by itself.
        left.ping(right, seconds=10)
        finish(lab, a, b)


def register_it_finds(peer, idle, plain):
    theirs = agreed(dpd=INTERVAL if peer == "own" else PEERS_DELAY)
    death = INTERVAL * 5 / 4 + QUESTIONS + SLACK if peer == "own" else PEERS_DEATH

    @case(f"dpd-{peer}-finds-us" + ("" if plain else f"-idle-{idle}"), plain=plain, interop=True,
          seconds=180, shows=(NAMES[peer], "Dead peer detection, the peer finds us dead"))
    def run(lab):
        """It is answered as long as we live; then it drops all, and its next packet begins anew."""
        a, b = pair_with(lab, peer, agreed(dpd=0), theirs)
        left, right = lab.hosts
        up(lab)
        before = left.sas().keys()
        time.sleep(idle)
        if left.sas().keys() != before or right.sas().keys() != before:
            raise Failure(f"the SAs did not live through {idle} idle seconds")
        cut(lab)
        wait_until(lambda: not right.sas(), death, "the peer's SAs gone", step=0.2)
        lab.wire_is()
        right.ping(left, seconds=10)
        # We asked nothing, so we hold the old pair beside the new one until it is replaced in order.
        if len(right.sas()) != 2 or not right.sas().keys() <= left.sas().keys():
            raise Failure(f"not one new pair: {left.sas().keys()}, {right.sas().keys()}")
        left.ping(right, seconds=3)
        finish(lab, a, b)


for _peer in PEERS:
    register_we_find(_peer, _peer == "strongswan")
    register_it_finds(_peer, 60, False)
register_it_finds("strongswan", 12, True)
