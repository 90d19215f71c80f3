"""
An address moves to another host by keepalived, and its tunnels go along.  Times are printed beside what
the move of the address itself took, which is keepalived's.
"""

import os
import pwd
import signal
import subprocess
import time

import bench
from labkit.host import Failure, wait_until
from labkit.lab import say
from labkit.libre import Libre
from labkit.moving import VIP, Arrivals, At, Cluster, Echoes, has
from labkit.nat import Seen
from labkit.ours import Ours
from labkit.policy import NatPolicy, host_to_host, rule, service
from labkit.postgres import Postgres, uri
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.stream import Stream
from labkit.swan import Swan

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
PFS = Pfs("none", SUITE)
MODE = "tunnel"
VIPS = (VIP, "192.0.2.101")
NAME = "vip.example.com"
LIMIT = 0.3  # seconds from the address to traffic
IKED_USER = "nobody"

# They stand before the offer that peers take, so the one that is agreed is never the first.
KE_OFFER = """\
  KeyExchangeOffer
  {
    HowToEncrypt   AES_CBC KeyLength 128
    HowToAuthMsgs  SHA1
    HowToAuthPeers PresharedKey
    DHGroup        Group5
  }
"""
DATA_OFFER = """\
  IpDataOffer
  {
    HowToEncap   Tunnel
    HowToEncrypt AES_CBC KeyLength 128
    HowToAuth    ESP HMAC_SHA1
  }
"""


def policy(cluster, peer, at=None, **more):
    """The same file for both hosts; at: where the tunnels end, if not at the one address."""
    own = cluster.own()
    first = [rule("Between", own, own, "permit",
                  service("All", Direction="Bidirectional", Routing="Local"))]
    text = host_to_host(at or cluster.vip(), peer, SUITE, MODE, PFS, KEY, first=first, **more)
    text = text.replace("  KeyExchangeOffer\n", KE_OFFER + "  KeyExchangeOffer\n", 1)
    return text.replace("  IpDataOffer\n", DATA_OFFER + "  IpDataOffer\n", 1)


# ---- stores ----

class Sqlite:
    """A file of both hosts: stacks of one machine, as network namespaces are."""

    def __init__(self, cluster):
        self.dir = f"{cluster.lab.dir}/shared"
        os.makedirs(self.dir, exist_ok=True)
        os.chown(self.dir, pwd.getpwnam(IKED_USER).pw_uid, -1)
        os.chmod(self.dir, 0o700)

    def uri(self, _host):
        return f"sqlite:{self.dir}/store.db"

    def stop(self):
        pass


class Primary:
    """PostgreSQL, the primary at host a and a standby at b: with a the primary goes."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.primary = Postgres(cluster.a)
        self.standby = Postgres(cluster.b, of=self.primary)

    def uri(self, host):
        c = self.cluster
        return uri(host, c.b if host is c.a else c.a)

    def start(self):
        self.primary.start()
        self.standby.start()

    def stop(self):
        self.standby.stop()
        self.primary.stop()


class Elsewhere(Primary):
    """The primary at a host of its own, which lives on, and a standby at b."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.primary = Postgres(cluster.db)
        self.standby = Postgres(cluster.b, of=self.primary)

    def uri(self, host):
        c = self.cluster
        return uri(c.b if host is c.b else c.db, c.db)


STORES = {"sqlite": Sqlite, "postgresql": Primary, "elsewhere": Elsewhere}


# ---- hosts and peers ----

def ours(cluster, host, text, store):
    return Ours(host, text, conf=[("DynamicVipa", vip) for vip in cluster.vips]
                + [("SharedStore", store.uri(host))])


def strongswan(cluster, host, dpd=5):
    return Swan(host, cluster.vip(), SUITE, MODE, PFS, KEY, dpd=dpd)


def libreswan(cluster, host, dpd=5):
    # Where it holds a packet its larval SA outlives it.
    host.run("sh", "-c", "echo 1 >/proc/sys/net/core/xfrm_acq_expires")
    return Libre(host, cluster.vip(), SUITE, MODE, PFS, KEY, dpd=dpd)


# Without --full: each peer and each store once or twice.
PLAIN = {("strongswan", "sqlite"), ("strongswan", "postgresql"), ("libreswan", "sqlite")}
PEERS = {"strongswan": strongswan, "libreswan": libreswan}


