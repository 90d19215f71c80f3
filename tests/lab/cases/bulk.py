"""TCP streams of a megabyte through ESP: path MTU and segment sizes, not only pings."""

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
s = socket.create_server(("0.0.0.0", {port}))
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


def stream(server, client, way):
    """A stream from client to server ("up") or back ("down") arrives whole."""
    text = {"port": PORT, "size": SIZE, "way": way, "addr": server.v4}
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


def streams(lab, answer, mode):
    left, right = lab.pair()
    suite = SUITES["aes256-sha256-modp2048"]
    pfs = Pfs("none", suite)
    b = answer(right, left, suite, mode, pfs, 4, False)
    a = ours(left, right, suite, mode, pfs, 4, True)
    left.ping(right)
    for server, client in ((right, left), (left, right)):
        for way in ("up", "down"):
            stream(server, client, way)
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
