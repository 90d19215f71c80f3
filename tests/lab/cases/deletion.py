"""
The end of a dynamic tunnel alone: phase 1 stays on both sides and carries the next one.  libreswan deletes
it together with its last tunnel.
"""

from labkit.host import Failure, wait_until
from labkit.peers import NAMES, PEERS, finish, pair_with, up
from labkit.registry import case


def register(peer):
    @case(f"delete-{peer}-phase2", plain=peer == "libreswan", interop=True,
          shows=(NAMES[peer], "Deletion of phase 2 alone, by either side"))
    def run(lab):
        a, b = pair_with(lab, peer)
        left, right = lab.hosts
        cookies = None
        for deleter in (a, b, a):
            up(lab)
            tunnels = a.ike_tunnels()
            now = [(t["TunnelID"], t["InitiatorCookie"], t["ResponderCookie"]) for t in tunnels]
            if len(now) != 1 or cookies not in (None, now) and peer != "libreswan":
                raise Failure(f"another phase 1 than before: {cookies}, {now}")
            cookies = now
            deleter.terminate_child()
            wait_until(lambda: not left.sas() and not right.sas(), 5,
                       f"SAs gone on both sides after deletion on {deleter.host.name}")
            if a.tunnels():
                raise Failure("the dynamic tunnel is still displayed")
        finish(lab, a, b)


for _peer in PEERS:
    register(_peer)
