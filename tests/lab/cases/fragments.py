"""
Messages too large for a packet in a network that lets no IP fragment pass: they go as fragments of
IKE's own (payload 132).
"""

from cases.psk import WHO
from cases.refusals import SUITE
from cases.rsa import PAIRS, libre, make_certificates, shown_as_signed
from labkit.host import Failure
from labkit.libre import Libre
from labkit.negotiate import negotiate_and_delete
from labkit.ours import Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import Pfs

# Before the kernel puts fragments together.
NO_FRAGMENTS = """\
table inet narrow {
  chain in {
    type filter hook prerouting priority -450;
    ip frag-off & 0x3fff != 0 counter drop
  }
}
"""
KEY = "correct-horse-battery"


def narrow(host):
    host.run("nft", "-f", host.write("narrow.nft", NO_FRAGMENTS))


def expect_fragments(lab, hosts, senders):
    """Of IKE from each of the senders, and none of IP."""
    for host in hosts:
        if host in senders and not lab.wire.count(f"src host {host.v4} and udp port 500 and udp[24] == 132"):
            raise Failure(f"{host.name} sent no fragment of IKE")
        if "packets 0 " not in host.run("nft", "list", "table", "inet", "narrow").stdout:
            raise Failure(f"{host.name} got fragments of IP")
        host.run("nft", "delete", "table", "inet", "narrow")


# libreswan sends a message as a whole first, unless told.
AT_ONCE = {"more": (("fragmentation", "force"),)}


def register(pair, exchange):
    """Left's certificate is of the CA between, which it sends along; right's is the root's."""
    peer, who = WHO[pair]

    @case(f"fragments-{pair}-{exchange.lower()}", seconds=180,
          shows=(peer, f"{exchange} Mode, RSA of 4096 bits, IKE's own fragments, {who}"))
    def run(lab):
        begin, answer = PAIRS[pair]
        hosts = []

        def start(side, host, peer, initiator):
            return side(host, peer, exchange, "fqdn", initiator, **(AT_ONCE if side is libre else {}))

        def certified(host, peer):
            hosts.extend((peer, host))
            make_certificates(peer, host, bits=4096)
            for h in hosts:
                narrow(h)
            return start(answer, host, peer, False)
        negotiate_and_delete(lab, lambda host, peer: start(begin, host, peer, True), certified,
                             check=shown_as_signed)
        expect_fragments(lab, hosts, hosts)


register("own", "Main")
register("own", "Aggressive")
register("to-strongswan", "Main")
register("from-strongswan", "Main")
register("from-strongswan", "Aggressive")
register("to-libreswan", "Main")
register("from-libreswan", "Main")


def many_offers(policy, n):
    """The policy with its data offer n times, which makes Quick Mode's first message large."""
    before, mark, rest = policy.partition("  IpDataOffer\n")
    offer, end, after = rest.partition("  }\n")
    return before + n * (mark + offer + end) + after


@case("fragments-to-libreswan", shows=("libreswan", f"Quick Mode, IKE's own fragments, {WHO['own'][1]}"))
def to_libreswan(lab):
    none, hosts = Pfs("none", SUITE), []

    def answer(host, peer):
        hosts.extend((peer, host))
        for h in hosts:
            narrow(h)
        return Libre(host, peer, SUITE, "transport", none, KEY)

    def begin(host, peer):
        return Ours(host, many_offers(host_to_host(host, peer, SUITE, "transport", none, KEY,
                                                   initiator=True), 48))
    negotiate_and_delete(lab, begin, answer)
    expect_fragments(lab, hosts, hosts[:1])
