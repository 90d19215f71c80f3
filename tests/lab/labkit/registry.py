"""The list of cases."""

from collections import namedtuple

Case = namedtuple("Case", "name fn plain seconds")
CASES = {}


def case(name, plain=True, seconds=60):
    """Registers a function of one argument, the Lab; plain cases run without --full."""
    def add(fn):
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = Case(name, fn, plain, seconds)
        return fn
    return add