def up(side):
    return [t for t in side.tunnels() if t["State"] == "Active"]


def taken_over(side):
    kinds = {t["ActivationMethod"] for t in side.entries("-y", "display", "-b")}
    if kinds != {"Takeover"}:
        raise Failure(f"{side.host.name}: tunnels were begun by {kinds}")


class World:
    """Everything of a case but what is done to it."""

    def __init__(self, lab, peer="strongswan", store="sqlite", vips=(VIP,), keepalived=True,
                 change=None):
        """change: of the policy, as (what stands there, what shall); then the peer begins."""
        self.c = c = Cluster(lab, vips=vips, third=store == "elsewhere")
        self.store = STORES[store](c)
        if keepalived:
            c.start_keepalived()
        else:
            for vip in vips:
                c.give(c.a, vip)
        self.host = c.peers[0]
        self.text = policy(c, self.host, liveness=10)
        if change:
            self.text = self.text.replace(*change)
        self.a, self.b = (ours(c, host, self.text, self.store) for host in (c.a, c.b))
        self.peer = PEERS[peer](c, self.host)
        if change:
            self.peer.initiate()
        else:
            self.a.activate()
        self.arrivals = {host: Arrivals(host) for host in (c.a, c.b)}
        self.echoes = Echoes(self.host, VIP)
        wait_until(lambda: len(self.echoes.times) > 25, 10, "pings")
        self.shared(c.a)

    def shared(self, host):
        """The store has the host's tunnel, and the other host can read it."""
        side = self.side(host)
        wait_until(lambda: side.log_lines("CSI2092I", VIP), 10, "the claim")
        time.sleep(0.5)

    def expect_in_store(self, side):
        """PostgreSQL has the phase 2 SAs of this side's, and says that the address is its."""
        host = f"%/{side.stack}#%"
        wait_until(lambda: self.store.primary.sql(
            "SELECT count(*) FROM csipsec_sa s JOIN csipsec_address a ON a.owner = s.host AND"
            f" a.address = s.address WHERE s.kind = 'Y' AND s.host LIKE '{host}'") != "0", 10,
                   f"the tunnel of {side.stack} in the store")

    def side(self, host):
        return self.a if host is self.c.a else self.b

    def moved(self, what, to, since, limit=LIMIT):
        """After the moment since the address comes to that host, and traffic, in time."""
        arrived = wait_until(
            lambda: next((t for t in self.arrivals[to.host].times.get((VIP, True), ())
                          if t > since), None), 10, f"the address at {to.host.name}")
        back = self.echoes.first_after(arrived, 30)
        say(f"{what}: address at {to.host.name} after {arrived - since:.3f} s by who moves it, "
            f"traffic both ways {back - arrived:.3f} s later")
        if back - arrived > limit:
            raise Failure(f"{what}: traffic was back {back - arrived:.3f} s after the address")

    def expect_taken_over(self, to):
        wait_until(lambda: up(to), 5, f"a tunnel at {to.host.name}")
        taken_over(to)
        self.expect_no_others(to)

    def expect_no_others(self, to):
        """
        Exactly what is gone is gone: the peer has the SAs of the owner, no others.  That is one pair, or
        for a moment two, where both sides have begun.
        """
        wait_until(lambda: set(self.host.sas()) == set(to.host.sas()), 10,
                   f"the peer's SAs are those of {to.host.name}")
        if not to.host.sas():
            raise Failure(f"{to.host.name} has no SA")

    def stop(self):
        self.echoes.stop()
        for arrivals in self.arrivals.values():
            arrivals.stop()
        for side in (self.a, self.b):
            if side.iked.running():
                side.drop_all()
        wait_until(lambda: not self.host.sas(), 10, "SAs gone at the peer")
        self.peer.stop()
        wait_until(lambda: not self.host.states_text(), 5, "nothing at the peer")
        for side in (self.a, self.b):
            if side.iked.running():
                side.stop()
            else:
                self.c.clear(side.host)
        self.c.stop()
        self.store.stop()


