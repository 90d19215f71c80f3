"""
Ours through NATs: in front of either side and of both, by each kind, in both modes, against each peer and
begun by each side; TCP, UDP and ping by each, and what the displays say of the NATs.
"""

from labkit.host import Failure, wait_until
from labkit.nat import Internet, behind
from labkit.natpeers import (ESP_IN_UDP, IKE_IN_UDP, NAMES, ON_4500, PEERS, Natted, clear_on_wire,
                             finish, ours, ping, reached_at, swan, up)
from labkit.ours import Ours
from labkit.peers import asks_by_packet
from labkit.registry import case
from labkit.suites import SUITES
from labkit.traffic import Server, everything
from labkit.wire import ESP

# What of a matrix stands before the one that begins, and before the one that answers.
PLACES = {"static": ("static", None), "masquerade": ("masquerade", None), "random": ("random", None),
          "to-static": (None, "static"), "to-forward": (None, "forward"),
          "both": ("random", "forward"), "double": ("double", None)}


def expect(end, letter, **wanted):
    """The fields of the one entry of a display, so much of it as is told here."""
    entries = end.entries(letter, "display")
    if len(entries) != 1:
        raise Failure(f"{end.host.name}: ipsec {letter} display has {len(entries)} entries, not one")
    got = {key: entries[0][key] for key in wanted}
    if got != wanted:
        raise Failure(f"{end.host.name}: ipsec {letter} display says {got}, not {wanted}")


def check_displays(end, mine, its, level="RFC", forced=False):
    """mine, its: the kind of NAT before this side and before the other."""
    napt = its in ("masquerade", "random", "double", "forward")
    encap = bool(mine or its or forced)
    expect(end, "-k", NATTSupportLevel=level, AllowNat=True, NATInFrntLclScEndPnt=bool(mine),
           NATInFrntRmtScEndPnt=bool(its))
    expect(end, "-y", UdpEncapMode=encap, LclNATDetected=bool(mine), RmtNATDetected=bool(its))
    if its in ("random", "double"):
        ike, = end.ike_tunnels()
        if not ike["RmtNAPTDetected"] or ike["zOSCanInitiateP1SA"]:
            raise Failure(f"{end.host.name}: a NAPT of the peer is displayed as {ike}")
        if ike["RmtUdpEncapPort"] in (None, 500, 4500):
            raise Failure(f"{end.host.name}: RmtUdpEncapPort is {ike['RmtUdpEncapPort']}")
    elif not napt:
        expect(end, "-k", RmtNAPTDetected=False, zOSCanInitiateP1SA=True)


def through(left, right, agreement, back=True, size=200_000):
    """TCP, UDP and ping, begun by each side of a tunnel that is up; back: by the right one, too."""
    for begins, other in ((left, right), (right, left))[:1 + back]:
        server = Server(other)
        everything(begins, server, size, reached_at(other, agreement))
        server.stop()


def only_in_udp(lab, packets=100):
    """After a case: nothing clear on the public wire, nor ESP that is not in UDP."""
    lab.wire.stop()
    clear = clear_on_wire(lab.wire)
    if clear:
        raise Failure(f"on the wire beside IKE and ESP in UDP: {clear[0]}")
    for what, expression, least in (("ESP in UDP", ESP_IN_UDP, packets),
                                    ("IKE on port 4500", IKE_IN_UDP, 3)):
        if lab.wire.count(expression) < least:
            raise Failure(f"hardly any {what} on the wire")


def natted_case(lab, begin, answer, place, agreement, theirs=None, level="RFC"):
    """left begins; everything goes through; who began ends it, then the other one another."""
    left, right, _ = behind(lab, *PLACES[place])
    lab.net.capture()
    b = PEERS[answer](right, left, (theirs or agreement) if answer != "own" else agreement)
    a = PEERS[begin](left, right, (theirs or agreement) if begin != "own" else agreement,
                     initiator=True, **asks_by_packet(begin))
    up(left, right, agreement)
    before, after = PLACES[place]
    # As in the original: where ports are translated, data for ours in transport mode begins at the client.
    ours_waits = before in ("random", "double") and answer == "own" and agreement.mode == "transport"
    through(left, right, agreement, back=not ours_waits)
    for end, mine, its in ((a, before, after), (b, after, before)):
        if isinstance(end, Ours):
            check_displays(end, mine, its, level)
    for end in (a, b):
        end.terminate()
        wait_until(lambda: not left.sas() and not right.sas(), 8, "SAs gone on both sides")
        for each in (a, b):
            each.wait_gone()
        if end is a:
            up(left, right, agreement)
    finish(lab, a, b)
    only_in_udp(lab)


# Without --full: each peer from each side, each place of a NAT and each mode, in pairs.
PLAIN = {
    ("own", "own", "random", "transport"), ("own", "own", "static", "tunnel"),
    ("own", "strongswan", "masquerade", "transport"), ("own", "strongswan", "to-static", "tunnel"),
    ("strongswan", "own", "random", "transport"), ("strongswan", "own", "to-forward", "tunnel"),
    ("own", "libreswan", "random", "tunnel"), ("libreswan", "own", "masquerade", "transport"),
    ("libreswan", "own", "both", "tunnel"),
}


def register(begin, answer, place, mode):
    peer = answer if begin == "own" else begin
    who = "we-begin" if begin == "own" else "peer-begins"
    words = {"own": "csipsec"}.get(peer, NAMES[peer])

    @case(f"natt-{peer}-{who}-{place}-{mode}", plain=(begin, answer, place, mode) in PLAIN,
          interop=True, seconds=120,
          shows=(words, f"NAT traversal, {mode}, {who.replace('-', ' ').replace('peer', 'the peer')}"))
    def run(lab):
        natted_case(lab, begin, answer, place, Natted(mode=mode))


