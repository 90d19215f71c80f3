"""More denied packets than trmd can tell of, or while it does not run: each is accounted for."""

import os
import re
import signal
import socket
import time
from collections import Counter

from cases.audit import SUITE, Audited
from labkit.host import Failure, wait_until
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import Pfs

FLOOD = {"Denied1": 100000, "Denied2": 40000, "Denied3": 10000}  # a socket has room for some 60000
AWAY = {"Denied1": 20000, "Denied2": 9000, "Denied3": 3000}
PORTS = dict(zip(FLOOD, (7011, 7012, 7013)))
LOOK = 30  # seconds from one look at counters to the next
FEW = 40


def policy(me, peer):
    rules = [rule(name, me, peer, "deny", service("Udp", DestinationPortRange=port))
             for name, port in PORTS.items()]
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), "correct-horse-battery",
                        first=rules)


class Flood:
    """Sends to the rules' ports by turns, and knows how many."""

    def __init__(self, host, peer):
        self.host, self.peer, self.sent = host, peer, Counter()

    def send(self, packets):
        most = max(packets.values())
        with self.host.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
            for i in range(most):
                for name, n in packets.items():
                    if i * n // most == (i + 1) * n // most:
                        continue
                    try:
                        s.sendto(b"hello", (self.peer.v4, PORTS[name]))
                    except PermissionError:
                        pass  # that is the rule
        self.sent.update(packets)


def counters(a):
    """pagent's, which are the kernel's."""
    return Counter({e["FilterName"]: e["FilterMatches"] for e in a.entries("-f", "display")
                    if e["FilterName"] in FLOOD and e["Direction"] == "Outbound"})


def told(a, *words):
    """By rule, as the lines of all trmds up to now say."""
    n = Counter()
    for line in a.log_lines(*words, daemon=a.trmd):
        name = re.search(r"filter rule= (\S+)", line)[1]
        count = re.search(r" count= (\d+)", line)
        n[name] += int(count[1]) if count else 1
    return n


def lost(a):
    return told(a, "CSI6102W")


def compare(a, what, is_, should):
    if is_ != should:
        raise Failure(f"{what} {dict(is_)}, not {dict(should)}: " + "\n".join(
            a.log_lines("CSI6", daemon=a.trmd)[-8:]))


@case("audit-flood", seconds=200)
def audit_flood(lab):
    """Floods while trmd runs, is stopped by a signal, and does not run: lines, held back and lost add up."""
    left, right = lab.pair()
    a = Audited(left, policy(left, right))
    flood = Flood(left, right)
    time.sleep(4)  # the first look at counters, from which losses are known, is over

    # It runs: of a rule no more than a burst and its rate, and the rest counted.
    begin = time.monotonic()
    flood.send({"Denied1": 5000, "Denied3": FEW})
    wait_until(lambda: told(a, "EZD0815I")["Denied3"] >= FEW, 20, "a line of each of a few packets", step=0.5)
    time.sleep(2)
    lines, seconds = told(a, "EZD0815I"), time.monotonic() - begin
    if not 1000 <= lines["Denied1"] <= 1000 + 100 * seconds or lines["Denied3"] != FEW:
        raise Failure(f"lines of 5000 and {FEW} packets within {seconds:.1f} s are {dict(lines)}")

    # It is stopped: the kernel keeps what the socket has room for, and not the rest.
    os.kill(a.trmd.pid, signal.SIGSTOP)
    flood.send(FLOOD)
    os.kill(a.trmd.pid, signal.SIGCONT)
    wait_until(lambda: set(lost(a)) == set(FLOOD), 2 * LOOK + 10, "the loss of a full socket", step=0.5)
    time.sleep(LOOK + 3)  # another look finds nothing more
    stopped = lost(a)
    if any(not 0 < stopped[name] < n for name, n in FLOOD.items()):
        raise Failure(f"of {FLOOD} packets {dict(stopped)} were lost")

    # It does not run.
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    flood.send(AWAY)
    a.start_trmd()
    wait_until(lambda: set(lost(a) - stopped) == set(FLOOD), 20, "the loss without trmd", step=0.2)
    compare(a, "without trmd lost are", lost(a) - stopped, Counter(AWAY))

    flood.send({name: FEW for name in FLOOD})
    time.sleep(3)
    if a.trmd.stop() != 0:
        raise Failure("trmd did not end as it should: " + a.trmd.log()[-400:])
    compare(a, "counters are", counters(a), flood.sent)
    compare(a, "lines, held back and lost are", told(a, "EZD0815I") + told(a, "CSI6101I") + lost(a),
            flood.sent)
    if not told(a, "CSI6101I")["Denied1"]:
        raise Failure("nothing was held back")
    if not a.log_lines("CSI6106I", "the socket was full", daemon=a.trmd):
        raise Failure("the sums are not told at the end")
    a.witness.stop()
    a.stop()
