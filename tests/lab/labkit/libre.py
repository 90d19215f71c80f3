"""
libreswan, one instance a host.  It is not installed: the lab has it in a directory (scripts/libreswan.sh).
What can be named on its command lines is; its programs look for each other at a compiled-in path, where
an overlay shows them to this lab alone.
"""

import glob
import os
import re
import subprocess

from .host import Failure, wait_until
from .ours import pki

CONF = """\
config setup
	ikev1-policy=accept
{setup}conn peer
	ikev2=no
	auto=ignore
	aggressive={aggressive}
	type={mode}
	left={local}
	leftid="{local_id}"
	leftupdown=%disabled
	right={remote}
	rightid="{remote_id}"
	ike={ike}
	phase2={protocol}
	phase2alg={algorithms}
	pfs={pfs}
	rekeyfuzz=0%
	retransmit-timeout=20s
	retransmit-interval=1000ms
{auth}{more}"""

BY_KEY = "\tauthby=secret\n"
# The identity is the certificate's, and what is between it and the CA is sent along.
BY_CERTIFICATE = """\
	authby=rsasig
	leftcert={name}
	leftsendcert=always
	sendca=all
	leftrsasigkey=%cert
	rightrsasigkey=%cert
"""

# Its words for our groups. Debian's build has no modp1024 and takes no ECP group in Quick Mode.
GROUPS = {5: "modp1536", 14: "modp2048", 19: "dh19", 20: "dh20", 21: "dh21"}
CIPHERS = {"AES_CBC KeyLength 256": "aes256", "AES_CBC KeyLength 128": "aes128", "3DES": "3des",
           "AES_GCM_16 KeyLength 128": "aes_gcm128", "AES_GCM_16 KeyLength 256": "aes_gcm256",
           "DoNot": "null"}
HASHES = {"SHA1": "sha1", "SHA2_256": "sha2_256", "SHA2_384": "sha2_384", "SHA2_512": "sha2_512",
          "ESP HMAC_SHA1": "sha1", "ESP HMAC_SHA2_256_128": "sha2_256",
          "ESP HMAC_SHA2_384_192": "sha2_384", "ESP HMAC_SHA2_512_256": "sha2_512",
          "ESP AES128_XCBC_96": "aes_xcbc", "ESP Null": "null", "AH HMAC_MD5": "md5",
          "AH HMAC_SHA1": "sha1", "AH HMAC_SHA2_256_128": "sha2_256",
          "AH HMAC_SHA2_512_256": "sha2_512"}


LIBEXEC = "/usr/libexec"


