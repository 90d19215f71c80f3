"""Manual tunnels: SPIs and keys from the policy, between hosts of ours and with plain ip xfrm."""

import os
import time

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.registry import case
from labkit.wire import AH, ESP, between, clear_between

# Keys of the left host's outbound and inbound direction, in hex.
AES = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")
TDES = (AES[0] + "0123456789abcdef", AES[1] + "fedcba9876543210")
SHA1 = (AES[0] + "01234567", AES[1] + "89abcdef")
SHA256 = (AES[0] + AES[1], AES[1] + AES[0])
SPI, AH_SPI = (4096, 4097), (5000, 5001)

# HowToEncrypt, HowToAuth, keys of each; and what ip xfrm calls them.
SUITES = {
    "aes-sha1": ("AES_CBC KeyLength 128", "ESP HMAC_SHA1", AES, SHA1,
                 ("cbc(aes)", "hmac(sha1)", 96)),
    "3des-sha256": ("3DES", "ESP HMAC_SHA2_256_128", TDES, SHA256,
                    ("cbc(des3_ede)", "hmac(sha256)", 128)),
    "null-sha1": ("DoNot", "ESP HMAC_SHA1", None, SHA1, ("ecb(cipher_null)", "hmac(sha1)", 96)),
    "ah-sha256": ("DoNot", "AH HMAC_SHA2_256_128", None, SHA256, (None, "hmac(sha256)", 128)),
    "aes-in-ah": ("AES_CBC KeyLength 128", "AH HMAC_SHA1", AES, SHA1,
                  ("cbc(aes)", "hmac(sha1)", 96)),
}

POLICY = """\
IpFilterPolicy
{{
  IpFilterRuleRef Data
{more_refs}}}
IpFilterRule Data
{{
  IpSourceAddr {local}
  IpDestAddr   {remote}
  IpGenericFilterActionRef ipsec
  IpManVpnActionRef        Manual
}}
{more}IpGenericFilterAction ipsec
{{
  IpFilterAction IpSec
}}
IpGenericFilterAction permit
{{
  IpFilterAction Permit
}}
IpManVpnAction Manual
{{
  Active {active}
  LocalSecurityEndpointAddr  {local}
  RemoteSecurityEndpointAddr {remote}
  HowToEncap   {mode}
  HowToEncrypt {encrypt}
  HowToAuth    {auth}
{sas}{action}}}
"""

PERMIT = """\
IpFilterRule Extra
{{
  IpSourceAddr {local}
  IpDestAddr   192.0.2.77
  IpGenericFilterActionRef permit
}}
"""


def policy(me, peer, suite, mode, *, family=4, left=True, active=True, action="", extra=False,
           keys=None):
    encrypt, auth, cipher_keys, auth_keys, _ = SUITES[suite]
    auth_keys = keys or auth_keys
    out, into = (0, 1) if left else (1, 0)
    spi = AH_SPI if auth.startswith("AH") else SPI
    lines = [f"AuthOutboundSa {spi[out]} {auth_keys[out]}",
             f"AuthInboundSa {spi[into]} {auth_keys[into]}"]
    if cipher_keys:
        lines += [f"EncryptOutboundSa {SPI[out]} {cipher_keys[out]}",
                  f"EncryptInboundSa {SPI[into]} {cipher_keys[into]}"]
    local = me.addr(family)
    return POLICY.format(local=local, remote=peer.addr(family), mode=mode, encrypt=encrypt,
                         auth=auth, active="Yes" if active else "No", action=action,
                         sas="".join(f"  {line}\n" for line in lines),
                         more=PERMIT.format(local=local) if extra else "",
                         more_refs="  IpFilterRuleRef Extra\n" if extra else "")


def ours(me, peer, *args, **kwargs):
    end = Ours(me, policy(me, peer, *args, **kwargs), start=False)
    end.start_pagent()
    return end


