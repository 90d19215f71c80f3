"""
./dev bench lab: setups a second, CPU a setup and side, and memory, ours beside other daemons', in one
run on one kernel.  The initiator has an address a tunnel (RFC 2544's range); a packet from each asks
for its tunnel, with a few open at a time.
"""

import dataclasses
import ipaddress
import os
import resource
import select
import socket
import subprocess
import time

from cases.rsa import for_swan, make_certificates
from labkit.host import Failure
from labkit.lab import Lab, say
from labkit.libre import BY_CERTIFICATE, BY_KEY, Pluto
from labkit.ours import Ours
from labkit.swan import CONF

FIRST, OPEN = 100, 4
NET = "198.18.0.0/16"
RIGHT = "198.19.0.1"
KEY = "bench-bench-bench-bench"


@dataclasses.dataclass(frozen=True)
class Row:
    """What is measured; all with aes256-sha256-modp2048."""
    name: str
    tunnels: int
    exchange: str = "Main"
    rsa: bool = False
    pfs: bool = False
    refresh: bool = False
    without: tuple = ()


ROWS = (
    # pluto takes minutes to know 1000 connections.
    Row("Main Mode, preshared key", 1000, without=("libreswan",)),
    Row("Main Mode, preshared key", 200),
    Row("Aggressive Mode, preshared key", 200, exchange="Aggressive"),
    Row("Main Mode, RSA 2048", 200, rsa=True),
    Row("Main Mode, preshared key, PFS modp2048", 200, pfs=True),
    Row("refresh of phase 2, PFS modp2048", 200, pfs=True, refresh=True),
)

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
  InitiateWithPfs {pfs}
  AcceptablePfs   {pfs}
  IpDataOffer
  {{
    HowToEncap   Transport
    HowToEncrypt AES_CBC KeyLength 256
    HowToAuth    ESP HMAC_SHA2_256_128
    RefreshLifetimeProposed {life}
    RefreshLifetimeAccepted 1 480
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
{key}  }}
}}
KeyExchangeAction Bench
{{
  HowToInitiate     {exchange}
  HowToRespondIKEv1 {exchange}
  KeyExchangeOffer
  {{
    HowToEncrypt   AES_CBC KeyLength 256
    HowToAuthMsgs  SHA2_256
    HowToAuthPeers {auth}
    DHGroup        Group14
  }}
}}
"""

CONNECTION = """
  c{n} {{
    version = 1
    unique = never
    aggressive = {aggressive}
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = aes256-sha256-modp2048
    local {{
      auth = {auth}
      id = {me}
    }}
    remote {{
      auth = {auth}
      id = {peer}
    }}
    children {{
      c{n} {{
        mode = transport
        esp_proposals = aes256-sha256{pfs}
{life}        start_action = {start}
      }}
    }}
  }}
