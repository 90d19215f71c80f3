"""Our own daemons on a host: pagent and iked, and the ipsec command to look at them."""

import json
import os

from .host import Failure, wait_until

PROGRAMS = {"pagent": "policy/pagent", "iked": "iked/iked", "ipsec": "ipsec-cli/ipsec",
            "pasearch": "policy/pasearch", "csipsec-pki": "pki/csipsec-pki", "trmd": "trmd/trmd",
            "smfdump": "smf/smfdump", "trmdstat": "trmd/trmdstat"}

# Short retransmission, so that a peer that says nothing is given up within a case's time.
IKED_CONF = """\
IkeConfig
{{
  IkeSyslogLevel {level}
  IkeInitWait    {wait}
  IkeRetries     {retries}
{more}}}
"""


def pki(host, *argv, ok=(0,)):
    """csipsec-pki on the keyring of this host."""
    return host.run(f"{host.lab.build}/{PROGRAMS['csipsec-pki']}", *argv, ok=ok, timeout=60)


class Ours:
    """One host with pagent and iked running on a policy."""

    def __init__(self, host, policy, *, wait=1, retries=2, start=True, conf=()):
        """conf: more of IkeConfig, as (keyword, value)."""
        self.host, self.stack = host, host.name
        self.policy_path = host.write("policy", policy)
        os.chmod(self.policy_path, 0o600)  # it holds keys
        host.write("conf/iked.conf", IKED_CONF.format(
            level=1, wait=wait, retries=retries,
            more="".join(f"  {keyword} {value}\n" for keyword, value in conf)))
        self.pagent = self.iked = None
        self.env = {}  # more of it for a daemon, by its name
        if start:
            self.start_pagent()
            self.start_iked()

    def program(self, name):
        return f"{self.host.lab.build}/{PROGRAMS[name]}"

    def start_pagent(self):
        self.pagent = self.host.start("pagent", self.program("pagent"), "-f", "-p", self.stack,
                                      "-c", self.policy_path)

    @property
    def process(self):
        """The one that negotiates, as the other peers have it."""
        return self.iked

    def start(self):
        """It anew, after it was killed."""
        self.start_iked()

    def start_iked(self, *options):
        self.iked = self.host.start("iked", self.program("iked"), "-f", "-p", self.stack,
                                    "-c", self.host.path("conf/iked.conf"), "--user", "nobody",
                                    *options, env=self.env.get("iked"))

    def pki(self, *argv, ok=(0,)):
        """csipsec-pki on this host's keyring, the one that its iked reads."""
        return pki(self.host, *argv, ok=ok)

    def ipsec(self, *argv, ok=(0,), timeout=60):
        return self.host.run(self.program("ipsec"), "-p", self.stack, *argv, ok=ok,
                             timeout=timeout)

    def entries(self, *argv):
        """The entries of a display, as the command's JSON has them."""
        text = self.ipsec(*argv, "--json").stdout
        try:
            return json.loads(text)["entries"]
        except (ValueError, KeyError, TypeError) as e:
            raise Failure(f"{self.host.name}: ipsec {' '.join(argv)} --json is not what it"
                          f" should be ({e}): {text[:200]}") from None

    def activate(self, seconds=20, ok=(0,)):
        return self.ipsec("-y", "activate", "-l", "Activate", "--wait", str(seconds), ok=ok)

    def tunnels(self):
        return self.entries("-y", "display")

    def ike_tunnels(self):
        return self.entries("-k", "display")

    def initiate(self):
        self.activate()

    def terminate(self):
        self.ipsec("-k", "deactivate", "-a", "all")

    def terminate_child(self):
        """The phase 2 SAs alone."""
        self.ipsec("-y", "deactivate", "-a", "all")

    def drop_all(self):
        if self.ike_tunnels():
            self.terminate()
        if self.tunnels():  # of which phase 1 is gone, or K's end has not come to them yet
            self.terminate_child()

    def wait_gone(self, seconds=10):
        wait_until(lambda: not self.ike_tunnels() and not self.tunnels(), seconds,
                   f"{self.host.name}: our tunnels gone", step=0.1)

    def log(self):
        return self.iked.log()

    def log_lines(self, *words, daemon=None):
        """Lines of iked's (or another daemon's) log that hold all the words."""
        lines = (daemon or self.iked).log().splitlines()
        return [line for line in lines if all(w in line for w in words)]

    def stop(self):
        """Ends both; pagent's policy would stay in force, so it is undone."""
        if self.iked:
            self.iked.stop()
        if self.pagent:
            self.pagent.stop()
            self.host.run(self.program("pagent"), "-p", self.stack, "-u")
