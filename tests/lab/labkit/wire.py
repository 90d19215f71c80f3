"""What was on the wire: tcpdump writes it, tcpdump's own expressions ask about it."""

import signal
import subprocess

from .host import Failure


class Capture:
    """
    What one host sends, until stop().  What it receives is left to the sender's capture: the kernel
    shows a packet that came out of a tunnel on the interface as if it had been on the wire.
    """

    def __init__(self, host):
        self.path = host.path("sent.pcap")
        self.popen = subprocess.Popen(
            ["tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-Q", "out", "-i", "eth0",
             "-w", self.path],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, preexec_fn=host.enter)
        for line in self.popen.stderr:
            if "listening on" in line:
                return
        raise Failure(f"tcpdump on {host.name} did not start")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            self.popen.wait(10)
        self.popen.stderr.close()

    def lines(self, expression):
        done = subprocess.run(["tcpdump", "-n", "-r", self.path, expression],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
        if done.returncode != 0:
            raise Failure(f"tcpdump -r with '{expression}': {done.stderr.strip()}")
        return done.stdout.splitlines()


class Wire:
    """What all hosts of a lab sent each other, in the order of time."""

    def __init__(self, hosts):
        self.captures = [Capture(host) for host in hosts]

    def stop(self):
        for capture in self.captures:
            capture.stop()

    def lines(self, expression):
        return sorted(line for capture in self.captures for line in capture.lines(expression))

    def count(self, expression):
        return len(self.lines(expression))


IKE = "(udp port 500 or udp port 4500)"
ESP = "(ip proto 50 or ip6 proto 50)"
AH = "(ip proto 51 or ip6 proto 51)"
# The later fragments of a datagram do not say its ports; the first one does.
FRAGMENT = "(ip proto 17 and ip[6:2] & 0x1fff != 0)"
# Neighbour discovery cannot be protected by what it has to come before.
NEIGHBOUR = "(icmp6 and (ip6[40] == 135 or ip6[40] == 136))"


def between(a, b, family=4):
    return f"(host {a.addr(family)} and host {b.addr(family)})"


def clear_between(a, b, family=4, protected=ESP):
    """An expression for what two hosts sent each other neither protected nor as IKE."""
    return (f"{between(a, b, family)} and not {protected} and not {IKE} and not {NEIGHBOUR}"
            f" and not {FRAGMENT} and not arp")
