"""Traffic in the background, of which nothing may get lost."""

import re
import signal
import subprocess
import time

from .host import Failure


class Stream:
    """Pings in the background, many a second; none of them may get lost."""

    def __init__(self, host, peer, source=None, every=0.02):
        self.popen = subprocess.Popen(
            ["ping", "-n", "-q", "-i", str(every), *(["-I", source] if source else []), peer.addr()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, preexec_fn=host.enter)

    def stop(self):
        time.sleep(0.5)
        self.popen.send_signal(signal.SIGINT)
        out = self.popen.communicate(timeout=10)[0]
        sent, back = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        if sent < 20 or back < sent - 1:  # the last one may be under way
            raise Failure(f"of {sent} packets {back} came back: " + " ".join(out.split()))
