"""A program that dies at a chosen call, or whose message to the kernel fails (tests/lab/kill_at.c)."""

import mmap
import struct

COUNT, KILL, FAIL = range(3)


class Fault:
    """The control file of one host's program."""

    def __init__(self, host, leaf="kill-at"):
        path = host.path(leaf)
        with open(path, "wb") as f:
            f.write(bytes(16))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 16)
        self.env = {"LD_PRELOAD": f"{host.lab.build}/tests/lab/kill_at.so", "CSIPSEC_KILL_AT": path}

    def arm(self, mode, left=0):
        """Counts from now on; with KILL or FAIL that happens at call or message number `left`."""
        self.map[:] = struct.pack("4I", COUNT, 0, 0, 0)
        self.map[:] = struct.pack("4I", mode, left, 0, 0)

    def happened(self):
        """Has what arm() asked for come about?"""
        return struct.unpack("4I", self.map[:])[1] == 0

    def made(self):
        """Calls, and the messages among them, since arm()."""
        return struct.unpack("4I", self.map[:])[2:]
