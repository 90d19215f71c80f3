"""The matrix: Main Mode with a preshared key and Quick Mode, against ourselves and strongSwan."""

from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

KEY = "correct-horse-battery"


def ours(host, peer, suite, mode, pfs, family, initiator):
    return Ours(host, host_to_host(host, peer, suite, mode, pfs, KEY, family=family,
                                   initiator=initiator))


def swan(host, peer, suite, mode, pfs, family, initiator):
    return Swan(host, peer, suite, mode, pfs, KEY, family=family, initiator=initiator,
                trap=initiator)


# name: who begins (left), who answers (right)
PAIRS = {"own": (ours, ours), "to-strongswan": (ours, swan), "from-strongswan": (swan, ours)}


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


WHO = {"own": ("csipsec", "we begin"), "to-strongswan": ("strongSwan", "we begin"),
       "from-strongswan": ("strongSwan", "the peer begins"),
       "to-libreswan": ("libreswan", "we begin"), "from-libreswan": ("libreswan", "the peer begins")}


def register(pair, suite, mode, pfs, family, plain):
    name = f"psk-{pair}-{suite}-{mode}-pfs-{pfs}" + ("-ipv6" if family == 6 else "")

    peer, who = WHO[pair]

    @case(name, plain=plain, shows=(peer, f"Main Mode with preshared key, {mode}, {who}"))
    def run(lab):
        variant = SUITES[suite], mode, Pfs(pfs, SUITES[suite]), family
        begin, answer = PAIRS[pair]
        negotiate_and_delete(lab, lambda host, peer: begin(host, peer, *variant, True),
                             lambda host, peer: answer(host, peer, *variant, False), family)


for _pair in PAIRS:
    for _suite in SUITES:
        for _mode in ("transport", "tunnel"):
            for _pfs in ("none", "same", "other"):
                _key = (_pair, _suite, _mode, _pfs)
                register(*_key, 4, _key in PLAIN)
for _key in IPV6:
    register(*_key, 6, True)
