"""L1: ten times the load that the limits allow, offered without waiting for answers, in 1 GiB.

And more bytes at once than the server may hold, with no limit on rates: then memory is the limit.
"""

import http.client
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.memory_group import MemoryGroup, available
from harness.oracle import Oracle, own_call
from harness.producer import Producer, batch_request
from harness.raw_http import address, wire_form
from harness.results import amount, record
from harness.server import Server
from harness.waiting import eventually

SECONDS = amount(usual=8, full=600)
CALLS_PER_SECOND = 30
BATCH_EVENTS = 10
THREADS = 48
MEMORY_BYTES = 1 << 30
NORMAL_SECONDS = 10.0
#: An answer that refuses must come soon, or the client has lost more than its call.
REFUSED_P99_SECONDS = 0.5

pytestmark = pytest.mark.skipif(available() is not None, reason=f"not run: {available()}")


@dataclass
class Offer:
    """Calls at fixed moments, whatever became of those before; and what came back when."""

    rate: float
    seconds: float
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def run(self, server, ledger: Ledger, seed: int) -> "Offer":
        """Offer; each moment belongs to one of many threads, so that none waits for another."""
        began = time.monotonic() + 0.2
        threads = [
            threading.Thread(target=self.offer, args=(server, ledger, seed, index, began))
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.odd == []
        return self

    def offer(self, server, ledger: Ledger, seed: int, index: int, began: float) -> None:
        """One thread's share of the moments. Latency counts from the moment, not the sending."""
        maker = EventMaker(seed * 1000 + index)
        producer = Producer(server.endpoint, server.credentials, ledger)
        number = index
        while number < self.rate * self.seconds:
            batch, moment = maker.batch(BATCH_EVENTS), began + number / self.rate
            threading.Event().wait(max(0.0, moment - time.monotonic()))
            answer = producer.send(batch)
            took = time.monotonic() - moment
            if answer is not None and answer.status == 200:
                self.accepted.append(took)
            elif answer is not None and answer.status in (429, 503):
                self.refused.append(took)
            else:
                self.odd.append(f"{answer and (answer.status, answer.document)}")
            number += THREADS
        producer.close()

    @property
    def goodput(self) -> float:
        """Accepted calls in a second."""
        return len(self.accepted) / self.seconds


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[int(len(times) * 0.99)]


# Proves: L1, I1, I2, I5, I8, I10, R18
def test_ten_times_the_load(servers):
    group = MemoryGroup(MEMORY_BYTES)
    try:
        server = servers.new(
            environment={
                "CAIRN_INGEST_REQUESTS_PER_SECOND": str(CALLS_PER_SECOND),
                "CAIRN_INGEST_REQUESTS_BURST": str(CALLS_PER_SECOND),
                "CAIRN_LAKE_COMMIT_INTERVAL": "5s",
            },
        )
        server.settings.before_exec = group.enter
        server.start()
        ledger = Ledger()
        peak = Offer(CALLS_PER_SECOND, 4).run(server, ledger, seed=81).goodput
        storm = Offer(10 * CALLS_PER_SECOND, SECONDS).run(server, ledger, seed=82)
        assert storm.refused, "nothing was refused"
        assert storm.goodput >= 0.8 * peak, (storm.goodput, peak)
        assert p99(storm.refused) < REFUSED_P99_SECONDS
        ended = time.monotonic()
        while Offer(CALLS_PER_SECOND / 2, 1).run(server, ledger, seed=83).refused:
            assert time.monotonic() - ended < NORMAL_SECONDS, "not normal after the load"
        memory = server.peak_bytes()
        assert server.stop() == 0
        assert group.kills() == 0
    finally:
        servers.close()
        group.remove()
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict
    assert ledger.count(Outcome.UNKNOWN) == 0
    record(
        "L1",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={
            "seconds": SECONDS,
            "offered calls": int(10 * CALLS_PER_SECOND * SECONDS),
            "accepted": len(storm.accepted),
            "goodput of peak %": round(100 * storm.goodput / peak),
            "accepted p99 ms": round(p99(storm.accepted) * 1000),
            "refused p99 ms": round(p99(storm.refused) * 1000),
            "peak MB": memory >> 20,
        },
    )


LARGE_BATCH_EVENTS = 300
ROUNDS = amount(usual=2, full=40)
HOLDERS = 64


@dataclass
class Round:
    """Producers that all have half of a large batch on its way before any sends the rest."""

    server: Server
    ledger: Ledger
    seed: int
    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(HOLDERS))
    refused: list[float] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def run(self) -> "Round":
        """Send everything; what is refused is sent again, as a producer does."""
        threads = [threading.Thread(target=self.hold, args=(n,)) for n in range(HOLDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self

    def hold(self, index: int) -> None:
        """One producer's batch."""
        batch = EventMaker(self.seed * 1000 + index).batch(LARGE_BATCH_EVENTS)
        names = self.ledger.sent(batch)
        data = wire_form(batch_request(self.server.endpoint, self.server.credentials, batch))
        with socket.create_connection(address(self.server.endpoint), 30) as connection:
            connection.sendall(data[: len(data) // 2])
            self.together.wait()
            began = time.monotonic()
            status = status_of(connection, data[len(data) // 2 :])
        if status == 200:
            return self.ledger.settle(names, Outcome.ACKNOWLEDGED)
        if status not in (429, 503):
            return self.odd.append(str(status))
        self.refused.append(time.monotonic() - began)
        producer = Producer(self.server.endpoint, self.server.credentials, self.ledger)
        eventually(
            lambda: (answer := producer.send(batch)) is not None and answer.status == 200,
            seconds=60,
            what="room",
        )
        producer.close()


def status_of(connection: socket.socket, rest: bytes) -> int:
    """Send what is left of a request, if the server still takes it; the answer's status."""
    try:
        connection.sendall(rest)
    except (BrokenPipeError, ConnectionResetError):
        pass
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


# Proves: L1, I1, I2, I5, I8, I10, R18
def test_more_bytes_at_once_than_may_be_held(servers):
    """Without limits on rates, room for bodies decides: the rest is told so and goes in later."""
    group = MemoryGroup(MEMORY_BYTES)
    try:
        server = servers.new(
            environment={
                "CAIRN_INGEST_REQUESTS_PER_SECOND": "100000",
                "CAIRN_INGEST_REQUESTS_BURST": "100000",
                "CAIRN_INGEST_BODY_BYTES_MAX": "1MiB",
                "CAIRN_HTTP_IN_FLIGHT_BYTES_MAX": "4MiB",
                "CAIRN_EVENTLOG_QUEUE_BYTES_MAX": "4MiB",
            },
        )
        server.settings.before_exec = group.enter
        server.start()
        ledger = Ledger()
        rounds = [Round(server, ledger, 8_400 + number).run() for number in range(ROUNDS)]
        assert [odd for each in rounds for odd in each.odd] == []
        refused = [took for each in rounds for took in each.refused]
        without_room = server.metrics().get('cairn_not_admitted_total{reason="no-memory"}', 0)
        assert without_room >= len(refused) > 0, "the limit was not reached"
        assert p99(refused) < REFUSED_P99_SECONDS
        memory = server.peak_bytes()
        assert server.stop() == 0
        assert group.kills() == 0
    finally:
        servers.close()
        group.remove()
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict
    assert verdict.acknowledged == ROUNDS * HOLDERS * LARGE_BATCH_EVENTS
    record(
        "L1 more bytes than room",
        runs=ROUNDS,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={
            "refused": len(refused),
            "refused p99 ms": round(p99(refused) * 1000),
            "peak MB": memory >> 20,
        },
    )
