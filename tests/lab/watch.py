#!/usr/bin/env python3
"""Runs a command, passes its output on, and ends it when it says nothing for too long.

  watch.py SILENCE COMMAND [ARGUMENT ...]

SILENCE is in seconds. The status is the command's, or 124 when it was ended for its silence.
"""

import os
import pathlib
import select
import signal
import subprocess
import sys


def children(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text(errors="replace").rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        if int(rest.split()[1]) == pid:
            found.append(int(name.split()[0]))
    return found


def kill(child):
    """The command and what it runs: User-Mode Linux goes into a session of its own."""
    for pid in [*children(child.pid), child.pid]:
        try:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def main():
    silence = float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: kill(child))
    while True:
        if not select.select([child.stdout], [], [], silence)[0]:
            kill(child)
            child.wait()
            sys.exit(124)
        data = os.read(child.stdout.fileno(), 65536)
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    sys.exit(child.wait() % 256)


if __name__ == "__main__":
    main()
