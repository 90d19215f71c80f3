"""Main Mode and Aggressive Mode with a preshared key, and Quick Mode, against libreswan."""

from cases.psk import WHO
from labkit.libre import Libre
from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs

KEY = "correct-horse-battery"


def ours(host, peer, suite, mode, pfs, initiator, exchange):
    return Ours(host, host_to_host(host, peer, suite, mode, pfs, KEY, initiator=initiator,
                                   exchange=exchange))


def libre(host, peer, suite, mode, pfs, initiator, exchange):
    return Libre(host, peer, suite, mode, pfs, KEY, initiator=initiator, trap=initiator,
                 aggressive=exchange == "Aggressive")


PAIRS = {"to-libreswan": (ours, libre), "from-libreswan": (libre, ours)}


def register(pair, suite_name, mode, pfs_kind, exchange):
    kind = "psk" if exchange == "Main" else "aggressive"
    peer, who = WHO[pair]
    feature = (f"Main Mode with preshared key, {mode}, {who}" if exchange == "Main"
               else f"Aggressive Mode with preshared key, {who}")

    @case(f"{kind}-{pair}-{suite_name}-{mode}-pfs-{pfs_kind}", shows=(peer, feature))
    def run(lab):
        suite = SUITES[suite_name]
        variant = suite, mode, Pfs(pfs_kind, suite)
        begin, answer = PAIRS[pair]
        negotiate_and_delete(lab, lambda host, peer: begin(host, peer, *variant, True, exchange),
                             lambda host, peer: answer(host, peer, *variant, False, exchange))


for _pair in PAIRS:
    register(_pair, "aes256-sha256-modp2048", "transport", "same", "Main")
    register(_pair, "aes256-sha256-modp2048", "tunnel", "none", "Main")
    register(_pair, "3des-sha1-modp1536", "tunnel", "same", "Main")
    register(_pair, "aes256-sha384-ecp384", "transport", "none", "Main")
    register(_pair, "aes256-sha256-modp2048", "transport", "same", "Aggressive")
