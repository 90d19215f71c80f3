"""What PeerQuirk turns on, each against a peer that needs it (policy/quirk.c)."""

from labkit.host import Failure, wait_until
from labkit.negotiate import same_pair
from labkit.peers import NAMES, finish, pair_with, up
from labkit.registry import case

SHORT = {
    "strongswan": {"child": (("sha256_96", "yes"),)},
    "libreswan": {"more": (("sha2-truncbug", "yes"),)},
}


def register(peer, theirs):
    @case(f"quirk-short-sha256-{peer}", plain=peer == "libreswan", interop=True,
          shows=(NAMES[peer], "HMAC-SHA-256 cut to 96 bits, PeerQuirk ShortSha256"))
    def with_it(lab):
        a, b = pair_with(lab, peer, peer_more=theirs, quirks=("ShortSha256",))
        up(lab)
        if not a.log_lines("check values have 96 bits"):
            raise Failure("the log does not tell of the quirk")
        finish(lab, a, b)

    @case(f"quirk-short-sha256-{peer}-not-coded", plain=False)
    def without_it(lab):
        """A pair comes up and carries nothing, or the quirk would have no reason."""
        a, b = pair_with(lab, peer, peer_more=theirs)
        left, right = lab.hosts
        left.ping(right, seconds=3, expect=False)
        wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
        left.ping(right, seconds=2, expect=False)
        finish(lab, a, b)


for _peer, _theirs in SHORT.items():
    register(_peer, _theirs)
