"""
./dev bench lab: setups a second, CPU a setup and side, and memory, ours beside strongSwan's, in one
run on one kernel.  The initiator has an address a tunnel (RFC 2544's range); a packet from each asks
for its tunnel, with a few open at a time.
"""

import ipaddress
import os
import select
import socket
import subprocess
import time

from labkit.host import Failure
from labkit.lab import Lab, say
from labkit.ours import Ours
from labkit.swan import CONF

TUNNELS, FIRST, OPEN = 1000, 100, 4
NET = "198.18.0.0/16"
RIGHT = "198.19.0.1"
KEY = "bench-bench-bench-bench"

POLICY = """\
IpFilterPolicy
{{
  FilterLogging Off
  AllowOnDemand Yes
  IpFilterRule IKE
  {{
    IpSourceAddr {local}
    IpDestAddr   {remote}
    IpService
    {{
      Protocol             Udp
      SourcePortRange      500
      DestinationPortRange 500
    }}
    IpGenericFilterActionRef permit
  }}
  IpFilterRule Data
  {{
    IpSourceAddr {local}
    IpDestAddr   {remote}
    IpService
    {{
      Protocol All
    }}
    IpGenericFilterActionRef ipsec
    IpDynVpnActionRef        Bench
  }}
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
IpDynVpnAction Bench
{{
  IpDataOffer
  {{
    HowToEncap   Transport
    HowToEncrypt AES_CBC KeyLength 256
    HowToAuth    ESP HMAC_SHA2_256_128
  }}
}}
KeyExchangePolicy
{{
  KeyExchangeRule Bench
  {{
    LocalSecurityEndpoint
    {{
      Identity Fqdn {me}
      Location {local}
    }}
    RemoteSecurityEndpoint
    {{
      Identity Fqdn {peer}
      Location {remote}
    }}
    KeyExchangeActionRef Bench
    SharedKey Ascii {key}
  }}
}}
KeyExchangeAction Bench
{{
  HowToInitiate     Main
  HowToRespondIKEv1 Main
  KeyExchangeOffer
  {{
    HowToEncrypt   AES_CBC KeyLength 256
    HowToAuthMsgs  SHA2_256
    HowToAuthPeers PresharedKey
    DHGroup        Group14
  }}
}}
"""

CONNECTION = """
  c{n} {{
    version = 1
    unique = never
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = aes256-sha256-modp2048
    local {{
      auth = psk
      id = {me}
    }}
    remote {{
      auth = psk
      id = {peer}
    }}
    children {{
      c{n} {{
        mode = transport
        esp_proposals = aes256-sha256
        start_action = {start}
      }}
    }}
  }}
"""


def sources():
    first = int(ipaddress.ip_network(NET)[256])
    return [str(ipaddress.ip_address(first + i)) for i in range(TUNNELS)]


class OursSide(Ours):
    """Our daemons on one host; what counts is iked."""

    def __init__(self, host, initiator):
        ends = (NET, RIGHT) if initiator else (RIGHT, NET)
        names = ("left.example.com", "right.example.com")
        me, peer = names if initiator else names[::-1]
        super().__init__(host, POLICY.format(local=ends[0], remote=ends[1], me=me, peer=peer,
                                             key=KEY))

    def pids(self):
        return with_children(self.iked.pid)


class SwanSide:
    """charon on one host: a connection for each of the initiator's addresses, one for the responder."""

    def __init__(self, host, initiator):
        self.host = host
        names = ("left.example.com", "right.example.com")
        me, peer = names if initiator else names[::-1]
        conf = host.write("strongswan.conf", CONF.format(
            vici=host.path("charon.vici"), log="/dev/null").replace("ike = 2", "ike = 0")
            .replace("enc = 1", "enc = 0").replace("default = 1", "default = 0")
            .replace("threads = 8", "threads = 16\n  ikesa_table_size = 1024"))
        if initiator:
            text = "".join(CONNECTION.format(n=n, local=a, remote=RIGHT, me=me, peer=peer,
                                             start="trap") for n, a in enumerate(sources()))
        else:
            text = CONNECTION.format(n=0, local=RIGHT, remote=NET, me=me, peer=peer, start="none")
        host.write("swanctl.conf", f"connections {{\n{text}\n}}\nsecrets {{\n  ike-bench {{\n"
                   f"    id-1 = {me}\n    id-2 = {peer}\n    secret = {KEY}\n  }}\n}}\n")
        env = {"STRONGSWAN_CONF": conf, "SWANCTL_DIR": host.dir}
        self.process = host.start("charon", "charon-systemd", env=env)
        host.run("swanctl", "--load-all", "--noprompt", "--file", host.path("swanctl.conf"),
                 "--uri", f"unix://{host.path('charon.vici')}", env=env, timeout=120)

    def pids(self):
        return with_children(self.process.pid)

    def stop(self):
        self.process.popen.kill()
        self.process.popen.wait()


