"""
One peer's daemon that is many peers: with an address and a connection for each tunnel, so that there are
as many phase 1 SAs as tunnels and no more than one daemon to start.
"""

from . import libre, swan
from .libre import CIPHERS, GROUPS, HASHES, Pluto
from .nat import Seen
from .swan import Swan


class Block:
    """n addresses of a block of 16 that nobody else has: number 4 begins at 64."""

    def __init__(self, net, number, n):
        self.net = f"{net}.{16 * number}/28"
        self.seats = [Seen(f"p{16 * number + i}", f"{net}.{16 * number + i}") for i in range(1, n + 1)]

    @staticmethod
    def give(host, seats):
        """The host has them, too."""
        path = host.write("addresses", "".join(f"addr add {seat.v4}/24 dev eth0\n" for seat in seats))
        host.lab.ip("-n", host.name, "-batch", path)


class Swans(Swan):
    """strongSwan; seats are of blocks, ours is who they speak to, data what they protect."""

    def __init__(self, host, seats, ours, suite, mode, key, dpd, trap=False):
        self.host, self.peer, self.seats = host, ours, seats
        self.uri = f"unix://{host.path('charon.vici')}"
        conf = host.write("strongswan.conf", swan.CONF.format(
            conf="  keep_alive = 5s\n", vici=host.path("charon.vici"),
            log=host.path("charon.log"), aggressive_psk="no"))
        text = "".join(swan.CONNECTION.format(
            auth="psk", local=seat.v4, remote=ours.v4, local_id=f"{seat.name}.example",
            remote_id=f"{ours.name}.example", ike_life="", child_life="",
            dpd=f"    dpd_delay = {dpd}s\n    dpd_timeout = {4 * dpd}s\n" if dpd else "", more="",
            ike=suite.name, esp=suite.swan_esp, protocol="esp", mode=mode, aggressive="no",
            child=f"        local_ts = {seat.v4}/32\n" if mode == "tunnel" else "", start="trap" if trap else "none")
            .replace("  peer {", f"  {seat.name} {{") for seat in seats)
        host.write("swanctl.conf", text + f'secrets {{\n  ike-all {{\n    secret = "{key}"\n  }}\n}}\n')
        self.env = {"STRONGSWAN_CONF": conf, "SWANCTL_DIR": host.dir}
        self.start()

    def initiate(self, seat):
        self.swanctl("--initiate", "--child", seat.name, "--timeout", "20")

    def drop_all(self):
        for seat in self.seats:
            self.swanctl("--terminate", "--ike", seat.name, "--timeout", "10", ok=None)

    def log_of_dead(self):
        """What it says when it thinks that we are gone."""
        return [line for line in self.log().splitlines() if "DPD check timed out" in line]


class Plutos(Pluto):
    """libreswan, the same."""

    def __init__(self, host, seats, ours, suite, mode, key, dpd, trap=False):
        self.seats = seats
        more = (("dpddelay", dpd), ("dpdtimeout", 4 * dpd), ("dpdaction", "hold")) if dpd else ()
        conf = "".join(self._connection(seat, ours, suite, mode, more) for seat in seats)
        setup = "config setup\n\tikev1-policy=accept\n\tkeep-alive=5\n"
        super().__init__(host, setup + conf, f': PSK "{key}"\n', [seat.name for seat in seats], trap=trap)

    @staticmethod
    def _connection(seat, ours, suite, mode, more):
        if mode == "tunnel":
            more = *more, ("leftsubnet", f"{seat.v4}/32"), ("rightsubnet", f"{ours.v4}/32")
        text = libre.CONF.format(
            setup="", aggressive="no", mode=mode, local=seat.v4, remote=ours.v4,
            local_id=f"@{seat.name}.example", remote_id=f"@{ours.name}.example",
            ike=f"{CIPHERS[suite.ike_encrypt]}-{HASHES[suite.ike_hash]};{GROUPS[suite.group]}",
            protocol="esp", algorithms=f"{CIPHERS[suite.esp_encrypt]}-{HASHES[suite.esp_auth]}",
            pfs="no", auth=libre.BY_KEY, more="".join(f"\t{k}={v}\n" for k, v in more))
        return f"conn {seat.name}\n" + text.split("conn peer\n")[1]

    def initiate(self, seat):
        self.whack("--initiate", "--name", seat.name, ok=None)

    def drop_all(self):
        """What it began it begins again, unless it ends it itself."""
        for seat in self.seats:
            self.whack("--terminate", "--name", seat.name, ok=None)

    def log_of_dead(self):
        return [line for line in self.log().splitlines() if "declaring peer dead" in line]
