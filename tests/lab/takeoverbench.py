"""
./dev bench takeover: an address with many tunnels moves to another host, each tunnel with a peer and a
phase 1 of its own.  How long until each is up there, beside what the key agreement of both sides alone
takes on the same CPU: no takeover that negotiates can be faster.
"""

import resource
import subprocess
import time

from bench import KEY, NET, POLICY, RIGHT, Monitor, bring_up, packets, sources
from cases.takeover import Sqlite
from labkit.host import Failure
from labkit.lab import Lab, say
from labkit.moving import Cluster
from labkit.ours import Ours

COUNTS = (1, 50, 500)
GROUP = "Group14"


def policy(owner):
    local, remote = (RIGHT, NET) if owner else (NET, RIGHT)
    ends = ("right.example.com", "left.example.com")
    me, peer = ends if owner else ends[::-1]
    return POLICY.format(local=local, remote=remote, me=me, peer=peer, exchange="Main",
                         auth="PresharedKey", key=f"    SharedKey Ascii {KEY}\n", pfs="None",
                         life=240)


def bare_ms(build):
    """Milliseconds of CPU that the key agreement of one tunnel takes, both sides together."""
    out = subprocess.run([f"{build}/tests/bench/bench_engine", "--bare"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return float(dict(line.split() for line in out.splitlines())[GROUP])


def times_at(monitor, n, since):
    """Seconds until each tunnel was up at the new owner, in order."""
    times, end = [], time.monotonic() + 120
    while len(monitor.up) < n:
        if time.monotonic() > end:
            raise Failure(f"{len(monitor.up)} of {n} tunnels were taken over in 120 s")
        had = len(monitor.up)
        monitor.read()
        times += [time.monotonic() - since] * (len(monitor.up) - had)
    return times


def address(cluster, host, what):
    cluster.lab.ip("-n", host.name, "addr", what, f"{RIGHT}/15", "dev", "eth0")


def measure(build, out, n, bare):
    lab = Lab(f"/run/lab/takeover-{n}", build, f"{out}/{n}")
    try:
        c = Cluster(lab, vips=[RIGHT])
        peer, store = c.peers[0], Sqlite(c)
        batch = peer.write("addresses", "".join(f"addr add {a}/15 dev eth0\n" for a in sources(n)))
        lab.ip("-n", peer.name, "-batch", batch)
        for host in (c.a, c.b):
            host.run("ip", "route", "add", "198.18.0.0/15", "dev", "eth0")
        address(c, c.a, "add")
        conf = [("DynamicVipa", RIGHT), ("SharedStore", store.uri(None))]
        other = Ours(peer, policy(False))
        sides = [Ours(host, policy(True), conf=conf) for host in (c.a, c.b)]
        first, second = Monitor(c.a), Monitor(c.b)
        socks = packets(peer, sources(n))
        bring_up(first, socks, 0, n)
        time.sleep(2)  # the store has them
        address(c, c.a, "del")
        began = time.monotonic()
        address(c, c.b, "add")
        times = times_at(second, n, began)
        limit = n * bare / 1000
        say(f"  {n:5}  {times[0]:7.3f} {times[n // 2]:7.3f} {times[int(n * 0.99) - (n == 1)]:7.3f} "
            f"{times[-1]:7.3f}   {limit:7.3f}   {times[-1] / limit:6.2f}")
        for monitor in (first, second):
            monitor.stop()
        for sock in socks:
            sock.close()
        for side in (*sides, other):
            side.stop()
        lab.keep = None
    except Failure:
        lab.snapshot()
        raise
    finally:
        lab.destroy()


def main(build, _libreswan, out):
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    bare = bare_ms(build)
    say("aes256-sha256-modp2048, preshared keys, no PFS; owners, peers and store on one CPU")
    say(f"key agreement alone: {bare:.2f} ms a tunnel, both sides together")
    say("tunnels  seconds from the address to the first, half, 99 %, all;   limit   all/limit")
    for n in COUNTS:
        measure(build, out, n, bare)
    return 0
