"""Packets that ask for a tunnel: none is refused, none keeps another from asking, none is forgotten."""

import errno
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.wire import clear_between
from .daemons import worker_of
from labkit.negotiate import same_pair

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
DISCARD = 9


def text(me, peer, **more):
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY, **more)


def held_policies(host):
    """iked's, which hold what has no tunnel yet, by their priority."""
    return host.policies_text().count("dir out priority 1500 ")


def larval_states(host):
    return host.states_text().count("proto esp spi 0x00000000 ")


class Network:
    """Stands for a host that has all addresses of a network, in a policy."""

    def __init__(self, v4):
        self.v4 = v4

    def addr(self, _family):
        return self.v4


def no_errors(host, before):
    """Nothing of what a sender did is an error of the kernel's."""
    new = {k: n - before.get(k, 0) for k, n in host.xfrm_stat().items() if n != before.get(k, 0)}
    if new:
        raise Failure(f"{host.name}: errors of XFRM: {new}")


# Every residue of 16: the kernel's table of states has 8 buckets at first, and one of them is where it
# also looks for everybody's (docs/architecture.md).
SOURCES = [f"192.0.2.{n}" for n in range(32, 48)]


@case("asking-sources")
def asking_sources(lab):
    """Negotiations of some addresses do not keep others from theirs, though nobody answers yet."""
    left, right = lab.pair(capture=False)
    network = Network("192.0.2.32/28")
    left.write("more", "".join(f"addr add {a}/24 dev eth0\n" for a in SOURCES))
    lab.ip("-n", left.name, "-batch", left.path("more"))
    a = Ours(left, text(network, right, local_id="Fqdn left.example.com"), retries=8)
    before = left.xfrm_stat()
    for n, address in enumerate(SOURCES, 1):
        with left.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((address, 0))
            s.sendto(b"x", (right.v4, DISCARD))
        wait_until(lambda: len(a.ike_tunnels()) == n, 1, f"{address}: its packet begins a"
                   f" negotiation, while {n - 1} others run")
    if held_policies(left) != len(SOURCES) or larval_states(left):
        raise Failure(f"{held_policies(left)} sources of {len(SOURCES)} are held, and there are"
                      f" {larval_states(left)} larval states")
    no_errors(left, before)
    b = Ours(right, text(right, network, remote_id="Fqdn left.example.com"))
    wait_until(lambda: set(SOURCES) <= {to for to, _ in left.sas()} and not held_policies(left), 15,
               "all tunnels are up, and no packets held")
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()


def senders(left, right, family):
    """What a program may send: names, and functions that send it once more."""
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    to = right.addr(family)
    one = left.socket(af, socket.SOCK_DGRAM)
    connected = left.socket(af, socket.SOCK_DGRAM)
    connected.connect((to, DISCARD))
    raw = left.socket(af, socket.SOCK_RAW, 253)
    return {"datagram": lambda: one.sendto(b"x", (to, DISCARD)),
            "datagram in fragments": lambda: one.sendto(bytes(5000), (to, DISCARD)),
            "datagram on a connected socket": lambda: connected.send(b"x"),
            "raw packet": lambda: raw.sendto(b"x", (to, 0))}


def held_packets(host):
    text = host.run("nft", "list", "chain", "inet", "csipsec", "prerouting").stdout
    return sum(int(n) for n in re.findall(r'counter packets (\d+) .*"held"', text))


def without_error(lab, family):
    left, right = lab.pair()
    a = Ours(left, text(left, right, family=family), retries=8)
    before = left.xfrm_stat()
    call = left.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    call.setblocking(False)
    if call.connect_ex((right.addr(family), 7008)) != errno.EINPROGRESS:
        raise Failure("a connection is refused before it has a tunnel")
    sending = senders(left, right, family)
    for attempt in ("first", "second", "third"):
        for name, send in sending.items():
            try:
                send()
            except OSError as e:
                raise Failure(f"the {attempt} {name}: {e}") from None
    no_errors(left, before)
    if held_packets(left) < 13:
        raise Failure(f"{held_packets(left)} packets are counted as held")
    lab.wire.stop()
    sent = lab.wire.lines(f"({clear_between(left, right, family)}) and src {left.addr(family)}")
    if sent:
        raise Failure(f"in clear on the wire: {sent[0]}")
    with right.socket(call.family, socket.SOCK_STREAM) as server:
        server.bind((right.addr(family), 7008))
        server.listen()
        b = Ours(right, text(right, left, family=family))
        if not select.select([], [call], [], 15)[1] or \
                call.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise Failure("the connection is not there although it has a tunnel")
    call.close()
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()


