"""Ways of the other implementations that docs/interoperability.md tells of and no other case meets."""

from cases.refusals import fails, nothing_left, one_message
from labkit.host import Failure, wait_until
from labkit.negotiate import same_pair
from labkit.peers import PEERS, agreed, finish, ours, pair_with, up
from labkit.registry import case


@case("trait-strongswan-refuses-aggressive", plain=False)
def refuses_aggressive(lab):
    """Aggressive Mode with a preshared key, to a strongSwan that was not told that it may."""
    left, right = lab.pair()
    what = agreed(exchange="Aggressive")
    b = PEERS["strongswan"](right, left, what, aggressive_psk=False)
    a = ours(left, right, what, on_demand=False)
    fails(a, "AUTHENTICATION-FAILED")
    one_message(a, "ToPeer", "AUTHENTICATION-FAILED")
    nothing_left(lab, a)
    b.stop()


@case("trait-libreswan-stays-up", plain=False)
def stays_up(lab):
    """What it has brought up itself it brings up again within seconds of our deletion."""
    a, b = pair_with(lab, "libreswan")
    left, right = lab.hosts
    b.initiate()
    wait_until(lambda: same_pair(left, right), 10, "one SA pair in both kernels")
    before = left.sas().keys()
    a.terminate()
    wait_until(lambda: (same_pair(left, right) or left.sas()).keys() - before, 10, "another pair by itself")
    b.terminate()
    finish(lab, a, b)


@case("trait-libreswan-refuses-refresh", plain=False)
def refuses_refresh(lab):
    """It does not begin a refresh of phase 1 by command; ours it takes."""
    a, b = pair_with(lab, "libreswan")
    up(lab)
    before = a.ike_tunnels()[0]["Generation"]
    said = b.whack("--rekey-ike", "--name", "peer", ok=None)
    if a.ike_tunnels()[0]["Generation"] != before:
        raise Failure(f"it was refreshed: {said}")
    a.ipsec("-k", "refresh", "-a", "K1", "--wait", "15")
    finish(lab, a, b)
