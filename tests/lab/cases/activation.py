"""Tunnels that begin by themselves, end with their time, are one peer's, or one port's."""

import time

from cases.filters import Acquires, Server, connects
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.wire import clear_between

SUITE = SUITES["aes256-sha256-modp2048"]
PFS = Pfs("none", SUITE)
KEY = "correct-horse-battery"


def policy(me, peer, **kwargs):
    return host_to_host(me, peer, SUITE, "transport", PFS, KEY, **kwargs)


def automatic(text):
    return text.replace("    Protocol All\n  }\n}\n", "    Protocol All\n    AutoActivate Yes\n  }\n}\n")


def finish(lab, *ends):
    for end in ends:
        end.drop_all()
    for end in ends:
        end.wait_gone()
    for end in ends:
        end.stop()
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(*lab.hosts))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")


@case("activate-auto", seconds=200)
def auto(lab):
    """AutoActivate: again and again until the peer is there; by command down, by policy up."""
    left, right = lab.pair()
    a = Ours(left, automatic(policy(left, right, on_demand=False)))
    wait_until(lambda: a.log_lines("CSI1060W"), 20, "told that the peer does not answer", step=0.2)
    b = Ours(right, policy(right, left, on_demand=False))
    wait_until(a.tunnels, 40, "the tunnel up", step=0.2)
    (tunnel,) = a.entries("-y", "display", "-b")
    if (tunnel["ActivationMethod"], tunnel["LocalDynVpnRule"]) != ("AutoAct", "Activate"):
        raise Failure(f"ipsec -y display -b says {tunnel}")
    if len(a.log_lines("CSI1060W")) != 1 or not a.log_lines("CSI1061I"):
        raise Failure("the log does not tell of failure and success once each")
    left.ping(right)
    b.terminate_child()  # what lived for a moment only is begun after a pause
    wait_until(lambda: not a.tunnels(), 5, "the tunnel gone")
    wait_until(a.tunnels, 20, "the tunnel up again after the peer ended it", step=0.2)
    a.terminate_child()
    wait_until(lambda: not a.tunnels(), 5, "the tunnel gone by command")
    time.sleep(8)
    if a.tunnels():
        raise Failure("what was deactivated by command is up again")
    with open(a.policy_path, "a") as f:
        f.write("IpAddr Unused\n{\n  Addr 192.0.2.99\n}\n")
    wait_until(a.tunnels, 20, "the tunnel up with a new policy", step=0.2)
    left.ping(right)
    a.iked.kill()
    a.stop()
    b.stop()
    for host in (left, right):
        for what in ("state", "policy"):
            host.run("ip", "xfrm", what, "flush")
    lab.wire.stop()


@case("activate-window", seconds=300)
def window(lab):
    """The rule's window ends: its SAs go at the minute, the peer's with them, and nothing passes."""
    left, right = lab.pair()
    now = time.time()
    end = (int(now) + 70) // 60 * 60 + 60  # time enough to begin, on a busy machine, too
    span = time.strftime("00:00-%H:%M", time.gmtime(end))
    if span.endswith("00:00"):
        span = "00:00-24:00"
    text = policy(left, right).replace("IpFilterRule Data\n{\n",
                                       "IpFilterRule Data\n{\n  IpTimeConditionRef Window\n")
    a = Ours(left, text + f"IpTimeCondition Window\n{{\n  TimeZone UTC\n  TimeOfDayRange {span}\n}}\n")
    b = Ours(right, policy(right, left))
    left.ping(right)
    wait_until(lambda: not left.sas() and not right.sas(), end - time.time() + 5,
               "the SAs of both gone with their minute", step=0.2)
    if time.time() < end:
        raise Failure("the SAs went before the end of the minute")
    if not a.log_lines("the time condition of its rule no longer holds"):
        raise Failure("iked does not tell why")
    left.ping(right, seconds=2, expect=False)
    right.ping(left, seconds=2, expect=False)
    finish(lab, a, b)


SALES = """\
IpFilterRule Sales
{{
  IpSourceAddr {local}
  IpDestAddr   {remote}
  IpGenericFilterActionRef ipsec
  IpDynVpnActionRef        Gold
  RemoteIdentity
  {{
    Identity Fqdn *.sales.example.com
  }}
}}
"""


@case("activate-identity", seconds=120)
def identity(lab):
    """Two rules for the same traffic, by RemoteIdentity: the peer has the second, both ways."""
    left, right = lab.pair()
    name = "Fqdn right.eng.example.com"
    text = policy(left, right, remote_id=name, on_demand=False,
                  first=(("Sales", SALES.format(local=left.v4, remote=right.v4)),))
    text = text.replace("IpFilterRule Data\n{\n", "IpFilterRule Data\n{\n  RemoteIdentity\n  {\n"
                        "    Identity Fqdn *.eng.example.com\n  }\n")
    text = text.replace("  HowToInitiate     Main\n",
                        "  HowToInitiate     Main\n  FilterByIdentity Yes\n")
    a = Ours(left, text)
    b = Ours(right, policy(right, left, local_id=name))
    right.ping(left)
    left.ping(right)
    (tunnel,) = a.tunnels()
    kinds = [(f["FilterName"], f["Type"], f["RemoteIdentity"])
             for f in a.entries("-f", "display") if f["FilterName"] in ("Sales", "Data")]
    if ("Sales", "Dynamic Anchor", "*.sales.example.com") not in kinds:
        raise Failure(f"ipsec -f display says {kinds}")
    if not a.log_lines("CSI1012I", "rule Data"):
        raise Failure(f"the tunnel is not of rule Data: {tunnel}")
    finish(lab, a, b)


@case("activate-ports", seconds=120)
def ports(lab):
    """A range of ports: a tunnel each, and what has none yet asks for one."""
    left, right = lab.pair()
    wide = (7001, 7002, 7003)

    def narrow(text, mine, theirs):
        return text.replace("    Protocol  All\n    Direction Bidirectional\n",
                            f"    Protocol  Tcp\n    {mine} 7001 7010\n    {theirs} 0\n")

    a = Ours(left, narrow(policy(left, right), "DestinationPortRange", "SourcePortRange"))
    b = Ours(right, narrow(policy(right, left), "SourcePortRange", "DestinationPortRange"))
    server = Server(right, *wide)
    acquires = Acquires(left)
    for n, port in enumerate(wide, 1):
        if not connects(left, right, port, 10):
            raise Failure(f"port {port} was not reached")
        if acquires.count() != n:
            raise Failure(f"{acquires.count()} ACQUIREs after {n} ports")
    if sorted(t["RemotePort"] for t in a.tunnels()) != list(wide):
        raise Failure(f"tunnels: {[(t['TunnelID'], t['RemotePort']) for t in a.tunnels()]}")
    if not connects(left, right, wide[0]) or acquires.count() != len(wide):
        raise Failure("a port that has its tunnel asks again")
    acquires.stop()
    server.stop()
    finish(lab, a, b)