"""


def sources(n):
    first = int(ipaddress.ip_network(NET)[256])
    return [str(ipaddress.ip_address(first + i)) for i in range(n)]


def names(initiator):
    ends = ("left.example.com", "right.example.com")
    return ends if initiator else ends[::-1]


class OursSide(Ours):
    """Our daemons on one host; what counts is iked."""

    def __init__(self, host, initiator, row):
        local, remote = (NET, RIGHT) if initiator else (RIGHT, NET)
        me, peer = names(initiator)
        super().__init__(host, POLICY.format(
            local=local, remote=remote, me=me, peer=peer, exchange=row.exchange,
            auth="RsaSignature" if row.rsa else "PresharedKey",
            key="" if row.rsa else f"    SharedKey Ascii {KEY}\n",
            pfs="Group14" if row.pfs else "None", life=1 if row.refresh else 240))

    def pids(self):
        return with_children(self.iked.pid)


class SwanSide:
    """charon on one host: a connection for each of the initiator's addresses, one for the responder."""

    def __init__(self, host, initiator, row):
        self.host = host
        me, peer = names(initiator)
        conf = host.write("strongswan.conf", CONF.format(
            conf="", vici=host.path("charon.vici"), log="/dev/null", aggressive_psk="yes")
            .replace("ike = 2", "ike = 0").replace("enc = 1", "enc = 0").replace("default = 1", "default = 0")
            .replace("threads = 8", "threads = 16\n  ikesa_table_size = 1024"))
        life = "        rekey_time = 45s\n        rand_time = 0\n        life_time = 60s\n"

        def connection(n, local, remote, start):
            return CONNECTION.format(
                n=n, local=local, remote=remote, me=me, peer=peer, start=start,
                aggressive="yes" if row.exchange == "Aggressive" else "no",
                auth="pubkey" if row.rsa else "psk", pfs="-modp2048" if row.pfs else "",
                life=life if row.refresh and initiator else "")
        if initiator:
            text = "".join(connection(n, a, RIGHT, "trap")
                           for n, a in enumerate(sources(row.tunnels)))
        else:
            text = connection(0, RIGHT, NET, "none")
        secrets = (f"secrets {{\n  ike-bench {{\n    id-1 = {me}\n    id-2 = {peer}\n"
                   f"    secret = {KEY}\n  }}\n}}\n")
        if row.rsa:
            for_swan(host)
        host.write("swanctl.conf",
                   f"connections {{\n{text}\n}}\n{'' if row.rsa else secrets}")
        env = {"STRONGSWAN_CONF": conf, "SWANCTL_DIR": host.dir}
        self.process = host.start("charon", "charon-systemd", env=env)
        host.run("swanctl", "--load-all", "--noprompt", "--file", host.path("swanctl.conf"),
                 "--uri", f"unix://{host.path('charon.vici')}", env=env, timeout=120)

    def pids(self):
        return with_children(self.process.pid)

    def stop(self):
        self.process.popen.kill()
        self.process.popen.wait()


LIBRE_SETUP = """\
config setup
	ikev1-policy=accept
	uniqueids=no
conn %default
	ikev2=no
	auto=ignore
	aggressive={aggressive}
	type=transport
	leftid=@{me}
	rightid=@{peer}
	leftupdown=%disabled
	ike=aes256-sha2_256;modp2048
	esp=aes256-sha2_256{group}
	pfs={pfs}
	rekey={rekey}
{life}{auth}"""
LIBRE_CONNECTION = "conn c{n}\n\tleft={local}\n\tright={remote}\n"
LIBRE_LIFE = "\tsalifetime=60s\n\trekeymargin=15s\n\trekeyfuzz=0%\n"


class LibreSide(Pluto):
    """pluto on one host: a connection for each of the initiator's addresses, one for the responder."""

    def __init__(self, host, initiator, row):
        me, peer = names(initiator)
        ends = [(a, RIGHT) for a in sources(row.tunnels)] if initiator else [(RIGHT, "%any")]
        setup = LIBRE_SETUP.format(
            aggressive="yes" if row.exchange == "Aggressive" else "no", me=me, peer=peer,
            group=";modp2048" if row.pfs else "", pfs="yes" if row.pfs else "no",
            rekey="yes" if row.refresh and initiator else "no",
            life=LIBRE_LIFE if row.refresh and initiator else "",
            auth=BY_CERTIFICATE.format(name=host.name) if row.rsa else BY_KEY)
        connections = [f"c{n}" for n in range(len(ends))]
        super().__init__(
            host, setup + "".join(LIBRE_CONNECTION.format(n=n, local=a, remote=b)
                                  for n, (a, b) in enumerate(ends)),
            "" if row.rsa else f'@{me} @{peer} : PSK "{KEY}"\n', connections,
            certificates=row.rsa, trap=initiator)

    def pids(self):
        return with_children(self.process.pid)


