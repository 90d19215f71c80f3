"""Writes z/OS policy files for two hosts that protect what they say to each other."""

from dataclasses import dataclass

HEAD = """\
IpFilterPolicy
{{
  FilterLogging On
  AllowOnDemand {on_demand}
  IpFilterRuleRef IKE
{first}  IpFilterRuleRef Data
}}
IpFilterRule IKE
{{
  IpSourceAddr {local}
  IpDestAddr   {ike_remote}
{ike_services}  IpGenericFilterActionRef permit
}}
{first_rules}IpFilterRule Data
{{
  IpSourceAddr {data_local}
  IpDestAddr   {data_remote}
  IpService
  {{
    Protocol  All
    Direction Bidirectional
    Routing   Local
  }}
  IpGenericFilterActionRef ipsec
  IpDynVpnActionRef        Gold
{start_ref}}}
{start}IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpGenericFilterAction deny
{{
  IpFilterAction  Deny
  IpFilterLogging Yes
}}
IpGenericFilterAction ipsec
{{
  IpFilterAction  IpSec
  IpFilterLogging LogDeny
}}
IpDynVpnAction Gold
{{
  Initiation Either
{vpn_life}{pfs}  IpDataOffer
  {{
    HowToEncap   {mode}
    HowToEncrypt {esp_encrypt}
    HowToAuth    {esp_auth}
    RefreshLifetimeProposed {p2_life}
    RefreshLifetimeAccepted {p2_least} 480
{p2_size}  }}
}}
KeyExchangePolicy
{{
{liveness}{keepalive}  KeyExchangeRuleRef ToPeer
{more_refs}}}
KeyExchangeRule ToPeer
{{
  LocalSecurityEndpoint
  {{
    Identity {local_id}
    Location {local}
  }}
  RemoteSecurityEndpoint
  {{
    Identity {remote_id}
    Location {remote_location}
{ca_labels}  }}
  KeyExchangeActionRef {exchange}
{shared_key}}}
{more_rules}KeyExchangeAction {exchange}
{{
  HowToInitiate     {exchange}
{respond}{quirks}{nat}  KeyExchangeOffer
  {{
    HowToEncrypt   {ike_encrypt}
    HowToAuthMsgs  {ike_hash}
    HowToAuthPeers {auth}
    DHGroup        Group{group}
{p1_life}  }}
}}
LocalDynVpnPolicy
{{
  LocalDynVpnRule Activate
  {{
    LocalIp  {data_local}
    RemoteIp {data_remote}
    Protocol All
  }}
}}
"""

SERVICE_RULE = """\
IpFilterRule {name}
{{
  IpSourceAddr {local}
  IpDestAddr   {remote}
{services}  IpGenericFilterActionRef {action}
{vpn}}}
"""


def service(protocol, **attributes):
    """One IpService block; attributes are IBM's keywords."""
    lines = [f"    Protocol {protocol}"] + [f"    {k} {v}" for k, v in attributes.items()]
    return "  IpService\n  {\n" + "\n".join(lines) + "\n  }\n"


def rule(name, me, peer, action, *services, family=4):
    """A filter rule to stand before the one that protects everything."""
    vpn = "  IpDynVpnActionRef        Gold\n" if action == "ipsec" else ""
    return name, SERVICE_RULE.format(name=name, local=me.addr(family), remote=peer.addr(family),
                                     services="".join(services), action=action, vpn=vpn)


IKE_PORTS = """\
  IpService
  {{
    Protocol             Udp
    SourcePortRange      {}
{}    Direction            Bidirectional
    Routing              Local
  }}
"""
# Without NAT; behind one the peer's port may be any.
IKE_500 = IKE_PORTS.format(500, "    DestinationPortRange 500\n")
IKE_ANY = IKE_PORTS.format(500, "") + IKE_PORTS.format(4500, "")

# Where tunnels go that are not between the data's own ends.
START = """\
IpLocalStartAction Start
{{
  LocalSecurityEndpointAddr  {}
{}  LocalIpGranularity         Rule
  RemoteIpGranularity        Packet
}}
"""


@dataclass(frozen=True)
class NatPolicy:
    """
    What a policy says about NATs.  local, remote: the data's ends, where they are not the hosts.
    moves: addresses that the peer may have, if it is not one alone.
    """

    allow: bool = True
    force: bool = False
    keepalive: int | None = None
    local: str | None = None
    remote: str | None = None
    moves: str | None = None

    def endpoint(self, remote):
        return "" if self.moves else f"  RemoteSecurityEndpointAddr {remote}\n"

    def action(self):
        lines = [f"AllowNat {'Yes' if self.allow else 'No'}"]
        if self.force:
            lines.append("NatForceEncapsulation Yes")
        return "".join(f"  {line}\n" for line in lines)


