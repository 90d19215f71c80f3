"""Cases that prove the lab itself, with strongSwan at both ends."""

import pathlib
import subprocess
import sys

from labkit.host import Failure, wait_until
from labkit.registry import case
from labkit.suites import SUITES, Pfs
from labkit.swan import Swan
from labkit.wire import ESP, between, clear_between


@case("harness-strongswan")
def harness_strongswan(lab):
    """A trap policy, a ping, ESP in both kernels, a deletion that reaches the other side."""
    left, right = lab.pair()
    suite = SUITES["aes256-sha256-modp2048"]
    pfs = Pfs("none", suite)
    a = Swan(left, right, suite, "transport", pfs, "correct-horse-battery", trap=True)
    b = Swan(right, left, suite, "transport", pfs, "correct-horse-battery")
    left.ping(right)
    right.ping(left)
    if len(left.sas()) != 2 or set(left.sas()) != set(right.sas()):
        raise Failure(f"the kernels do not hold the same pair: {left.sas()} {right.sas()}")
    a.terminate()
    wait_until(lambda: not left.sas() and not right.sas(), 5, "deletion on both sides")
    a.stop()
    b.stop()
    lab.wire.stop()
    clear = lab.wire.lines(clear_between(left, right))
    if clear:
        raise Failure(f"in clear on the wire: {clear[0]}")
    if lab.wire.count(f"{between(left, right)} and {ESP}") < 4:
        raise Failure("no ESP on the wire")


@case("harness-clear")
def harness_clear(lab):
    """Without any policy the same expression must find the ping, or it proves nothing."""
    left, right = lab.pair()
    left.ping(right)
    left.ping(right, family=6)
    lab.wire.stop()
    for family in (4, 6):
        found = lab.wire.count(clear_between(left, right, family))
        if found < 2:
            raise Failure(f"{found} packets of an IPv{family} ping seen in clear")


@case("harness-silence")
def harness_silence(lab):
    """A guest that is lost is ended with all its processes, or it takes a CPU for ever."""
    watch = pathlib.Path(__file__).resolve().parents[1] / "watch.py"
    lost = ["timeout", "--foreground", "60", "setsid", "sleep", "61.25"]
    done = subprocess.run([sys.executable, str(watch), "0.5", *lost], timeout=20, check=False)
    if done.returncode != 124:
        raise Failure(f"watch.py ended with {done.returncode}")
    left = [c.parent.name for c in pathlib.Path("/proc").glob("[0-9]*/cmdline")
            if b"sleep\x0061.25" in c.read_bytes()]
    if left:
        raise Failure(f"processes are left: {left}")


@case("harness-table")
def harness_table(lab):
    """A case whose guest was lost counts as failed in the table of docs/interoperability.md."""
    begin, end = "<!-- table: made by ./dev interop -->\n", "<!-- end of table -->\n"
    pathlib.Path(lab.dir, "results.0").write_text(
        "begin client-vpnc\npass client-vpnc\ntime client-vpnc 4.0\nbegin dpd-strongswan-cut\n")
    pathlib.Path(lab.dir, "results").write_text("pass client-vpnc\nfail dpd-strongswan-cut\n")
    document = pathlib.Path(lab.dir, "table.md")
    document.write_text(f"before\n{begin}{end}after\n")
    made = pathlib.Path(__file__).resolve().parents[1] / "interop.py"
    subprocess.run([sys.executable, "-B", str(made), lab.dir, str(document)], timeout=60, check=True)
    text = document.read_text()
    if "ok, 4 s" not in text or "1 of 1 failed" not in text or not text.endswith("after\n"):
        raise Failure(f"the table is {text}")
