"""
Streams of a megabyte and packets that may not be cut, through ESP: what senders learn of the MTU.
"""

import re
import subprocess
import sys

from labkit.host import Failure
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from .psk import ours, swan

SIZE = 1_000_000
PORT = 7007

SERVER = """
import socket, sys
s = socket.create_server(("{addr}", {port}), family=socket.{af})
s.settimeout(20)
print("ready", flush=True)
c, _ = s.accept()
c.settimeout(20)
if "{way}" == "up":
    n = 0
    while data := c.recv(65536):
        n += len(data)
    print(n)
else:
    c.sendall(bytes({size}))
    c.close()
"""

CLIENT = """
import socket
c = socket.create_connection(("{addr}", {port}), 15)
c.settimeout(20)
if "{way}" == "up":
    c.sendall(bytes({size}))
    c.shutdown(socket.SHUT_WR)
    while c.recv(1): pass
else:
    n = 0
    while data := c.recv(65536):
        n += len(data)
    print(n)
"""


def stream(server, client, way, family):
    """A stream from client to server ("up") or back ("down") arrives whole."""
    text = {"port": PORT, "size": SIZE, "way": way, "addr": server.addr(family),
            "af": "AF_INET" if family == 4 else "AF_INET6"}
    listening = subprocess.Popen([sys.executable, "-c", SERVER.format(**text)], text=True,
                                 stdout=subprocess.PIPE, preexec_fn=server.enter)
    try:
        listening.stdout.readline()
        done = client.run(sys.executable, "-c", CLIENT.format(**text), timeout=60, ok=None)
        got = listening.stdout.read() if way == "up" else done.stdout
        listening.wait(30)
    finally:
        listening.kill()
        listening.wait()
    if got.strip() != str(SIZE):
        raise Failure(f"{way}stream between {client.name} and {server.name}: {got.strip()[-200:]!r}"
                      f" of {SIZE} bytes; {done.stdout.strip()[-200:]}")


def uncut(host, other, family, size):
    """A ping whose packet of size bytes may not be cut; what ping says."""
    headers = 28 if family == 4 else 48
    return host.run("ping", "-n", "-c1", "-W3", "-M", "do", "-s", str(size - headers),
                    other.addr(family), ok=None)


def check_limit(host, other, family, link):
    """
    A packet as large as the link is refused where it is sent, with the MTU; one of that size passes,
    and one byte more is refused again: no size is neither.
    """
    said = uncut(host, other, family, link).stdout
    found = re.search(r"message too long.* mtu[=:] ?(\d+)", said)
    if not found:
        raise Failure(f"{link} bytes from {host.name}: no error with an MTU: {said}")
    mtu = int(found[1])
    if not link - 140 < mtu < link - 50:
        raise Failure(f"{host.name}: an MTU of {mtu} on a link of {link}")
    if uncut(host, other, family, mtu).returncode != 0:
        raise Failure(f"{mtu} bytes from {host.name}: they should pass and vanished")
    if "message too long" not in uncut(host, other, family, mtu + 1).stdout:
        raise Failure(f"{mtu + 1} bytes from {host.name}: no error")


def streams(lab, answer, mode, family=4, link=1500):
    left, right = lab.pair()
    for host in lab.hosts:
        host.run("ip", "link", "set", "eth0", "mtu", str(link))
    suite = SUITES["aes256-sha256-modp2048"]
    pfs = Pfs("none", suite)
    b = answer(right, left, suite, mode, pfs, family, False)
    a = ours(left, right, suite, mode, pfs, family, True)
    left.ping(right, family)
    check_limit(left, right, family, link)
    if answer is ours:
        check_limit(right, left, family, link)
    for server, client in ((right, left), (left, right)):
        for way in ("up", "down"):
            stream(server, client, way, family)
    a.terminate()
    for end in (a, b):
        end.wait_gone()
    a.stop()
    b.stop()


for _name, _answer in (("own", ours), ("strongswan", swan)):
    for _mode in ("transport", "tunnel"):
        @case(f"bulk-{_name}-{_mode}")
        def run(lab, answer=_answer, mode=_mode):
            streams(lab, answer, mode)


@case("bulk-own-tunnel-ipv6")
def own_tunnel_ipv6(lab):
    streams(lab, ours, "tunnel", 6)


@case("bulk-strongswan-transport-ipv6")
def strongswan_transport_ipv6(lab):
    streams(lab, swan, "transport", 6)


@case("bulk-own-transport-mtu-1400")
def own_small_link(lab):
    streams(lab, ours, "transport", link=1400)


@case("bulk-strongswan-tunnel-mtu-1400")
def strongswan_small_link(lab):
    streams(lab, swan, "tunnel", link=1400)
