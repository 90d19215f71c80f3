"""Aggressive Mode with a preshared key, and Quick Mode: agreed and refused."""

import re

from cases.psk import WHO
from cases.refusals import KEY, SUITE, WRONG, fails, nothing_left, one_message
from labkit.host import Failure, wait_until
from labkit.negotiate import negotiate_and_delete, same_pair
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

# A host's identity in z/OS's words and in strongSwan's.
NAMES = {
    "fqdn": ("Fqdn {}.example.com", "{}.example.com"),
    "user": ("UserAtFqdn gw@{}.example.com", "gw@{}.example.com"),
    "keyid": ("KeyID Ascii branch-{}", "keyid:branch-{}"),
    "dn": ("X500dn CN={},O=Example,C=US", "C=US, O=Example, CN={}"),
    "address": (None, None),
}


def identity(kind, host, of_strongswan):
    form = NAMES[kind][of_strongswan]
    return form and form.format(host.name)


def ours(host, peer, suite, mode, pfs, kind, initiator=False, **more):
    return Ours(host, host_to_host(host, peer, suite, mode, pfs, KEY, initiator=initiator,
                                   exchange="Aggressive", local_id=identity(kind, host, False),
                                   remote_id=identity(kind, peer, False), **more))


def swan(host, peer, suite, mode, pfs, kind, initiator=False, key=KEY, **more):
    return Swan(host, peer, suite, mode, pfs, key, initiator=initiator, trap=initiator,
                aggressive=True, local_id=identity(kind, host, True),
                remote_id=identity(kind, peer, True), **more)


PAIRS = {"own": (ours, ours), "to-strongswan": (ours, swan), "from-strongswan": (swan, ours)}


def shown_as_aggressive(*ends):
    """The display says which exchange it was."""
    for end in ends:
        if isinstance(end, Ours):
            modes = {t["ExchangeMode"] for t in end.ike_tunnels()}
            if modes != {"Aggressive"}:
                raise Failure(f"{end.host.name}: ipsec -k display shows ExchangeMode {modes}")


def register(pair, suite_name, mode, pfs_kind, kind):
    peer, who = WHO[pair]

    @case(f"aggressive-{pair}-{suite_name}-{mode}-{kind}",
          shows=(peer, f"Aggressive Mode with preshared key, {who}"))
    def run(lab):
        suite = SUITES[suite_name]
        variant = suite, mode, Pfs(pfs_kind, suite), kind
        begin, answer = PAIRS[pair]
        negotiate_and_delete(lab, lambda host, peer: begin(host, peer, *variant, True),
                             lambda host, peer: answer(host, peer, *variant, False),
                             check=shown_as_aggressive)


for _run in (
    ("own", "aes256-sha256-modp2048", "transport", "none", "fqdn"),
    ("own", "aes256-sha384-ecp384", "tunnel", "same", "dn"),
    ("to-strongswan", "aes256-sha256-modp2048", "tunnel", "same", "fqdn"),
    ("to-strongswan", "aes128-sha1-modp1024", "transport", "none", "keyid"),
    ("to-strongswan", "3des-sha1-modp1536", "tunnel", "none", "address"),
    ("from-strongswan", "aes256-sha384-ecp384", "transport", "other", "user"),
    ("from-strongswan", "3des-sha1-modp1536", "tunnel", "none", "keyid"),
    ("from-strongswan", "aes256-sha256-modp2048", "transport", "none", "dn"),
):
    register(*_run)


@case("aggressive-many-peers")
def many_peers(lab):
    """One of several peers at any address: the identity chooses the rule, and the rule the key."""
    left, right = lab.pair()
    others = (("Second", "UserAtFqdn *@second.example.com", "the-key-of-the-second"),
              ("Third", "KeyID Hex 0003", "the-key-of-the-third"))
    pfs = Pfs("none", SUITE)
    b = Ours(right, host_to_host(right, left, SUITE, "transport", pfs, KEY, exchange="Aggressive",
                                 remote_id="KeyID Ascii first", remote_location="Any",
                                 others=others))
    for own_id, key, rule in (("KeyID Hex 0003", "the-key-of-the-third", "Third"),
                              ("UserAtFqdn x@second.example.com", "the-key-of-the-second",
                               "Second")):
        a = Ours(left, host_to_host(left, right, SUITE, "transport", pfs, key,
                                    exchange="Aggressive", local_id=own_id))
        left.ping(right)
        wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
        rules = {t["KeyExchangeRuleName"] for t in b.ike_tunnels()}
        if rules != {rule}:
            raise Failure(f"{own_id} got rule {rules}")
        a.terminate()
        b.wait_gone()
        a.stop()
    nothing_left(lab, b)


# The first encrypted Aggressive Mode datagram that leaves; exchange and flags follow UDP's header.
LOSE_THIRD = """\
table inet lose {
  chain out {
    type filter hook output priority 0;
    udp dport 500 @th,208,8 4 @th,216,8 1 numgen inc mod 1000000 0 counter drop
  }
}
"""


