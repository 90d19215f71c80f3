"""strongSwan from Debian's packages (charon-systemd and swanctl), one instance a host."""

import json
import re

from .host import wait_until
from .suites import SWAN_GROUP

# Few plugins: charon and swanctl then start in a tenth of the time.
CONF = """
charon-systemd {{
  load = random nonce pem pkcs1 pkcs8 x509 openssl revocation constraints kernel-netlink socket-default vici
  install_routes = no
  i_dont_care_about_security_and_use_aggressive_mode_psk = {aggressive_psk}
  threads = 8
  retransmit_timeout = 1.0
  retransmit_tries = 3
{conf}  plugins {{
    vici {{
      socket = unix://{vici}
    }}
  }}
  journal {{
    default = -1
  }}
  filelog {{
    charon {{
      path = {log}
      default = 1
      ike = 2
      enc = 1
      flush_line = yes
    }}
  }}
}}
swanctl {{
  load = random nonce pem pkcs1 pkcs8 x509 openssl
}}
"""

CONNECTION = """
connections {{
  peer {{
    version = 1
    aggressive = {aggressive}
    fragmentation = yes
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
{ike_life}{dpd}{more}    local {{
      auth = {auth}
      id = {local_id}
    }}
    remote {{
      auth = {auth}
      id = {remote_id}
    }}
    children {{
      peer {{
        mode = {mode}
        {protocol}_proposals = {esp}
{child}{child_life}        start_action = {start}
      }}
    }}
  }}
}}
"""

SECRETS = """
secrets {{
  ike-peer {{
    id-1 = {local_id}
    id-2 = {remote_id}
    secret = "{key}"
  }}
}}
"""


LIFE = 70  # seconds that an SA lasts when it is told when to rekey, unless that is later


def life_lines(indent, hard, rekey):
    """over_time counts from the rekeying on, life_time from the beginning."""
    life = max(LIFE, rekey * 11 // 10)
    end = life - rekey if hard == "over_time" else life
    return f"{indent}rekey_time = {rekey}s\n{indent}rand_time = 0\n{indent}{hard} = {end}s\n"


class Swan:
    """
    A running charon with one connection to the other host.  key None: RSA signatures, by what is in
    x509, x509ca and private of the host's directory.
    """

    def __init__(self, host, peer, suite, mode, pfs, key, family=4, trap=False, initiator=False,
                 ike=None, esp=None, aggressive=False, local_id=None, remote_id=None,
                 lives=None, dpd=None, protocol="esp", child=(), aggressive_psk=True,
                 more=(), conf=()):
        """
        lives: seconds after which the IKE SA and the child SA are rekeyed.  dpd: seconds between its
        questions whether the peer is there; after four times as many it is dead.  protocol: esp or
        ah, what the child proposals are for.  child: further lines of the child, as (keyword, value);
        more: of the connection; conf: of the daemon.
        """
        self.host, self.peer = host, peer
        self.uri = f"unix://{host.path('charon.vici')}"
        conf = host.write("strongswan.conf", CONF.format(
            conf="".join(f"  {k} = {v}\n" for k, v in conf),
            vici=host.path("charon.vici"), log=host.path("charon.log"),
            aggressive_psk="yes" if aggressive_psk else "no"))
        groups = [pfs.initiate] if initiator else pfs.accept
        esp = esp or ",".join(
            suite.swan_esp + (f"-{SWAN_GROUP[g]}" if g else "") for g in groups)
        host.write("swanctl.conf", (CONNECTION + (SECRETS if key else "")).format(
            auth="psk" if key else "pubkey",
            local=host.addr(family), remote=peer.addr(family),
            local_id=local_id or host.addr(family), remote_id=remote_id or peer.addr(family),
            ike_life=life_lines("    ", "over_time", lives[0]) if lives else "",
            child_life=life_lines("        ", "life_time", lives[1]) if lives else "",
            dpd=f"    dpd_delay = {dpd}s\n    dpd_timeout = {4 * dpd}s\n" if dpd else "",
            more="".join(f"    {k} = {v}\n" for k, v in more),
            ike=ike or suite.name, esp=esp, protocol=protocol,
            child="".join(f"        {k} = {v}\n" for k, v in child), mode=mode, key=key,
            aggressive="yes" if aggressive else "no", start="trap" if trap else "none"))
        self.env = {"STRONGSWAN_CONF": conf, "SWANCTL_DIR": host.dir}
        if family == 6:
            self._know_neighbours()
        self.start()

    def start(self):
        """Also anew, after the process was killed."""
        self.process = self.host.start("charon-out", "charon-systemd", env=self.env)
        self.swanctl("--load-all", "--noprompt", "--file", self.host.path("swanctl.conf"))

    def _know_neighbours(self):
        """strongSwan's policy for all that two neighbours say would catch neighbour discovery too."""
        for host, other in ((self.host, self.peer), (self.peer, self.host)):
            link = json.loads(other.run("ip", "-json", "link", "show", "eth0").stdout)[0]
            host.run("ip", "neigh", "replace", other.v6, "lladdr", link["address"],
                     "dev", "eth0", "nud", "permanent")

    def swanctl(self, *argv, ok=(0,)):
        return self.host.run("swanctl", *argv, "--uri", self.uri, env=self.env, ok=ok).stdout

    def log(self):
        with open(self.host.path("charon.log"), errors="replace") as f:
            return f.read()

    def newest_ike(self):
        """The number of the IKE SA that came up last."""
        return re.findall(r"IKE_SA peer\[(\d+)\] established", self.log())[-1]

    def initiate(self):
        return self.swanctl("--initiate", "--child", "peer", "--timeout", "20")

    def terminate(self):
        return self.swanctl("--terminate", "--ike", "peer", "--timeout", "10")

    def terminate_child(self):
        """The phase 2 SAs alone."""
        return self.swanctl("--terminate", "--child", "peer", "--timeout", "10")

    def drop_all(self):
        """Ends what is up, if anything is; used when a case is over."""
        if self.swanctl("--list-sas").strip():
            self.terminate()

    def wait_gone(self, seconds=10):
        wait_until(lambda: not self.swanctl("--list-sas").strip(), seconds,
                   f"{self.host.name}: strongSwan's SAs gone")

    def stop(self):
        self.process.stop()
