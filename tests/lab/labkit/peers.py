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


def ours(host, peer, a, *, initiator=False, retries=2, **more):
    text = host_to_host(host, peer, a.suite, a.mode, Pfs(a.pfs, a.suite), a.key,
                        initiator=initiator, exchange=a.exchange, liveness=a.dpd, **more)
    return Ours(host, text, retries=retries)


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


def pair_with(lab, peer, a=AGREED, theirs=None, peer_more=(), **more):
    """
    Ours on the left and the peer on the right, where packets ask on both sides: (ours, peer).
    theirs: the agreement as the peer has it, where that differs; more is for our
    side alone, peer_more for the peer's.
    """
    left, right = lab.pair(capture=False)
    b = PEERS[peer](right, left, theirs or a, **asks_by_packet(peer), **dict(peer_more))
    return ours(left, right, a, initiator=True, **more), b


def directions(peer):
    """(word for a case's name, who begins, who answers, words for a table), each once."""
    if peer == "own":
        yield "own", ours, ours, "we begin"
    else:
        yield f"to-{peer}", ours, PEERS[peer], "we begin"
        yield f"from-{peer}", PEERS[peer], ours, "the peer begins"


def up(lab, sender=0, seconds=8):
    """A packet raises the tunnel, or finds it there; then both kernels hold one pair and the same."""
    hosts = lab.hosts[sender], lab.hosts[1 - sender]
    hosts[0].ping(hosts[1], seconds=seconds)
    wait_until(lambda: same_pair(*lab.hosts), 5, "one SA pair in both kernels")


def one_pair_carries(left, right):
    """Echoes both ways go by the same two SAs in both kernels, whatever older ones there are."""
    before = left.sas(), right.sas()
    left.ping(right, count=2)
    right.ping(left, count=2)
    risen = [{sa for sa, (packets, _) in host.sas().items() if packets > old.get(sa, (0,))[0]}
             for host, old in zip((left, right), before)]
    return len(risen[0]) == 2 and risen[0] == risen[1]


def finish(lab, a, b):
    """The end of all tunnels on both sides, whichever side still has some, and of the daemons."""
    for end in (a, b):
        end.drop_all()
    wait_until(lambda: not any(host.sas() for host in lab.hosts), 10, "SAs gone", step=0.1)
    for end in (a, b):
        end.wait_gone()
        end.stop()
