"""L1: ten times the load that the limits allow, offered without waiting for answers, in 1 GiB."""

import threading
import time
from dataclasses import dataclass, field

import pytest

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.memory_group import MemoryGroup, available
from harness.oracle import Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record

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
