"""AH alone (RFC 4302): authenticated, but readable by everybody."""

from cases.psk import WHO
from labkit.host import Failure
from labkit.libre import Libre
from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan
from labkit.wire import AH, ESP, between

KEY = "correct-horse-battery"
SUITE = SUITES["aes256-sha256-modp2048"]
PFS = Pfs("none", SUITE)

# IBM's algorithm, strongSwan's word for it, and what the display says.
ALGORITHMS = {
    "md5": ("HMAC_MD5", "md5", "HMAC-MD5"),
    "sha1": ("HMAC_SHA1", "sha1", "HMAC-SHA1"),
    "sha256": ("HMAC_SHA2_256_128", "sha256", "HMAC-SHA2-256-128"),
    "sha384": ("HMAC_SHA2_384_192", "sha384", "HMAC-SHA2-384-192"),
    "sha512": ("HMAC_SHA2_512_256", "sha512", "HMAC-SHA2-512-256"),
    "xcbc": ("AES128_XCBC_96", "aesxcbc", "AES128-XCBC-96"),
}


def suite_of(algorithm):
    return SUITE._replace(esp_encrypt="DoNot", esp_auth=f"AH {ALGORITHMS[algorithm][0]}")


def ours(host, peer, algorithm, mode, family, initiator):
    return Ours(host, host_to_host(host, peer, suite_of(algorithm), mode, PFS, KEY, family=family,
                                   initiator=initiator))


def swan(host, peer, algorithm, mode, family, initiator):
    return Swan(host, peer, SUITE, mode, PFS, KEY, family=family, initiator=initiator,
                trap=initiator, esp=ALGORITHMS[algorithm][1], protocol="ah")


def libre(host, peer, algorithm, mode, _family, initiator):
    return Libre(host, peer, suite_of(algorithm), mode, PFS, KEY, initiator=initiator, trap=initiator,
                 protocol="ah")


def check_display(end, algorithm):
    """The SA pair as AH: an algorithm and SPIs for authentication, none for encryption."""
    if not isinstance(end, Ours):
        return
    (tunnel,) = end.tunnels()
    got = {key: tunnel[key] for key in ("HowToAuth", "AuthAlgorithm", "HowToEncrypt",
                                        "EncryptInboundSpi", "EncryptOutboundSpi")}
    wanted = {"HowToAuth": "AH", "AuthAlgorithm": ALGORITHMS[algorithm][2],
              "HowToEncrypt": "DoNot", "EncryptInboundSpi": None, "EncryptOutboundSpi": None}
    if got != wanted or not tunnel["AuthInboundSpi"] or not tunnel["InboundPackets"]:
        raise Failure(f"{end.host.name}: ipsec -y display says {got}, not {wanted}: {tunnel}")


def register(pair, begin, answer, algorithm, mode, family=4):
    name = f"ah-{pair}-{algorithm}-{mode}" + ("-ipv6" if family == 6 else "")
    peer, who = WHO[pair]

    @case(name, shows=(peer, f"AH, {mode}, {who}"))
    def run(lab):
        def check(*ends):
            for end in ends:
                check_display(end, algorithm)

        negotiate_and_delete(lab, lambda host, peer: begin(host, peer, algorithm, mode, family, True),
                             lambda host, peer: answer(host, peer, algorithm, mode, family, False),
                             family, check=check, protected=AH)
        if lab.wire.count(f"{between(*lab.hosts, family)} and {ESP}"):
            raise Failure("there is ESP on the wire, where AH was agreed")


register("own", ours, ours, "sha256", "transport")
register("own", ours, ours, "xcbc", "tunnel")
register("own", ours, ours, "sha1", "transport", 6)
register("own", ours, ours, "sha512", "tunnel", 6)
register("to-strongswan", ours, swan, "sha256", "transport")
register("to-strongswan", ours, swan, "sha1", "tunnel")
register("to-strongswan", ours, swan, "sha512", "transport", 6)
register("from-strongswan", swan, ours, "md5", "transport")
register("from-strongswan", swan, ours, "sha384", "tunnel")
register("to-libreswan", ours, libre, "sha256", "transport")
register("to-libreswan", ours, libre, "sha1", "tunnel")
register("from-libreswan", libre, ours, "sha512", "transport")
register("from-libreswan", libre, ours, "sha256", "tunnel")
