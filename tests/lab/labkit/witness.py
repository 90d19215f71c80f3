"""An independent witness of a host's SAs: what `ip xfrm monitor` printed, and what it amounts to."""

import re
import subprocess
from collections import Counter

from .host import Failure

HEAD = re.compile(r"^(Deleted |Updated |Expired |)src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+) ")


def changes(text, addresses):
    """
    What the witness's words say of SAs between these addresses: (came, went), each with the times
    that (destination, SPI) did.  SAs without keys, which stand for what is asked for or has an SPI
    alone, go and have not come; an update of what is there is no coming.
    """
    came, went, live = Counter(), Counter(), set()
    for block in re.split(r"^(?=(?:Deleted |Updated |Expired )?src )", text, flags=re.M):
        head = HEAD.match(block)
        # From an address to itself pagent tries what the kernel can do.
        if not head or head[2] == head[3] or not {head[2], head[3]} & addresses:
            continue
        sa = head[3], int(head[4], 16)
        if head[1] in ("", "Updated "):
            came[sa] += sa not in live
            live.add(sa)
        elif sa in live and (head[1] == "Deleted " or "hard 1" in block):
            went[sa] += 1
            live.discard(sa)
    return +came, +went


class Witness:
    """Writes to a file, so that it never waits for a reader while the kernel's queue runs over."""

    def __init__(self, host, path=None):
        self.path = path or host.path("witness")
        self.file = open(self.path, "ab")
        self.popen = subprocess.Popen(["ip", "-rcvbuf", "1000000", "xfrm", "monitor", "SA", "expire"],
                                      stdin=subprocess.DEVNULL, stdout=self.file, stderr=self.file,
                                      preexec_fn=host.enter)

    def text(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def stop(self):
        """All that it said."""
        if self.popen.poll() is not None:
            raise Failure(f"the witness ended with {self.popen.returncode}: {self.text()[-200:]}")
        self.popen.kill()
        self.popen.wait(10)
        self.file.close()
        text = self.text()
        if "receive error" in text:
            raise Failure("the kernel's messages came faster than the witness took them")
        return text


# ---- what trmd recorded, against that ----

def kind(record):
    """The subtype; what never served has an end without a beginning, and stands apart."""
    subtype = record["SubType"]
    return "failed" if subtype == 76 and record["IPTunState"] == "failed" else subtype


def key(record):
    """Each is there once: kind, tunnel and generation."""
    if record["SubType"] < 75:
        return kind(record), record["IKETunID"], record["IKETunGeneration"]
    return kind(record), record["IPTunID"], record["IPDynGeneration"]


def pair(record, local):
    """The two SAs of a record of phase 2, as the witness names them."""
    return {(local if way == "Inb" else record["IPTunRmtEndpt"],
             int(record[f"IPTun{way}EncryptSPI"], 16)) for way in ("Inb", "Outb")}


def in_doubt(record):
    """Nobody knows whether the kernel had it, and the record says so."""
    return "perhaps_never" in record["IPDynAddFlags"]


def once(records):
    """{kind: {(tunnel, generation): record}}, each once and each beginning with its end."""
    found = {what: {} for what in (73, 74, 75, 76, 77, 78, "failed")}
    for record in records:
        what, *which = key(record)
        if tuple(which) in found[what]:
            raise Failure(f"{what} of {which} is there more than once")
        found[what][tuple(which)] = record
    for begun, ended in ((73, 74), (75, 76), (77, 78), (75, 77)):
        if found[begun].keys() != found[ended].keys():
            raise Failure(f"{begun} and {ended} are not of the same tunnels:"
                          f" {sorted(found[begun].keys() ^ found[ended].keys())}")
    both = found[75].keys() & found["failed"].keys()
    if both:
        raise Failure(f"these served, and failed before they did: {sorted(both)}")
    orphans = {r["IPDynIKETunID"] for r in found[75].values()} - {tunnel for tunnel, _ in found[73]}
    if orphans:
        raise Failure(f"there is no record of the IKE tunnels {sorted(orphans)}")
    return found


def compare(records, came, went, local):
    """
    Records and witness agree, one for one: each SA that came, and went, is of one pair that was
    recorded as added and removed, or of one negotiation that failed before both SAs were there; and
    each pair that was recorded had an SA.  A pair in doubt may have had none.  Returns how many pairs
    were added, how many of them are in doubt, and how many of these had an SA.
    """
    found = once(records)
    twice = {sa: n for sa, n in (came + went).items() if n != 2}
    if twice or came != went:
        raise Failure(f"the kernel had SAs more than once, or has some still: {twice}")
    owners = Counter()
    for what in (77, "failed"):
        for which, record in found[what].items():
            sas = pair(record, local)
            owners.update(sas)
            if what == 77 and pair(found[78][which], local) != sas:
                raise Failure(f"{which} was removed with other SPIs than it was added with")
            if what == "failed" and sas <= came.keys():
                raise Failure(f"{which} is recorded as failed, and the kernel had both SAs: {sas}")
            if what == 77 and not sas & came.keys() and not in_doubt(record):
                raise Failure(f"{which} is recorded, and the kernel did not have it: {sas}")
    wrong = {sa: owners[sa] for sa in came if owners[sa] != 1}
    if wrong:
        raise Failure(f"SAs that the kernel had are in so many records: {wrong}")
    doubt = [record for record in found[77].values() if in_doubt(record)]
    return len(found[77]), len(doubt), sum(bool(pair(record, local) & came.keys()) for record in doubt)
