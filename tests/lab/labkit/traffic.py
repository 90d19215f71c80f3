"""
Traffic that shows when a byte of it is another's: each stream is made from its name, and whoever receives
it knows what must come.  Sockets are of the hosts, the threads that use them are the lab's own: a
process each would take longer to start than most streams take.
"""

import random
import socket
import struct
import threading
import time

from .host import Failure

PORT = 7007
CHUNK = 1 << 16
PATIENCE = 30  # seconds without a byte
HEAD = struct.Struct("!32sBQ")  # name, direction, bytes
NUMBER = struct.Struct("!32sQ")
UP, DOWN = 0, 1


class Content:
    """The bytes of one direction of a named stream, made as they are asked for."""

    STRIDE = 8191  # odd, so that equal places of two chunks differ

    def __init__(self, name, direction):
        made = random.Random(f"{name} {direction}").randbytes(CHUNK + 256)
        self.base = made * 2

    def chunk(self, number, size=CHUNK):
        start = number * self.STRIDE % (len(self.base) - CHUNK - 8)
        return struct.pack("!Q", number) + self.base[start:start + size - 8]


def _send(sock, content, size):
    sent = number = 0
    while sent < size:
        sock.sendall(content.chunk(number)[:size - sent])
        number += 1
        sent += CHUNK


def _receive(sock, content, size, what):
    buffer = bytearray(CHUNK)
    got = number = 0
    while got < size:
        length = min(CHUNK, size - got)
        view, at = memoryview(buffer)[:length], 0
        while at < length:
            n = sock.recv_into(view[at:])
            if not n:
                raise Failure(f"{what} ended after {got + at} of {size} bytes")
            at += n
        if view != content.chunk(number)[:length]:
            raise Failure(f"{what}: a byte between {got} and {got + length} is not the one sent")
        number += 1
        got += length


def together(*jobs, seconds=600):
    """Runs the functions at once, each in a thread; the first one's failure is raised."""
    failures = []

    def run(job):
        try:
            job()
        except Failure as failure:
            failures.append(failure)
        except OSError as error:
            failures.append(Failure(f"a stream's socket: {error}"))

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
        if thread.is_alive():
            failures.append(Failure(f"a stream did not end within {seconds} s"))
    if failures:
        raise failures[0]


