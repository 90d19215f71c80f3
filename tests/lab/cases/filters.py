"""Rule order, and what happens when somebody flushes nftables."""

import subprocess

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.wire import ESP, IKE, between, clear_between

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
DENIED, PERMITTED, PROTECTED = 7001, 7002, 7003


def both(left, right, first=lambda me, peer: ()):
    return [Ours(me, host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY,
                                  first=first(me, peer)))
            for me, peer in ((left, right), (right, left))]


class Acquires:
    """Watches a host's ACQUIRE events."""

    def __init__(self, host):
        self.path = host.path("acquires")
        self._out = open(self.path, "w")
        self.popen = subprocess.Popen(["ip", "xfrm", "monitor", "acquire"], stdout=self._out,
                                      stdin=subprocess.DEVNULL, preexec_fn=host.enter)
        wait_until(lambda: self._listening(host), 5, "ip xfrm monitor listening")

    def _listening(self, host):
        text = host.run("cat", "/proc/net/netlink").stdout
        # Columns: sk Eth Pid Groups ...; Eth 6 is NETLINK_XFRM.
        return any(f[1] == "6" and f[2] == str(self.popen.pid) and int(f[3], 16)
                   for f in (line.split() for line in text.splitlines()[1:]))

    def count(self):
        with open(self.path) as f:
            return f.read().count("acquire")

    def stop(self):
        self.popen.terminate()
        self.popen.wait()
        self._out.close()


class Server:
    """Answers TCP connections on a port with a line, from within a host."""

    CODE = ("import socket,sys,threading\n"
            "def serve(s):\n"
            "    while True:\n"
            "        c,_=s.accept(); c.sendall(b'hello'); c.close()\n"
            "for p in map(int,sys.argv[1:]):\n"
            "    s=socket.create_server(('0.0.0.0',p))\n"
            "    threading.Thread(target=serve,args=(s,)).start()\n"
            "print('ready',flush=True)\n")

    def __init__(self, host, *ports):
        self.popen = subprocess.Popen(["python3", "-c", self.CODE, *map(str, ports)],
                                      stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                      preexec_fn=host.enter)
        self.popen.stdout.readline()

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


def connects(host, peer, port, seconds=3):
    done = host.run("python3", "-c",
                    "import socket,sys\n"
                    "s=socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3]))\n"
                    "sys.exit(0 if s.recv(9)==b'hello' else 1)",
                    peer.v4, str(port), str(seconds), ok=None)
    return done.returncode == 0


@case("filter-order")
def filter_order(lab):
    """A deny and a permit before the rule that protects everything: each gets its own traffic."""
    left, right = lab.pair()

    def first(me, peer):
        mine, theirs = ("SourcePortRange", "DestinationPortRange")
        if me is left:
            mine, theirs = theirs, mine
        return (rule("Denied", me, peer, "deny", service("Tcp", **{mine: DENIED})),
                rule("Permitted", me, peer, "permit", service("Tcp", **{mine: PERMITTED})))

    a, b = both(left, right, first)
    server = Server(right, DENIED, PERMITTED, PROTECTED)
    acquires = Acquires(left)
    if connects(left, right, DENIED, 1.5):
        raise Failure("the denied port was reached")
    if not connects(left, right, PERMITTED):
        raise Failure("the permitted port was not reached")
    if acquires.count():
        raise Failure("the denied or the permitted port raised an ACQUIRE")
    if left.sas() or right.sas():
        raise Failure("an SA was made for traffic that no ipsec rule covers")
    if not connects(left, right, PROTECTED, 10):
        raise Failure("the protected port was not reached")
    if acquires.count() != 1:
        raise Failure(f"{acquires.count()} ACQUIREs for one connection")
    left.ping(right)
    if connects(left, right, DENIED, 1.5):
        raise Failure("the denied port was reached once the tunnel was up")
    acquires.stop()
    server.stop()
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()
    lab.wire.stop()
    if lab.wire.count(f"tcp port {DENIED}"):
        raise Failure("the denied port was seen on the wire")
    if lab.wire.count(f"tcp port {PERMITTED}") < 6:
        raise Failure("the permitted port was not in clear on the wire")
    if not lab.wire.count(f"{between(left, right)} and {ESP}"):
        raise Failure("no ESP on the wire")
    clear = lab.wire.lines(f"{clear_between(left, right)} and not tcp port {PERMITTED}")
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")


@case("filter-ike-not-permitted")
def ike_not_permitted(lab):
    """Where no rule permits IKE nobody is answered; with the rule the tunnel comes up."""
    left, right = lab.pair()

    def text(me, peer):
        return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY)

    a = Ours(left, text(left, right))
    b = Ours(right, text(right, left).replace("  IpFilterRuleRef IKE\n", ""))
    left.ping(right, seconds=4, expect=False)
    asked = lab.wire.count(f"src host {left.v4} and {IKE}")
    answered = lab.wire.count(f"src host {right.v4} and {IKE}")
    if not asked or answered:
        raise Failure(f"{asked} messages of IKE asked, {answered} answered")
    right.write("policy", text(right, left))
    right.run(b.program("pagent"), "-p", b.stack, "-r", "refresh")
    left.ping(right, seconds=20)
    finish(lab, a, b)


@case("filter-flushed-repaired")
def flushed_repaired(lab):
    """nft flush ruleset under a running pagent: it says so, puts the table back, nothing leaks."""
    left, right = lab.pair()
    a, b = both(left, right)
    left.ping(right)
    had = left.tables()
    left.run("nft", "flush", "ruleset")
    wait_until(lambda: left.tables() == had, 5, "pagent restored our table")
    left.ping(right)
    lines = a.log_lines("nftables", daemon=a.pagent)
    if not any("W " in line or "restored" in line for line in lines):
        raise Failure(f"pagent's log does not tell of the flush: {lines}")
    finish(lab, a, b)


@case("filter-flushed-closed")
def flushed_closed(lab):
    """nft flush ruleset with pagent killed: what must be protected stops, and only that."""
    left, right = lab.pair()
    a, b = both(left, right)
    left.ping(right)
    a.pagent.popen.kill()
    a.pagent.popen.wait()
    left.run("nft", "flush", "ruleset")
    left.ping(right, seconds=2, expect=False)
    right.ping(left, seconds=2, expect=False)
    a.start_pagent()
    left.ping(right)
    finish(lab, a, b)


@case("filter-xfrm-flushed")
def xfrm_flushed(lab):
    """ip xfrm policy flush, state flush and both: repaired at once, nothing leaks."""
    left, right = lab.pair()
    a, b = both(left, right)
    left.ping(right)
    for flush in (("policy",), ("state",), ("state", "policy")):
        was = a.pagent.log().count("restored")
        for what in flush:
            left.run("ip", "xfrm", what, "flush")
        left.ping(right, seconds=5)
        # A second repair within a second waits for its end.
        wait_until(lambda: a.pagent.log().count("restored") > was, 5,
                   f"pagent told that {' and '.join(flush)} was flushed")
    finish(lab, a, b)


def finish(lab, a, b):
    """Ends both sides and holds the wire to it that nothing went in clear."""
    left, right = lab.hosts
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    a.stop()
    b.stop()
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(left, right))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if not lab.wire.count(f"{between(left, right)} and {IKE}"):
        raise Failure("no IKE on the wire")
