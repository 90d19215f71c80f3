"""The list of cases."""

from collections import namedtuple

Case = namedtuple("Case", "name fn plain seconds shows interop virtual halts")
CASES = {}


def case(name, plain=True, seconds=60, shows=None, interop=None, virtual=False,
         halts=0):
    """
    Registers a function of one argument, the Lab; plain cases run without --full.  shows: peer and
    feature that docs/interoperability.md lists its result under; interop: whether ./dev interop runs
    it, as it does with plain ones.  virtual: it runs in a lab kernel of its own whose clock jumps
    to the next thing that happens, so hours of waiting cost nothing.  halts: its guest, one of its own
    with a disk (labkit/disk.py), is killed so many times, and the function begins anew in the next one.
    """
    def add(fn):
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = Case(name, fn, plain, seconds, shows,
                           plain if interop is None else interop, virtual, halts)
        return fn
    return add
