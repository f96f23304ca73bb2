"""C7: the n-th sync of a log file fails. No acknowledgement, no second sync, the process ends."""

import subprocess
from pathlib import Path

import pytest

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.oracle import Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record

SHIM_SOURCE = Path(__file__).parents[1] / "harness" / "sync_shim.c"
POISONED = 70
FAILED_TO_START = 1
CASES = amount(usual=12, full=50)


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    """The compiled preload library."""
    library = tmp_path_factory.mktemp("shim") / "sync_shim.so"
    command = ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SHIM_SOURCE]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return library


def failed_sync(servers, shim: Path, number: int, binary=None, **environment: str):
    """Run until the n-th sync fails; returns the server, the ledger and the shim's report."""
    server = servers.new(binary=binary, environment=environment)
    report = server.data_dir.with_suffix(".report")
    server.settings.environment |= {
        "LD_PRELOAD": str(shim),
        "SYNC_SHIM_FAIL": str(number),
        "SYNC_SHIM_MATCH": f"{server.data_dir.name}/log/0",  # segments are named by number
        "SYNC_SHIM_REPORT": str(report),
    }
    ledger = Ledger()
    server.spawn()
    try:
        server.wait_ready(20)
    except AssertionError:
        return server, ledger, report  # it failed during start-up, before any acknowledgement
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(700 + number)
    for _ in range(number + 5):
        if producer.send(maker.batch(5)) is None:
            break
    producer.close()
    return server, ledger, report


# Proves: C7, I1, R1, R2
def test_a_failed_sync_ends_the_process_and_no_promise_is_broken(servers, shim):
    acknowledged = 0
    for number in range(1, CASES + 1):
        server, ledger, report = failed_sync(servers, shim, number)
        expected = POISONED if ledger.entries else FAILED_TO_START
        assert server.process.wait(20) == expected, f"sync {number}: {server.log_tail()}"
        assert report.read_text() == "F", f"sync {number}: a second sync, or none failed"
        server.settings.environment.clear()
        server.restart()
        assert server.stop() == 0
        verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
        assert verdict.holds, f"sync {number}: {verdict}"
        acknowledged += ledger.count(Outcome.ACKNOWLEDGED)
    record("C7", runs=CASES, acks=acknowledged)


def test_the_harness_catches_a_second_sync(servers, shim, sabotaged_binary):
    """Control: a server that tries the sync again must be found out."""
    server, _, report = failed_sync(
        servers, shim, 6, binary=sabotaged_binary, CAIRN_SABOTAGE="retry-fsync"
    )
    if server.is_running:
        server.kill()
    assert "R" in report.read_text(), "the second sync was not noticed"
    record("C7", controls=1, controls_caught=1)