def crash(lab, peer, store):
    """
    a dies with all that runs there, its database, too, and nobody is made primary in its place.  Where
    the primary is elsewhere it has the new owner's tunnel at once.
    """
    w = World(lab, peer, store)
    w.moved("crash", w.b, w.c.crash(w.c.a))
    w.expect_taken_over(w.b)
    if store == "elsewhere":
        w.expect_in_store(w.b)
    w.stop()


for _peer in PEERS:
    for _store in STORES:
        case(f"takeover-crash-{_peer}-{_store}", plain=(_peer, _store) in PLAIN, seconds=120)(
            lambda lab, peer=_peer, store=_store: crash(lab, peer, store))


def there_and_back(lab, peer, store):
    """
    keepalived of a is stopped in order, and started again: the address leaves, and returns.  libreswan,
    told that its SAs are gone, may be faster than the new owner and begin them anew itself.
    """
    w = World(lab, peer, store)
    since = time.monotonic()
    w.c.keepalived["a"].stop()
    w.moved("planned", w.b, since)
    w.expect_no_others(w.b)
    w.shared(w.c.b)
    since = time.monotonic()
    w.c.keepalived["a"].start()
    w.moved("giveback", w.a, since)
    w.expect_no_others(w.a)
    w.stop()


for _peer in PEERS:
    for _store in STORES:
        case(f"takeover-back-{_peer}-{_store}", plain=(_peer, _store) in PLAIN, seconds=120)(
            lambda lab, peer=_peer, store=_store: there_and_back(lab, peer, store))


@case("takeover-split-brain", seconds=120)
def split_brain(lab):
    """Both have the address: who got it last is its owner, the other ends what it had, and is quiet."""
    w = World(lab, keepalived=False)
    w.c.give(w.c.b, VIP)
    wait_until(lambda: w.a.log_lines("CSI2093W", VIP), 5, "a has noticed")
    wait_until(lambda: not w.a.tunnels() and not w.c.a.sas(), 5, "nothing at a")
    refused = w.a.ipsec("-y", "activate", "-l", "Activate", "--wait", "2", ok=None)
    if refused.returncode == 0:
        raise Failure("a has begun a tunnel at an address that is b's")
    w.c.announce(w.c.b, VIP)
    wait_until(lambda: up(w.b), 10, "a tunnel at b")
    w.expect_no_others(w.b)
    seen = len(w.b.log_lines("CSI2092I"))
    time.sleep(5)
    if w.a.tunnels() or len(w.b.log_lines("CSI2092I")) != seen or w.b.log_lines("CSI2093W"):
        raise Failure("the address does not stay with b")
    w.c.take(w.c.a, VIP)
    w.stop()


@case("takeover-stall", seconds=120)
def stall(lab):
    """
    keepalived of the owner stands still for 0.6 s: the address is at the other host for a moment, and has
    never left here.  Whoever has it in the end has the tunnel, too.
    """
    w = World(lab)
    pids = w.c.keepalived["a"].pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.6)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    since = time.monotonic()
    wait_until(lambda: (VIP, True) in w.arrivals[w.c.b].times, 2, "the address at b")
    wait_until(lambda: has(w.c.a, VIP) != has(w.c.b, VIP), 5, "the address at one host")
    owner = w.a if has(w.c.a, VIP) else w.b
    wait_until(lambda: up(owner), 15, f"a tunnel at {owner.host.name}")
    time.sleep(max(0, since + 12 - time.monotonic()))
    back = w.echoes.first_after(time.monotonic(), 3)
    if [side for side in (w.a, w.b) if has(side.host, VIP)] != [owner]:
        raise Failure("the address moved again")
    gap = max(y - x for x, y in zip(w.echoes.times, w.echoes.times[1:]) if y > since - 1)
    say(f"stall of 0.6 s: the address is at {owner.host.name}, no answer for {gap:.1f} s, the last "
        f"{back - since:.1f} s after it")
    w.expect_no_others(owner)
    w.stop()


@case("takeover-worker-killed", seconds=120)
def worker_killed(lab):
    """The new owner's worker dies in the middle, and the next one takes over what is left."""
    w = World(lab, keepalived=False)
    w.c.take(w.c.a, VIP)
    w.c.give(w.c.b, VIP)
    os.kill(w.b.iked.children("--worker")[0], signal.SIGKILL)
    wait_until(lambda: len(w.b.log_lines("EZD1046I")) == 2, 10, "the next worker")
    wait_until(lambda: up(w.b), 10, "a tunnel at b")
    w.expect_no_others(w.b)
    w.stop()


