"""IPComp (RFC 3173), which we do not have, offered beside ESP."""

from labkit.host import Failure
from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

SUITE = SUITES["aes256-sha256-modp2048"]
PFS = Pfs("none", SUITE)
KEY = "correct-horse-battery"


@case("ipcomp-from-strongswan", shows=("strongSwan", "IPComp offered beside ESP, the peer begins"))
def from_strongswan(lab):
    """strongSwan offers ESP with IPComp and, under another number, ESP alone: that is taken."""
    def check(peer, ours):
        if "peer did not accept our IPComp proposal" not in peer.log():
            raise Failure("strongSwan offered no IPComp")
        if "proto comp" in ours.host.states_text():
            raise Failure(f"{ours.host.name}: there is an SA of IPComp")

    negotiate_and_delete(
        lab, lambda host, peer: Swan(host, peer, SUITE, "transport", PFS, KEY, trap=True,
                                     initiator=True, child=(("ipcomp", "yes"),)),
        lambda host, peer: Ours(host, host_to_host(host, peer, SUITE, "transport", PFS, KEY)),
        check=check)
    # It leaves the larval state of the IPComp that it offered.
    lab.hosts[0].run("ip", "xfrm", "state", "flush", "proto", "comp")