for _begin, _answer in (("own", "own"), ("own", "strongswan"), ("strongswan", "own"),
                        ("own", "libreswan"), ("libreswan", "own")):
    for _place in PLACES:
        for _mode in ("transport", "tunnel"):
            # Two NATs before one host are the same for every peer: natt-double.
            if _place != "double":
                register(_begin, _answer, _place, _mode)


@case("natt-double", seconds=120)
def double(lab):
    """A NAT behind a NAT, both of them before the one that begins."""
    natted_case(lab, "strongswan", "own", "double", Natted())


for _peer in ("own", "strongswan", "libreswan"):
    @case(f"natt-aggressive-{_peer}", plain=_peer == "strongswan", seconds=120)
    def aggressive(lab, peer=_peer):
        """Aggressive Mode, where the third message floats."""
        natted_case(lab, peer, "own", "random", Natted(exchange="Aggressive"))


for _peer in ("own", "strongswan"):
    @case(f"natt-aggressive-to-{_peer}", plain=False, seconds=120)
    def aggressive_to(lab, peer=_peer):
        natted_case(lab, "own", peer, "random", Natted(exchange="Aggressive"))


@case("natt-drafts", seconds=120)
def drafts(lab):
    """A libreswan that offers no more than the drafts before RFC 3947; as responder it always knows it."""
    natted_case(lab, "libreswan", "own", "random", Natted(mode="tunnel"),
                Natted(mode="tunnel", drafts=True), level="RFC_D3")


@case("natt-hairpin", seconds=120)
def hairpin(lab):
    """Both behind one NAT, by its outside address; it seems to each that the other is outside."""
    net = Internet(lab)
    nat = net.nat("nat", "static")
    left, right = nat.host("left"), nat.host("right", 3)
    nat.lead_in(right)
    agreement = Natted(mode="tunnel")
    b = ours(right, left, agreement)
    a = swan(left, right, agreement, initiator=True, trap=True)
    up(left, right, agreement)
    through(left, right, agreement)
    expect(b, "-y", UdpEncapMode=True, LclNATDetected=True, RmtNATDetected=True)
    for host in (left, right):
        if {d for _, d, _ in host.mappings()} != {host.v4, nat.v4}:
            raise Failure(f"{host.name}: SAs that are not by way of the NAT: {host.mappings()}")
    finish(lab, a, b)


INSIDE = "10.8.0.1"


@case("natt-gateway", seconds=120)
def gateway(lab):
    """A NAT leads UDP 500 and 4500 to our gateway; a client behind another NAT reaches what is inside."""
    left, right, _ = behind(lab, "random", "forward")
    lab.net.capture()
    right.run("ip", "addr", "add", f"{INSIDE}/24", "dev", "lo")
    agreement = Natted(mode="tunnel")
    b = ours(right, left, agreement, local=INSIDE)
    a = swan(left, right, agreement, initiator=True, trap=True, remote=f"{INSIDE}/32")
    left.run("ping", "-n", "-q", "-c", "2", "-i", "0.2", "-w", "10", INSIDE)
    server = Server(right, address=INSIDE)
    everything(left, server, address=INSIDE)
    server.stop()
    check_displays(b, "forward", "random")
    finish(lab, a, b)
    only_in_udp(lab)


for _peer in ("own", "strongswan"):
    @case(f"natt-force-{_peer}", plain=_peer == "own", seconds=120)
    def force(lab, peer=_peer):
        """Without any NAT, and yet in UDP, because the policy says so."""
        left, right, _ = behind(lab)
        lab.net.capture()
        agreement = Natted(force=True)
        b = PEERS[peer](right, left, Natted())
        a = ours(left, right, agreement, initiator=True)
        up(left, right, agreement)
        through(left, right, agreement)
        expect(a, "-y", UdpEncapMode=True)
        finish(lab, a, b)
        only_in_udp(lab)


for _mode in ("begin", "answer"):
    @case(f"natt-off-we-{_mode}", plain=_mode == "answer", seconds=120)
    def off(lab, mode=_mode):
        """AllowNat No: no vendor id, no float, and ESP as it is, through a NAT that lets it pass."""
        left, right, _ = behind(lab, "static")
        lab.net.capture()
        agreement = Natted(mode="tunnel", allow=False)
        make = {"begin": (ours, swan), "answer": (swan, ours)}[mode]
        b = make[1](right, left, agreement)
        a = make[0](left, right, agreement, initiator=True, **({} if mode == "begin" else {"trap": True}))
        up(left, right, agreement)
        ping(right, left, agreement)
        end = a if mode == "begin" else b
        expect(end, "-k", NATTSupportLevel="None", AllowNat=False)
        expect(end, "-y", UdpEncapMode=False)
        finish(lab, a, b)
        lab.wire.stop()
        if lab.wire.count(ON_4500) or lab.wire.count(ESP) < 4:
            raise Failure(f"{lab.wire.count(ON_4500)} datagrams on port 4500,"
                          f" {lab.wire.count(ESP)} of ESP")


@case("natt-ah", seconds=60)
def no_ah(lab):
    """AH cannot pass a NAT: it is not offered, and the log says why."""
    left, right, _ = behind(lab, "random")
    agreement = Natted(suite=SUITES["aes256-sha256-modp2048"]._replace(
        esp_encrypt="DoNot", esp_auth="AH HMAC_SHA2_256_128"))
    b = ours(right, left, agreement)
    a = ours(left, right, agreement, initiator=True, on_demand=False)
    a.activate(ok=(6,))
    if not a.log_lines("NAT"):
        raise Failure("our log does not say that a NAT is the reason")
    if left.sas() or right.sas():
        raise Failure("there are SAs")
    finish(lab, a, b)