KE_RULE = """\
KeyExchangeRule {name}
{{
  LocalSecurityEndpoint
  {{
    Identity {local_id}
    Location {local}
  }}
  RemoteSecurityEndpoint
  {{
    Identity {remote_id}
    Location Any
  }}
  KeyExchangeActionRef {exchange}
  SharedKey Ascii {key}
}}
"""


P1_LIFE = """\
    RefreshLifetimeProposed {}
    RefreshLifetimeAccepted 1 1440
"""
P2_SIZE = """\
    RefreshLifesizeProposed {}
    RefreshLifesizeAccepted 1 4194300
"""


def group_name(group):
    return f"Group{group}" if group else "None"


def host_to_host(me, peer, suite, mode, pfs, key, *, family=4, initiator=False, first=(),
                 local_id=None, remote_id=None, remote_location=None, on_demand=True,
                 exchange="Main", respond=None, others=(), ca_labels=(), lives=None, kbytes=None,
                 liveness=None, vpn_life=None, quirks=(), nat=None):
    """
    The file for one side.  The initiator of a PFS variant begins with the variant's group and accepts
    it alone; the other side accepts what the variant allows and would begin with its own group.
    key None: RSA signatures, by the CAs of these labels.  respond: HowToRespondIKEv1, if it is not
    the exchange; "" leaves it out.  others: name, identity and key of peers at any address, in key
    exchange rules behind the first.  lives: minutes that phase 1 and phase 2 are proposed for; down
    to a minute is accepted then.  kbytes: the same of phase 2.  liveness: LivenessInterval.
    vpn_life: VpnLife in minutes.  quirks: values of PeerQuirk.  nat: a NatPolicy.
    """
    begin, accept = (pfs.initiate, [pfs.initiate]) if initiator else (pfs.accept[0], pfs.accept)
    pfs_lines = [f"  InitiateWithPfs {group_name(begin)}"]
    pfs_lines += [f"  AcceptablePfs {group_name(g)}" for g in accept]
    local, remote = me.addr(family), peer.addr(family)
    local_id = local_id or f"IpAddr {local}"
    respond = exchange if respond is None else respond
    data_local, data_remote = nat and nat.local or local, nat and nat.remote or remote
    start = ""
    if (data_local, data_remote) != (local, remote):
        start = START.format(local, nat.endpoint(remote))
    return HEAD.format(
        on_demand="Yes" if on_demand else "No",
        vpn_life="" if vpn_life is None else f"  VpnLife {vpn_life}\n",
        liveness="" if liveness is None else f"  LivenessInterval {liveness}\n",
        p2_life=lives[1] if lives else 240, p2_least=1 if lives else 60,
        p2_size=P2_SIZE.format(kbytes) if kbytes else "",
        p1_life=P1_LIFE.format(lives[0]) if lives else "",
        first="".join(f"  IpFilterRuleRef {name}\n" for name, _ in first),
        first_rules="".join(text for _, text in first),
        local=local, remote=remote, mode=mode.capitalize(),
        # A NAT may give the peer another address.
        ike_services=IKE_ANY if nat else IKE_500, ike_remote="All4" if nat else remote,
        data_local=data_local, data_remote=data_remote,
        start=start, start_ref="  IpLocalStartActionRef    Start\n" if start else "",
        nat=nat.action() if nat else "",
        keepalive="" if nat is None or nat.keepalive is None else
        f"  NatKeepAliveInterval {nat.keepalive}\n",
        pfs="".join(line + "\n" for line in pfs_lines),
        esp_encrypt=suite.esp_encrypt, esp_auth=suite.esp_auth,
        ike_encrypt=suite.ike_encrypt, ike_hash=suite.ike_hash, group=suite.group,
        local_id=local_id, remote_id=remote_id or f"IpAddr {remote}",
        auth="PresharedKey" if key else "RsaSignature",
        shared_key=f"  SharedKey Ascii {key}\n" if key else "",
        ca_labels="".join(f"    CaLabel {label}\n" for label in ca_labels),
        remote_location=remote_location or nat and nat.moves or remote, exchange=exchange,
        respond=f"  HowToRespondIKEv1 {respond}\n" if respond else "",
        quirks="".join(f"  PeerQuirk {q}\n" for q in quirks),
        more_refs="".join(f"  KeyExchangeRuleRef {name}\n" for name, _, _ in others),
        more_rules="".join(KE_RULE.format(name=name, local_id=local_id, local=local, remote_id=i,
                                          exchange=exchange, key=k) for name, i, k in others))
