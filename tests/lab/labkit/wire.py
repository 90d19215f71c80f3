"""
What was on the wire: tcpdump writes it, tcpdump's own expressions ask about it.  And what somebody who sees
it can send: the same again, or something like it, from elsewhere.
"""

import os
import signal
import socket
import struct
import subprocess
from collections import namedtuple

from .host import Failure

ETH_P_IP = 0x0800
SO_RCVBUFFORCE = 33


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


# ---- forging: what anybody on the public wire can send ----

Datagram = namedtuple("Datagram", "src sport dst dport payload")


class Recorder:
    """The UDP datagrams that a host's eth0 sends and receives, to be sent again by somebody else."""

    def __init__(self, host):
        self.seen = []
        self.sock = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.sock.bind(("eth0", ETH_P_IP))
        self.sock.setblocking(False)

    def take(self, wanted=lambda datagram: True):
        """All since the beginning that are wanted, in the order of time."""
        while True:
            try:
                packet = self.sock.recv(1 << 16)
            except BlockingIOError:
                return [d for d in self.seen if wanted(d)]
            if packet[9] == socket.IPPROTO_UDP and not int.from_bytes(packet[6:8], "big") & 0x1fff:
                self.seen.append(_datagram(packet))

    def stop(self):
        self.sock.close()


def _datagram(packet):
    header = (packet[0] & 15) * 4
    sport, dport, length = struct.unpack_from("!HHH", packet, header)
    return Datagram(socket.inet_ntoa(packet[12:16]), sport, socket.inet_ntoa(packet[16:20]), dport,
                    packet[header + 8:header + length])


def is_esp(datagram):
    return (4500 in (datagram.sport, datagram.dport) and len(datagram.payload) > 12
            and datagram.payload[:4] != bytes(4))


def is_ike(datagram):
    """Behind the marker or on port 500."""
    if 4500 in (datagram.sport, datagram.dport):
        return len(datagram.payload) > 32 and datagram.payload[:4] == bytes(4)
    return 500 in (datagram.sport, datagram.dport)


def throw(host, datagram):
    """A host sends a datagram with whatever source it claims; the kernel adds the IP checksum."""
    udp = struct.pack("!HHHH", datagram.sport, datagram.dport, 8 + len(datagram.payload), 0)
    packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0,
                         socket.inet_aton(datagram.src), socket.inet_aton(datagram.dst))
    with host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(packet + udp + datagram.payload, (datagram.dst, 0))


def forged_esp(datagram, ahead=1000):
    """ESP of the same SA that nobody made who has its keys, with a sequence number to come."""
    spi, number = struct.unpack_from("!II", datagram.payload)
    return datagram._replace(payload=struct.pack("!II", spi, number + ahead) + os.urandom(104))


def forged_ike(datagram):
    """A message of the same phase 1 SA, of whose body only the length is right."""
    start = 4 if datagram.payload[:4] == bytes(4) else 0
    head = bytearray(datagram.payload[:start + 28])
    head[start + 16] = 8  # HASH
    head[start + 18] = 5  # Informational
    head[start + 19] = 1  # encrypted
    head[start + 20:start + 24] = os.urandom(4)
    head[start + 24:start + 28] = struct.pack("!I", 28 + 64)
    return datagram._replace(payload=bytes(head) + os.urandom(64))
