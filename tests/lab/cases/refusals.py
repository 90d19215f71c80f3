"""Negotiations that must fail: one clear message a side, and no state left."""

import re

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

SUITE = SUITES["aes256-sha256-modp2048"]
OTHER = SUITES["aes128-sha1-modp1024"]
KEY = "correct-horse-battery"
WRONG = "incorrect-horse-battery"
NEGOTIATION_FAILED = 6


def one_message(end, rule, cause, level="E"):
    """Exactly one line tells of the failure: it names the peer, the rule and the cause."""
    peer = next(h for h in end.host.lab.hosts if h is not end.host)

    def found():
        return [line for line in end.log().splitlines()
                if re.search(rf"\b(CSI\d{{4}}{level}|EZD102[12]I)\b", line) and peer.v4 in line
                and re.search(rf"\brule {rule}", line) and re.search(cause, line, re.I)]
    lines = wait_until(found, 12, f"{end.host.name}: a message that names {peer.v4}, rule {rule} and"
                       f" /{cause}/", step=0.1)
    if len(lines) != 1:
        raise Failure(f"{end.host.name}: {len(lines)} messages for one failure: {lines}")


def nothing_left(lab, *ends):
    """Neither daemon nor kernel holds anything of the failed negotiation."""
    for end in ends:
        end.wait_gone(15)
    for host in lab.hosts:
        if host.sas():
            raise Failure(f"{host.name}: an SA is left: {host.sas()}")
    for end in ends:
        end.stop()


def text(me, peer, key=KEY, suite=SUITE, **more):
    return host_to_host(me, peer, suite, "transport", Pfs("none", suite), key, on_demand=False,
                        **more)


def fails(end, cause):
    """The command that waits says why and ends with the status for a failed negotiation."""
    done = end.activate(15, ok=(NEGOTIATION_FAILED,))
    if not re.search(cause, done.stdout, re.I):
        raise Failure(f"ipsec -y activate --wait does not say the cause: {done.stdout.strip()}")


@case("refuse-wrong-key")
def wrong_key(lab):
    left, right = lab.pair()
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left, key=WRONG))
    fails(a, "AUTHENTICATION-FAILED")
    one_message(b, "ToPeer", r"preshared key")
    one_message(a, "ToPeer", r"message 5.*AUTHENTICATION-FAILED")
    nothing_left(lab, a, b)


@case("refuse-wrong-key-strongswan-answers")
def wrong_key_swan(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Swan(right, left, SUITE, "transport", Pfs("none", SUITE), WRONG)
    # charon cannot read message 5 and says nothing, as every wrong key looks to an initiator.
    fails(a, "no answer to message 5.*shared key")
    one_message(a, "ToPeer", "no answer to message 5.*shared key")
    nothing_left(lab, a)
    b.stop()  # it keeps its half-open state for 30 s


@case("refuse-wrong-key-strongswan-begins")
def wrong_key_from_swan(lab):
    left, right = lab.pair()
    a = Swan(left, right, SUITE, "transport", Pfs("none", SUITE), WRONG)
    b = Ours(right, text(right, left))
    a.swanctl("--initiate", "--child", "peer", "--timeout", "8", ok=None)
    one_message(b, "ToPeer", "preshared key")
    nothing_left(lab, a, b)


@case("refuse-no-phase1-offer")
def no_phase1_offer(lab):
    left, right = lab.pair()
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left, suite=OTHER))
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(b, "ToPeer", "no proposal chosen.*peer offered .*; rule accepts ")
    one_message(a, "ToPeer", "NO-PROPOSAL-CHOSEN")
    nothing_left(lab, a, b)


@case("refuse-no-phase1-offer-strongswan-answers")
def no_phase1_offer_swan(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Swan(right, left, OTHER, "transport", Pfs("none", OTHER), KEY)
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(a, "ToPeer", "NO-PROPOSAL-CHOSEN")
    nothing_left(lab, a)
    b.stop()


@case("refuse-no-phase2-offer")
def no_phase2_offer(lab):
    left, right = lab.pair()
    other = SUITE._replace(esp_encrypt="3DES", esp_auth="ESP HMAC_SHA1")
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left, suite=other))
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(b, "Data", "no proposal chosen.*peer offered .*; rule accepts ")
    one_message(a, "Data", "NO-PROPOSAL-CHOSEN")
    a.drop_all()
    nothing_left(lab, a, b)


@case("refuse-no-phase2-offer-strongswan-answers")
def no_phase2_offer_swan(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Swan(right, left, SUITE, "transport", Pfs("none", SUITE), KEY, esp="3des-sha1")
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(a, "Data", "NO-PROPOSAL-CHOSEN")
    a.drop_all()
    nothing_left(lab, a, b)


@case("refuse-wrong-identity")
def wrong_identity(lab):
    """The responder calls itself something that the initiator's policy does not accept."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Ours(right, text(right, left, local_id="Fqdn stranger.example.com"))
    fails(a, "identity")
    one_message(a, r"ToPeer\)", r"identity.*stranger\.example\.com")
    one_message(b, "ToPeer", "INVALID-ID-INFORMATION", level="W")
    nothing_left(lab, a, b)


@case("refuse-wrong-initiator-identity")
def wrong_initiator_identity(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right, local_id="Fqdn stranger.example.com"))
    b = Ours(right, text(right, left))
    fails(a, "INVALID-ID-INFORMATION")
    one_message(b, r"ToPeer\)", r"identity.*stranger\.example\.com")
    one_message(a, "ToPeer", "INVALID-ID-INFORMATION")
    nothing_left(lab, a, b)


@case("refuse-unreachable")
def unreachable(lab):
    """Nobody answers: the initiator gives up after its retries and says so once."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    fails(a, "no answer to message 1 after 3")
    one_message(a, "ToPeer", "no answer to message 1 after 3")
    nothing_left(lab, a)


@case("refuse-unreachable-on-demand")
def unreachable_on_demand(lab):
    """The same when a packet asked: the packet never leaves, and the next one asks again."""
    left, right = lab.pair()
    a = Ours(left, host_to_host(left, right, SUITE, "transport", Pfs("none", SUITE), KEY))
    left.ping(right, seconds=1, expect=False)
    one_message(a, "ToPeer", "no answer to message 1 after 3")
    b = Ours(right, host_to_host(right, left, SUITE, "transport", Pfs("none", SUITE), KEY))
    left.ping(right)
    a.terminate()
    nothing_left(lab, a, b)
