"""
SAs get successors under a running ping, of which nothing may get lost: begun by us or by the peer, by
command, by time and by kilobytes.
"""

from labkit.host import Failure, wait_until
from labkit.libre import Libre
from labkit.negotiate import same_pair
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.stream import Stream
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
GRACE = 75  # seconds: an old SA stays for 30, or 60 where the peer was to delete it


def ours(host, peer, initiator=False, **more):
    return Ours(host, host_to_host(host, peer, SUITE, "transport", Pfs("same", SUITE), KEY,
                                   initiator=initiator, **more))


def swan(host, peer, initiator=False, **more):
    return Swan(host, peer, SUITE, "transport", Pfs("same", SUITE), KEY, initiator=initiator, **more)


def libre(host, peer, initiator=False, **more):
    return Libre(host, peer, SUITE, "transport", Pfs("same", SUITE), KEY, initiator=initiator,
                 **more)


PEERS = {"own": ours, "strongswan": swan, "libreswan": libre}
NAMES = {"own": "csipsec", "strongswan": "strongSwan", "libreswan": "libreswan"}


def newest(entries):
    return max(int(e["Generation"]) for e in entries) if entries else 0


def generations(end):
    """Of the IKE tunnel and of the dynamic tunnel."""
    return newest(end.ike_tunnels()), newest(end.tunnels())


def settled(left, right):
    wait_until(lambda: same_pair(left, right), GRACE, "one SA pair in both kernels", step=0.5)


def one_pair_left(end):
    """What the displays tell when all is quiet again."""
    def one():
        ike = end.entries("-k", "display", "-c", "all")
        dynamic = end.entries("-y", "display", "-c", "all")
        return len(ike) == 1 and len(dynamic) == 1
    wait_until(one, GRACE, f"{end.host.name}: one SA a tunnel in the displays", step=0.5)


def stream_between(left, right, peer):
    """libreswan as responder sends by its new outbound SA before we can have message 2."""
    return Stream(left, right, too_soon=left if peer == "libreswan" else None)


def finish(lab, a, b):
    left, right = lab.hosts
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 10, "SAs gone", step=0.1)
    a.stop()
    b.stop()


def start(lab, peer, **more):
    """Ours on the left, the peer on the right, and a tunnel between them that we began."""
    left, right = lab.pair(capture=False)
    b = PEERS[peer](right, left, **more)
    a = ours(left, right, initiator=True)
    left.ping(right)
    wait_until(lambda: same_pair(left, right), 5, "one SA pair in both kernels")
    return left, right, a, b


def refresh(end, letter, seconds=15, ok=(0,)):
    tunnel = "K1" if letter == "-k" else end.tunnels()[0]["TunnelID"]
    return end.ipsec(letter, "refresh", "-a", tunnel, "--wait", str(seconds), ok=ok)


def register_by_command(peer):
    @case(f"refresh-{peer}-we-begin", seconds=200,
          shows=(NAMES[peer], "Refresh of both phases by command, we begin"))
    def run(lab):
        """Both phases by command, twice; the tunnels keep their numbers."""
        left, right, a, b = start(lab, peer)
        stream = stream_between(left, right, peer)
        for generation in (2, 3):
            for letter in ("-y", "-k", "-y"):
                said = refresh(a, letter).stdout
                if "Refreshed" not in said:
                    raise Failure(f"refresh --wait does not say Refreshed: {said}")
            if generations(a) != (generation, 2 * generation - 1):
                raise Failure(f"generations {generations(a)} after round {generation - 1}")
        settled(left, right)
        one_pair_left(a)
        stream.stop()
        finish(lab, a, b)


for _peer in PEERS:
    register_by_command(_peer)


@case("refresh-own-at-once", seconds=200,
      shows=("csipsec", "Refresh of both phases by command, both at once"))
