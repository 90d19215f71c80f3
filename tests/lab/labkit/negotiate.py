"""A negotiation from the first packet to the deletion, and what must be true of it."""

from .host import Failure, wait_until
from .wire import ESP, between, clear_between


def same_pair(left, right, sas=2):
    """Both kernels hold the SAs of one pair, and they are the same ones."""
    a, b = left.sas(), right.sas()
    return a if len(a) == sas and set(a) == set(b) else None


def check_traffic(left, right, family):
    """Pings both ways; every SA counts them in both kernels."""
    before = left.sas(), right.sas()
    left.ping(right, family, count=2, seconds=6)
    right.ping(left, family, count=2, seconds=6)
    for host, old, new in ((left, before[0], left.sas()), (right, before[1], right.sas())):
        if set(old) != set(new):
            raise Failure(f"{host.name}: the SAs changed under traffic: {old} {new}")
        for sa, (packets, _) in old.items():
            if new[sa][0] < packets + 4:
                raise Failure(f"{host.name}: SA {sa} went from {packets} packets to {new[sa][0]}"
                              " with four echoes and their answers")


def negotiate_and_delete(lab, begin, answer, family=4, check=None, protected=ESP, sas=2):
    """
    A packet raises the negotiation, traffic flows, and one of the two deletes it; twice.  begin and
    answer start the daemons on a host: (host, peer); check looks at them when the SAs are up.
    protected: what alone may be on the wire beside IKE; sas: how many a kernel holds for it.
    """
    left, right = lab.pair()
    b = answer(right, left)
    a = begin(left, right)
    for deleter in (a, b):
        left.ping(right, family)  # raises the ACQUIRE
        wait_until(lambda: same_pair(left, right, sas), 5, "one SA pair in both kernels")
        check_traffic(left, right, family)
        if check:
            check(a, b)
        deleter.terminate()
        wait_until(lambda: not left.sas() and not right.sas(), 5,
                   f"SAs gone on both sides after deletion on {deleter.host.name}")
        for end in (a, b):
            end.wait_gone()
    a.stop()
    b.stop()
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(left, right, family, protected))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if lab.wire.count(f"{between(left, right, family)} and {protected}") < 20:
        raise Failure("hardly any protected packet on the wire")
