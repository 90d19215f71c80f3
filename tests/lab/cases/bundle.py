"""AH around ESP (RFC 2401 section 4.3): what HowToEncrypt with HowToAuth AH asks for."""

import re
import socket
import struct

from cases.daemons import kill_worker
from labkit.host import Failure, wait_until
from labkit.negotiate import negotiate_and_delete, same_pair
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan
from labkit.wire import AH, ESP, between

KEY = "correct-horse-battery"
SUITE = SUITES["aes256-sha256-modp2048"]._replace(esp_auth="AH HMAC_SHA2_256_128")
PFS = Pfs("same", SUITE)
EXEMPT = 0x20000  # the mark of what may leave as it is


def ours(host, peer, mode, family, initiator, suite=SUITE):
    return Ours(host, host_to_host(host, peer, suite, mode, PFS, KEY, family=family,
                                   initiator=initiator))


def check_display(end):
    """Both protocols, each with its SPIs."""
    (tunnel,) = end.tunnels()
    got = {key: tunnel[key] for key in ("HowToAuth", "AuthAlgorithm", "HowToEncrypt", "KeyLength")}
    wanted = {"HowToAuth": "AH", "AuthAlgorithm": "HMAC-SHA2-256-128", "HowToEncrypt": "AES-CBC",
              "KeyLength": 256}
    spis = {tunnel[f"{what}{way}Spi"] for what in ("Auth", "Encrypt")
            for way in ("Inbound", "Outbound")}
    if got != wanted or len(spis) != 4 or None in spis or not tunnel["InboundPackets"]:
        raise Failure(f"{end.host.name}: ipsec -y display says {got}, not {wanted}: {tunnel}")


def register(mode, family):
    @case(f"bundle-own-{mode}" + ("-ipv6" if family == 6 else ""),
          shows=("csipsec", f"AH around ESP, {mode}, we begin"))
    def run(lab):
        def check(*ends):
            for end in ends:
                check_display(end)

        negotiate_and_delete(lab, lambda host, peer: ours(host, peer, mode, family, True),
                             lambda host, peer: ours(host, peer, mode, family, False),
                             family, check=check, protected=AH, sas=4)


for _mode in ("transport", "tunnel"):
    for _family in (4, 6):
        register(_mode, _family)


def bundle_up(lab, mode):
    """Ours on both hosts, and one bundle that both kernels hold: these SAs."""
    left, right = lab.pair()
    b = ours(right, left, mode, 4, False)
    a = ours(left, right, mode, 4, True)
    left.ping(right)
    pair = same_pair(left, right, 4)
    if not pair:
        raise Failure(f"not one bundle in both kernels: {left.sas()} {right.sas()}")
    return left, right, a, b, pair


def finish(a, b):
    """a ends the tunnel, and both end."""
    a.terminate()
    a.wait_gone()
    b.wait_gone()
    a.stop()
    b.stop()


def spis_in(host):
    """The inbound ESP SPIs of a host."""
    out = host.run("ip", "xfrm", "state", "list", "dst", host.v4, "proto", "esp").stdout
    return [int(line.split()[3], 16) for line in out.splitlines() if "proto esp" in line]


def bare_esp(host, other, spi):
    """ESP of a bundle, without its AH and with a body that says nothing."""
    with host.socket(socket.AF_INET, socket.SOCK_RAW, 50) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, EXEMPT)
        s.sendto(struct.pack("!II", spi, 1000000) + bytes(64), (other.v4, 0))


@case("bundle-needs-its-ah")
def needs_its_ah(lab):
    """ESP of a bundle has no integrity: what comes by it and not inside AH must not be taken."""
    left, right, a, b, _ = bundle_up(lab, "transport")
    (spi,) = spis_in(right)
    # Taken, they would decrypt to nonsense, which the SA does not count, but the kernel does.
    before = right.sas(), right.xfrm_stat()
    for _ in range(3):
        bare_esp(left, right, spi)
    after = right.sas(), right.xfrm_stat()
    if after != before:
        raise Failure(f"ESP without its AH was taken: {before} {after}")
    rules = right.run("nft", "list", "chain", "inet", "csipsec", "to_local").stdout
    if not re.search(r'counter packets 3 bytes \d+ drop comment "not in AH"', rules):
        raise Failure(f"the packets were not dropped where they should be: {rules}")
    left.ping(right)
    finish(a, b)


def out_policy(host):
    """Selector, mark and reqid of the tunnel's outbound policy, as ip xfrm has them."""
    blocks = host.policies_text().split("\nsrc ")
    (block,) = [b for b in blocks if "dir out" in b and "proto ah" in b]
    words = block.split()
    return words[words.index("mark") + 1], words[words.index("reqid") + 1]


@case("bundle-needs-its-esp")
def needs_its_esp(lab):
    """A peer that leaves the ESP out: what comes by AH alone must not be taken."""
    left, right, a, b, _ = bundle_up(lab, "transport")
    mark, reqid = out_policy(left)
    value, _, mask = mark.partition("/")
    left.run("ip", "xfrm", "policy", "update", "src", f"{left.v4}/32", "dst", f"{right.v4}/32",
             "dir", "out", "priority", "1000", "mark", value, "mask", mask, "tmpl", "proto", "ah",
             "mode", "transport", "reqid", reqid)
    before = right.sas()
    left.ping(right, seconds=2, expect=False)
    grown = [sa for sa, count in right.sas().items() if count[0] > before[sa][0]]
    if len(grown) != 1:
        raise Failure(f"AH alone did not come, or something came back: {before} {right.sas()}")
    finish(a, b)


@case("bundle-restart")
def restart(lab):
    """The worker is killed on both sides: all four SAs live on, traffic too."""
    left, right, a, b, before = bundle_up(lab, "tunnel")
    for end in (a, b):
        kill_worker(end)
        check_display(end)
    if set(same_pair(left, right, 4) or ()) != set(before):
        raise Failure(f"the SAs are others than before: {before} {left.sas()} {right.sas()}")
    left.ping(right)
    b.ipsec("-y", "deactivate", "-a", "all")
    wait_until(lambda: not left.sas() and not right.sas(), 5, "all SAs gone after deletion")
    a.stop()
    b.stop()


@case("bundle-strongswan-refuses")
def strongswan_refuses(lab):
    """strongSwan has no bundles: refused by it, and the log of ours says so."""
    left, right = lab.pair()
    b = Swan(right, left, SUITES["aes256-sha256-modp2048"], "transport", PFS, KEY)
    a = ours(left, right, "transport", 4, True)
    a.activate(ok=(6,))
    if not a.log_lines("the peer answered NO-PROPOSAL-CHOSEN"):
        raise Failure("our log does not say that the peer chose none of our proposals")
    if lab.wire.count(f"{between(left, right)} and ({ESP} or {AH})"):
        raise Failure("there is ESP or AH on the wire")
    a.drop_all()
    a.wait_gone()
    b.drop_all()
    b.wait_gone()
    a.stop()
    b.stop()
