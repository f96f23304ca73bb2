"""C1: the process is killed at random moments, during start-up and recovery too."""

import random
import threading

from harness.ledger import Ledger
from harness.oracle import Oracle, own_call
from harness.producer import Driver
from harness.results import amount, record
from harness.server import ServerExited

RUNS = amount(usual=50, full=1_000)
#: Runs that share one data directory, so that recoveries pile up.
CHAIN = 10


def killed_run(server, ledger: Ledger, seed: int, choose: random.Random) -> list[str]:
    """Load, kill after up to 800 ms, sometimes also during the next start; returns surprises."""
    driver = Driver(server.endpoint, server.credentials, ledger, seed).start()
    threading.Event().wait(choose.uniform(0, 0.8))
    server.kill()
    driver.stop()
    if choose.random() < 0.3:
        server.spawn()
        threading.Event().wait(choose.uniform(0, 0.3))
        server.kill()
    return driver.unexpected


# Proves: C1, I1, I2, I4, I10, R1, R12
def test_kill_at_random_moments(servers):
    choose = random.Random(1)
    ready_seconds, acknowledged, lost, duplicates = [], 0, 0, 0
    for chain in range(RUNS // CHAIN):
        server = servers.start(environment={"CAIRN_LAKE_COMMIT_INTERVAL": "1s"})
        ledger = Ledger()
        surprises = []
        for run in range(CHAIN):
            surprises += killed_run(server, ledger, chain * CHAIN + run, choose)
            ready_seconds.append(server.restart())
        assert server.stop() == 0
        verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
        acknowledged += verdict.acknowledged
        lost += len(verdict.lost)
        duplicates += len(verdict.duplicates)
        assert verdict.holds, f"chain {chain}: {verdict}"
        assert surprises == []
        assert not [line for line in server.error_lines() if "panicked" in line]
    ready_seconds.sort()
    record(
        "C1",
        runs=RUNS,
        acks=acknowledged,
        lost=lost,
        duplicates=duplicates,
        figures={
            "ready p50 s": round(ready_seconds[len(ready_seconds) // 2], 2),
            "ready p99 s": round(ready_seconds[int(len(ready_seconds) * 0.99)], 2),
        },
    )
    assert acknowledged > 0


def test_the_harness_catches_an_acknowledgement_of_what_was_never_kept(servers, sabotaged_binary):
    """Control: a server that acknowledges batches which it then forgets must be found out."""
    server = servers.new(
        binary=sabotaged_binary,
        environment={"CAIRN_SABOTAGE": "forget-batches"},
    )
    try:
        server.start()
    except ServerExited as refused:
        raise AssertionError("the sabotaged server must start") from refused
    ledger = Ledger()
    driver = Driver(server.endpoint, server.credentials, ledger, seed=99).start()
    threading.Event().wait(1.0)
    server.kill()
    driver.stop()
    server.settings.environment.pop("CAIRN_SABOTAGE")
    server.restart()
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.lost, f"the planted loss was not found: {verdict}"
    record("C1", controls=1, controls_caught=1)
