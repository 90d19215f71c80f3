"""Clients of a gateway: vpnc with a group key, a user and an address of our pool."""

import os
import signal
import subprocess

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.registry import case

# The crypt(5) hash of PASSWORD.
PASSWORD = "ninety-nine-balloons"
HASH = "$5$rounds=1000$labsalt$Xbs4yyKdDhM5HcHd3UVE6WI3BTajKb8SOfWNPIFfCv5"
INSIDE = "10.8.0.1"

POLICY = """\
IpFilterPolicy
{{
  AllowOnDemand No
  IpFilterRuleRef IKE
  IpFilterRuleRef Clients
}}
IpFilterRule IKE
{{
  IpSourceAddr {local}
  IpDestAddr   All4
  IpService
  {{
    Protocol        Udp
    SourcePortRange 500
    Direction       Bidirectional
    Routing         Local
  }}
  IpService
  {{
    Protocol        Udp
    SourcePortRange 4500
    Direction       Bidirectional
    Routing         Local
  }}
  IpGenericFilterActionRef permit
}}
IpFilterRule Clients
{{
  IpSourceAddrSet 10.8.0.0/24
  IpDestAddrSet   10.9.0.0/24
  IpService
  {{
    Protocol  All
    Direction Bidirectional
    Routing   Local
  }}
  IpGenericFilterActionRef ipsec
  IpDynVpnActionRef        Tunnel
  IpLocalStartActionRef    Start
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
IpLocalStartAction Start
{{
  LocalSecurityEndpointAddr {local}
  LocalIpGranularity  Rule
  RemoteIpGranularity Packet
}}
IpDynVpnAction Tunnel
{{
  Initiation      RemoteOnly
  InitiateWithPfs None
  AcceptablePfs   None
  IpDataOffer
  {{
    HowToEncap   Tunnel
    HowToEncrypt AES_CBC KeyLength 256
    HowToAuth    ESP HMAC_SHA1
  }}
}}
KeyExchangePolicy
{{
  KeyExchangeRuleRef Group
}}
KeyExchangeRule Group
{{
  LocalSecurityEndpoint
  {{
    Identity IpAddr {local}
    Location {local}
  }}
  RemoteSecurityEndpoint
  {{
    Identity KeyId Ascii staff
    Location Any4
  }}
  KeyExchangeActionRef Gateway
  SharedKey Ascii correct-horse-battery
}}
KeyExchangeAction Gateway
{{
  HowToInitiate        DoNot
  AllowNat             {nat}
  HowToRespondIKEv1    Aggressive
  ClientAuthentication XAuth
  ClientUser           alice {hash}
  ClientAddressPool    10.9.0.0/24
  ClientDns            {inside}
  KeyExchangeOffer
  {{
    HowToEncrypt   AES_CBC KeyLength 256
    HowToAuthMsgs  SHA1
    HowToAuthPeers PresharedKey
    DHGroup        Group14
  }}
}}
"""

VPNC = """\
IPSec gateway {gateway}
IPSec ID staff
IPSec secret correct-horse-battery
IKE Authmode psk
IKE DH Group dh14
Perfect Forward Secrecy nopfs
NAT Traversal Mode {nat}
Local Port 0
Xauth username alice
Xauth password {password}
IPSEC target network 10.8.0.0/24
Script {script}
Pidfile {pidfile}
Debug 1
No Detach
"""

SCRIPT = """\
#!/bin/sh
[ "$reason" = connect ] || exit 0
ip link set dev "$TUNDEV" up
ip addr add "$INTERNAL_IP4_ADDRESS"/32 dev "$TUNDEV"
ip route add 10.8.0.0/24 dev "$TUNDEV"
echo "$INTERNAL_IP4_ADDRESS $INTERNAL_IP4_DNS" >{result}.new
mv {result}.new {result}
"""


class Vpnc:
    """A running vpnc."""

    def __init__(self, host, gateway, password, nat=False):
        if not os.path.exists("/dev/net/tun"):
            os.makedirs("/dev/net", exist_ok=True)
            os.mknod("/dev/net/tun", 0o600 | 0o020000, os.makedev(10, 200))
        self.result = host.path("vpnc.result")
        script = host.write("vpnc.script", SCRIPT.format(result=self.result))
        os.chmod(script, 0o755)
        conf = host.write("vpnc.conf", VPNC.format(
            gateway=gateway.v4, password=password, script=script, nat="natt" if nat else "none",
            pidfile=host.path("vpnc.pid")))
        self.log = host.path("vpnc.log")
        with open(self.log, "w") as out:
            self.popen = subprocess.Popen(["vpnc", conf], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, env=host.env, preexec_fn=host.enter)

    def told(self):
        """Address and name server, when it has them."""
        if self.popen.poll() is not None:
            with open(self.log, errors="replace") as f:
                raise Failure(f"vpnc ended: {f.read().strip()[-300:]}")
        if not os.path.exists(self.result):
            return None
        with open(self.result) as f:
            return f.read().split()

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(10)


def gateway_of(right, nat=False):
    right.run("ip", "addr", "add", f"{INSIDE}/24", "dev", "lo")
    if not nat:
        right.run("ip", "route", "add", "10.9.0.0/24", "via", right.lab.hosts[0].v4)
    return Ours(right, POLICY.format(local=right.v4, hash=HASH, inside=INSIDE,
                                     nat="Yes" if nat else "No"))


@case("client-vpnc", shows=("vpnc", "Aggressive Mode, XAuth, Mode Config, the peer begins"))
def client_vpnc(lab):
    left, right = lab.pair()
    b = gateway_of(right)
    a = Vpnc(left, right, PASSWORD)
    address, dns = wait_until(a.told, 20, "vpnc has an address")
    if not address.startswith("10.9.0.") or dns != INSIDE:
        raise Failure(f"vpnc was told {address} and name server {dns}")
    left.run("ping", "-n", "-q", "-c", "5", "-i", "0.2", "-w", "10", INSIDE)
    if len(right.sas()) != 2:
        raise Failure(f"the gateway has these SAs: {right.sas()}")
    shown = [(e["XAuthUser"], e["ClientAddress"]) for e in b.ike_tunnels()]
    shown += [e["XAuthUser"] for e in b.tunnels()]
    if shown != [("alice", address), "alice"]:
        raise Failure(f"the displays have {shown} of alice at {address}")
    a.stop()
    wait_until(lambda: not right.sas(), 5, "SAs gone after vpnc has ended")
    b.wait_gone()
    b.stop()


@case("refuse-client-vpnc-wrong-password")
def wrong_password(lab):
    left, right = lab.pair()
    b = gateway_of(right)
    a = Vpnc(left, right, "guess")
    wait_until(lambda: b.log_lines("User alice", "is refused", "the password is wrong"), 10,
               "the log says why")
    a.popen.wait(20)
    b.wait_gone()
    if right.sas():
        raise Failure("there are SAs for a user who was refused")
    b.stop()
