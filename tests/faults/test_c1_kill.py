"""C1: the process is killed at random moments: under load, while it starts, recovers or stops.

The load is events from producers and calls to the server's own API, changes of identities among
them. Afterwards every acknowledged event is there once, every answered call is recorded once, and
the catalog holds what the events tell.
"""

import random
import signal
import threading
from dataclasses import dataclass, field

from harness.calls import CallDriver, CallLedger
from harness.ledger import Ledger
from harness.oracle import Oracle, own_call
from harness.producer import Driver
from harness.results import amount, first_seed, record
from harness.server import ServerExited
from harness.waiting import eventually

RUNS = amount(usual=50, full=1_000)
#: Runs that share one data directory, so that recoveries pile up.
CHAIN = 10
READY_SECONDS_MAX = 5.0
MEMORY_BYTES_MAX = 700 << 20
ENVIRONMENT = {
    "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
    "CAIRN_LAKE_MAINTENANCE_INTERVAL": "2s",
    "CAIRN_EVENTLOG_SEGMENT_BYTES": "8MiB",
    "CAIRN_API_REQUESTS_PER_SECOND": "100000",
    "CAIRN_API_REQUESTS_BURST": "100000",
}


@dataclass
class Load:
    """What producers and callers did and were told, over all runs of a chain."""

    ledger: Ledger = field(default_factory=Ledger)
    calls: CallLedger = field(default_factory=CallLedger)
    surprises: list[str] = field(default_factory=list)
    peak_bytes: int = 0


def wait(seconds: float) -> None:
    """The moment of a fault is random by time, not by what the server does."""
    threading.Event().wait(seconds)


def killed_start(server, choose: random.Random) -> None:
    """A start, or a recovery, that does not come to its end."""
    server.spawn()
    wait(choose.uniform(0, 0.4))
    server.kill()


def killed_run(server, load: Load, seed: int, choose: random.Random) -> None:
    """Load, and a kill after up to 800 ms, sometimes in the middle of a clean stop."""
    driver = Driver(server.endpoint, server.credentials, load.ledger, seed).start()
    callers = CallDriver(server.endpoint, server.credentials, load.calls, seed).start()
    wait(choose.uniform(0, 0.8))
    if choose.random() < 0.15:
        server.process.send_signal(signal.SIGTERM)
        wait(choose.uniform(0, 0.15))
    elif server.is_running:
        load.peak_bytes = max(load.peak_bytes, server.peak_bytes())
    server.kill()
    driver.stop()
    callers.stop()
    load.surprises += driver.unexpected
    while choose.random() < 0.35:
        killed_start(server, choose)


# Proves: C1, I1, I2, I4, I5, I8, I10, R1, R12, R21
def test_kill_at_random_moments(servers):
    ready_seconds, acknowledged, calls, lost, duplicates, peak = [], 0, 0, 0, 0, 0
    for chain in range(RUNS // CHAIN):
        choose = random.Random(first_seed() + chain)
        server = servers.new(environment=ENVIRONMENT)
        if choose.random() < 0.5:
            killed_start(server, choose)  # the very first start, which makes everything
        ready_seconds.append(server.restart())
        load = Load()
        for run in range(CHAIN):
            killed_run(server, load, (first_seed() + chain) * CHAIN + run, choose)
            ready_seconds.append(server.restart())
        assert server.stop() == 0
        verdict = Oracle(server.data_dir).verdict(load.ledger, others=own_call, calls=load.calls)
        acknowledged += verdict.acknowledged
        calls += verdict.calls
        lost += len(verdict.lost)
        duplicates += len(verdict.duplicates)
        peak = max(peak, load.peak_bytes)
        assert verdict.holds, f"chain {chain}: {verdict}"
        assert load.surprises == []
        assert not [line for line in server.error_lines() if "panicked" in line]
    ready_seconds.sort()
    assert acknowledged > 0 and calls > 0
    assert ready_seconds[-1] < READY_SECONDS_MAX, f"ready after {ready_seconds[-1]} s"
    assert peak < MEMORY_BYTES_MAX
    record(
        "C1",
        runs=RUNS,
        acks=acknowledged,
        lost=lost,
        duplicates=duplicates,
        figures={
            "calls answered": calls,
            "ready p50 s": round(ready_seconds[len(ready_seconds) // 2], 2),
            "ready p99 s": round(ready_seconds[int(len(ready_seconds) * 0.99)], 2),
            "ready max s": round(ready_seconds[-1], 2),
            "peak MB": peak >> 20,
        },
    )


def sabotaged_verdict(servers, binary, fault: str, harm: dict[str, int]):
    """What the oracle says of a server with a planted fault, killed once it has done harm.

    `harm` has lines that the fault writes to the server's log, and how many of each are needed.
    """
    server = servers.new(binary=binary, environment=ENVIRONMENT | {"CAIRN_SABOTAGE": fault})
    try:
        server.start()
    except ServerExited as refused:
        raise AssertionError("the sabotaged server must start") from refused
    load = Load()
    driver = Driver(server.endpoint, server.credentials, load.ledger, 990).start()
    callers = CallDriver(server.endpoint, server.credentials, load.calls, 990).start()

    def harm_is_done() -> bool:
        written = server.log_text()
        return all(written.count(line) >= times for line, times in harm.items())

    eventually(harm_is_done, seconds=60, what="the planted fault")
    server.kill()
    driver.stop()
    callers.stop()
    server.settings.environment.pop("CAIRN_SABOTAGE")
    server.restart()
    assert server.stop() == 0
    return Oracle(server.data_dir).verdict(load.ledger, others=own_call, calls=load.calls)


def test_the_harness_catches_an_acknowledgement_of_what_was_never_kept(servers, sabotaged_binary):
    """Control: a server that acknowledges batches which it then forgets must be found out."""
    # More often than there are producers and callers, so that some were told before the kill.
    harm = {
        "a planted fault: events were forgotten": Driver.producers + 1,
        "a planted fault: calls were forgotten": CallDriver.callers + 1,
    }
    verdict = sabotaged_verdict(servers, sabotaged_binary, "forget-batches", harm)
    assert verdict.lost, f"the planted loss was not found: {verdict}"
    assert [problem for problem in verdict.problems if "not recorded" in problem], verdict
    record("C1", controls=1, controls_caught=1)


def test_the_harness_catches_an_offset_kept_outside_the_snapshot(servers, sabotaged_binary):
    """Control: rows and position that do not move together give rows twice after a kill."""
    harm = {"a planted fault: rows were committed without their position": 1}
    verdict = sabotaged_verdict(servers, sabotaged_binary, "offset-outside-snapshot", harm)
    assert verdict.duplicates, f"the planted duplicates were not found: {verdict}"
    record("C1", controls=1, controls_caught=1)
