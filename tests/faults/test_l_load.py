"""L1, L2 and L4 in small: overload, abusive connections, readers that were away."""

import socket
import threading
import time

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.oracle import Oracle, own_call
from harness.producer import Driver, Producer
from harness.raw_http import address
from harness.results import amount, record

SECONDS = amount(usual=6, full=120)
MEMORY_BYTES_MAX = 700 << 20


# Proves: L1, I1, I8, I10, R18
def test_more_load_than_the_limits_allow(servers):
    server = servers.start(
        environment={
            "CAIRN_INGEST_REQUESTS_PER_SECOND": "40",
            "CAIRN_INGEST_REQUESTS_BURST": "40",
            "CAIRN_LAKE_COMMIT_INTERVAL": "2s",
        }
    )
    ledger = Ledger()
    driver = Driver(server.endpoint, server.credentials, ledger, seed=81, batch_events=10).start()
    peak = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        peak = max(peak, server.resident_bytes())
        assert server.is_ready()
        driver.stopping.wait(0.2)
    driver.stop()
    assert driver.unexpected == []
    throttled = ledger.count(Outcome.REFUSED)
    accepted = ledger.count(Outcome.ACKNOWLEDGED)
    assert throttled > 0, "nothing was throttled"
    assert accepted >= 0.8 * 40 * 10 * SECONDS
    assert peak < MEMORY_BYTES_MAX
    producer = Producer(server.endpoint, server.credentials, ledger)
    threading.Event().wait(1.5)
    assert producer.send(EventMaker(82).batch(5)).status == 200, "not normal after the load"
    producer.close()
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict
    figures = {"throttled": throttled, "peak MB": peak >> 20}
    record("L1", runs=1, acks=verdict.acknowledged, figures=figures)


# Proves: L2, I8, R18
def test_abusive_connections_do_not_keep_others_out(servers):
    server = servers.start(
        environment={"CAIRN_HTTP_HEADER_READ_TIMEOUT": "2s", "CAIRN_HTTP_BODY_READ_TIMEOUT": "2s"}
    )
    target = address(server.endpoint)
    before = server.resident_bytes()
    idle = [socket.create_connection(target, timeout=10) for _ in range(400)]
    slow_heads = [socket.create_connection(target, timeout=10) for _ in range(50)]
    for connection in slow_heads:
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: cairn\r\nX-Slow: ")
    slow_bodies = [socket.create_connection(target, timeout=10) for _ in range(50)]
    for connection in slow_bodies:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: cairn\r\nContent-Length: 100000\r\n\r\nx")
    large = socket.create_connection(target, timeout=10)
    try:
        large.sendall(b"POST / HTTP/1.1\r\nHost: cairn\r\nX-Large: " + b"x" * (256 << 10) + b"\r\n")
        assert large.recv(100).startswith(b"HTTP/1.1 4")
    except (ConnectionResetError, BrokenPipeError):
        pass  # cut off while sending: also an answer
    client = server.client("sts")
    delays = []
    for _ in range(40):
        began = time.monotonic()
        client.get_caller_identity()
        delays.append(time.monotonic() - began)
    delays.sort()
    grown = server.resident_bytes() - before
    deadline = time.monotonic() + 10
    for connection in slow_heads:
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        data = connection.recv(100)  # an error, or the end: never an open door
        assert data == b"" or data.startswith(b"HTTP/1.1 4")
    for connection in [*idle, *slow_heads, *slow_bodies, large]:
        connection.close()
    assert delays[int(len(delays) * 0.95)] < 1.0
    assert grown < 200 << 20
    assert server.stop() == 0
    figures = {"p95 ms of others": round(delays[int(len(delays) * 0.95)] * 1000, 1)}
    record("L2", runs=1, figures=figures | {"memory grown MB": grown >> 20})


# Proves: L4, I1, I8
def test_readers_that_were_away_catch_up_in_bounded_memory(servers):
    away = {"CAIRN_LAKE_HOT_INTERVAL": "500ms", "CAIRN_LAKE_COMMIT_INTERVAL": "1h"}
    server = servers.start(environment=away)
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(83)
    for _ in range(amount(usual=40, full=400)):
        assert producer.send(maker.batch(500)).status == 200
    producer.close()
    server.kill()
    server.settings.environment |= {
        "CAIRN_LAKE_HOT_INTERVAL": "250ms",
        "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
    }
    ready = server.restart()
    peak, began = 0, time.monotonic()
    while len(Oracle(server.data_dir).events()) < len(ledger.entries):
        peak = max(peak, server.resident_bytes())
        assert time.monotonic() - began < 120, "does not catch up"
    caught_up = time.monotonic() - began
    assert peak < MEMORY_BYTES_MAX
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict
    figures = {"ready s": round(ready, 2), "caught up s": round(caught_up, 2)}
    record("L4", runs=1, acks=verdict.acknowledged, figures=figures | {"peak MB": peak >> 20})