def with_children(pid):
    """A process and its direct children: iked's parent and worker."""
    found = [pid]
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(other))
        except OSError:
            continue
    return found


def cpu_ms(pids):
    """User and system time of all threads, ended ones too."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def rss_mb(pids):
    kb = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            kb += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
    return kb / 1024


class Monitor:
    """Counts the tunnels for which the responder has installed its outbound SA."""

    def __init__(self, host):
        self.popen = subprocess.Popen(["ip", "xfrm", "monitor", "SA"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, preexec_fn=host.enter)
        self.up, self._rest = set(), b""
        time.sleep(0.2)

    def wait_for(self, n, seconds, again):
        """Until n tunnels are up; again() is called when nothing has come for a second."""
        end = time.monotonic() + seconds
        while len(self.up) < n:
            if time.monotonic() > end:
                raise Failure(f"{len(self.up)} tunnels are up, not {n} within {seconds} s")
            if not select.select([self.popen.stdout], [], [], 1)[0]:
                again()
                continue
            *lines, self._rest = (self._rest + os.read(self.popen.stdout.fileno(), 65536)) \
                .split(b"\n")
            self.up.update(line.split()[3].decode() for line in lines
                           if line.startswith(f"src {RIGHT} dst ".encode()))

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


def packets(host, addresses):
    """Sockets of the host, one an address."""
    made = []
    for address in addresses:
        s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, 0))
        made.append(s)
    return made


def ask(sock):
    try:
        sock.sendto(b"x", (RIGHT, 9))
    except OSError:  # strongSwan's first packet may be refused
        pass


def bring_up(monitor, socks, begin, end):
    """
    Tunnels begin to end, with at most OPEN under way; returns seconds and how many packets had to be
    sent again because nothing came of the first.
    """
    began, repeats = time.monotonic(), 0

    def again():
        nonlocal repeats
        for s in socks[begin:asked]:
            if s.getsockname()[0] not in monitor.up:
                ask(s)
                repeats += 1
    for asked in range(begin, end):
        monitor.wait_for(asked - OPEN + 1, 30, again)
        ask(socks[asked])
    asked = end
    monitor.wait_for(end, 30, again)
    return time.monotonic() - began, repeats


def measure(build, out, name, side):
    lab = Lab(f"/run/lab/bench-{name}", build, f"{out}/{name}")
    try:
        left, right = lab.pair(capture=False)
        lab.ip("-n", "right", "addr", "add", f"{RIGHT}/15", "dev", "eth0")
        batch = left.write("addresses", "".join(f"addr add {a}/15 dev eth0\n" for a in sources()))
        lab.ip("-n", "left", "-batch", batch)
        responder, initiator = side(right, False), side(left, True)
        ends = initiator.pids(), responder.pids()
        monitor = Monitor(right)
        socks = packets(left, sources())
        rss = [[rss_mb(p) for p in ends]]
        cpu = [cpu_ms(p) for p in ends]
        seconds, repeats = bring_up(monitor, socks, 0, FIRST)
        rss.append([rss_mb(p) for p in ends])
        more = bring_up(monitor, socks, FIRST, TUNNELS)
        seconds, repeats = seconds + more[0], repeats + more[1]
        rss.append([rss_mb(p) for p in ends])
        cpu = [(cpu_ms(p) - c) / TUNNELS for p, c in zip(ends, cpu)]
        monitor.stop()
        for s in socks:
            s.close()
        initiator.stop()
        responder.stop()
        say(f"{name:<12} {TUNNELS / seconds:8.1f}  {cpu[0]:9.2f} {cpu[1]:9.2f}  "
            + "  ".join(f"{i:6.1f}/{r:<6.1f}" for i, r in rss)
            + (f"  ({repeats} packets asked twice)" if repeats else ""))
        lab.keep = None
    except Failure:
        lab.snapshot()
        raise
    finally:
        lab.destroy()


def main(build, out):
    say(f"Main Mode PSK and Quick Mode, aes256-sha256-modp2048, {TUNNELS} tunnels, {OPEN} open at a"
        " time, both ends on one CPU")
    say("             setups/s  CPU ms a setup       RSS MB, initiator/responder")
    say(f"                       initiator responder  none           {FIRST:<13}  {TUNNELS}")
    measure(build, out, "strongSwan", SwanSide)
    measure(build, out, "csipsec", OursSide)
    return 0
