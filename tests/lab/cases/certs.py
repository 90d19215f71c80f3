"""iked's certificate helper: who it is, what it may do, and that it is always there."""

import os
import signal

from labkit.host import Failure, wait_until
from labkit.ours import Ours
from labkit.registry import case


def helper_of(iked):
    helpers = iked.children("--certs")
    if len(helpers) > 1:
        raise Failure(f"iked has {len(helpers)} certificate helpers")
    return helpers[0] if helpers else None


def next_helper(ours, old, answers):
    """Waits until another one than old has answered, the answers-th one; its process id."""
    wait_until(lambda: len(ours.log_lines("CSI2049I")) >= answers, 10, f"answer {answers}")
    new = helper_of(ours.iked)
    if not new or new == old:
        raise Failure(f"the helper is {new} after {old}")
    return new


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def uid_of(user):
    with open("/etc/passwd") as f:
        return next(line.split(":")[2] for line in f if line.startswith(f"{user}:"))


def with_keyring(host):
    """Not started yet, with a CA and a host certificate."""
    ours = Ours(host, "", start=False)
    ours.pki("ca", "Example-CA", "--key", "rsa:2048")
    ours.pki("host", "hosta", "--ip", host.v4, "--key", "rsa:2048")
    return ours


def raw_sockets(pid):
    """How many of the process's descriptors are raw sockets of its network namespace."""
    inodes = set()
    for name in ("raw", "raw6"):
        with open(f"/proc/{pid}/net/{name}") as f:
            inodes |= {f"socket:[{line.split()[9]}]" for line in f.readlines()[1:]}
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}") in inodes for fd in os.listdir(f"/proc/{pid}/fd"))


@case("cert-helper")
def cert_helper(lab):
    """It has no right at all; killed, it comes back; it ends with iked."""
    left, _ = lab.pair()
    a = with_keyring(left)
    a.start_iked()
    wait_until(lambda: a.log_lines("CSI2049I"), 10, "the helper's answer")
    if not a.log_lines("CSI2040I", "2 certificates, 1 of this host, 1 CAs"):
        raise Failure("the log does not say what the keyring has")
    helper = helper_of(a.iked)
    status = status_of(helper)
    uid = uid_of("nobody")
    wanted = {"Uid": "\t".join([uid] * 4), "Groups": "", "CapPrm": "0" * 16, "CapEff": "0" * 16,
              "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    for name, value in wanted.items():
        if status[name].strip() != value:
            raise Failure(f"the helper's {name} is {status[name]!r}")
    # As its own user, nobody may look into it: /proc belongs to root then.
    if os.stat(f"/proc/{helper}/mem").st_uid != 0:
        raise Failure("the helper's memory can be read by its user")
    sockets = [os.readlink(f"/proc/{helper}/fd/{fd}") for fd in os.listdir(f"/proc/{helper}/fd")]
    if sum(s.startswith("socket:") for s in sockets) != 1:
        raise Failure(f"the helper has other descriptors than its one socket: {sockets}")
    worker = a.iked.children("--worker")[0]
    held = raw_sockets(a.iked.pid), raw_sockets(worker)
    if held != (2, 0):
        raise Failure(f"without DynamicVipa iked's parent and worker have {held} raw sockets, not 2 and 0")
    os.kill(helper, signal.SIGKILL)
    new = next_helper(a, helper, 2)
    if not a.log_lines("CSI2046E", str(helper)):
        raise Failure("the log does not say that the helper was killed")
    # A worker gets a helper of its own.
    os.kill(worker, signal.SIGKILL)
    last = next_helper(a, new, 3)
    a.stop()
    if os.path.exists(f"/proc/{last}"):
        raise Failure("iked has ended and its certificate helper has not")


@case("cert-keyring-changes")
def cert_keyring_changes(lab):
    """No keyring, no helper; a refresh reads what was made meanwhile; unfit files are named."""
    left, _ = lab.pair()
    a = Ours(left, "", start=False)
    a.start_iked()
    wait_until(lambda: a.log_lines("CSI2043I", "it is not there"), 10, "no keyring")
    wait_until(lambda: not helper_of(a.iked), 5, "no helper")
    a.pki("ca", "Example-CA", "--key", "rsa:2048")
    a.pki("host", "hosta", "--ip", left.v4, "--key", "rsa:2048")
    left.run(a.program("iked"), "-p", a.stack, "-r", "refresh")
    wait_until(lambda: a.log_lines("CSI2049I"), 10, "the helper's answer")
    os.chmod(left.path("conf/iked/keyring/hosta.key"), 0o644)
    left.run(a.program("iked"), "-p", a.stack, "-r", "refresh")
    wait_until(lambda: a.log_lines("CSI2041W", "hosta.key", "others can read it"), 10,
               "a complaint of the key's mode")
    wait_until(lambda: a.log_lines("CSI2040I", "2 certificates, 0 of this host"), 10,
               "the keyring without the key")
    # Others could put a CA there: nothing of it is used.
    os.chmod(left.path("conf/iked/keyring"), 0o777)
    left.run(a.program("iked"), "-p", a.stack, "-r", "refresh")
    wait_until(lambda: a.log_lines("CSI2044E", "others can write it"), 10, "a complaint")
    wait_until(lambda: not helper_of(a.iked), 5, "no helper")
    a.stop()
