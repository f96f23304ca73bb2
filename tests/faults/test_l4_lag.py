"""L4: the reader of the log stands still, really, while the log grows; then it catches up."""

import time

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.oracle import HISTORY, Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record

BATCHES = amount(usual=60, full=1_600)
BATCH_EVENTS = 500
#: How much more memory a longer lag may take, and how much catching up may.
GROWTH_BYTES_MAX = 200 << 20
MEMORY_BYTES_MAX = 700 << 20
READY_SECONDS_MAX = 5.0
SAMPLES = 10


# Proves: L4, C1, I1, I2, I5, I8, R5
def test_a_reader_that_stood_still_catches_up_in_bounded_memory(servers, sabotaged_binary):
    server = servers.start(
        binary=sabotaged_binary, environment={"CAIRN_SABOTAGE": "lake-stopped"}
    )
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker, memory = EventMaker(83), []
    for number in range(BATCHES):
        assert producer.send(maker.batch(BATCH_EVENTS)).status == 200
        if number % (BATCHES // SAMPLES) == 0:
            memory.append(server.resident_bytes())
    producer.close()
    log_bytes = sum(path.stat().st_size for path in (server.data_dir / "log").iterdir())
    state = Oracle(server.data_dir).state(HISTORY)
    assert not state.hot_objects and set(state.positions.values()) <= {(0, 0)}, "it did not stand"
    assert memory[-1] - memory[len(memory) // 2] < GROWTH_BYTES_MAX, memory
    server.kill()
    server.settings.environment, server.settings.binary = {}, servers.binary
    ready = server.restart()
    at_start, began = server.peak_bytes(), time.monotonic()
    wanted = len(ledger.entries)
    while server.metrics()['cairn_store_position{store="event-history"}'] < wanted:
        assert time.monotonic() - began < 30 + BATCHES, "does not catch up"
        time.sleep(0.2)
    caught_up = time.monotonic() - began
    peak = server.peak_bytes()
    assert ready < READY_SECONDS_MAX, f"ready after {ready} s with {log_bytes} bytes of log"
    assert at_start < MEMORY_BYTES_MAX and peak < MEMORY_BYTES_MAX, (at_start, peak)
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict
    record(
        "L4",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={
            "log MB": log_bytes >> 20,
            "ready s": round(ready, 2),
            "caught up s": round(caught_up, 2),
            "events/s": round(wanted / max(caught_up, 0.001)),
            "lagging MB": memory[-1] >> 20,
            "peak MB": peak >> 20,
        },
    )
