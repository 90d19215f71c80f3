"""What was on the wire: tcpdump writes it, tcpdump's own expressions ask about it."""

import signal
import subprocess

from .host import Failure


class Capture:
    """A capture on one host's interface, running until stop()."""

    def __init__(self, host, name="wire"):
        self.path = f"{host.lab.dir}/{name}.pcap"
        self.popen = subprocess.Popen(
            ["tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-i", "eth0", "-w", self.path],
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

    def count(self, expression):
        return len(self.lines(expression))


IKE = "(udp port 500 or udp port 4500)"
ESP = "(ip proto 50 or ip6 proto 50)"
# Neighbour discovery cannot be protected by what it has to come before.
NEIGHBOUR = "(icmp6 and (ip6[40] == 135 or ip6[40] == 136))"


def between(a, b, family=4):
    return f"(host {a.addr(family)} and host {b.addr(family)})"


def clear_between(a, b, family=4):
    """An expression for what two hosts sent each other neither as ESP nor as IKE."""
    return f"{between(a, b, family)} and not {ESP} and not {IKE} and not {NEIGHBOUR} and not arp"