class Plain:
    """The other host with ip xfrm alone: no daemon, no filters of ours."""

    def __init__(self, host, peer, suite, mode, family):
        self.host = host
        _, how, cipher_keys, auth_keys, (cipher, integ, bits) = SUITES[suite]
        mode = mode.lower()
        ah = how.startswith("AH")
        ends = host.addr(family), peer.addr(family)
        for direction, (src, dst) in ((1, ends), (0, ends[::-1])):
            auth = ("auth-trunc", integ, f"0x{auth_keys[direction]}", str(bits))
            enc = (("enc", cipher, f"0x{cipher_keys[direction]}" if cipher_keys else "")
                   if cipher else ())
            if cipher:
                self.state(src, dst, "esp", SPI[direction], mode, enc + (() if ah else auth))
            if ah:
                flags = ("flag", "align4") if family == 4 else ()
                self.state(src, dst, "ah", AH_SPI[direction], "transport" if cipher else mode,
                           flags + auth)
        for name, (src, dst) in (("out", ends), ("in", ends[::-1])):
            templates = []
            outer = ("src", src, "dst", dst) if mode == "tunnel" else ()
            if cipher:
                templates += ["tmpl", *outer, "proto", "esp", "reqid", "7", "mode", mode]
            if ah:
                templates += ["tmpl", *(() if cipher else outer), "proto", "ah", "reqid", "7",
                              "mode", "transport" if cipher else mode]
            host.run("ip", "xfrm", "policy", "add", "src", src, "dst", dst, "dir", name,
                     "priority", "9", *templates)
            # What finds the neighbour cannot go by a tunnel to it.
            for kind in (135, 136) if family == 6 else ():
                host.run("ip", "xfrm", "policy", "add", "src", "::/0", "dst", "::/0", "proto",
                         "ipv6-icmp", "type", str(kind), "dir", name)

    def state(self, src, dst, proto, spi, mode, rest):
        self.host.run("ip", "xfrm", "state", "add", "src", src, "dst", dst, "proto", proto, "spi",
                      hex(spi), "reqid", "7", "mode", mode, *rest)

    def stop(self):
        for what in ("policy", "state"):
            self.host.run("ip", "xfrm", what, "flush")


def check_wire(lab, suite, family):
    left, right = lab.hosts
    protected = AH if SUITES[suite][1].startswith("AH") else ESP
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(left, right, family, protected))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if not lab.wire.count(f"{between(left, right, family)} and {protected}"):
        raise Failure("nothing protected on the wire")


def check_display(end, suite, mode):
    (tunnel,) = end.entries("-m", "display")
    ah = SUITES[suite][1].startswith("AH")
    wanted = {"TunnelID": "M1", "VpnActionName": "Manual", "State": "Active", "HowToEncap": mode,
              "HowToAuth": "AH" if ah else "ESP", "AuthOutboundSpi": (AH_SPI if ah else SPI)[0]}
    got = {key: tunnel[key] for key in wanted}
    if got != wanted or not tunnel["InboundPackets"] or not tunnel["OutboundPackets"]:
        raise Failure(f"ipsec -m display says {tunnel}")
    text = end.ipsec("-m", "display").stdout + str(tunnel) + end.pagent.log()
    for keys in SUITES[suite][2:4]:
        for key in keys or ():
            if key.lower() in text.lower():
                raise Failure("a key is shown")
    filters = [f for f in end.entries("-f", "display") if f["FilterName"] == "Data"]
    if {(f["Type"], f["TunnelID"]) for f in filters} != {("Manual", "M1")}:
        raise Failure(f"ipsec -f display says {filters}")


def both_ways(lab, suite, mode, family, plain):
    left, right = lab.pair()
    a = ours(left, right, suite, mode, family=family)
    if plain:
        b = Plain(right, left, suite, mode, family)
    else:
        b = ours(right, left, suite, mode, family=family, left=False)
    left.ping(right, family)
    right.ping(left, family)
    check_display(a, suite, mode)
    if len(left.sas()) != (4 if suite == "aes-in-ah" else 2):
        raise Failure(f"SAs of the left host: {left.sas()}")
    a.stop()
    b.stop()
    check_wire(lab, suite, family)