class Server:
    """
    On a host: takes and gives named TCP streams, and sends UDP datagrams back.  It
    remembers from where each name came.
    """

    def __init__(self, host, port=PORT, address=None):
        self.host, self.port, self.came = host, port, {}
        self.tcp = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (self.tcp, self.udp):
            sock.bind((address or host.v4, port))
        self.tcp.listen(64)
        self.failures, self.open = [], set()
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self._accept, self._echo)]
        for thread in self.threads:
            thread.start()

    def _accept(self):
        while True:
            try:
                sock, peer = self.tcp.accept()
            except OSError:
                return
            self.open.add(sock)
            sock.settimeout(PATIENCE)
            threading.Thread(target=self._serve, args=(sock, peer), daemon=True).start()

    def _serve(self, sock, peer):
        try:
            head = bytearray()
            while len(head) < HEAD.size:
                got = sock.recv(HEAD.size - len(head))
                if not got:
                    return
                head += got
            name, direction, size = HEAD.unpack(head)
            name = name.rstrip(b"\0").decode()
            self.came[name] = peer
            what = f"TCP stream {name} at {self.host.name}"
            if direction == UP:
                _receive(sock, Content(name, UP), size, what)
                sock.sendall(b"!")
            else:
                _send(sock, Content(name, DOWN), size)
        except (Failure, OSError) as failure:
            self.failures.append(failure)
        finally:
            sock.close()
            self.open.discard(sock)

    def _echo(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(2048)
            except ConnectionError:
                continue  # an ICMP message about a client that is gone
            except OSError:
                return
            if not peer:
                return
            if len(data) >= NUMBER.size:
                self.came[NUMBER.unpack_from(data)[0].rstrip(b"\0").decode()] = peer
            try:
                self.udp.sendto(data, peer)
            except OSError:
                pass  # lost: no SA for a moment, while a peer moves it

    def stop(self):
        for sock in (self.tcp, self.udp, *self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self.threads:
            thread.join(5)  # until then the port is taken
        if self.failures:
            raise Failure(str(self.failures[0]))


def _client(host, kind, address, port, source):
    sock = host.socket(socket.AF_INET, kind)
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source:
        sock.bind((host.v4, source))
    sock.connect((address, port))
    return sock


def tcp(host, address, name, size, *, direction=UP, port=PORT, source=None):
    """One stream of size bytes to the server or from it."""
    what = f"TCP stream {name} at {host.name}"
    try:
        with _client(host, socket.SOCK_STREAM, address, port, source) as sock:
            sock.sendall(HEAD.pack(name.encode(), direction, size))
            if direction == UP:
                _send(sock, Content(name, UP), size)
                if sock.recv(1) != b"!":
                    raise Failure(f"{what}: the server did not like it")
            else:
                _receive(sock, Content(name, DOWN), size, what)
    except OSError as error:
        raise Failure(f"{what}: {error}") from None


def udp(host, address, name, count=20, *, size=900, port=PORT, source=None, seconds=5):
    """Datagrams of which each comes back as it was sent, within so many seconds."""
    content = Content(name, UP)
    what = f"UDP stream {name} at {host.name}"
    try:
        with _client(host, socket.SOCK_DGRAM, address, port, source) as sock:
            sock.settimeout(seconds)
            for number in range(count):
                sent = NUMBER.pack(name.encode(), number) + content.chunk(number, size)
                sock.send(sent)
                if sock.recv(2048) != sent:
                    raise Failure(f"{what}: datagram {number} came back as another")
    except OSError as error:
        raise Failure(f"{what}: {error}") from None


def everything(host, server, size=200_000, address=None, port=PORT):
    """TCP both ways, UDP and ping from a host to a server."""
    address = address or server.host.outside
    name = f"{host.name}-{time.monotonic_ns()}"
    together(lambda: tcp(host, address, f"{name}u", size, port=port),
             lambda: tcp(host, address, f"{name}d", size, port=port, direction=DOWN),
             lambda: udp(host, address, f"{name}d", port=port), seconds=90)
    host.run("ping", "-n", "-q", "-i", "0.05", "-c", "3", "-w", "5", address)


class Beat:
    """A datagram each 20 ms to a server and back, and how long none came."""

    STEP = 0.02

    def __init__(self, host, address, port=PORT):
        self.sock = _client(host, socket.SOCK_DGRAM, address, port, None)
        self.sock.settimeout(0.5)
        self.name, self.sent, self.came, self.running = f"beat-{host.name}", 0, [], True
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self._send, self._receive)]
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def _send(self):
        while self.running:
            try:
                self.sock.send(NUMBER.pack(self.name.encode(), self.sent))
            except OSError:
                pass  # an ICMP message, or no route for a moment: a gap
            self.sent += 1
            time.sleep(self.STEP)

    def _receive(self):
        while self.running:
            try:
                got = self.sock.recv(2048)
            except OSError:
                continue
            name, number = NUMBER.unpack(got)
            if name.rstrip(b"\0").decode() == self.name:
                self.came.append((time.monotonic(), number))

    def last(self):
        """When the last one came."""
        return self.came[-1][0] if self.came else self.began

    def stop(self):
        """Ends it; the longest time between two that came, in seconds."""
        self.running = False
        end = time.monotonic()
        for thread in self.threads:
            thread.join(5)
        self.sock.close()
        times = [self.began, *(when for when, _ in self.came), end]
        return max(b - a for a, b in zip(times, times[1:]))

    def lost(self):
        return self.sent - len(self.came)


class Flow:
    """
    One TCP connection from a host to another one that lasts until it is ended, with a little of what is
    known beforehand every so often; host and other are those who have the sockets.
    """

    SIZE = 500

    def __init__(self, host, other, address, name, every):
        self.content, self.name, self.every = Content(name, UP), name, every
        self.sent = self.got = 0
        self.running, self.failure = True, None
        with other.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.bind((address, 0))
            listening.listen(1)
            listening.settimeout(PATIENCE)
            self.out = _client(host, socket.SOCK_STREAM, *listening.getsockname(), None)
            self.into = listening.accept()[0]
        self.into.settimeout(PATIENCE)
        self.threads = [threading.Thread(target=self._run, args=(run,), daemon=True)
                        for run in (self._send, self._take)]
        for thread in self.threads:
            thread.start()

    def _run(self, run):
        try:
            run()
        except (Failure, OSError) as failure:
            self.failure = failure

    def _send(self):
        while self.running:
            self.out.sendall(self.content.chunk(self.sent, self.SIZE))
            self.sent += 1
            time.sleep(self.every)
        self.out.shutdown(socket.SHUT_WR)

    def _take(self):
        buffer = bytearray()
        while True:
            more = self.into.recv(1 << 16)
            if not more:
                return
            buffer += more
            while len(buffer) >= self.SIZE:
                if buffer[:self.SIZE] != self.content.chunk(self.got, self.SIZE):
                    raise Failure(f"TCP stream {self.name}: part {self.got} is another one")
                del buffer[:self.SIZE]
                self.got += 1

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(PATIENCE)
        for sock in (self.out, self.into):
            sock.close()
        if self.failure or self.got != self.sent:
            raise Failure(f"TCP stream {self.name}: of {self.sent} parts {self.got} came: {self.failure}")
