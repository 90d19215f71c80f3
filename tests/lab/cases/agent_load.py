"""A refresh while many tunnels carry traffic: what did not change does not notice."""

import ipaddress
import re

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.registry import case
from labkit.stream import Stream
from labkit.wire import IKE

NET = "198.18.0.0/16"
STREAMS = [0.002] + 5 * [0.1]  # seconds between packets, a tunnel each
POLICY = """\
IpFilterPolicy
{{
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
{rules}}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction deny
{{
  IpFilterAction Deny
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
IpDynVpnAction Many
{{
  IpDataOfferRef Offer
}}
IpDynVpnAction Other
{{
  VpnLife 600
  IpDataOfferRef Offer
}}
IpDataOffer Offer
{{
  HowToEncap   Transport
  HowToEncrypt AES_CBC KeyLength 256
  HowToAuth    ESP HMAC_SHA2_256_128
}}
KeyExchangePolicy
{{
  LivenessInterval 0
  KeyExchangeRule Many
  {{
    LocalSecurityEndpoint
    {{
      Identity Fqdn {me}.example.com
      Location {local}
    }}
    RemoteSecurityEndpoint
    {{
      Identity Fqdn {peer}.example.com
      Location {remote}
    }}
    KeyExchangeActionRef Main
    SharedKey Ascii correct-horse-battery
  }}
}}
KeyExchangeAction Main
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
RULE = """\
  IpFilterRule {name}
  {{
    IpSourceAddr {local}
    IpDestAddr   {remote}
    IpService
    {{
      Protocol {protocol}
{port}    }}
    IpGenericFilterActionRef {action}
{vpn}  }}
"""


def addresses(n):
    first = int(ipaddress.ip_network(NET)[256])
    return [str(ipaddress.ip_address(first + i)) for i in range(n)]


def ipsec_rule(name, local, remote, action="Many"):
    return RULE.format(name=name, local=local, remote=remote, protocol="All", port="", action="ipsec",
                       vpn=f"    IpDynVpnActionRef {action}\n")


def left_text(peer, sources, rules, port=20007, action="Many"):
    """Ipsec rules for all sources, behind as many of another kind as make up the number."""
    text = "".join(RULE.format(name=f"Filler{i}", local="All", remote=peer, protocol="Tcp",
                               port=f"      DestinationPortRange {port if i == 7 else 20000 + i}\n",
                               action="deny", vpn="") for i in range(rules - 1 - len(sources)))
    text += "".join(ipsec_rule(f"Data{i}", a, peer, action if i == 0 else "Many")
                    for i, a in enumerate(sources))
    return POLICY.format(local=NET, remote=peer, me="left", peer="right", rules=text)


def matches(ours):
    """What each filter of an ipsec rule has counted."""
    return {(e["FilterName"], e["Direction"]): e["FilterMatches"]
            for e in ours.entries("-f", "display")
            if e["FilterName"].startswith("Data") and e["Type"] == "Dynamic Anchor"}


def refresh(ours, text, change):
    """Another policy comes into force, and pagent says that this is what it changes."""
    ours.host.write("policy", text)
    ours.host.run(ours.program("pagent"), "-p", ours.stack, "-r", "refresh", timeout=60)
    if not ours.log_lines("filter rules: " + change, daemon=ours.pagent):
        raise Failure(f"pagent does not tell that the policy changes {change}: "
                      f"{ours.log_lines('filter rules', daemon=ours.pagent)}")


def under_load(lab, tunnels, rules):
    left, right = lab.pair()
    sources = addresses(tunnels)
    batch = "".join(f"addr add {a}/32 dev eth0\n" for a in sources)
    lab.ip("-n", left.name, "-batch", left.write("addresses", batch))
    right.run("ip", "route", "add", NET, "via", left.v4)
    a = Ours(left, left_text(right.v4, sources, rules))
    b = Ours(right, POLICY.format(local=right.v4, remote=NET, me="right", peer="left",
                                  rules=ipsec_rule("Data", right.v4, NET)))
    for source in sources:
        left.run("ping", "-n", "-q", "-c", "1", "-w", "10", "-I", source, right.v4)
    sas = left.sas()
    if len(sas) != 2 * tunnels:
        raise Failure(f"{len(sas)} SAs for {tunnels} tunnels")
    policies = left.policies_text()
    streams = [Stream(left, right, source=s, every=e) for s, e in zip(sources[1:], STREAMS)]
    counted, messages = matches(a), lab.wire.count(IKE)

    refresh(a, left_text(right.v4, sources, rules, port=30007), f"1 changed, {rules - 1} unchanged")
    now, counts = left.sas(), matches(a)
    if now.keys() != sas.keys() or any(now[k] < sas[k] for k in sas):
        raise Failure("a rule that is none of theirs changed, and SAs are others")
    if left.policies_text() != policies:
        raise Failure("a rule without a tunnel changed, and the SPD did")
    if more := lab.wire.lines(IKE)[messages:]:
        raise Failure(f"a refresh of the policy sent {len(more)} IKE messages: {more[:3]}")
    if counts.keys() != counted.keys() or any(counts[k] < counted[k] for k in counted):
        raise Failure("counters of filters that are as they were begin anew")

    # One of theirs: its tunnel ends, and no other.
    refresh(a, left_text(right.v4, sources, rules, port=30007, action="Other"),
            f"1 changed, {rules - 1} unchanged")
    wait_until(lambda: len(left.sas()) == 2 * tunnels - 2, 10, "the changed rule's tunnel ends")
    if not left.sas().keys() < sas.keys():
        raise Failure("another rule's SAs are others")
    for stream in streams:
        stream.stop()
    a.drop_all()
    wait_until(lambda: not left.sas() and not right.sas(), 20, "SAs gone")
    a.stop()
    b.stop()
    lab.wire.stop()
    if clear := [line for line in lab.wire.lines(f"net {NET} and icmp") if not re.search("ESP", line)]:
        raise Failure(f"in clear on the wire: {clear[0]}")


@case("agent-refresh-load", seconds=230)
def refresh_load(lab):
    """12 tunnels and 200 rules: one rule changes, and no packet, SA, counter or SPD entry of the others."""
    under_load(lab, 12, 200)


@case("agent-refresh-load-100", plain=False, seconds=600)
def refresh_load_100(lab):
    """The same with 100 tunnels and 1,000 rules."""
    under_load(lab, 100, 1000)
