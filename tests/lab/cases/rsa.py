"""RSA signatures with certificates that csipsec-pki made: agreed in both modes, and refused."""

import os
import shutil

from cases.psk import WHO
from cases.refusals import SUITE, fails, nothing_left, one_message
from labkit.host import Failure
from labkit.libre import Libre
from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours, pki
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

# A host's identity in z/OS's words, in strongSwan's and in libreswan's.
OURS, SWAN, LIBRE = range(3)
NAMES = {
    "address": (None, None, None),
    "fqdn": ("Fqdn {}.example.com", "{}.example.com", "@{}.example.com"),
    "user": ("UserAtFqdn gw@{}.example.com", "gw@{}.example.com", "gw@{}.example.com"),
    "dn": ("X500dn CN={},O=Example,C=US", "C=US, O=Example, CN={}", "C=US, O=Example, CN={}"),
}


def make_certificates(left, right, bits=2048):
    """Root and Middle are on the left; left's certificate is Middle's, right asks Root for its own."""
    def names(host):
        return ("--ip", host.v4, "--dns", f"{host.name}.example.com", "--email",
                f"gw@{host.name}.example.com", "--subject", f"CN={host.name},O=Example,C=US",
                "--key", f"rsa:{bits}")
    pki(left, "ca", "Root", "--key", f"rsa:{bits}")
    pki(left, "ca", "Middle", "--ca", "Root", "--key", f"rsa:{bits}", "--days", "1000")
    pki(left, "host", left.name, "--ca", "Middle", *names(left))
    request, reply, root = (left.path(f) for f in ("right.csr", "right.crt", "root.crt"))
    pki(right, "request", right.name, "--out", request, *names(right))
    pki(left, "sign", "--in", request, "--ca", "Root", "--out", reply)
    pki(left, "export", "Root", "--out", root)
    pki(right, "import", "Root", "--in", root)
    pki(right, "import", right.name, "--in", reply)


def take_middle(left, right):
    """Right gets the CA that is between left's certificate and Root from its administrator."""
    middle = left.path("middle.crt")
    pki(left, "export", "Middle", "--out", middle)
    pki(right, "import", "Middle", "--in", middle)


def for_swan(host):
    """The keyring where swanctl looks: the own certificate and, not trusted, the one between."""
    ring = host.path("conf/iked/keyring")
    for folder, files in (("x509", (f"{host.name}.pem", "Middle.pem")), ("x509ca", ("Root.pem",)),
                          ("private", (f"{host.name}.key",))):
        os.makedirs(host.path(folder), exist_ok=True)
        for name in files:
            if os.path.exists(f"{ring}/{name}"):
                shutil.copy(f"{ring}/{name}", host.path(f"{folder}/{name}"))


def identity(kind, host, words):
    form = NAMES[kind][words]
    return form and form.format(host.name)


def ours(host, peer, exchange, kind, initiator=False, suite=SUITE, **more):
    return Ours(host, host_to_host(host, peer, suite, "transport", Pfs("none", suite), None,
                                   exchange=exchange, initiator=initiator,
                                   local_id=identity(kind, host, OURS),
                                   remote_id=identity(kind, peer, OURS), **more))


def swan(host, peer, exchange, kind, initiator=False, suite=SUITE):
    for_swan(host)
    return Swan(host, peer, suite, "transport", Pfs("none", suite), None, initiator=initiator,
                trap=initiator, aggressive=exchange == "Aggressive",
                local_id=identity(kind, host, SWAN), remote_id=identity(kind, peer, SWAN))


def libre(host, peer, exchange, kind, initiator=False, suite=SUITE, **more):
    return Libre(host, peer, suite, "transport", Pfs("none", suite), None, initiator=initiator,
                 trap=initiator, aggressive=exchange == "Aggressive",
                 local_id=identity(kind, host, LIBRE), remote_id=identity(kind, peer, LIBRE), **more)


PAIRS = {"own": (ours, ours), "to-strongswan": (ours, swan), "from-strongswan": (swan, ours),
         "to-libreswan": (ours, libre), "from-libreswan": (libre, ours)}


def shown_as_signed(*ends):
    """The display says which method it was."""
    for end in ends:
        if isinstance(end, Ours):
            for tunnel in end.ike_tunnels():
                methods = {tunnel[f"{side}AuthenticationMethod"] for side in ("Local", "Remote")}
                if methods != {"RsaSignature"}:
                    raise Failure(f"{end.host.name}: ipsec -k display shows {methods}")


def register(pair, exchange, kind, plain=True):
    peer, who = WHO[pair]

    @case(f"rsa-{pair}-{exchange.lower()}-{kind}", plain=plain, interop=True,
          shows=(peer, f"{exchange} Mode with RSA signatures, {who}"))
    def run(lab):
        begin, answer = PAIRS[pair]

        def certified(host, peer):
            make_certificates(peer, host)
            if (pair, exchange) == ("from-libreswan", "Aggressive"):
                take_middle(peer, host)  # it sends its own certificate alone, whatever sendca says
            return answer(host, peer, exchange, kind)
        negotiate_and_delete(lab, lambda host, peer: begin(host, peer, exchange, kind, True),
                             certified, check=shown_as_signed)


for _run in (
    ("own", "Main", "address"),
    ("own", "Aggressive", "fqdn"),
    ("to-strongswan", "Main", "fqdn"),
    ("to-strongswan", "Aggressive", "address"),
    ("from-strongswan", "Main", "dn"),
    ("from-strongswan", "Aggressive", "user"),
    ("to-libreswan", "Main", "dn"),
    ("to-libreswan", "Aggressive", "fqdn", False),
    ("from-libreswan", "Main", "address", False),
    ("from-libreswan", "Aggressive", "user"),
):
    register(*_run)


def other_ca(left):
    """Left's certificate is of a CA that right does not know."""
    pki(left, "ca", "Other", "--key", "rsa:2048")
    pki(left, "host", left.name, "--ca", "Other", "--ip", left.v4, "--key", "rsa:2048", "--replace")


@case("refuse-rsa-wrong-ca")
def wrong_ca(lab):
    left, right = lab.pair()
    make_certificates(left, right)
    other_ca(left)
    a = ours(left, right, "Main", "address", on_demand=False)
    b = ours(right, left, "Main", "address", on_demand=False)
    fails(a, "INVALID-CERT-AUTHORITY")
    one_message(b, "ToPeer", "certificate is refused.*CA")
    one_message(a, "ToPeer", f"INVALID-CERT-AUTHORITY: it does not accept our certificate {left.name}")
    nothing_left(lab, a, b)


@case("refuse-rsa-wrong-ca-strongswan-answers")
def wrong_ca_swan(lab):
    left, right = lab.pair()
    make_certificates(left, right)
    other_ca(left)
    a = ours(left, right, "Main", "address", on_demand=False)
    b = swan(right, left, "Main", "address")
    fails(a, "AUTHENTICATION-FAILED")
    one_message(a, "ToPeer", f"AUTHENTICATION-FAILED: it does not accept our certificate {left.name}")
    nothing_left(lab, a)
    b.stop()