for _suite, _mode, _family, _plain in (
        ("aes-sha1", "Transport", 4, False), ("aes-sha1", "Tunnel", 6, False),
        ("ah-sha256", "Tunnel", 4, False), ("aes-in-ah", "Tunnel", 4, False),
        ("aes-sha1", "Tunnel", 4, True), ("3des-sha256", "Transport", 6, True),
        ("null-sha1", "Transport", 4, True), ("ah-sha256", "Transport", 4, True),
        ("ah-sha256", "Tunnel", 6, True), ("aes-in-ah", "Transport", 4, True)):
    def _case(lab, args=(_suite, _mode, _family, _plain)):
        both_ways(lab, *args)
    _case.__doc__ = f"{_suite}, {_mode}, IPv{_family}, with {'ip xfrm' if _plain else 'our own'}"
    case(f"manual-{'plain' if _plain else 'own'}-{_suite}-{_mode.lower()}-v{_family}", seconds=120,
         plain=_suite == "aes-in-ah")(_case)


def stop_all(lab, *ends):
    for end in ends:
        end.stop()
    check_wire(lab, "aes-sha1", 4)


def sent(host, spi=SPI[0]):
    """Packets of the SA with this SPI."""
    return sum(n for (_, s), (n, _) in host.sas().items() if int(s, 16) == spi)


@case("manual-inactive", seconds=240)
def inactive(lab):
    """Active No: dropped without a word until -m activate; that outlives kill -9 of pagent."""
    left, right = lab.pair()
    a = ours(left, right, "aes-sha1", "Tunnel", active=False)
    b = ours(right, left, "aes-sha1", "Tunnel", left=False)
    left.ping(right, seconds=2, expect=False)
    if left.sas():
        raise Failure(f"an inactive tunnel has SAs: {left.sas()}")
    (tunnel,) = a.entries("-m", "display")
    if tunnel["State"] != "Inactive" or tunnel["OutboundPackets"] is not None:
        raise Failure(f"ipsec -m display says {tunnel}")
    if "Activating" not in a.ipsec("-m", "activate", "-a", "M1").stdout:
        raise Failure("-m activate does not say Activating")
    left.ping(right)
    if "Already active" not in a.ipsec("-m", "activate", "-n", "Manual").stdout:
        raise Failure("-m activate of an active tunnel does not say so")
    before = sent(left)
    a.pagent.popen.kill()
    a.pagent.popen.wait()
    left.ping(right)
    a.start_pagent()
    left.ping(right)
    if sent(left) <= before:
        raise Failure("the SAs were made anew when pagent was started again")
    a.ipsec("-m", "deactivate", "-a", "all")
    left.ping(right, seconds=2, expect=False)
    if left.sas():
        raise Failure(f"a deactivated tunnel has SAs: {left.sas()}")
    a.ipsec("-m", "activate", "-a", "M2", ok=(5,))
    a.ipsec("-m", "activate", "-n", "Manual")
    left.ping(right)
    stop_all(lab, a, b)


@case("manual-refresh", seconds=240)
def refresh(lab):
    """A new policy leaves the SAs of an unchanged tunnel alone; another key is another tunnel."""
    left, right = lab.pair()
    a = ours(left, right, "aes-sha1", "Transport")
    b = ours(right, left, "aes-sha1", "Transport", left=False)
    left.ping(right, count=3)
    before = sent(left)

    def give(end, text):
        with open(end.policy_path, "w") as f:
            f.write(text)
        end.host.run(end.program("pagent"), "-p", end.stack, "-r", "refresh")

    give(a, policy(left, right, "aes-sha1", "Transport", extra=True))
    left.ping(right)
    if not before < sent(left) <= before + 2:
        raise Failure(f"{before} packets before the refresh, {sent(left)} after it")
    other = (SHA1[1], SHA1[0])
    give(a, policy(left, right, "aes-sha1", "Transport", keys=other))
    left.ping(right, seconds=2, expect=False)  # the wrong key: the peer drops it
    if not right.xfrm_stat().get("XfrmInStateProtoError"):
        raise Failure(f"no integrity failure is counted: {right.xfrm_stat()}")
    give(b, policy(right, left, "aes-sha1", "Transport", left=False, keys=other))
    left.ping(right)
    (tunnel,) = a.entries("-m", "display")
    if tunnel["TunnelID"] != "M2":
        raise Failure(f"with another key it is {tunnel['TunnelID']}")
    left.run("ip", "xfrm", "state", "flush")
    wait_until(lambda: len(left.sas()) == 2, 70, "the flushed SAs restored", step=0.5)
    left.ping(right)
    stop_all(lab, a, b)