def own_at_once(lab):
    """Both sides begin at the same moment; both keep the same SAs in the end."""
    left, right, a, b = start(lab, "own")
    stream = Stream(left, right)
    for _ in range(2):
        for letter, tunnel in (("-y", "Y2"), ("-k", "K1")):
            for end in (a, b):
                end.ipsec(letter, "refresh", "-a", tunnel)
            for end in (a, b):
                wait_until(lambda: generations(end)[letter == "-y"] >= 2, 10,
                           f"{end.host.name}: another generation", step=0.2)
    settled(left, right)
    for end in (a, b):
        one_pair_left(end)
    stream.stop()
    finish(lab, a, b)


@case("refresh-strongswan-begins", seconds=200,
      shows=("strongSwan", "Refresh of both phases by command, the peer begins"))
def strongswan_begins(lab):
    """swanctl --rekey of child and IKE SA, twice, and one of ours between them."""
    left, right, a, b = start(lab, "strongswan")
    stream = Stream(left, right)
    for _ in range(2):
        for kind, place in (("--child", 1), ("--ike", 0), ("--child", 1)):
            before = generations(a)[place]
            # It keeps the IKE SAs that it has refreshed, and by name it refreshes all of them.
            which = (kind, "peer") if kind == "--child" else ("--ike-id", b.newest_ike())
            b.swanctl("--rekey", *which)
            wait_until(lambda: generations(a)[place] == before + 1, 10,
                       f"the generation after swanctl --rekey {kind}", step=0.2)
        refresh(a, "-y")
    settled(left, right)
    one_pair_left(a)
    stream.stop()
    finish(lab, a, b)


def register_by_time(peer, more, seconds):
    @case(f"refresh-{peer}-short-lives", plain=peer == "own", interop=True,
          seconds=200,
          shows=(NAMES[peer], "Refresh of both phases by time, three generations"))
    def run(lab):
        """The least lives that a policy can have: several generations pass, by whichever side's clock."""
        left, right = lab.pair(capture=False)
        b = PEERS[peer](right, left, **more)
        a = ours(left, right, initiator=True, lives=(1, 1))
        left.ping(right)
        stream = stream_between(left, right, peer)
        wait_until(lambda: generations(a)[0] >= 3 and generations(a)[1] >= 3, seconds,
                   "three generations of both tunnels", step=1)
        for what, letter in (("IKE", "-k"), ("dynamic", "-y")):
            held = len(a.entries(letter, "display", "-c", "all"))
            if held > 4:
                raise Failure(f"{held} generations of the {what} tunnel at once")
        stream.stop()
        finish(lab, a, b)


register_by_time("own", {"lives": (1, 1)}, 170)
register_by_time("strongswan", {"lives": (20, 12)}, 100)
# It refreshes by itself 15 s before the end of a life.
register_by_time("libreswan", {"more": (("ikelifetime", "60s"), ("salifetime", "60s"),
                                        ("rekeymargin", "40s"))}, 150)


def register_by_size(peer):
    @case(f"refresh-{peer}-by-kilobytes", seconds=160,
          shows=(NAMES[peer], "Refresh of phase 2 by kilobytes"))
    def run(lab):
        """Real traffic uses up a life size; pings beside it are not lost."""
        left, right = lab.pair(capture=False)
        b = PEERS[peer](right, left, **({"kbytes": KBYTES} if peer == "own" else {}))
        a = ours(left, right, initiator=True, kbytes=KBYTES)
        left.ping(right)
        before, = a.tunnels()
        if before["Lifesize"] != KBYTES or not 0 < before["LifesizeRefresh"] < KBYTES:
            raise Failure(f"Lifesize is {before['Lifesize']}, its refresh {before['LifesizeRefresh']}")
        stream = stream_between(left, right, peer)
        for generation in (2, 3):
            left.run("ping", "-n", "-q", "-s", "1000", "-i", "0.002", "-c", "1100", right.v4)
            wait_until(lambda: generations(a)[1] >= generation, 10,
                       f"generation {generation} by kilobytes", step=0.2)
        settled(left, right)
        stream.stop()
        finish(lab, a, b)


KBYTES = 1000
for _peer in PEERS:
    register_by_size(_peer)
