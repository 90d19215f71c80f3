"""
Two hosts and an address that moves between them by keepalived, and what one needs to see how long
that takes: traffic with the time of each packet, and the time at which the kernel has an address.
"""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from .host import Process, wait_until
from .nat import Internet, Seen

VIP = "192.0.2.100"

# Adverts go from host to host, so that the filters need no rule for a multicast group.
KEEPALIVED = """\
global_defs {{
  router_id {name}
  vrrp_version 3
  vrrp_startup_delay 0
}}
{instances}"""
INSTANCE = """\
vrrp_instance V{id} {{
  state BACKUP
  interface eth0
  virtual_router_id {id}
  priority {priority}
  advert_int {advert}
  garp_master_delay 1
  unicast_src_ip {me}
  unicast_peer {{
    {other}
  }}
  virtual_ipaddress {{
    {address}/24 dev eth0
  }}
}}
"""


class Keepalived:
    """keepalived on one host: priorities by address, the highest of both hosts has it."""

    def __init__(self, host, other, priorities, advert=0.1):
        self.host = host
        instances = "".join(
            INSTANCE.format(id=50 + i, priority=priority, advert=advert, me=host.v4,
                            other=other.v4, address=address)
            for i, (address, priority) in enumerate(priorities.items()))
        self.conf = host.write("keepalived.conf",
                               KEEPALIVED.format(name=host.name, instances=instances))
        self.process = None
        self.start()

    def start(self):
        pids = [f"--{kind}={self.host.path(kind)}" for kind in ("pid", "vrrp_pid")]
        self.process = Process(self.host, "keepalived",
                               ["keepalived", "-n", "-l", "-P", "-f", self.conf, *pids],
                               self.host.env)
        self.host.processes.append(self.process)

    def pids(self):
        """Of all its processes."""
        return [self.process.pid, *self.process.children()]

    def stop(self):
        """In order: the other host is told, and has the address at once."""
        self.process.stop()


def has(host, address):
    text = host.run("ip", "-4", "-o", "addr", "show", "dev", "eth0").stdout
    return f" {address}/" in text


class Arrivals:
    """When addresses came to a host, by the kernel's own events."""

    def __init__(self, host):
        self.host, self.times = host, {}
        self.popen = subprocess.Popen(["ip", "-4", "-o", "monitor", "address"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      text=True, preexec_fn=host.enter)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            now = time.monotonic()
            found = re.search(r"inet ([0-9.]+)/", line)
            if found:
                gone = line.startswith("Deleted")
                self.times.setdefault((found[1], not gone), []).append(now)

    def last(self, address):
        return self.times[address, True][-1]

    def stop(self):
        self.popen.kill()
        self.popen.wait()


class At:
    """A host as it is seen at an address that is not always its own."""

    def __init__(self, host, address):
        self._host, self.v4 = host, address

    def addr(self, _family=4):
        return self.v4

    def __getattr__(self, name):
        return getattr(self._host, name)


class Echoes:
    """Pings in the background, and when each answer came."""

    def __init__(self, host, address, every=0.02):
        self.times = []
        self.popen = subprocess.Popen(["ping", "-n", "-i", str(every), address],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      text=True, preexec_fn=host.enter, bufsize=1)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.popen.stdout:
            if "bytes from" in line:
                self.times.append(time.monotonic())

    def first_after(self, when, seconds):
        """The first answer after that time."""
        return wait_until(lambda: next((t for t in self.times if t > when), None), seconds,
                          "an answer to a ping")

    def last_before(self, when):
        return max(t for t in self.times if t <= when)

    def stop(self):
        self.popen.send_signal(signal.SIGINT)
        self.popen.wait(10)
        self.thread.join(10)


class Cluster:
    """Hosts a and b, peers, and addresses that are a's while it lives; third: a host db, too."""

    def __init__(self, lab, peers=("peer",), vips=(VIP,), third=False):
        self.lab, self.vips = lab, list(vips)
        self.net = lab.net = Internet(lab)
        self.a, self.b = self.net.host("a"), self.net.host("b")
        self.db = self.net.host("db") if third else None
        self.peers = [self.net.host(name) for name in peers]
        for host in (self.a, self.b):
            # What is known of the other host's address is asked for anew soon.
            host.run("sysctl", "-q", "net.ipv4.conf.all.arp_notify=1")
        self.keepalived = {}

    def vip(self, n=0):
        return Seen("vip", self.vips[n])

    def own(self):
        """All these hosts in one rule of a policy, which is the same on both."""
        return Seen("own", f"{self.a.v4}-{(self.db or self.b).v4}")

    def start_keepalived(self, priorities_a=None, priorities_b=None, advert=0.1):
        self.keepalived[self.a.name] = Keepalived(
            self.a, self.b, priorities_a or dict.fromkeys(self.vips, 110), advert)
        wait_until(lambda: has(self.a, self.vips[0]), 10, "the address at a")
        self.keepalived[self.b.name] = Keepalived(
            self.b, self.a, priorities_b or dict.fromkeys(self.vips, 100), advert)

    def give(self, host, vip):
        """The address by hand, as keepalived does it."""
        host.run("ip", "addr", "add", f"{vip}/24", "dev", "eth0")
        self.announce(host, vip)

    def take(self, host, vip):
        host.run("ip", "addr", "del", f"{vip}/24", "dev", "eth0")

    def announce(self, host, vip):
        """Gratuitous ARP, as keepalived sends it, so that the neighbours know where the address is."""
        link, = json.loads(host.run("ip", "-json", "link", "show", "eth0").stdout)
        mac = bytes.fromhex(link["address"].replace(":", ""))
        address = socket.inet_aton(vip)
        frame = (b"\xff" * 6 + mac + b"\x08\x06" + b"\0\1\x08\0\x06\x04\0\1"
                 + mac + address + b"\xff" * 6 + address)
        with host.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(("eth0", 0))
            s.send(frame)

    def crash(self, host):
        """It is gone at once: its link first, so that nobody can say farewell. Returns when."""
        host.run("ip", "link", "set", "eth0", "down")
        when = time.monotonic()
        for pid in host.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return when

    def clear(self, host):
        """What the kernel of a crashed host would have lost."""
        host.run("ip", "xfrm", "state", "flush")
        host.run("ip", "xfrm", "policy", "flush")
        host.run("nft", "flush", "ruleset")
        for route in host.spent_routes():
            host.run("ip", "route", "del", "table", "local", *route.split()[:4])
        host.run("ip", "addr", "flush", "dev", "eth0", "scope", "global")

    def stop(self):
        for k in self.keepalived.values():
            if k.process.running():
                k.stop()
