"""Hosts: network namespaces joined by a veth, and the processes that run in them."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What makes a case fail; its text is what the user reads."""


def wait_until(check, seconds, what, step=0.02):
    """Calls check until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(step)


class Process:
    """A daemon in a host's namespace, with its output in a log file."""

    def __init__(self, host, name, argv, env, before=None):
        """before: what runs between fork and exec, if it is not only to enter the namespace."""
        self.host, self.name = host, name
        self.log_path = f"{host.dir}/{name}.log"
        self._log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env=env, preexec_fn=before or host.enter, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def children(self, word=None):
        """Process ids of its children whose command line has this word, or of all."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    parent = f.read().rpartition(")")[2].split()[1]
                with open(f"/proc/{pid}/cmdline") as f:
                    words = f.read().split("\0")
            except OSError:
                continue
            if parent == str(self.pid) and (word is None or word in words):
                found.append(int(pid))
        return found

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def kill(self):
        """kill -9 of it and of all that it started: nobody can say farewell."""
        os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, seconds=10):
        """Asks the process to end; its exit status is returned."""
        if self.running():
            self.popen.send_signal(signal.SIGTERM)
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise Failure(f"{self.host.name}: {self.name} did not end within {seconds} s") from None
        self._log.close()
        return status


class Host:
    """One network namespace with its own run-time, state and configuration directories."""

    def __init__(self, lab, name, v4, v6):
        self.lab, self.name, self.v4, self.v6 = lab, name, v4, v6
        self.ns = f"/run/netns/{name}"
        self.dir = f"{lab.dir}/{name}"
        self.processes = []
        os.makedirs(self.dir)
        lab.ip("netns", "add", name)
        self._fd = os.open(self.ns, os.O_RDONLY)
        self.env = dict(os.environ)
        for leaf in ("run", "state", "conf"):
            path = f"{self.dir}/{leaf}"
            os.makedirs(path)
            os.chmod(path, 0o755)
            self.env[f"CSIPSEC_{leaf.upper()}DIR"] = path

    def addr(self, family=4):
        return self.v4 if family == 4 else self.v6

    def enter(self):
        """Runs between fork and exec of a child."""
        if _libc.setns(self._fd, CLONE_NEWNET) != 0:
            os._exit(126)

    def path(self, leaf):
        return f"{self.dir}/{leaf}"

    def write(self, leaf, text):
        with open(self.path(leaf), "w") as f:
            f.write(text)
        return self.path(leaf)

    def socket(self, *kind):
        """A socket of this host: made in its namespace by a thread that goes there and back."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            _libc.setns(self._fd, CLONE_NEWNET)
            return socket.socket(*kind)
        finally:
            _libc.setns(home, CLONE_NEWNET)
            os.close(home)

    def run(self, *argv, timeout=30, env=None, ok=(0,)):
        """Runs a command in the namespace; a status not in ok (None: any) is a failure."""
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=timeout, env={**self.env, **(env or {})},
            preexec_fn=self.enter, check=False)
        if ok is not None and done.returncode not in ok:
            raise Failure(f"{self.name}: {' '.join(argv)} ended with {done.returncode}:"
                          f" {done.stdout.strip()[-400:]}")
        return done

    def start(self, name, *argv, env=None, seconds=20):
        """Starts a daemon and waits until it says that it is ready (sd_notify)."""
        path = f"{self.dir}/notify"
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            os.chmod(path, 0o666)  # a daemon may be another user by then
            notify.settimeout(0.1)
            process = Process(self, name, argv,
                              {**self.env, **(env or {}), "NOTIFY_SOCKET": path})
            self.processes.append(process)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    if b"READY=1" in notify.recv(4096):
                        return process
                except TimeoutError:
                    if not process.running():
                        break
        tail = process.log().strip()[-400:]
        state = "is not ready" if process.running() else "ended"
        raise Failure(f"{self.name}: {name} {state} at start: {tail}")

    def ping(self, other, family=4, seconds=8, count=1, expect=True):
        """One answered echo within the time, or with expect False none at all."""
        done = self.run("ping", "-n", "-q", "-i", "0.2", "-c", str(count), "-w", str(seconds),
                        other.addr(family), ok=None)
        if (done.returncode == 0) != expect:
            raise Failure(f"ping from {self.name} to {other.name} ({other.addr(family)}) "
                          + ("had no answer" if expect else "was answered")
                          + ": " + " ".join(done.stdout.split()))
        return done.stdout

    # ---- the kernel's view ----

    def sas(self):
        """
        ESP and AH states that carry keys: {(destination, spi): (packets, bytes)}.  pagent's from the
        loopback address are none: nothing leaves the host by them (docs/architecture.md).
        """
        out = self.run("ip", "-s", "xfrm", "state").stdout
        found = {}
        for block in re.split(r"^(?=src )", out, flags=re.M):
            head = re.match(r"src (\S+) dst (\S+)\s+proto (?:esp|ah) spi (0x[0-9a-f]+)", block)
            count = re.search(r"lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)", block)
            if head and head[1] in ("127.0.0.1", "::1"):
                continue
            if head and count and re.search(r"\b(enc|aead|auth-trunc|auth) ", block):
                found[head[2], head[3]] = (int(count[2]), int(count[1]))
        return found

    def states_text(self):
        return self.run("ip", "xfrm", "state").stdout.strip()

    def policies_text(self):
        return self.run("ip", "xfrm", "policy").stdout.strip()

    def spent_routes(self):
        """The routes that pagent makes for its spent SAs, to these two addresses."""
        text = "".join(self.run("ip", family, "route", "show", "table", "local").stdout
                       for family in ("-4", "-6"))
        return [line for line in text.splitlines()
                if re.match(r"local (127\.0\.0\.8|100::8) ", line)]

    def tables(self):
        """Names of the nftables tables, ours among them if it is there."""
        return self.run("nft", "list", "tables").stdout.split("\n")[:-1]

    def xfrm_stat(self):
        """Counters of /proc/net/xfrm_stat that are not zero."""
        text = self.run("cat", "/proc/net/xfrm_stat").stdout
        pairs = (line.split() for line in text.splitlines())
        return {name: int(n) for name, n in pairs if n != "0"}

    # ---- the end ----

    def pids(self):
        """Every process in this namespace, whoever started it."""
        mine = os.fstat(self._fd)
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                st = os.stat(f"/proc/{pid}/ns/net")
            except OSError:
                continue
            if (st.st_dev, st.st_ino) == (mine.st_dev, mine.st_ino):
                found.append(int(pid))
        return found

    def destroy(self):
        """Ends whatever still runs here and removes the namespace."""
        for _ in range(50):
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        for process in self.processes:
            process.popen.wait(10)
        os.close(self._fd)
        self.lab.ip("netns", "del", self.name)
