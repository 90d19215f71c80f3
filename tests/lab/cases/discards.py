"""Errors that the sender of a discarded packet is told of."""

import re
import socket
import time

from cases.packets import Bench
from labkit.filterworld import address
from labkit.host import Failure
from labkit.registry import case

# Who sent a discarded packet counts what it hears of it.
HEARD = """\
table inet heard {
  chain c {
    type filter hook prerouting priority -290; policy accept;
    icmp type destination-unreachable icmp code 13 counter
    icmpv6 type destination-unreachable icmpv6 code 1 counter
  }
}
"""
REFUSED, SILENT, IMPLICIT = 1, 2, 3  # numbers of addresses


def discarding_policy():
    rules = [(family, place, number) for family in (4, 6) for place in ("own", "right")
             for number in (REFUSED, SILENT)]
    text = "IpFilterPolicy\n{\n  ImplicitDiscardAction ICMP\n"
    text += "".join(f"  IpFilterRuleRef R{i}\n" for i in range(len(rules))) + "}\n"
    for i, (family, place, number) in enumerate(rules):
        text += (f"IpFilterRule R{i}\n{{\n  IpSourceAddr {address(family, place, number)}\n"
                 f"  IpDestAddr All{family}\n  IpService\n  {{\n    Protocol All\n    Routing Either\n"
                 f"  }}\n  IpGenericFilterActionRef {'refuse' if number == REFUSED else 'deny'}\n}}\n")
    for name, discard in (("refuse", "ICMP"), ("deny", "Silent")):
        text += (f"IpGenericFilterAction {name}\n{{\n  IpFilterAction Deny\n"
                 f"  DiscardAction {discard}\n}}\n")
    return text


@case("filter-discards", seconds=120)
def filter_discards(lab):
    """Who sent a packet to or through the host hears of its end where policy says so, with all of the packet."""
    bench, n, size = Bench(lab), 3, 100
    bench.policy(discarding_policy())
    bench.left.run("nft", "-f", bench.left.write("heard.nft", HEARD))

    def heard():
        text = bench.left.run("nft", "list", "table", "inet", "heard").stdout
        return [tuple(map(int, found)) for found in
                re.findall(r"counter packets (\d+) bytes (\d+)", text)]

    for family, kind, header in ((4, socket.AF_INET, 20), (6, socket.AF_INET6, 40)):
        with bench.left.socket(kind, socket.SOCK_DGRAM, 0) as s:
            for place in ("own", "right"):
                for number in (REFUSED, SILENT, IMPLICIT):
                    before = heard()
                    for _ in range(n):
                        s.sendto(bytes(size), (address(family, place, number), 9))
                    time.sleep(0.3)
                    errors = 0 if number == SILENT else n
                    wanted = [(0, 0), (0, 0)]
                    # The error's headers, and the packet with its own.
                    wanted[family == 6] = errors, errors * (2 * (header + 8) + size)
                    got = [(a - c, b - d) for (a, b), (c, d) in zip(heard(), before)]
                    if got != wanted:
                        raise Failure(f"errors for {n} packets to {address(family, place, number)} (packets and "
                                      f"bytes of ICMP and ICMPv6): {got}, not {wanted}")
    sent = [key for key in bench.counts() if key[2] == "o"]
    if sent:
        raise Failure(f"the list was asked for the errors: {sent}")
    bench.close()
