"""The systemd units, started by systemd as a user starts them, with all that they forbid."""

import json
import os
import re

from labkit.host import Failure, wait_until
from labkit.machine import Machine
from labkit.ours import PROGRAMS, Ours
from labkit.policy import host_to_host
from labkit.registry import case
from labkit.suites import SUITES, Pfs

SUITE = SUITES["aes256-sha256-modp2048"]
UNITS = ("csipsec-pagent@TCPIP", "csipsec-iked@TCPIP", "csipsec-trmd@TCPIP")
SOURCE = f"{os.path.dirname(__file__)}/../../../dist/systemd"


def install(machine, build):
    """As `make install` does with --with-systemdsystemunitdir, and README's useradd."""
    machine.run("useradd", "--system", "--user-group", "--no-create-home", "--shell",
                "/usr/sbin/nologin", "csipsec-iked")
    for program in PROGRAMS.values():
        machine.run("install", "-D", f"{build}/{program}", f"/usr/local/sbin/{os.path.basename(program)}")
    for name in os.listdir(SOURCE):
        if name.endswith(".service.in"):
            with open(f"{SOURCE}/{name}") as f:
                machine.write(f"/etc/systemd/system/{name[:-3]}",
                              f.read().replace("@sbindir@", "/usr/local/sbin"))
    machine.systemctl("daemon-reload")


def main_pid(machine, unit):
    return machine.systemctl("show", "-p", "MainPID", "--value", unit).strip()


def ike_cookies(machine):
    tunnels = json.loads(machine.run("ipsec", "-k", "display", "--json").stdout)["entries"]
    return [(t["TunnelID"], t["InitiatorCookie"], t["ResponderCookie"]) for t in tunnels]


@case("units", seconds=240)
def units(lab):
    """The daemons start, reload, are started again after kills, and stop; a tunnel lives through it."""
    left, right = lab.pair()
    key = "correct-horse-battery"
    peer = Ours(right, host_to_host(right, left, SUITE, "transport", Pfs("none", SUITE), key))
    machine = Machine(left)
    install(machine, lab.build)
    machine.write("/etc/csipsec/pagent.conf",
                  host_to_host(left, right, SUITE, "transport", Pfs("none", SUITE), key), 0o600)
    machine.write("/etc/csipsec/iked.conf", "IkeConfig\n{\n  SMF119 IKEALL\n}\n")
    machine.systemctl("start", *UNITS)
    left.ping(right, seconds=20)
    machine.systemctl("reload", *UNITS)
    cookies = ike_cookies(machine)
    machine.systemctl("restart", UNITS[0], UNITS[1])
    left.ping(right)
    for unit in UNITS:
        before = main_pid(machine, unit)
        machine.run("kill", "-9", before)
        wait_until(lambda unit=unit, before=before: main_pid(machine, unit) not in ("0", before) and
                   machine.systemctl("is-active", unit, ok=None) == "active\n", 20, f"{unit} again", step=0.2)
    left.ping(right)
    # By what systemd keeps for it phase 1 outlived both, and nobody has begun anew.
    if ike_cookies(machine) != cookies or peer.log_lines("EZD1776I") or len(peer.ike_tunnels()) != 1:
        raise Failure(f"phase 1 is another: {cookies}, {ike_cookies(machine)}, {peer.ike_tunnels()}")
    # Also the next phase 2 is under it.
    tunnel = json.loads(machine.run("ipsec", "-y", "display", "--json").stdout)["entries"][0]["TunnelID"]
    machine.run("ipsec", "-y", "refresh", "-a", tunnel)
    wait_until(lambda: any(t["Generation"] == 2 for t in peer.tunnels()), 10, "a refreshed tunnel", step=0.2)
    left.ping(right)
    if ike_cookies(machine) != cookies:
        raise Failure("the refresh has made a phase 1 of its own")
    machine.run("ipsec", "-k", "deactivate", "-a", "all")

    def records():
        text = machine.run("smfdump", "--json", "/var/lib/csipsec/TCPIP/smf").stdout
        return {json.loads(line)["SubType"] for line in text.splitlines()}

    wait_until(lambda: records() >= {73, 74, 75, 76, 77, 78}, 10, "records of the tunnel", step=0.2)
    peer.drop_all()
    peer.wait_gone()
    machine.systemctl("stop", *UNITS)
    # Killed each once; a stop that systemd had to enforce would be a failure.
    if "failed" in machine.systemctl("show", "-p", "ActiveState", *UNITS):
        raise Failure("a daemon did not stop as it should: " + machine.journal()[-1000:])
    for word in (r"trmd\.TCPIP\[\d+\]: EZD0818I Tunnel added", r"iked\[\d+\]: EZD1046I",
                 r"pagent\[\d+\]: EZZ8771I"):
        if not re.search(word, machine.journal()):
            raise Failure(f"no {word} in the journal: " + machine.journal()[-1000:])
    machine.run("pagent", "-u")
    machine.off()
    peer.stop()