@case("asking-without-error")
def asking_without_error(lab):
    """Who sends before there is a tunnel hears of no error; nothing leaves, and later all arrives."""
    without_error(lab, 4)


@case("asking-without-error-ipv6")
def asking_without_error_ipv6(lab):
    without_error(lab, 6)


class Monitor:
    """Another listener for acquires, whom the kernel tells of each."""

    def __init__(self, host):
        self.popen = subprocess.Popen(["ip", "-rcvbuf", "33554432", "xfrm", "monitor", "acquire"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      preexec_fn=host.enter)
        time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()


@case("asking-before-iked")
def asking_before_iked(lab):
    """A packet asked somebody else before iked was there: its tunnel comes up without another one."""
    left, right = lab.pair(capture=False)
    b = Ours(right, text(right, left))
    a = Ours(left, text(left, right), start=False)
    a.start_pagent()
    with Monitor(left), left.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (right.v4, DISCARD))
        if larval_states(left) != 1:
            raise Failure("the packet left no larval state")
    a.start_iked()
    wait_until(lambda: same_pair(left, right), 5, "the tunnel that was asked for")
    if larval_states(left):
        raise Failure("the larval state is still there")
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()


@case("asking-worker-killed")
def asking_worker_killed(lab):
    """A worker that is killed while packets are held does not leave them held for ever."""
    left, right = lab.pair(capture=False)
    a = Ours(left, text(left, right), retries=8)
    with left.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for worker in (worker_of(a.iked), None):
            s.sendto(b"x", (right.v4, DISCARD))
            wait_until(lambda: held_policies(left) == 1, 2, "the packet's tunnel is held")
            if worker:
                os.kill(worker, signal.SIGKILL)
                wait_until(lambda: not held_policies(left), 10, "another worker has let it go")
                wait_until(lambda: a.ipsec("-k", "display", ok=None).returncode == 0, 10,
                           "the new worker answers", step=0.1)
    a.stop()


FLOOD = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range({n}):
    try:
        s.sendto(b"x", (f"198.18.{{n >> 8}}.{{n & 255}}", 9))
    except OSError:
        pass
"""


@case("asking-unheard")
def asking_unheard(lab):
    """The kernel had no room to tell iked of a packet: iked finds out, and the tunnel comes up."""
    left, right = lab.pair(capture=False)
    b = Ours(right, text(right, left))
    a = Ours(left, text(left, right))
    # Somebody else's policy: each packet raises five long acquires, which fill iked's receive buffer.
    left.run("ip", "route", "add", "198.18.0.0/15", "dev", "eth0")
    templates = [word for reqid in "34567" for word in
                 f"tmpl proto esp mode transport reqid {reqid} level use".split()]
    left.run("ip", "xfrm", "policy", "add", "dir", "out", "dst", "198.18.0.0/15", *templates)
    worker = worker_of(a.iked)
    with Monitor(left), left.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        os.kill(worker, signal.SIGSTOP)
        left.run(sys.executable, "-c", FLOOD.format(n=3000), timeout=50)
        s.sendto(b"x", (right.v4, DISCARD))
        os.kill(worker, signal.SIGCONT)
        # The left kernel has too many states to be asked for them again and again.
        wait_until(lambda: len(right.sas()) == 2, 10, "the tunnel that was asked for")
    if not a.log_lines("CSI2021W"):
        raise Failure("no event was lost, so this tested nothing")
    a.terminate()
    a.wait_gone()
    wait_until(lambda: not right.sas(), 5, "SAs gone")
    left.run("ip", "xfrm", "policy", "del", "dir", "out", "dst", "198.18.0.0/15")
    left.run("ip", "xfrm", "state", "flush")
    a.stop()
    b.stop()
