"""One case's world: a directory, hosts, a wire, and the check that nothing is left behind."""

import os
import shutil
import subprocess

from .host import Failure, Host
from .wire import Wire

# The ends of the wire; documentation addresses (RFC 5737, RFC 3849).
ADDRESSES = {"left": ("192.0.2.1", "2001:db8::1"), "right": ("192.0.2.2", "2001:db8::2")}


def say(text):
    """Prints for the user; the mark tells these lines from a guest kernel's own on its console."""
    mark = "" if os.environ.get("CSIPSEC_LAB_SHELL") else "lab: "
    for line in text.splitlines() or [""]:
        print(mark + line, flush=True)


class Lab:
    """Hosts left and right joined by a veth, or what nat.py puts between them, and what they send."""

    def __init__(self, directory, build, keep, libreswan=""):
        self.dir, self.build, self.keep, self.libreswan = directory, build, keep, libreswan
        self.wire, self.hosts, self.between = None, [], []
        self.out, self.halted = None, 0  # what outlives the guest, and how often it was halted
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)

    def ip(self, *argv):
        done = subprocess.run(["ip", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise Failure(f"ip {' '.join(argv)}: {done.stdout.strip()}")

    def pair(self, capture=True):
        """The usual world: two hosts and the wire between them."""
        for name, (v4, v6) in ADDRESSES.items():
            self.hosts.append(Host(self, name, v4, v6))
        left, right = self.hosts
        self.ip("link", "add", "eth0", "netns", left.name,
                "type", "veth", "peer", "name", "eth0", "netns", right.name)
        for host in self.hosts:
            batch = host.write("links", f"link set lo up\naddr add {host.v4}/24 dev eth0\n"
                               f"addr add {host.v6}/64 dev eth0 nodad\nlink set eth0 up\n")
            self.ip("-n", host.name, "-batch", batch)
        if capture:
            self.wire = Wire(self.hosts)
        return left, right

    def wire_is(self, *how):
        """What tc's netem does to all that both hosts send from now on; nothing: a plain wire."""
        for host in self.hosts:
            if how:
                host.run("tc", "qdisc", "replace", "dev", "eth0", "root", "netem", *how)
            else:
                host.run("tc", "qdisc", "del", "dev", "eth0", "root")

    def check_clean(self):
        """No state, policy, route and table of ours may outlive the daemons of a case."""
        for host in self.hosts:
            for what, text in (("SAD", host.states_text()), ("SPD", host.policies_text())):
                if text:
                    raise Failure(f"{host.name}: {what} is not empty at the end: "
                                  + " ".join(text.split())[:200])
            routes = host.spent_routes()
            if routes:
                raise Failure(f"{host.name}: routes to the spent SAs are still there: {routes}")
            ours = [t for t in host.tables() if "csipsec" in t]
            if ours:
                raise Failure(f"{host.name}: our nftables table is still there: {ours}")

    def snapshot(self):
        """What the kernels hold, written beside the logs of a failed case."""
        for host in self.hosts + self.between:
            for leaf, argv in (("xfrm-state", ("ip", "-s", "xfrm", "state")),
                               ("xfrm-policy", ("ip", "-s", "xfrm", "policy")),
                               ("nft", ("nft", "list", "ruleset")),
                               ("xfrm-stat", ("cat", "/proc/net/xfrm_stat"))):
                done = host.run(*argv, ok=None)
                host.write(leaf + ".txt", done.stdout)

    def destroy(self):
        if self.wire:
            self.wire.stop()
        for host in self.hosts + self.between:
            host.destroy()
        if self.keep:
            shutil.rmtree(self.keep, ignore_errors=True)
            shutil.copytree(self.dir, self.keep, ignore=_not_files, dirs_exist_ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)


def _not_files(directory, names):
    """Sockets and pipes stay behind."""
    paths = ((n, os.path.join(directory, n)) for n in names)
    return [n for n, p in paths if not (os.path.isdir(p) or os.path.isfile(p))]
