"""
The peers of cases with NATs between them.  They know each other by names, for an address is another one
on each side of a NAT; in tunnel mode what is protected goes from one's own address to the other's.
"""

from dataclasses import dataclass, replace

from .host import Failure, wait_until
from .libre import Libre
from .ours import Ours
from .peers import Agreement
from .policy import NatPolicy, host_to_host
from .suites import Pfs
from .swan import Swan

NAMES = {"own": "csipsec", "strongswan": "strongSwan", "libreswan": "libreswan"}
DOMAIN = "example"
ANY = f"*.{DOMAIN}"  # any of the hosts of a lab
# IKE and ESP in UDP, whatever a NAT does to the ports of one end.
ON_500 = "udp port 500"
ON_4500 = "udp port 4500"
# The first word behind the UDP header is a marker of zeros for IKE, an SPI for ESP; a keepalive is one byte.
ESP_IN_UDP = f"({ON_4500} and udp[4:2] > 12 and udp[8:4] != 0)"
IKE_IN_UDP = f"({ON_4500} and udp[4:2] > 12 and udp[8:4] == 0)"
KEEPALIVE = f"({ON_4500} and udp[4:2] == 9)"


@dataclass(frozen=True)
class Natted(Agreement):
    """What both sides agree about, and what this side thinks of NATs."""

    allow: bool = True
    force: bool = False
    keepalive: int = 20
    drafts: bool = False  # only the drafts of RFC 3947 are spoken


AGREED = Natted()
TUNNEL = Natted(mode="tunnel")


def agreed(**what):
    return replace(AGREED, **what)


def name_of(host):
    return f"{host.name}.{DOMAIN}"


def reached_at(host, a):
    """The address that others send to."""
    return host.v4 if a.mode == "tunnel" else host.outside


def remote_name(peer, several):
    return ANY if several else name_of(peer)


def ours(host, peer, a, *, initiator=False, several=False, local=None, remote=None, moves=None,
         retries=2, **more):
    """
    several: any host of the lab may come from where peer is seen.  local, remote: the data's ends,
    where they are others than the hosts.  moves: addresses that the peer may have.
    """
    nat = NatPolicy(allow=a.allow, force=a.force, keepalive=a.keepalive, local=local, moves=moves,
                    remote=remote or (reached_at(peer, a) if a.mode == "tunnel" else None))
    text = host_to_host(host, peer.seen(), a.suite, a.mode, Pfs(a.pfs, a.suite), a.key,
                        initiator=initiator, exchange=a.exchange, liveness=a.dpd, nat=nat,
                        local_id=f"Fqdn {name_of(host)}",
                        remote_id=f"Fqdn {remote_name(peer, several)}", **more)
    return Ours(host, text, retries=retries)


def swan(host, peer, a, *, initiator=False, several=False, remote=None, trap=False):
    child = ()
    if a.mode == "tunnel":
        child = ("local_ts", f"{host.v4}/32"), ("remote_ts", remote or f"{peer.v4}/32")
    return Swan(host, peer.seen(), a.suite, a.mode, Pfs(a.pfs, a.suite), a.key, trap=trap,
                initiator=initiator, aggressive=a.exchange == "Aggressive", dpd=a.dpd, child=child,
                local_id=name_of(host), remote_id=remote_name(peer, several),
                more=(("encap", "yes"),) if a.force else (),
                conf=(("keep_alive", f"{a.keepalive}s"),))


def libre(host, peer, a, *, initiator=False, trap=False):
    more = ()
    if a.mode == "tunnel":
        more = ("leftsubnet", f"{host.v4}/32"), ("rightsubnet", f"{peer.v4}/32")
    if a.force:
        more = *more, ("encapsulation", "yes")
    if a.drafts:
        more = *more, ("nat-ikev1-method", "drafts")
    return Libre(host, peer.seen(), a.suite, a.mode, Pfs(a.pfs, a.suite), a.key, trap=trap,
                 initiator=initiator, aggressive=a.exchange == "Aggressive", dpd=a.dpd,
                 local_id=f"@{name_of(host)}", remote_id=f"@{name_of(peer)}", more=more,
                 setup=(("keep-alive", a.keepalive), ("virtual-private", "%v4:10.0.0.0/8")))


PEERS = {"own": ours, "strongswan": swan, "libreswan": libre}


def same_spis(left, right, sas=2):
    """Both kernels hold the SAs of one pair; a NAT makes their addresses differ."""
    a, b = ({spi for _, spi in host.sas()} for host in (left, right))
    return a if len(a) == sas and a == b else None


def up(left, right, a, seconds=10):
    """A packet from left raises the tunnel, or finds it there."""
    ping(left, right, a, seconds=seconds)
    return wait_until(lambda: same_spis(left, right), 5, "one SA pair in both kernels")


def ping(host, other, a, seconds=8, expect=True):
    done = host.run("ping", "-n", "-q", "-i", "0.2", "-c", "1", "-w", str(seconds),
                    reached_at(other, a), ok=None)
    if (done.returncode == 0) != expect:
        raise Failure(f"ping from {host.name} to {other.name} ({reached_at(other, a)}) "
                      + ("had no answer" if expect else "was answered"))


def finish(lab, *ends):
    """The end of all tunnels, and of the daemons."""
    for end in ends:
        end.drop_all()
    wait_until(lambda: not any(host.sas() for host in lab.hosts), 10, "SAs gone", step=0.1)
    for end in ends:
        end.wait_gone()
        end.stop()


def clear_on_wire(wire):
    """What is on the public wire that is neither IKE nor ESP in UDP."""
    return wire.lines(f"ip and not {ON_500} and not {ON_4500}")