SIDES = {"strongSwan": SwanSide, "libreswan": LibreSide, "csipsec": OursSide}


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
    """The tunnels for which the responder has installed its outbound SA, and how many it has installed."""

    def __init__(self, host):
        self.popen = subprocess.Popen(["ip", "xfrm", "monitor", "SA"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, preexec_fn=host.enter)
        self.up, self.installed, self._rest = set(), 0, b""
        time.sleep(0.2)

    def read(self):
        """False when nothing has come for a second."""
        if not select.select([self.popen.stdout], [], [], 1)[0]:
            return False
        *lines, self._rest = (self._rest + os.read(self.popen.stdout.fileno(), 65536)) \
            .split(b"\n")
        new = [line.split()[3].decode() for line in lines
               if line.startswith(f"src {RIGHT} dst ".encode())]
        self.installed += len(new)
        self.up.update(new)
        return True

    def wait_for(self, n, seconds, again):
        """Until n tunnels are up; again() is called when nothing has come for a second."""
        end = time.monotonic() + seconds
        while len(self.up) < n:
            if time.monotonic() > end:
                raise Failure(f"{len(self.up)} tunnels are up, not {n} within {seconds} s")
            if not self.read():
                again()

    def wait_refreshed(self, n, seconds):
        """Until n more SAs are installed."""
        end, want = time.monotonic() + seconds, self.installed + n
        while self.installed < want:
            if time.monotonic() > end:
                raise Failure(f"{n + self.installed - want} of {n} SAs are refreshed in {seconds} s")
            self.read()

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


def measure(build, libreswan, out, row, name, side):
    lab = Lab(f"/run/lab/bench-{name}", build, f"{out}/{name}", libreswan)
    try:
        left, right = lab.pair(capture=False)
        addresses = sources(row.tunnels)
        lab.ip("-n", "right", "addr", "add", f"{RIGHT}/15", "dev", "eth0")
        batch = left.write("addresses", "".join(f"addr add {a}/15 dev eth0\n" for a in addresses))
        lab.ip("-n", "left", "-batch", batch)
        if row.rsa:
            make_certificates(left, right)
        responder, initiator = side(right, False, row), side(left, True, row)
        ends = initiator.pids(), responder.pids()
        monitor = Monitor(right)
        socks = packets(left, addresses)
        rss = [[rss_mb(p) for p in ends]]
        cpu = [cpu_ms(p) for p in ends]
        seconds, repeats = bring_up(monitor, socks, 0, FIRST)
        rss.append([rss_mb(p) for p in ends])
        more = bring_up(monitor, socks, FIRST, row.tunnels)
        seconds, repeats = seconds + more[0], repeats + more[1]
        rss.append([rss_mb(p) for p in ends])
        if row.refresh:
            cpu, was = [cpu_ms(p) for p in ends], monitor.installed
            monitor.wait_refreshed(row.tunnels, 90)
        done = monitor.installed - was if row.refresh else row.tunnels
        cpu = [(cpu_ms(p) - c) / done for p, c in zip(ends, cpu)]
        monitor.stop()
        for s in socks:
            s.close()
        initiator.stop()
        responder.stop()
        say(f"  {name:<12} " + ("       -" if row.refresh else f"{row.tunnels / seconds:8.1f}")
            + f"  {cpu[0]:9.2f} {cpu[1]:9.2f}  " + "  ".join(f"{i:6.1f}/{r:<6.1f}" for i, r in rss)
            + (f"  ({repeats} packets asked twice)" if repeats else ""))
        lab.keep = None
    except Failure:
        lab.snapshot()
        raise
    finally:
        lab.destroy()


def main(build, libreswan, out):
    # pluto has sockets for each address.
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    say(f"aes256-sha256-modp2048, {OPEN} negotiations open at a time, both ends on one CPU")
    say("               setups/s  CPU ms a setup       RSS MB, initiator/responder")
    say(f"                         initiator responder  none           {FIRST:<13}  all")
    for row in ROWS:
        say(f"{row.name}, {row.tunnels} tunnels")
        for name, side in SIDES.items():
            if name not in row.without:
                measure(build, libreswan, out, row, name, side)
    return 0