def third_lost(lab, answer):
    """
    Message 3 is lost.  Our own responder asks for it when Quick Mode comes; strongSwan gets it with
    the repetition of Quick Mode, after a second here, and would ask only after four.
    """
    left, right = lab.pair()
    variant = SUITE, "transport", Pfs("none", SUITE), "fqdn"
    b = answer(right, left, *variant)
    a = ours(left, right, *variant, initiator=True)
    left.run("nft", "-f", left.write("lose.nft", LOSE_THIRD))
    left.ping(right, seconds=3)
    if "packets 1 " not in left.run("nft", "list", "table", "inet", "lose").stdout:
        raise Failure("no message 3 was lost")
    left.run("nft", "delete", "table", "inet", "lose")
    wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
    a.terminate()
    nothing_left(lab, a, b)


@case("aggressive-third-lost")
def third_lost_own(lab):
    third_lost(lab, ours)


@case("aggressive-third-lost-strongswan-answers")
def third_lost_swan(lab):
    third_lost(lab, swan)


# ---- refused ----

def text(me, peer, key=KEY, suite=SUITE, **more):
    more.setdefault("exchange", "Aggressive")
    return host_to_host(me, peer, suite, "transport", Pfs("none", suite), key, on_demand=False,
                        **more)


@case("aggressive-wrong-key")
def wrong_key(lab):
    left, right = lab.pair()
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left, key=WRONG))
    fails(a, "HASH of Aggressive Mode message 2 is wrong.*different preshared key")
    one_message(b, "ToPeer", "refused message 2.*fingerprint.*different key")
    one_message(a, "ToPeer", "message 2 is wrong.*fingerprint")
    nothing_left(lab, a, b)


@case("aggressive-wrong-key-strongswan-answers")
def wrong_key_swan(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = swan(right, left, SUITE, "transport", Pfs("none", SUITE), "address", key=WRONG)
    fails(a, "HASH of Aggressive Mode message 2 is wrong.*different preshared key")
    one_message(a, "ToPeer", "message 2 is wrong.*fingerprint")
    nothing_left(lab, a)
    b.stop()  # it keeps its half-open state for 30 s


@case("aggressive-wrong-key-strongswan-begins")
def wrong_key_from_swan(lab):
    left, right = lab.pair()
    a = swan(left, right, SUITE, "transport", Pfs("none", SUITE), "address", key=WRONG)
    b = Ours(right, text(right, left))
    a.swanctl("--initiate", "--child", "peer", "--timeout", "8", ok=None)
    one_message(b, "ToPeer", "different (preshared )?key")
    nothing_left(lab, a, b)


@case("aggressive-wrong-identity")
def wrong_identity(lab):
    """The responder calls itself something that the initiator's policy does not accept."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Ours(right, text(right, left, local_id="Fqdn stranger.example.com"))
    fails(a, "identity")
    one_message(a, r"ToPeer\)", r"identity.*stranger\.example\.com")
    one_message(b, "ToPeer", "INVALID-ID-INFORMATION")
    nothing_left(lab, a, b)


@case("aggressive-wrong-identity-strongswan-answers")
def wrong_identity_swan(lab):
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Swan(right, left, SUITE, "transport", Pfs("none", SUITE), KEY, aggressive=True,
             local_id="stranger.example.com")
    fails(a, "identity")
    one_message(a, r"ToPeer\)", r"identity.*stranger\.example\.com")
    nothing_left(lab, a)
    b.stop()


@case("aggressive-unknown-identity")
def unknown_identity(lab):
    """The initiator calls itself something that no rule of the responder has."""
    left, right = lab.pair()
    a = Ours(left, text(left, right, local_id="Fqdn stranger.example.com"))
    b = Ours(right, text(right, left))
    fails(a, "INVALID-ID-INFORMATION")
    one_message(b, "ToPeer", r"no KeyExchangeRule.*stranger\.example\.com", level="W")
    one_message(a, "ToPeer", r"may not know our identity stranger\.example\.com")
    nothing_left(lab, a, b)


@case("aggressive-unknown-identity-strongswan-begins")
def unknown_identity_from_swan(lab):
    left, right = lab.pair()
    a = Swan(left, right, SUITE, "transport", Pfs("none", SUITE), KEY, aggressive=True,
             local_id="stranger.example.com")
    b = Ours(right, text(right, left))
    said = a.swanctl("--initiate", "--child", "peer", "--timeout", "8", ok=None)
    if not re.search("INVALID_ID_INFORMATION|INVALID_ID", said + a.log()):
        raise Failure(f"strongSwan was not told why: {said[-300:]}")
    one_message(b, "ToPeer", r"no KeyExchangeRule.*stranger\.example\.com", level="W")
    nothing_left(lab, a, b)


@case("aggressive-other-group")
def other_group(lab):
    """The initiator fixes the group: a responder that wants another one can only say so."""
    left, right = lab.pair()
    other = SUITE._replace(group=5)
    a, b = Ours(left, text(left, right)), Ours(right, text(right, left, suite=other))
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(b, "ToPeer", "no proposal chosen.*initiator fixes the group, here modp2048")
    one_message(a, "ToPeer", "NO-PROPOSAL-CHOSEN")
    nothing_left(lab, a, b)


@case("aggressive-not-coded")
def not_coded(lab):
    """A responder whose file does not say HowToRespondIKEv1 does not answer."""
    left, right = lab.pair()
    a = Ours(left, text(left, right))
    b = Ours(right, text(right, left, exchange="Main", respond=""))
    fails(a, "NO-PROPOSAL-CHOSEN")
    one_message(b, "ToPeer", "does not code HowToRespondIKEv1", level="W")
    one_message(a, "ToPeer", "NO-PROPOSAL-CHOSEN")
    nothing_left(lab, a, b)
