"""The kernel side alone, without daemons: the scheme of marks, and the XFRM calls."""

import os
import pathlib
import subprocess

from labkit.host import Failure
from labkit.registry import case

HERE = pathlib.Path(__file__).resolve().parent.parent


def run(lab, name, *command):
    """Shows what failed, and keeps everything that was said; the root file system is read-only."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "CSIPSEC_NEED_ESP": "1", "TMPDIR": lab.dir,
                               "TEMP": lab.dir})
    with open(f"{lab.dir}/{name}.log", "w") as f:
        f.write(done.stdout)
    if done.returncode != 0:
        lines = [s for s in done.stdout.splitlines() if "FAILED" in s or ":F:" in s or ":E:" in s]
        raise Failure("; ".join(lines[:5]) or done.stdout[-500:])


@case("kernel-scheme", seconds=150)
def kernel_scheme(lab):
    """What docs/architecture.md says of marks, the SPD and a flushed table, claim by claim."""
    run(lab, "scheme", str(HERE / "xfrm_scheme.sh"), f"{lab.build}/tests/lab/xfrm_lab")


@case("kernel-calls")
def kernel_calls(lab):
    """The unit test of the XFRM calls, on a kernel that has everything it wants."""
    run(lab, "calls", f"{lab.build}/tests/unit/test_xfrm")