@case("manual-iked", seconds=120)
def with_iked(lab):
    """iked beside it, started and stopped, does not touch a manual tunnel's SAs."""
    left, right = lab.pair()
    a = ours(left, right, "aes-sha1", "Tunnel")
    b = ours(right, left, "aes-sha1", "Tunnel", left=False)
    left.ping(right)
    before = left.sas()
    a.start_iked()
    left.ping(right)
    a.iked.kill()
    a.start_iked()
    left.ping(right)
    if set(left.sas()) != set(before):
        raise Failure(f"{before} before iked, {left.sas()} with it")
    stop_all(lab, a, b)


@case("manual-window", seconds=300, plain=False)
def window(lab):
    """IpTimeCondition of the action: at the end of its minute the SAs go, and nothing passes."""
    left, right = lab.pair()
    now = time.time()
    end = (int(now) + 70) // 60 * 60 + 60  # time enough to begin, on a busy machine, too
    span = time.strftime("00:00-%H:%M", time.gmtime(end))
    if span.endswith("00:00"):
        span = "00:00-24:00"
    times = f"  IpTimeCondition\n  {{\n    TimeZone UTC\n    TimeOfDayRange {span}\n  }}\n"
    a = ours(left, right, "aes-sha1", "Tunnel", action=times)
    b = ours(right, left, "aes-sha1", "Tunnel", left=False)
    left.ping(right)
    wait_until(lambda: not left.sas(), end - time.time() + 5, "the SAs gone with their minute",
               step=0.2)
    if time.time() < end:
        raise Failure("the SAs went before the end of the minute")
    left.ping(right, seconds=2, expect=False)
    (tunnel,) = a.entries("-m", "display")
    if tunnel["State"] != "Inactive":
        raise Failure(f"ipsec -m display says {tunnel['State']}")
    stop_all(lab, a, b)


@case("manual-undone")
def undone(lab):
    """pagent -u takes SAs and policies of manual tunnels along."""
    left, right = lab.pair()
    a = ours(left, right, "aes-sha1", "Tunnel")
    left.ping(right, seconds=1, expect=False)
    if len(left.sas()) != 2 or not os.path.exists(f"{left.dir}/run/{left.name}/manual.json"):
        raise Failure("the tunnel is not there")
    a.stop()
    if left.states_text() or left.policies_text():
        raise Failure("something is left behind")
    lab.wire.stop()


@case("manual-df-dscp", seconds=120)
def df_dscp(lab):
    """DF and DSCP of the packets stand in the header around them, or do not, as PassthroughDF and -DSCP say."""
    left, right = lab.pair()
    esp = f"src host {left.v4} and esp"

    def headers():
        return [lab.wire.count(f"{esp}{and_what}")
                for and_what in ("", " and ip[6] & 0x40 != 0", " and ip[1] & 0xfc == 0xb8")]

    for df, dscp in (("Yes", "No"), ("No", "Yes")):
        words = f"  PassthroughDF {df}\n  PassthroughDSCP {dscp}\n"
        a = ours(left, right, "aes-sha1", "Tunnel", action=words)
        b = ours(right, left, "aes-sha1", "Tunnel", left=False, action=words)
        for inner_df, inner_tos in ((True, 0xb8), (False, 0)):
            before = headers()
            left.run("ping", "-n", "-q", "-i", "0.2", "-c", "3", "-w", "8", "-Q", hex(inner_tos), "-M",
                     "do" if inner_df else "dont", right.v4)
            wanted = [3, 3 * (inner_df and df == "Yes"), 3 * (inner_tos != 0 and dscp == "Yes")]
            wait_until(lambda: headers()[0] - before[0] >= 3, 5, "three packets of ESP on the wire")
            got = [now - then for now, then in zip(headers(), before)]
            if got != wanted:
                raise Failure(f"PassthroughDF {df}, PassthroughDSCP {dscp}, DF {inner_df}, DSCP {inner_tos >> 2}: "
                              f"ESP, those with DF, those with DSCP are {got}, not {wanted}")
        a.stop()
        b.stop()
