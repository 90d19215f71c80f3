#!/usr/bin/env python3
"""
Plants bugs in the compiler of filters, one after the other, in a copy of the sources, and expects the unit tests
to see each.

  run.py --list          the names of the bugs
  run.py --prepare DIR   makes the copy and its build, in which the tests pass
  run.py DIR NAME        plants one there, and fails when no test does

A bug is a piece of text that stands in a file once, and what stands there instead.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL, TEXT, EXAMPLES = "test_nft_model", "test_nft", "test_examples"
SECONDS = 120  # a test that takes longer has not seen anything


@dataclass
class Bug:
    path: str
    right: str
    wrong: str
    seen_by: str = MODEL
    how: str = "test_property"  # the test that fails


BUGS = {
    "port-range-ends-early": Bug(
        "xfrm/nft_lines.c", "to[1] = any ? 65535 : ports[1];",
        "to[1] = any ? 65535 : (uint16_t)(ports[1] - (ports[1] > ports[0]));"),
    "tree-swaps-rules": Bug(
        "xfrm/nft_tree.c", "(n_a && *a < *b)", "(n_a && *a > *b)"),
    "tree-tries-last-part-first": Bug(
        "xfrm/nft_tree.c",
        "\tcut(b, sequence, cap, lines, half, share(a, half, n, n), depth);\n"
        "\tcut(b, sequence, cap, lines + half, n - half, share(a, n - half, n, n), depth);\n",
        "\tcut(b, sequence, cap, lines + half, n - half, share(a, n - half, n, n), depth);\n"
        "\tcut(b, sequence, cap, lines, half, share(a, half, n, n), depth);\n"),
    "range-without-its-last-address": Bug(
        "xfrm/nft_tree.c", "\t\t\tif (xf_value_next(&r.hi))\n",
        "\t\t\tif (r.hi.low != r.lo.low || xf_value_next(&r.hi))\n"),
    "rule-for-fragments-takes-all": Bug(
        "xfrm/nft_lines.c", ".fragment = s->fragments_only,", ".fragment = false,"),
    "first-fragment-is-not-asked-for-ports": Bug(
        "xfrm/nft_lines.c", "if (sense != XF_IN_FRAGMENT)\n\t\tset_upper",
        "if (sense != XF_IN_FRAGMENT && !s->fragments_only)\n\t\tset_upper"),
    "routed-direction-inverted": Bug(
        "xfrm/nft_lines.c",
        "if (s->direction == (xf_sense_inbound(sense) ? POL_OUT : POL_IN))",
        "if (s->direction == (xf_sense_inbound(sense) == (sense != XF_OUT_ROUTED && "
        "sense != XF_IN_ROUTED) ? POL_OUT : POL_IN))"),
    "icmp-code-ignored": Bug(
        "xfrm/nft_lines.c", "l->code[0] = s->code[0];", "l->code[0] = -1;"),
    "half-of-an-ipv6-address": Bug(
        "xfrm/nft_addrs.c", "v.high = v.high << 8 | v.low >> 56;", "v.high = v.high << 8;"),
    "ports-not-turned": Bug(
        "xfrm/nft_lines.c", "set_ports(l->dport, turned ? s->src_port : s->dst_port);",
        "set_ports(l->dport, s->dst_port);"),
    "connect-of-the-other-side": Bug(
        "xfrm/nft_lines.c", "(xf_sense_inbound(sense) ? POL_CONNECT_OUT : POL_CONNECT_IN)",
        "(xf_sense_inbound(sense) ? POL_CONNECT_IN : POL_CONNECT_OUT)"),
    "group-of-one": Bug(
        "xfrm/nft_addrs.c", "v[++last] = v[i];", "v[last] = v[i];"),
    "range-ends-with-one-inside-it": Bug(
        "xfrm/nft_addrs.c", "else if (xf_value_compare(v[last].hi, v[i].hi) < 0)\n", "else\n"),
    "neighbours-are-one-range": Bug(
        "xfrm/nft_addrs.c", "xf_value_compare(b->lo, next) <= 0",
        "(xf_value_next(&next), xf_value_compare(b->lo, next) <= 0)"),
    "sets-of-one-name": Bug(
        "xfrm/nft_addrs.c", "a->set = ++m->n_sets;", "a->set = 1;", TEXT, "test_named_set"),
    "set-without-its-last-range": Bug(
        "xfrm/nft_print.c", "for (unsigned i = 0; i < a->n; i++)",
        "for (unsigned i = 0; i + 1 < a->n; i++)", TEXT, "test_named_set"),
    "large-group-has-no-price": Bug(
        "xfrm/nft_tree.c", "if (least_walk(b, field, lines, n) > a.walk)",
        "if (least_walk(b, field, lines, n) == 0)", MODEL, "test_work"),
    "denied-fragments-held": Bug(
        "xfrm/nft_lines.c", "if (sense == XF_IN_FRAGMENT && r->verdict == POL_DENY)",
        "if (sense != XF_IN_FRAGMENT && r->verdict == POL_DENY && i == 0)"),
    "time-ignored": Bug(
        "xfrm/nft_addrs.c", "if (r->n_times && !pol_time_active(r->times, r->n_times, now))",
        "if (r->n_times > 1 && !pol_time_active(r->times, r->n_times, now))"),
    "class-ignored": Bug(
        "xfrm/nft_lines.c", ".security_class = sense == XF_OUT_ROUTED ? 0 : s->security_class,",
        ".security_class = 0,"),
    "opaque-is-any": Bug(
        "xfrm/nft_lines.c", ".opaque = s->proto == POL_PROTO_OPAQUE,", ".opaque = false,"),
    "printed-range-ends-late": Bug(
        "xfrm/nft_print.c", 'fprintf(f, "%s %u-%u ", what, from, to);',
        'fprintf(f, "%s %u-%u ", what, from, to - 1);', TEXT, "test_ports"),
    "printed-type-elsewhere": Bug(
        "xfrm/nft_print.c", '"@th,%u,8", 8 * l->type_at', '"@th,%u,8", 8 * l->type_at + 8', TEXT,
        "test_icmp"),
    "identity-ends-the-list": Bug(
        "xfrm/nft_compile.c", 'r->remote_identity ? "jump" : "goto"', '"goto"', TEXT,
        "test_identity"),
    "neighbours-of-any-hop-limit": Bug(
        "xfrm/nft_compile.c", '"%sicmpv6 type 133-137 ip6 hoplimit 255 ip6 daddr "',
        '"%sicmpv6 type 133-137 ip6 daddr "', TEXT, "test_to_local"),
    "ike-before-the-list": Bug(
        "xfrm/nft_compile.c", '\t\tline(c, "meta l4proto { 50, 51 } accept");\n',
        '\t\tline(c, "meta l4proto { 50, 51 } accept");\n'
        '\t\tline(c, "udp dport { 500, 4500 } %s", exempt);\n', TEXT, "test_to_local"),
    "source-read-as-destination": Bug(
        "policy/compile_filter.c", 'rule_ranges(b, node, "destination", "IpDestAddr", &r->n_dst)',
        'rule_ranges(b, node, "source", "IpSourceAddr", &r->n_dst)', EXAMPLES, "test_"),
}


def quietly(directory, *command, seconds=None):
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout


def must(directory, *command):
    status, said = quietly(directory, *command)
    if status:
        sys.exit(f"{' '.join(command)} failed: {said[-3000:]}")


def run_test(where, test):
    """Builds and runs it; its status and what it said."""
    must(f"{where}/build", "make", "-s", f"-j{os.cpu_count()}", f"tests/unit/{test}")
    return quietly(f"{where}/build", f"./tests/unit/{test}", seconds=SECONDS)


def prepare(where):
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(TOP, f"{where}/source", symlinks=True,
                    ignore=lambda path, _: {"build", ".git"} if path == TOP else ())
    os.mkdir(f"{where}/build")
    must(f"{where}/build", f"{where}/source/configure", "CFLAGS=-O0")
    for test in (MODEL, TEXT, EXAMPLES):
        status, said = run_test(where, test)
        if status:
            sys.exit(f"{test} fails without any bug: {said[-3000:]}")


def plant(where, bug):
    path = f"{where}/source/{bug.path}"
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(bug.right) != 1:
        sys.exit(f"{bug.path} has {text.count(bug.right)} times, not once: {bug.right}")
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(bug.right, bug.wrong))
        status, said = run_test(where, bug.seen_by)
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    if status == 0 or f":{bug.how}" not in said:
        sys.exit(f"{bug.how} of {bug.seen_by} does not see it: {said[-3000:]}")
    print(said[-1000:])


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(BUGS))
    elif len(arguments) == 2 and arguments[0] == "--prepare":
        prepare(os.path.abspath(arguments[1]))
    elif len(arguments) == 2 and arguments[1] in BUGS:
        plant(os.path.abspath(arguments[0]), BUGS[arguments[1]])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
