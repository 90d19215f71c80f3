"""Traffic in the background, of which nothing may get lost."""

import re
import signal
import subprocess
import time

from .host import Failure


class Stream:
    """
    Pings in the background, many a second; none of them may get lost.  too_soon: a peer of this host
    may send by an SA of which it has no keys yet; what the kernel counts as come to such a larval SA
    (XfrmAcquireError) is no loss of ours.
    """

    def __init__(self, host, peer, source=None, every=0.02, too_soon=None):
        self.too_soon = too_soon
        self.before = self._came_too_soon()
        self.popen = subprocess.Popen(
            ["ping", "-n", "-q", "-i", str(every), *(["-I", source] if source else []), peer.addr()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, preexec_fn=host.enter)

    def _came_too_soon(self):
        return self.too_soon.xfrm_stat().get("XfrmAcquireError", 0) if self.too_soon else 0

    def end(self):
        """Packets sent, packets that came back, and what ping says of them."""
        self.popen.send_signal(signal.SIGINT)
        out = self.popen.communicate(timeout=10)[0]
        sent, back = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        return sent, back, out

    def stop(self):
        time.sleep(0.5)
        sent, back, out = self.end()
        excused = self._came_too_soon() - self.before
        if sent < 20 or back < sent - 1 - excused:  # the last one may be under way
            raise Failure(f"of {sent} packets {back} came back: " + " ".join(out.split()))
