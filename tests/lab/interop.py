#!/usr/bin/env python3
"""
Writes the table of docs/interoperability.md from what the lab's cases gave.

  interop.py OUT DOCUMENT    OUT is the output directory of tests/lab/run
"""

import glob
import sys

import guest
from labkit.registry import CASES

BEGIN, END = "<!-- table: made by ./dev interop -->\n", "<!-- end of table -->\n"
PEERS = ("csipsec", "strongSwan", "libreswan", "vpnc")


def read_results(out):
    """{case: (passed, seconds)}; a case of which its guest told nothing is in the sum alone."""
    results, seconds = {}, {}
    for path in [*glob.glob(f"{out}/results.*"), f"{out}/results"]:
        with open(path) as f:
            for word, *rest in map(str.split, f):
                if word in ("pass", "fail"):
                    results[rest[0]] = word == "pass"
                elif word == "time":
                    seconds[rest[0]] = float(rest[1])
    return {name: (passed, seconds.get(name, 0.0)) for name, passed in results.items()}


def cell(results):
    """All cases of one peer and feature."""
    if not results:
        return ""
    bad = sum(not passed for passed, _ in results)
    what = f"{bad} of {len(results)} failed" if bad else "ok"
    if len(results) > 1 and not bad:
        what += f", {len(results)} cases"
    return f"{what}, {sum(s for _, s in results):.0f} s"


def table(results):
    rows = {}
    for name, result in results.items():
        if name in CASES and CASES[name].shows:
            peer, feature = CASES[name].shows
            rows.setdefault(feature, {}).setdefault(peer, []).append(result)
    lines = ["| feature | " + " | ".join(PEERS) + " |", "|" + " --- |" * (len(PEERS) + 1)]
    for feature in sorted(rows):
        cells = (cell(rows[feature].get(peer, [])) for peer in PEERS)
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    out, document = sys.argv[1:]
    guest.load_cases()
    with open(document) as f:
        text = f.read()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{document} has no place for the table")
    with open(document, "w") as f:
        f.write(before + BEGIN + table(read_results(out)) + END + after)


if __name__ == "__main__":
    main()
