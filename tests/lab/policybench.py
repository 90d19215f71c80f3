"""./dev bench policy: what a policy costs by its number of rules, in a network namespace of the lab."""

import subprocess

from labkit.host import Host
from labkit.lab import Lab, say


def main(build, libreswan, out):
    lab = Lab("/run/lab/policybench", build, None, libreswan)
    host = Host(lab, "bench", "", "")
    lab.hosts.append(host)
    host.run("ip", "link", "set", "lo", "up")
    with subprocess.Popen([f"{build}/tests/bench/bench_policy"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          preexec_fn=host.enter) as process:
        for line in process.stdout:
            say(line.rstrip())
    lab.destroy()
    return process.returncode
