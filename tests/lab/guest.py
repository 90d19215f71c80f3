#!/usr/bin/env python3
"""Runs lab cases, in the lab kernel or on a native one, and writes a result a line.

  guest.py --list [--full] [GLOB ...]   names the cases
  guest.py --virtual NAME ...           those of them that take a clock of their own
  guest.py --halting NAME ...           those whose guest is halted hard, each with how often
  guest.py --longest NAME ...           how many seconds one of them may take
  guest.py --interop                    names those of docs/interoperability.md
  guest.py                              runs those that the job file names, then halts the lab kernel

The job file is job.json in $CSIPSEC_LAB_OUT: the build directory, where libreswan is, the names of each
shard's cases, or the name of a script.  $CSIPSEC_LAB_SHARD says which shard this guest is.
"""

import ctypes
import fnmatch
import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from labkit.host import Failure  # noqa: E402
from labkit.lab import Lab, say  # noqa: E402
from labkit.registry import CASES  # noqa: E402

LINUX_REBOOT_CMD_HALT = 0xCDEF0123


def load_cases():
    for path in sorted((HERE / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")


def select(globs, full):
    """Named cases run whatever --full says; without names, all or the plain ones."""
    if globs:
        return [n for n in CASES if any(fnmatch.fnmatchcase(n, g) for g in globs)]
    return [c.name for c in CASES.values() if full or c.plain]


class CaseTimeout(Failure):
    pass


def on_alarm(_signal, _frame):
    raise CaseTimeout("took too long")


def take_turns():
    """
    Where no time passes while anything runs, who yields to a thread that was woken before it (libuv does)
    must be passed over in any case: the usual scheduler would weigh times that stand still.
    """
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def run_case(case, job, out, begun):
    """Returns None for a pass, or the reason of the failure. begun: how often it was, before."""
    lab = Lab(f"/run/lab/{case.name}", job["build"], None, job["libreswan"])
    lab.out, lab.halted = out, begun
    why = None
    if case.virtual:
        take_turns()
    signal.alarm(case.seconds)
    try:
        case.fn(lab)
        lab.check_clean()
    except Failure as failure:
        why = str(failure)
    except Exception as failure:  # a case must not take the others with it
        why = f"{type(failure).__name__}: {failure}"
        traceback.print_exc(file=sys.stderr)
    signal.alarm(0)
    if why is not None:
        lab.keep = f"{out}/{case.name}"
        try:
            lab.snapshot()
        except Exception as failure:
            why += f" (and no snapshot: {failure})"
    try:
        lab.destroy()
    except Exception as failure:
        why = why or f"clean-up: {failure}"
    if why is not None:
        os.makedirs(f"{out}/{case.name}", exist_ok=True)
        with open(f"{out}/{case.name}/why", "w") as f:
            f.write(why + "\n")
    return why


def run_script(job, out):
    """A program in place of cases; its status goes to the file status."""
    status = 1
    try:
        status = importlib.import_module(job["script"]).main(job["build"], job["libreswan"], out)
    except Failure as failure:
        say(f"failed: {failure}")
    except Exception as error:  # a fault of the program itself, which would go nowhere
        say(f"failed: {error!r}")
    with open(f"{out}/status", "w") as f:
        f.write(f"{status}\n")


def tell_life():
    """tests/lab/run ends a guest that is silent for longer."""
    while True:
        time.sleep(60)
        print("the guest lives", flush=True)


def run_job(out, shard):
    with open(f"{out}/job.json") as f:
        job = json.load(f)
    if job["script"]:
        run_script(job, out)
        return
    names = job["cases"][shard]
    # Time that jumps would be stopped a thousand times a day.
    if not any(CASES[name].virtual for name in names):
        threading.Thread(target=tell_life, daemon=True).start()
    with open(f"{out}/results.{shard}", "a+", buffering=1) as results:
        results.seek(0)
        before = [line.split() for line in results]
        begun = [line[1] for line in before if line[0] == "begin"]
        done = [line[1] for line in before if line[0] in ("pass", "fail")]
        for name in names:
            if name in done:
                continue
            if begun.count(name) > 1 + CASES[name].halts:
                say(f"  FAIL {name}: two guests were lost in it")
                results.write(f"fail {name}\n")
                continue
            results.write(f"begin {name}\n")
            began = time.monotonic()
            why = run_case(CASES[name], job, out, begun.count(name))
            seconds = time.monotonic() - began
            say(f"  {'ok  ' if why is None else 'FAIL'} {name} ({seconds:.1f} s)"
                + ("" if why is None else f": {why}"))
            results.write(f"{'pass' if why is None else 'fail'} {name}\ntime {name} {seconds:.1f}\n")
        results.write("end\n")


def main():
    load_cases()
    if "--interop" in sys.argv:
        print("\n".join(c.name for c in CASES.values() if c.shows and c.interop))
        return
    if "--virtual" in sys.argv:
        print("\n".join(n for n in sys.argv[2:] if CASES[n].virtual))
        return
    if "--halting" in sys.argv:
        print("\n".join(f"{n} {CASES[n].halts}" for n in sys.argv[2:] if CASES[n].halts))
        return
    if "--longest" in sys.argv:
        print(max(CASES[n].seconds for n in sys.argv[2:]))
        return
    if "--list" in sys.argv:
        rest = [a for a in sys.argv[1:] if a not in ("--list", "--full")]
        print("\n".join(select(rest, "--full" in sys.argv)))
        return
    signal.signal(signal.SIGALRM, on_alarm)
    try:
        run_job(os.environ["CSIPSEC_LAB_OUT"], int(os.environ.get("CSIPSEC_LAB_SHARD", "0")))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if os.environ.get("CSIPSEC_LAB_GUEST"):
            os.sync()
            ctypes.CDLL(None).reboot(ctypes.c_int(LINUX_REBOOT_CMD_HALT - (1 << 32)))


if __name__ == "__main__":
    main()
