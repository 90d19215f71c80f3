"""
A negotiating daemon is killed with all its processes and started again, with its SAs left in the kernel or
not: traffic flows again soon after the next packet, whoever sends it.
"""

from labkit.host import wait_until
from labkit.ours import Ours
from labkit.peers import NAMES, PEERS, agreed, finish, one_pair_carries, pair_with, up
from labkit.registry import case

INTERVAL = 3
# Of the side that still sends by what the other has lost: until it has found out by asking.
FOUND_OUT = 26


def forget(host, *whats):
    for what in whats:
        host.run("ip", "xfrm", what, "flush")


def crash(end, flushed):
    end.process.kill()
    if flushed:
        forget(end.host, "state")
    end.start()


def clear(lab, a, b):
    """What the other peers have left in the kernel when they were killed is nobody's."""
    for end in (a, b):
        end.drop_all()
        if not isinstance(end, Ours):
            forget(end.host, "state")
    wait_until(lambda: not any(host.sas() for host in lab.hosts), 10, "SAs gone", step=0.1)


def register(peer, victim, flushed, plain):
    state = "flushed" if flushed else "left"
    who = "we are" if victim == "we" else "the peer is"

    @case(f"killed-{peer}-{victim}-{state}", plain=plain, interop=flushed, seconds=180,
          shows=(NAMES[peer], f"Recovery when {who} killed and started again without SAs"))
    def run(lab):
        a, b = pair_with(lab, peer, agreed(dpd=INTERVAL))
        left, right = lab.hosts
        for sender, receiver in ((left, right), (right, left)):
            up(lab, seconds=FOUND_OUT)
            crash(a if victim == "we" else b, flushed)
            sender.ping(receiver, seconds=FOUND_OUT)
            receiver.ping(sender, seconds=FOUND_OUT)
            # Phase 1 is gone at one side, and the other finds that out.
            wait_until(lambda: one_pair_carries(left, right), FOUND_OUT, "one SA pair that carries")
            clear(lab, a, b)
        finish(lab, a, b)
        if peer != "own":
            forget(right, "state", "policy")


for _peer in PEERS:
    for _victim in ("it", "we"):
        for _flushed in (True, False):
            register(_peer, _victim, _flushed, (_peer, _victim, _flushed) == ("strongswan", "it", True))
