"""PostgreSQL from Debian's packages: a primary on one host and a streaming standby on another."""

import glob
import os
import pwd
import signal
import subprocess

from .host import Failure, Process, wait_until

USER = "postgres"
DATABASE = "csipsec"

CONF = """
listen_addresses = '{address}'
unix_socket_directories = '{run}'
shared_buffers = 8MB
max_connections = 20
max_wal_senders = 4
wal_keep_size = 64MB
min_wal_size = 32MB
max_wal_size = 64MB
hot_standby = on
autovacuum = off
jit = off
dynamic_shared_memory_type = mmap
"""
# The wire of the lab is nobody else's. With strangers on it, see docs/ha.md.
HBA = """
local all all trust
host all all 192.0.2.0/24 trust
host replication all 192.0.2.0/24 trust
"""


def _programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise Failure("PostgreSQL is not installed")
    return found[-1]


class Postgres:
    """One server; of: the primary that it is a standby of, or None."""

    def __init__(self, host, of=None):
        self.host, self.bin = host, _programs()
        self.data, self.sockets = host.path("pgdata"), host.path("pgrun")
        self.user = pwd.getpwnam(USER)
        os.makedirs(self.sockets)
        os.chown(self.sockets, self.user.pw_uid, self.user.pw_gid)
        os.makedirs(self.data, 0o700)
        os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
        if of:
            self._run("pg_basebackup", "-D", self.data, "-h", of.host.v4, "-U", USER, "-R",
                      "-X", "stream", "-c", "fast")
        else:
            self._run("initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--no-locale",
                      "--no-sync", "-U", USER)
        with open(f"{self.data}/postgresql.conf", "a") as f:
            f.write(CONF.format(address=host.v4, run=self.sockets))
        with open(f"{self.data}/pg_hba.conf", "w") as f:
            f.write(HBA)
        self.process = None
        self.start()
        if not of:
            self.sql(f"CREATE DATABASE {DATABASE}", database=USER)

    def _as_user(self):
        self.host.enter()
        os.initgroups(USER, self.user.pw_gid)
        os.setgid(self.user.pw_gid)
        os.setuid(self.user.pw_uid)
        os.chdir("/")

    def _run(self, program, *argv):
        done = subprocess.run([f"{self.bin}/{program}", *argv], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, preexec_fn=self._as_user, check=False)
        if done.returncode != 0:
            raise Failure(f"{self.host.name}: {program}: {done.stdout.strip()[-400:]}")
        return done.stdout

    def start(self):
        self.process = Process(self.host, "postgres", [f"{self.bin}/postgres", "-D", self.data],
                               dict(self.host.env), before=self._as_user)
        self.host.processes.append(self.process)
        wait_until(self.ready, 30, f"{self.host.name}: PostgreSQL", step=0.2)

    def ready(self):
        if not self.process.running():
            raise Failure(f"{self.host.name}: PostgreSQL ended: {self.process.log()[-400:]}")
        return self.host.run(f"{self.bin}/pg_isready", "-h", self.sockets, ok=None).returncode == 0

    def sql(self, text, database=DATABASE):
        return self._run("psql", "-h", self.sockets, "-U", USER, "-d", database, "-At", "-v",
                         "ON_ERROR_STOP=1", "-c", text).strip()

    def promote(self):
        self._run("pg_ctl", "promote", "-D", self.data)

    def freeze(self):
        """Nothing of it runs, as on a machine that swaps; connections stay."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self):
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, sig):
        """The server and those that it has begun, which are sessions of their own."""
        for pid in [self.process.pid, *self.process.children()]:
            os.kill(pid, sig)

    def stop(self):
        if self.process.running():
            self.process.popen.send_signal(signal.SIGINT)  # fast shutdown
            self.process.popen.wait(20)


def uri(first, second):
    """What iked of the first host is given: its own server first, to be read."""
    return (f"postgresql:host={first.v4},{second.v4} port=5432,5432 dbname={DATABASE}"
            f" user={USER} connect_timeout=2")
