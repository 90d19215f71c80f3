"""
The disk of a guest that is halted: an ext4 on an image of the host.  The guest is killed as a machine
loses its power: what was in its memory is lost, its page cache and its file system's journal in memory
among it, and what it had sent to the disk stays, as on a disk whose own cache lasts.  ext4 writes by
itself as seldom as it can here, so that what nobody has synced is not there by luck.
"""

import os
import stat

from .host import wait_until

DEVICE = os.makedev(98, 0)  # ubd0 of User-Mode Linux


class Disk:
    """Mounted in a directory of a host; after a halt ext4 replays its journal."""

    def __init__(self, host, leaf):
        self.host, self.path, device = host, host.path(leaf), host.path("ubd0")
        os.mknod(device, stat.S_IFBLK | 0o600, DEVICE)
        os.makedirs(self.path, exist_ok=True)
        host.run("mount", "-t", "ext4", "-o", "commit=300", device, self.path)
        for name, value in (("dirty_writeback_centisecs", 0), ("dirty_expire_centisecs", 360000)):
            with open(f"/proc/sys/vm/{name}", "w") as f:
                f.write(str(value))
        # The directory is every user's to pass, as before.
        os.chmod(self.path, 0o755)

    def free(self):
        self.host.run("umount", self.path)


def halt_me_in(seconds, busy):
    """Asks tests/lab/watch.py for it, and is busy until it happens."""
    print(f"halt me in {seconds:.3f} s", flush=True)
    wait_until(lambda: busy() and False, seconds + 60, "the guest halted")