def overlay(root):
    """Once a guest; the lab's mount namespace is its own."""
    if os.path.exists(f"{LIBEXEC}/ipsec/pluto"):
        return
    done = subprocess.run(["mount", "-t", "overlay", "overlay", LIBEXEC, "-o",
                           f"lowerdir={root}{LIBEXEC}:{LIBEXEC}"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise Failure(f"no overlay on {LIBEXEC}: {done.stdout.strip()}")


class Pluto:
    """A running pluto with the connections of a configuration file."""

    def __init__(self, host, conf, secrets, connections, *, certificates=False, trap=False):
        """
        certificates: what csipsec-pki has in the host's keyring under the host's name.  trap: the
        connections come up for a packet.
        """
        self.host, self.connections, self.trap = host, connections, trap
        self.root = host.lab.libreswan
        if not self.root:
            raise Failure("this run has no libreswan (run it by ./dev lab)")
        overlay(self.root)
        self.libexec = f"{LIBEXEC}/ipsec"
        self.env = {"LD_LIBRARY_PATH": ":".join(glob.glob(f"{self.root}/usr/lib/*-linux-gnu"))}
        self.ctl = host.path("run/pluto.ctl")
        self.conf = host.write("ipsec.conf", conf)
        self.secrets = host.write("ipsec.secrets", secrets)
        host.run("mkdir", host.path("nss"), host.path("ipsec.d"))
        self._nss("certutil", "-N", "--empty-password")
        if certificates:
            self._take_certificates()
        self.start()

    def start(self):
        """Also anew, after the process was killed."""
        host = self.host
        for leaf in ("run/pluto.pid", "run/pluto.ctl"):
            if os.path.exists(host.path(leaf)):
                os.unlink(host.path(leaf))
        self.process = host.start(
            "pluto", f"{self.libexec}/pluto", "--nofork", "--config", self.conf,
            "--rundir", host.path("run"), "--dumpdir", host.dir, "--ipsecdir", host.path("ipsec.d"),
            "--nssdir", host.path("nss"), "--secretsfile", self.secrets,
            "--logfile", host.path("pluto-out.log"), "--no-dnssec", "--nhelpers", "0",
            env=self.env)
        host.run(f"{self.libexec}/addconn", "--config", self.conf, "--ctlsocket", self.ctl,
                 *self.connections, env=self.env)
        self.whack("--listen")
        if self.trap:
            # The larval SA of a first packet, which it leaves, keeps a later one from asking for so long.
            host.run("sh", "-c", "echo 1 >/proc/sys/net/core/xfrm_acq_expires")
            for name in self.connections:
                self.whack("--route", "--name", name)

    def _nss(self, tool, *argv):
        """A tool of NSS on pluto's database."""
        self.host.run(f"{self.root}/usr/bin/{tool}", "-d", f"sql:{self.host.path('nss')}", *argv,
                      env=self.env)

    def _take_certificates(self):
        """From the keyring by PKCS#12, as an administrator would; only the root is trusted."""
        password, p12 = self.host.write("p12.password", "a-password\n"), self.host.path("own.p12")
        pki(self.host, "export", self.host.name, "--form", "p12", "--private-key", "--chain",
            "--out", p12, "--password-file", password)
        self._nss("pk12util", "-i", p12, "-w", password, "-K", "")
        root = self.host.path("root.pem")
        pki(self.host, "export", "Root", "--out", root)
        self._nss("certutil", "-A", "-a", "-n", "Root", "-t", "CT,,", "-i", root)

    def whack(self, *argv, ok=(0,)):
        return self.host.run(f"{self.libexec}/whack", "--ctlsocket", self.ctl, *argv,
                             env=self.env, ok=ok).stdout

    def log(self):
        with open(self.host.path("pluto-out.log"), errors="replace") as f:
            return f.read()

    def stop(self):
        self.whack("--shutdown", ok=None)
        self.process.popen.wait(10)
        self.process.stop()
        # Neighbour discovery's policies, which it leaves behind.
        self.host.run("ip", "-6", "xfrm", "policy", "deleteall", "proto", "ipv6-icmp")


class Libre(Pluto):
    """
    With one connection to the other host.  key None: RSA signatures, by what csipsec-pki has in the
    host's keyring under the host's name.
    """

    def __init__(self, host, peer, suite, mode, pfs, key, *, trap=False, initiator=False,
                 aggressive=False, local_id=None, remote_id=None, dpd=None, protocol="esp", more=(),
                 setup=()):
        """
        more: further lines of the connection, as (keyword, value); setup: of config setup.  dpd:
        seconds between its questions whether the peer is there; after four times as many it is
        dead.  protocol: esp or ah, which takes no more of the suite than how messages are
        authenticated.
        """
        self.peer = peer
        if dpd:
            more = (*more, ("dpddelay", dpd), ("dpdtimeout", 4 * dpd), ("dpdaction", "hold"))
        group = pfs.initiate if initiator else pfs.accept[0]
        local_id, remote_id = local_id or host.v4, remote_id or peer.v4
        conf = CONF.format(
            aggressive="yes" if aggressive else "no", mode=mode, local=host.v4, remote=peer.v4,
            local_id=local_id, remote_id=remote_id,
            ike=f"{CIPHERS[suite.ike_encrypt]}-{HASHES[suite.ike_hash]};{GROUPS[suite.group]}",
            protocol=protocol,
            algorithms=(f"{CIPHERS[suite.esp_encrypt]}-" if protocol == "esp" else "")
            + HASHES[suite.esp_auth] + (f";{GROUPS[group]}" if group else ""),
            pfs="yes" if group else "no",
            auth=BY_KEY if key else BY_CERTIFICATE.format(name=host.name),
            more="".join(f"\t{k}={v}\n" for k, v in more),
            setup="".join(f"\t{k}={v}\n" for k, v in setup))
        super().__init__(host, conf, f'{local_id} {remote_id} : PSK "{key}"\n' if key else "",
                         ["peer"], certificates=not key, trap=trap)

    def initiate(self):
        return self.whack("--initiate", "--name", "peer", ok=None)

    def terminate(self):
        return self.whack("--terminate", "--name", "peer", ok=None)

    def terminate_child(self):
        """The phase 2 SAs alone."""
        for number in self.states("STATE_QUICK_"):
            self.whack("--deletestate", number, ok=None)

    def states(self, word="STATE_"):
        """Numbers of the SAs that it holds, or of those in a state that begins like this."""
        return re.findall(rf"^000 #(\d+): \S+ {word}", self.whack("--showstates"), flags=re.M)

    def drop_all(self):
        if self.states():
            self.terminate()

    def wait_gone(self, seconds=10):
        wait_until(lambda: not self.states(), seconds, f"{self.host.name}: libreswan's SAs gone")
