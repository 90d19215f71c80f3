"""Another process's system calls, by strace: what they are, and one of them at which it dies or fails."""

import os
import signal
import subprocess
from collections import Counter

from .host import wait_until

# What strace shows where a call was under way already.
NOT_CALLS = {"restart_syscall", "rt_sigreturn", "exit_group", "exit"}


class Tracer:
    """strace attached to the main thread of a process."""

    def __init__(self, pid, *options):
        self.popen = subprocess.Popen(["strace", "-qq", "-p", str(pid), *options],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        wait_until(lambda: _traced(pid), 10, "strace attached")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        self.popen.wait(10)


def _traced(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in f)
    except OSError:
        return True


def calls_of(pid, path, act):
    """The calls that the process makes while act() runs: (name, how often it was made before)."""
    tracer = Tracer(pid, "-o", path)
    act()
    tracer.stop()
    seen, calls = Counter(), []
    with open(path, errors="replace") as f:
        for line in f:
            name = line.partition("(")[0].strip()
            if name.isidentifier() and name not in NOT_CALLS:
                seen[name] += 1
                calls.append((name, seen[name]))
    os.unlink(path)
    return calls


def killed_at(pid, call):
    """The process dies when it makes this call."""
    return Tracer(pid, "-e", f"trace={call[0]}", "-e",
                  f"inject={call[0]}:signal=KILL:when={call[1]}")


def failing_at(pid, call, error):
    """This call fails, once."""
    return Tracer(pid, "-e", f"trace={call[0]}", "-e",
                  f"inject={call[0]}:error={error}:when={call[1]}")
