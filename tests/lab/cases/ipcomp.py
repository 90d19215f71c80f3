"""IPComp (RFC 3173), which we do not have, offered beside ESP."""

from labkit.host import Failure, wait_until
from labkit.negotiate import negotiate_and_delete
from labkit.peers import AGREED, libre, ours, swan
from labkit.registry import case

FEATURE = "IPComp offered beside ESP, the peer begins"


@case("ipcomp-from-strongswan", shows=("strongSwan", FEATURE))
def from_strongswan(lab):
    """strongSwan offers ESP with IPComp and, under another number, ESP alone: that is taken."""
    def check(peer, ours):
        if "peer did not accept our IPComp proposal" not in peer.log():
            raise Failure("strongSwan offered no IPComp")
        if "proto comp" in ours.host.states_text():
            raise Failure(f"{ours.host.name}: there is an SA of IPComp")

    negotiate_and_delete(
        lab, lambda host, peer: swan(host, peer, AGREED, initiator=True, trap=True,
                                     child=(("ipcomp", "yes"),)),
        lambda host, peer: ours(host, peer, AGREED), check=check)
    # It leaves the larval state of the IPComp that it offered.
    lab.hosts[0].run("ip", "xfrm", "state", "flush", "proto", "comp")


@case("ipcomp-from-libreswan", shows=("libreswan", f"{FEATURE}, and has no other: refused"))
def from_libreswan(lab):
    """
    With compress=yes libreswan has no offer without: both sides are told, and nothing is left.  It
    aborts when the larval SA of its IPComp expires, after 30 s, so the case is over before.
    """
    left, right = lab.pair(capture=False)
    b = ours(right, left, AGREED)
    a = libre(left, right, AGREED, initiator=True, more=(("compress", "yes"),))
    a.whack("--initiate", "--asynchronous", "--name", "peer")
    wait_until(lambda: b.log_lines("no proposal chosen", "IPComp"), 5, "the log says why")
    if "NO_PROPOSAL_CHOSEN" not in a.log():
        raise Failure("libreswan was not told")
    if left.sas() or right.sas():
        raise Failure("there are SAs")
    a.terminate()
    a.stop()
    b.wait_gone()
    b.stop()
    for host in lab.hosts:
        host.run("ip", "xfrm", "state", "flush")
