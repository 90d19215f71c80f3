"""A host that systemd runs: pid 1 of namespaces of its own, on a copy of this root file system in memory."""

import os

from .host import Failure, Process, wait_until

SYSTEMD = "/lib/systemd/systemd"

# Run in the host's network namespace, in new namespaces of all other kinds; $1 is a directory, $2 is systemd.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# Nothing of what the machine below would start.
mount -t tmpfs tmpfs etc/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\n' >etc/systemd/system/lab.target
exec env container=lab chroot . "$2" --unit=lab.target
"""


class Machine:
    """What is written below its root, and what it starts, goes with it."""

    def __init__(self, host):
        self.host = host
        directory = host.path("machine")
        os.makedirs(directory)
        self._process = Process(
            host, "machine",
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup",
             "sh", "-c", BOOT, "boot", directory, SYSTEMD], host.env)
        self.pid = wait_until(self._first, 10, "systemd's process")[0]
        wait_until(lambda: self.run("systemctl", "is-active", "lab.target", ok=None).stdout == "active\n",
                   60, "systemd", step=0.2)

    def _first(self):
        if not self._process.running():
            raise Failure("systemd does not start: " + self._process.log()[-400:])
        return self._process.children(SYSTEMD)

    def run(self, *argv, ok=(0,), timeout=60):
        return self.host.run("nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "-r", "-w",
                             "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                             *argv, ok=ok, timeout=timeout)

    def systemctl(self, *argv, ok=(0,)):
        """A failure comes with what the units said."""
        done = self.run("systemctl", "--no-pager", *argv, ok=None)
        if ok is not None and done.returncode not in ok:
            raise Failure(f"systemctl {' '.join(argv)} ended with {done.returncode}: "
                          + self.journal()[-1500:])
        return done.stdout

    def journal(self, *argv):
        return self.run("journalctl", "--no-pager", "-o", "short", *argv).stdout

    def write(self, path, text, mode=0o644):
        path = f"/proc/{self.pid}/root{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def off(self):
        self._process.kill()  # pid 1 of its namespace goes with it, and with that the rest
