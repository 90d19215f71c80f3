#!/usr/bin/env python3
"""Runs a command, passes its output on, and ends it when it says nothing for too long, or asks for it.

  watch.py SILENCE COMMAND [ARGUMENT ...]

SILENCE is in seconds. The status is the command's, or 124 when it was ended for its silence.  One that
says "halt me in SECONDS" is killed so many seconds later, as a machine is that loses its power.
"""

import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time


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
    end, tail = None, b""
    while True:
        wait = silence if end is None else min(silence, max(0, end - time.monotonic()))
        if not select.select([child.stdout], [], [], wait)[0] or \
                (end is not None and time.monotonic() >= end):
            kill(child)
            child.wait()
            sys.exit(124)
        data = os.read(child.stdout.fileno(), 65536)
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        tail = tail[-100:] + data
        asked = re.search(rb"halt me in ([0-9.]+)\s", tail)
        if asked and end is None:
            end = time.monotonic() + float(asked[1])
    sys.exit(child.wait() % 256)


if __name__ == "__main__":
    main()