@case("takeover-two-addresses", seconds=120)
def two_addresses(lab):
    """
    Of two addresses with one identity and SAs to one peer one moves: what the other has lives on where it
    is, without a packet lost, and the peer ends nothing of it.
    """
    c = Cluster(lab, vips=VIPS)
    store, host = Sqlite(c), c.peers[0]
    c.give(c.a, VIPS[0])
    c.give(c.a, VIPS[1])
    text = policy(c, host, Seen("vips", f"{VIPS[0]}-{VIPS[1]}"), local_id=f"Fqdn {NAME}")
    a, b = (ours(c, side, text, store) for side in (c.a, c.b))
    peer = Swan(host, Seen("vips", ",".join(VIPS)), SUITE, MODE, PFS, KEY, remote_id=NAME,
                more=[("unique", "never")])
    for vip in VIPS:
        c.a.run("ping", "-n", "-q", "-c", "1", "-w", "8", "-I", vip, host.v4)
    wait_until(lambda: len(a.tunnels()) == 2, 5, "two tunnels")
    time.sleep(0.5)
    of_second = {sa for sa in host.sas() if sa[0] == VIPS[1]}
    stays = Stream(c.a, host, source=VIPS[1])
    c.take(c.a, VIPS[0])
    c.give(c.b, VIPS[0])
    wait_until(lambda: up(b), 5, "a tunnel at b")
    host.run("ping", "-n", "-q", "-c", "1", "-w", "5", VIPS[0])
    wait_until(lambda: len(a.tunnels()) == 1 and len(host.sas()) == 4, 10, "one tunnel a host")
    time.sleep(11)  # strongSwan ends what it holds for a duplicate after ten seconds
    stays.stop()
    if {sa for sa in host.sas() if sa[0] == VIPS[1]} != of_second:
        raise Failure("the tunnel of the address that has stayed is another one")
    for side in (a, b):
        side.drop_all()
    wait_until(lambda: not host.sas(), 10, "SAs gone at the peer")
    for side in (peer, a, b):
        side.stop()


@case("takeover-store-slow", seconds=120)
def store_slow(lab):
    """The primary stands still for 5 s: the replica is read, nothing waits, and the claim is late."""
    w = World(lab, store="postgresql", keepalived=False)
    w.store.primary.freeze()
    since = time.monotonic()
    w.c.take(w.c.a, VIP)
    w.c.give(w.c.b, VIP)
    w.moved("primary stands still", w.b, since)
    w.expect_taken_over(w.b)
    if w.b.log_lines("CSI2092I"):
        raise Failure("b has claimed the address at a primary that stands still")
    time.sleep(max(0, since + 5 - time.monotonic()))
    w.store.primary.thaw()
    w.shared(w.c.b)
    w.expect_in_store(w.b)
    w.stop()


@case("takeover-store-down", seconds=120)
def store_down(lab):
    """
    No store: nothing is taken over, and the log says so; a packet brings the tunnel back, and the log
    names it, until the store has it.
    """
    w = World(lab, store="postgresql", keepalived=False)
    w.store.stop()
    w.c.take(w.c.a, VIP)
    w.c.give(w.c.b, VIP)
    wait_until(lambda: w.b.log_lines("CSI2094E", VIP), 20, "the log says that nothing can be read")
    if w.b.tunnels():
        raise Failure("b has a tunnel, and no store to know it from")
    w.c.b.run("ping", "-n", "-q", "-c", "1", "-w", "8", "-I", VIP, w.host.v4)
    wait_until(lambda: w.b.log_lines("EZD0831I", "Y"), 20, "EZD0831I of the tunnel")
    w.store.start()
    w.shared(w.c.b)
    w.expect_in_store(w.b)
    w.stop()


