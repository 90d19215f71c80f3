"""
./dev bench takeover: an address with many tunnels moves to another host, each tunnel with a peer and a
phase 1 of its own.  How long until each is up there, beside what the key agreement of both sides alone
takes on the same CPU: no takeover that negotiates can be faster.
"""

import resource
import subprocess

from cases.takeover import many
from labkit.host import Failure
from labkit.lab import Lab, say

COUNTS = (1, 50, 500)
GROUP = "Group14"


def bare_ms(build):
    """Milliseconds of CPU that the key agreement of one tunnel takes, both sides together."""
    out = subprocess.run([f"{build}/tests/bench/bench_engine", "--bare"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return float(dict(line.split() for line in out.splitlines())[GROUP])


def measure(build, out, n, bare):
    lab = Lab(f"/run/lab/takeover-{n}", build, f"{out}/{n}")
    try:
        times, limit = many(lab, n), n * bare / 1000
        say(f"  {n:5}  {times[0]:7.3f} {times[n // 2]:7.3f} {times[(n * 99 - 1) // 100]:7.3f} "
            f"{times[-1]:7.3f}   {limit:7.3f}   {times[-1] / limit:6.2f}")
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
