"""What the ipsec command shows of live tunnels, and the policy file that pasearch writes."""

import os
import pathlib
import subprocess
import time

from cases.agent import end, entries, pagent, table
from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.policy import host_to_host, rule, service
from labkit.registry import case
from labkit.suites import SUITES, Pfs

SUITE = SUITES["aes256-sha256-modp2048"]
KEY = "correct-horse-battery"
FIRST, SECOND = 7001, 7002


def policy(me, peer, serves):
    """A rule of two services, one a port, before the one that protects the rest."""
    port = "SourcePortRange" if serves else "DestinationPortRange"
    ports = rule("Ports", me, peer, "ipsec", *(service("Tcp", **{port: n}) for n in (FIRST, SECOND)))
    return host_to_host(me, peer, SUITE, "transport", Pfs("none", SUITE), KEY, first=(ports,))


def expect(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: {got}, not {wanted}")


def row(entry):
    return tuple(entry[key] for key in ("FilterName", "FilterNameExtension", "Type", "TunnelID",
                                        "Direction"))


@case("display-dynamic-filters")
def dynamic_filters(lab):
    """Each tunnel's two filters stand before the anchor that it belongs to, and go with it."""
    left, right = lab.pair()
    a = Ours(left, policy(left, right, False))
    b = Ours(right, policy(right, left, True))
    bare = [row(e) for e in a.entries("-f", "display")]
    if any(kind == "Dynamic" for _, _, kind, _, _ in bare):
        raise Failure(f"dynamic filters without a tunnel: {bare}")
    before = int(time.time())

    server = subprocess.Popen(["python3", "-c", "import socket,sys\n"
                               "s=socket.create_server(('0.0.0.0',int(sys.argv[1])))\n"
                               "print('ready',flush=True)\n"
                               "s.accept()", str(SECOND)],
                              stdout=subprocess.PIPE, preexec_fn=right.enter)
    server.stdout.readline()
    left.run("python3", "-c", "import socket,sys\n"
             "socket.create_connection((sys.argv[1],int(sys.argv[2])),8)", right.v4, str(SECOND))
    server.wait(8)
    server.stdout.close()
    left.ping(right)
    port = {t["RemotePort"]: t["TunnelID"] for t in a.tunnels()}
    expect("tunnels by remote port", sorted(port), [0, SECOND])

    entries = a.entries("-f", "display")
    wanted = list(bare)
    for name, extension, tunnel in (("Ports", 3, port[SECOND]), ("Data", 1, port[0])):
        for n, direction in enumerate(("Outbound", "Inbound")):
            anchor = (name, extension + n, "Dynamic Anchor", "Y0", direction)
            wanted.insert(wanted.index(anchor),
                          (name, extension + n, "Dynamic", tunnel, direction))
    expect("filters", [row(e) for e in entries], wanted)
    out, back = [e for e in entries if e["Type"] == "Dynamic" and e["FilterName"] == "Ports"]
    for e, ends in ((out, (left.v4, 0, right.v4, SECOND)), (back, (right.v4, SECOND, left.v4, 0))):
        expect("selector", tuple(e[k] for k in ("SourceAddress", "SourcePort", "DestAddress",
                                                "DestPort")), ends)
        expect("what else it says",
               [e[k] for k in ("Protocol", "Action", "VpnActionName", "SourceAddressPrefix",
                               "SourceAddressGranularity", "FilterMatches")],
               [6, "Permit", "Gold", None, None, None])
        made = time.mktime(time.strptime(e["CreateTime"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        if not before - 1 <= made <= time.time() + 1:
            raise Failure(f"CreateTime {e['CreateTime']} is not that of the tunnel")
    shown = a.ipsec("-f", "display", "-n", "Data").stdout
    if shown.count(f"TunnelID:                     {port[0]}\n") != 2:
        raise Failure(f"-f display -n Data does not show {port[0]} twice: {shown}")

    # iked ended: the kernel goes on, and so does the display.
    a.iked.stop()
    expect("filters without iked", [row(e) for e in a.entries("-f", "display")], wanted)
    a.start_iked()
    a.ipsec("-y", "deactivate", "-a", "all")  # it has no phase 1 any more to tell the peer by
    b.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "SAs gone")
    expect("filters after all tunnels", [row(e) for e in a.entries("-f", "display")], bare)
    a.stop()
    b.stop()


EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"


def written(ours, *options):
    """The policy in force, as a file that pasearch writes."""
    path = ours.host.path("written.policy")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        done = subprocess.run([ours.program("pasearch"), "-p", ours.stack, "--policy", *options],
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
                              env=ours.host.env, preexec_fn=ours.host.enter, timeout=20, check=False)
    expect("pasearch --policy", (done.returncode, done.stderr), (0, ""))
    return pathlib.Path(path).read_text()


def statements(text):
    """Without the heading, which has the generation."""
    return [line for line in text.splitlines() if not line.startswith("#")]


@case("pasearch-written-policy", seconds=60)
def written_policy(lab):
    """Filters, a tunnel and AT-TLS rules: written by pasearch and read again, they are the same."""
    left, _ = lab.pair()
    a = Ours(left, f"IpSecConfig {EXAMPLES}/mixed/ipsec.policy\n"
                   f"TTLSConfig {EXAMPLES}/mixed/ttls.policy\n", start=False)
    a.start_pagent()
    first, spd = table(left), entries(left)
    if len(first[1]) < 2000 or not spd:
        raise Failure(f"the policy's table has {len(first[1])} characters, the SPD {len(spd)} entries")

    # Without its keys the file is refused, and nothing changes.
    left.write("policy", written(a))
    if "left out" not in (told := pagent(a, "-r", "refresh", ok=(1,)).stdout):
        raise Failure(f"a policy without its keys: {told[-400:]}")
    expect("after a refused file", (table(left), entries(left)), (first, spd))

    text = written(a, "--with-secrets")
    left.write("policy", text)
    pagent(a, "-r", "refresh")
    second = table(left)
    expect("the generation", second[0], first[0] + 1)
    if second[1] != first[1] or entries(left) != spd:
        raise Failure("the policy that pasearch wrote makes another table or SPD")
    told = a.log_lines(f"generation {second[0]}: filter rules", daemon=a.pagent)
    if len(told) != 1 or any(word in told[0] for word in ("added", "removed", "changed,", "order")):
        raise Failure(f"what the written policy changes: {told}")
    if not a.log_lines(f"generation {second[0]} is published (rules: 3)", daemon=a.pagent):
        raise Failure("the AT-TLS rules are not published again")
    expect("written once more", statements(written(a, "--with-secrets")), statements(text))
    end(a)
