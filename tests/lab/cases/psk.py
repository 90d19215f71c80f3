"""The matrix: Main Mode with a preshared key and Quick Mode, against ourselves and strongSwan."""

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan
from labkit.wire import ESP, between, clear_between

KEY = "correct-horse-battery"


def ours(host, peer, suite, mode, pfs, family, initiator):
    return Ours(host, host_to_host(host, peer, suite, mode, pfs, KEY, family=family,
                                   initiator=initiator))


def swan(host, peer, suite, mode, pfs, family, initiator):
    return Swan(host, peer, suite, mode, pfs, KEY, family=family, initiator=initiator,
                trap=initiator)


# name: who begins (left), who answers (right)
PAIRS = {"own": (ours, ours), "to-strongswan": (ours, swan), "from-strongswan": (swan, ours)}


def same_pair(left, right):
    """Both kernels hold one ESP pair, and it is the same one."""
    a, b = left.sas(), right.sas()
    return a if len(a) == 2 and set(a) == set(b) else None


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


def negotiate_and_delete(lab, pair, suite, mode, pfs_kind, family):
    left, right = lab.pair()
    pfs = Pfs(pfs_kind, suite)
    begin, answer = PAIRS[pair]
    b = answer(right, left, suite, mode, pfs, family, False)
    a = begin(left, right, suite, mode, pfs, family, True)
    for deleter in (a, b):
        left.ping(right, family)  # raises the ACQUIRE
        wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
        check_traffic(left, right, family)
        deleter.terminate()
        wait_until(lambda: not left.sas() and not right.sas(), 5,
                   f"SAs gone on both sides after deletion on {deleter.host.name}")
        for end in (a, b):
            end.wait_gone()
    a.stop()
    b.stop()
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(left, right, family))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if lab.wire.count(f"{between(left, right, family)} and {ESP}") < 20:
        raise Failure("hardly any ESP on the wire")


# Without --full: each pair, suite, mode and PFS variant in company of every other at least once.
PLAIN = {
    ("own", "aes256-sha256-modp2048", "transport", "none"),
    ("own", "aes128-sha1-modp1024", "tunnel", "same"),
    ("own", "3des-sha1-modp1536", "transport", "other"),
    ("own", "aes256-sha384-ecp384", "tunnel", "none"),
    ("to-strongswan", "aes256-sha256-modp2048", "tunnel", "same"),
    ("to-strongswan", "aes128-sha1-modp1024", "transport", "other"),
    ("to-strongswan", "3des-sha1-modp1536", "tunnel", "none"),
    ("to-strongswan", "aes256-sha384-ecp384", "transport", "same"),
    ("from-strongswan", "aes256-sha256-modp2048", "transport", "other"),
    ("from-strongswan", "aes128-sha1-modp1024", "tunnel", "none"),
    ("from-strongswan", "3des-sha1-modp1536", "transport", "same"),
    ("from-strongswan", "aes256-sha384-ecp384", "tunnel", "other"),
}
IPV6 = (
    ("own", "aes256-sha256-modp2048", "transport", "none"),
    ("own", "aes256-sha384-ecp384", "tunnel", "same"),
    ("to-strongswan", "aes256-sha256-modp2048", "tunnel", "same"),
    ("from-strongswan", "aes128-sha1-modp1024", "transport", "none"),
)


def register(pair, suite, mode, pfs, family, plain):
    name = f"psk-{pair}-{suite}-{mode}-pfs-{pfs}" + ("-ipv6" if family == 6 else "")

    @case(name, plain=plain)
    def run(lab):
        negotiate_and_delete(lab, pair, SUITES[suite], mode, pfs, family)


for _pair in PAIRS:
    for _suite in SUITES:
        for _mode in ("transport", "tunnel"):
            for _pfs in ("none", "same", "other"):
                _key = (_pair, _suite, _mode, _pfs)
                register(*_key, 4, _key in PLAIN)
for _key in IPV6:
    register(*_key, 6, True)
