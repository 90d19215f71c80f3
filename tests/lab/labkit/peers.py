"""The peers that cases are run against, each started on what both sides agree about."""

from dataclasses import dataclass, replace

from .host import wait_until
from .libre import Libre
from .negotiate import same_pair
from .ours import Ours
from .policy import host_to_host
from .suites import SUITES, Pfs, Suite
from .swan import Swan

NAMES = {"own": "csipsec", "strongswan": "strongSwan", "libreswan": "libreswan"}


@dataclass(frozen=True)
class Agreement:
    """What the two sides of a case agree about; dpd is this side's own, in seconds."""

    suite: Suite = SUITES["aes256-sha256-modp2048"]
    mode: str = "transport"
    pfs: str = "none"
    exchange: str = "Main"
    key: str = "correct-horse-battery"
    dpd: int | None = None


AGREED = Agreement()


def agreed(**what):
    return replace(AGREED, **what)


def ours(host, peer, a, *, initiator=False, **more):
    return Ours(host, host_to_host(host, peer, a.suite, a.mode, Pfs(a.pfs, a.suite), a.key,
                                   initiator=initiator, exchange=a.exchange, liveness=a.dpd,
                                   **more))


def swan(host, peer, a, *, initiator=False, **more):
    return Swan(host, peer, a.suite, a.mode, Pfs(a.pfs, a.suite), a.key, initiator=initiator,
                aggressive=a.exchange == "Aggressive", dpd=a.dpd, **more)


def libre(host, peer, a, *, initiator=False, **more):
    return Libre(host, peer, a.suite, a.mode, Pfs(a.pfs, a.suite), a.key, initiator=initiator,
                 aggressive=a.exchange == "Aggressive", dpd=a.dpd, **more)


PEERS = {"own": ours, "strongswan": swan, "libreswan": libre}


def asks_by_packet(peer):
    """What makes a peer negotiate when a packet asks; ours does so in any case."""
    return {} if peer == "own" else {"trap": True}


def pair_with(lab, peer, a=AGREED, theirs=None, capture=False, **more):
    """
    Ours on the left and the peer on the right, where packets ask on both sides: (ours, peer).
    theirs: the agreement as the peer has it, where that differs; more is the peer's.
    """
    left, right = lab.pair(capture=capture)
    b = PEERS[peer](right, left, theirs or a, **asks_by_packet(peer), **more)
    return ours(left, right, a, initiator=True), b


def up(lab, sender=0, seconds=8):
    """A packet raises the tunnel, or finds it there; then both kernels hold one pair and the same."""
    hosts = lab.hosts[sender], lab.hosts[1 - sender]
    hosts[0].ping(hosts[1], seconds=seconds)
    wait_until(lambda: same_pair(*lab.hosts), 5, "one SA pair in both kernels")


def finish(lab, a, b):
    """The end of all tunnels on both sides, whichever side still has some, and of the daemons."""
    for end in (a, b):
        end.drop_all()
    wait_until(lambda: not any(host.sas() for host in lab.hosts), 10, "SAs gone", step=0.1)
    for end in (a, b):
        end.wait_gone()
        end.stop()
