"""L2: connections that abuse the server: slow, idle by the thousand, endless. Others go on."""

import contextlib
import socket
import threading
import time

import pytest

from harness import http2_frames as h2
from harness.raw_http import address
from harness.results import amount, record
from harness.waiting import eventually

#: More than the listener takes, so that those idle longest have to go.
IDLE = amount(usual=5_000, full=10_000)
MEMORY_GROWTH_MAX = 300 << 20
PROBES = amount(usual=150, full=600)
#: Below this a tail says more about the machine than about the server.
P99_FLOOR_SECONDS = 0.05


class Abuse:
    """Attackers in threads of their own, until stopped; counts how often they were cut off."""

    def __init__(self, server):
        self.target = address(server.endpoint)
        self.stopping = threading.Event()
        self.cut_off: dict[str, int] = {}
        self.threads: list[threading.Thread] = []

    def run(self, *attacks) -> None:
        """Begin."""
        for attack in attacks:
            self.cut_off[attack.__name__] = 0
            thread = threading.Thread(target=self.repeat, args=(attack,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def repeat(self, attack) -> None:
        """The attack on one connection after another; each lasts until the server ends it."""
        while not self.stopping.is_set():
            try:
                with h2.connect(self.target) as connection:
                    attack(self, connection)
            except (ConnectionError, TimeoutError, socket.timeout):
                pass
            if not self.stopping.is_set():
                self.cut_off[attack.__name__] += 1

    def stop(self) -> None:
        """End all attackers."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "an attacker hangs"


def send_until_cut_off(abuse: Abuse, connection: socket.socket, data: bytes) -> None:
    """The same bytes again and again. A server that closes makes the sending fail."""
    connection.settimeout(2)
    while not abuse.stopping.is_set():
        connection.sendall(data)
        with contextlib.suppress(BlockingIOError):
            connection.setblocking(False)
            while connection.recv(65536):
                pass
            return  # the end of the stream
        connection.settimeout(2)


def empty_data(abuse: Abuse, connection: socket.socket) -> None:
    """A body of nothing but empty frames."""
    connection.sendall(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head()))
    send_until_cut_off(abuse, connection, h2.frame(h2.DATA, 0, 1) * 500)


def continuation_flood(abuse: Abuse, connection: socket.socket) -> None:
    """A header block without an end."""
    connection.sendall(h2.frame(h2.HEADERS, 0, 1, h2.head()))
    more = h2.frame(h2.CONTINUATION, 0, 1, h2.literal(b"x-more", b"x" * 8_000))
    send_until_cut_off(abuse, connection, more * 4)


def rapid_reset(abuse: Abuse, connection: socket.socket) -> None:
    """Streams that are given up as soon as they are opened."""
    stream = 1
    connection.settimeout(2)
    while not abuse.stopping.is_set():
        data = b""
        for _ in range(200):
            data += h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.head())
            data += h2.frame(h2.RESET, 0, stream, b"\0\0\0\x08")
            stream += 2
        connection.sendall(data)
        with contextlib.suppress(BlockingIOError):
            connection.setblocking(False)
            while connection.recv(65536):
                pass
            return
        connection.settimeout(2)


def ping_flood(abuse: Abuse, connection: socket.socket) -> None:
    """Pings whose answers nobody reads."""
    connection.settimeout(2)
    while not abuse.stopping.is_set():
        connection.sendall(h2.frame(h2.PING, 0, 0, b"12345678") * 500)


def large_headers(abuse: Abuse, connection: socket.socket) -> None:
    """Headers just above the limit of 64 KiB, in frames of the largest size."""
    block = h2.head(b"/events", h2.literal(b"x-large", b"x" * 70_000))
    pieces = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    data = h2.frame(h2.HEADERS, h2.END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        data += h2.frame(h2.CONTINUATION, 0, 1, piece)
    data += h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, pieces[-1])
    connection.settimeout(2)
    connection.sendall(data)
    while connection.recv(65536):
        pass


def probe(client) -> float:
    """The 99th percentile of what another client waits, each time on a new connection."""
    delays = []
    for _ in range(PROBES):
        began = time.monotonic()
        client.get_caller_identity()
        delays.append(time.monotonic() - began)
    return sorted(delays)[int(len(delays) * 0.99)]


def slow_connections(target: tuple[str, int]) -> list[socket.socket]:
    """Heads and bodies that never come to their end."""
    opened = []
    for number in range(100):
        connection = socket.create_connection(target, timeout=10)
        if number % 2:
            connection.sendall(b"POST /events HTTP/1.1\r\nHost: cairn\r\nX-Slow: ")
        else:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: cairn\r\nContent-Length: 100000\r\n\r\nx")
        opened.append(connection)
    return opened


# Proves: L2, I8, R18
def test_slow_and_idle_connections_do_not_keep_others_out(servers):
    server = servers.start(
        environment={"CAIRN_HTTP_HEADER_READ_TIMEOUT": "2s", "CAIRN_HTTP_BODY_READ_TIMEOUT": "2s"}
    )
    client, target = server.client("sts"), address(server.endpoint)
    before = probe(client)
    memory = server.resident_bytes()
    opened = slow_connections(target)
    slow = list(opened)
    for _ in range(IDLE):
        opened.append(socket.create_connection(target, timeout=10))
    during = probe(client)
    grown = server.peak_bytes() - memory
    for connection in slow:
        connection.settimeout(10)
        with contextlib.suppress(ConnectionError):
            data = connection.recv(100)  # an error, or the end: never an open door
            assert data == b"" or data.startswith(b"HTTP/1.1 4")
    for connection in opened:
        connection.close()
    assert during < max(2 * before, P99_FLOOR_SECONDS), (before, during)
    assert grown < MEMORY_GROWTH_MAX
    assert server.stop() == 0
    figures = {"idle connections": IDLE, "p99 ms of others": round(during * 1000, 1)}
    figures["p99 ms before"] = round(before * 1000, 1)
    record("L2", runs=1, figures=figures | {"memory grown MB": grown >> 20})


# Proves: L2, I8, R18
@pytest.mark.parametrize(
    "attack", [empty_data, continuation_flood, rapid_reset, ping_flood, large_headers]
)
def test_hostile_frames_end_their_own_connection_only(servers, attack):
    server = servers.start(environment={"CAIRN_HTTP_BODY_READ_TIMEOUT": "2s"})
    client = server.client("sts")
    before = probe(client)
    memory = server.resident_bytes()
    abuse = Abuse(server)
    abuse.run(attack)
    during = probe(client)
    eventually(lambda: abuse.cut_off[attack.__name__] > 0, 20, "the end of the attack")
    abuse.stop()
    grown = server.peak_bytes() - memory
    assert grown < MEMORY_GROWTH_MAX
    # An attacker on the same two processors takes its share of them, never the server.
    assert during < max(4 * before, 4 * P99_FLOOR_SECONDS), (before, during)
    assert server.stop() == 0
    assert not [line for line in server.error_lines() if "panicked" in line]
    figures = {"p99 ms of others": round(during * 1000, 1), "memory grown MB": grown >> 20}
    record(f"L2 {attack.__name__.replace('_', ' ')}", runs=1, figures=figures)
