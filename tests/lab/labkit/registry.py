"""The list of cases."""

from collections import namedtuple

Case = namedtuple("Case", "name fn plain seconds shows interop")
CASES = {}


def case(name, plain=True, seconds=60, shows=None, interop=None):
    """
    Registers a function of one argument, the Lab; plain cases run without --full.  shows: peer and
    feature that docs/interoperability.md lists its result under; interop: whether ./dev interop runs
    it, as it does with plain ones.
    """
    def add(fn):
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = Case(name, fn, plain, seconds, shows,
                           plain if interop is None else interop)
        return fn
    return add