@case("takeover-store-full", seconds=120)
def store_full(lab):
    """The store's disk is full: tunnels come and go all the same, are named, and written when there is room."""
    path = f"{lab.dir}/shared"
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", path], check=True)
    w = World(lab, keepalived=False)
    ballast = f"{path}/ballast"
    with open(ballast, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    w.a.ipsec("-y", "refresh", "-a", w.a.tunnels()[0]["TunnelID"])
    wait_until(lambda: w.a.log_lines("EZD0831I", "Y"), 20, "EZD0831I of the tunnel")
    w.echoes.first_after(time.monotonic(), 5)
    os.unlink(ballast)
    wait_until(lambda: w.a.log_lines("CSI2082I")[1:], 20, "the store is there again")
    time.sleep(1)
    since = time.monotonic()
    w.c.take(w.c.a, VIP)
    w.c.give(w.c.b, VIP)
    w.moved("after the disk was full", w.b, since)
    w.expect_taken_over(w.b)
    w.stop()
    subprocess.run(["umount", path], check=True)


def many(lab, n):
    """
    n tunnels, each with a peer of its own, whose owner is killed: seconds until each is up at the new
    one, in order.
    """
    c = Cluster(lab, vips=[bench.RIGHT])
    peer, store = c.peers[0], Sqlite(c)
    batch = peer.write("addresses",
                       "".join(f"addr add {a}/15 dev eth0\n" for a in bench.sources(n)))
    lab.ip("-n", peer.name, "-batch", batch)
    for host in (c.a, c.b):
        host.run("ip", "route", "add", "198.18.0.0/15", "dev", "eth0")
    c.give(c.a, bench.RIGHT)
    other = Ours(peer, bench_policy(False))
    owners = [ours(c, host, bench_policy(True), store) for host in (c.a, c.b)]
    first, second = bench.Monitor(c.a), bench.Monitor(c.b)
    socks = bench.packets(peer, bench.sources(n))
    bench.bring_up(first, socks, 0, n)
    time.sleep(2)  # the store has them
    c.crash(c.a)  # what it would do to say farewell is done by this CPU, too
    began, times = time.monotonic(), []
    c.give(c.b, bench.RIGHT)
    while len(second.up) < n:
        had = len(second.up)
        second.read()
        times += [time.monotonic() - began] * (len(second.up) - had)
        if time.monotonic() > began + 120:
            raise Failure(f"{len(second.up)} of {n} tunnels were taken over in 120 s")
    for monitor in (first, second):
        monitor.stop()
    for sock in socks:
        sock.close()
    owners[1].drop_all()
    wait_until(lambda: not peer.sas(), 20, "SAs gone at the peer")
    owners[1].stop()
    other.stop()
    c.clear(c.a)
    return times


def bench_policy(owner):
    local, remote = (bench.RIGHT, bench.NET) if owner else (bench.NET, bench.RIGHT)
    ends = ("right.example.com", "left.example.com")
    me, peer = ends if owner else ends[::-1]
    return bench.POLICY.format(local=local, remote=remote, me=me, peer=peer, exchange="Main",
                               auth="PresharedKey", key=f"    SharedKey Ascii {KEY}\n",
                               pfs="None", life=240)


@case("takeover-50", seconds=180)
def fifty(lab):
    """50 tunnels with 50 peers."""
    times = many(lab, 50)
    say(f"50 tunnels: p50 {times[24]:.3f} s, p99 {times[49]:.3f} s after the address")


def behind_nat(lab, kind):
    """
    The peer is behind a NAT: the new owner finds it at its last mapping, as the NAT takes what comes
    from the address for an answer, whichever host has it.
    """
    c = Cluster(lab, peers=())
    store = Sqlite(c)
    host = c.net.nat("box", kind).host("peer")
    c.give(c.a, VIP)
    text = policy(c, host.seen(), nat=NatPolicy(remote=host.v4), remote_id="Fqdn peer.example")
    a, b = (ours(c, side, text, store) for side in (c.a, c.b))
    peer = Swan(host, c.vip(), SUITE, MODE, PFS, KEY, local_id="peer.example", remote_id=VIP,
                child=[("local_ts", f"{host.v4}/32"), ("remote_ts", f"{VIP}/32")])
    peer.initiate()
    echoes = Echoes(host, VIP)
    wait_until(lambda: len(echoes.times) > 25, 10, "pings")
    time.sleep(0.5)
    since = time.monotonic()
    c.take(c.a, VIP)
    c.give(c.b, VIP)
    arrived = time.monotonic()
    back = echoes.first_after(arrived, 20)
    say(f"peer behind a NAT ({kind}): traffic both ways {back - arrived:.3f} s after the address")
    if back - since > 2:
        raise Failure("the peer was not found at its last mapping")
    taken_over(b)
    echoes.stop()
    for side in (a, b):
        side.drop_all()
    wait_until(lambda: not host.sas(), 10, "SAs gone at the peer")
    for side in (peer, a, b):
        side.stop()


for _kind in ("masquerade", "random"):
    case(f"takeover-nat-{_kind}", plain=_kind == "random", seconds=120)(lambda lab, kind=_kind: behind_nat(lab, kind))


@case("takeover-awaited", seconds=120)
def awaited(lab):
    """Where only the peer may begin, it is awaited, and the log says so; its SAs are gone when it has."""
    w = World(lab, keepalived=False, change=("HowToInitiate     Main", "HowToInitiate     DoNot"))
    w.c.take(w.c.a, VIP)
    w.c.give(w.c.b, VIP)
    wait_until(lambda: w.b.log_lines("awaited"), 5, "the log says that the peer is awaited")
    if w.b.tunnels():
        raise Failure("b has begun what it may not")
    w.peer.initiate()
    wait_until(lambda: up(w.b), 10, "a tunnel at b")
    w.expect_no_others(w.b)
    w.stop()


@case("takeover-address-alone")
def address_alone(lab):
    """What keepalived itself takes, without any tunnel."""
    c = Cluster(lab)
    c.start_keepalived()
    arrivals, echoes = Arrivals(c.b), Echoes(c.peers[0], VIP)
    wait_until(lambda: len(echoes.times) > 20, 5, "pings")
    crashed = c.crash(c.a)
    back = echoes.first_after(crashed + 0.1, 10)
    arrived = arrivals.last(VIP)
    say(f"address at b after {arrived - crashed:.3f} s, traffic {back - arrived:.3f} s later")
    echoes.stop()
    arrivals.stop()
    c.stop()


def swan_world(lab):
    """strongSwan on both hosts and at the peer, which asks every 5 s whether the other is there."""
    c = Cluster(lab)
    c.start_keepalived()
    owners = [Swan(At(host, VIP), c.peers[0], SUITE, MODE, PFS, KEY) for host in (c.a, c.b)]
    peer = Swan(c.peers[0], c.vip(), SUITE, MODE, PFS, KEY, dpd=5, trap=True)
    peer.initiate()
    arrivals, echoes = Arrivals(c.b), Echoes(c.peers[0], VIP)
    wait_until(lambda: len(echoes.times) > 25, 10, "pings")
    return c, owners, peer, arrivals, echoes


def swan_end(c, owners, peer, arrivals, echoes):
    echoes.stop()
    arrivals.stop()
    peer.drop_all()
    for side in (owners[1], peer):
        side.stop()
    c.clear(c.a)
    c.stop()


@case("takeover-with-strongswan-itself", plain=False, seconds=90)
def strongswan_itself(lab):
    """For comparison, strongSwan in our place without its ha plugin: the client's DPD brings it back."""
    c, owners, peer, arrivals, echoes = world = swan_world(lab)
    crashed = c.crash(c.a)
    wait_until(lambda: has(c.b, VIP), 10, "the address at b")
    back = echoes.first_after(arrivals.last(VIP) + 0.05, 60)
    say(f"strongSwan, client with DPD of 5 s: address after {arrivals.last(VIP) - crashed:.3f} s, "
        f"traffic {back - arrivals.last(VIP):.3f} s later")
    swan_end(*world)


@case("takeover-with-strongswan-begun", plain=False, seconds=90)
def strongswan_begun(lab):
    """The same, told to begin by a script when the address has come."""
    c, owners, peer, arrivals, echoes = world = swan_world(lab)
    crashed = c.crash(c.a)
    wait_until(lambda: has(c.b, VIP), 10, "the address at b")
    owners[1].initiate()
    back = echoes.first_after(arrivals.last(VIP) + 0.05, 60)
    say(f"strongSwan, told to initiate: address after {arrivals.last(VIP) - crashed:.3f} s, "
        f"traffic {back - arrivals.last(VIP):.3f} s later")
    swan_end(*world)
