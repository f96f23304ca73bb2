"""C7: the n-th sync of a log file fails. No acknowledgement, no second sync, the process ends.

A preloaded shim makes the n-th sync fail; a device without memory behind it fails by itself. The
shim also shows that a new segment's name is durable before its first acknowledgement.
"""

import random
from pathlib import Path

import pytest

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.loop_image import ThinDisk, available
from harness.oracle import Oracle, own_call
from harness.preload import compiled
from harness.producer import Driver, Producer
from harness.results import amount, first_seed, record
from harness.waiting import eventually

POISONED = 70
FAILED_TO_START = 1
CASES = 50
TRUE_ERRORS = amount(usual=3, full=20)


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    """The compiled preload library."""
    return compiled("sync_shim", tmp_path_factory.mktemp("shim"))


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
        assert report.read_text().split() == ["F"], f"sync {number}: a second sync, or none failed"
        server.settings.environment.clear()
        server.restart()
        assert server.stop() == 0
        verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
        assert verdict.holds, f"sync {number}: {verdict}"
        acknowledged += ledger.count(Outcome.ACKNOWLEDGED)
    record("C7", runs=CASES, acks=acknowledged, figures={"false acknowledgements": 0})


def out_of_memory(servers, disk: ThinDisk, seed: int) -> int:
    """The device fails under load; returns how many events were acknowledged before."""
    settings = {
        "CAIRN_EVENTLOG_RESERVE_BYTES": "1MiB",
        "CAIRN_EVENTLOG_FREE_BYTES_MIN": "1MiB",
        "CAIRN_EVENTLOG_SEGMENT_BYTES": "4MiB",
        "CAIRN_LAKE_COMMIT_INTERVAL": "1h",
    }
    server = servers.start(data_dir=disk.mount_point / "data", environment=settings)
    server.log_path = disk.memory.mount_point.parent / f"true-{seed}.log"
    server.log_path.touch()
    ledger = Ledger()
    disk.leave(random.Random(seed).randrange(100, 3_000))
    driver = Driver(server.endpoint, server.credentials, ledger, seed, producers=3).start()
    code = server.process.wait(30)
    driver.stop()
    assert code == POISONED, f"seed {seed}: exit {code}"
    disk.repair()
    server.restart()
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, f"seed {seed}: {verdict}"
    return verdict.acknowledged


# Proves: C7, I1, R1, R2
@pytest.mark.skipif(available() is not None, reason=f"not run: {available()}")
def test_a_device_that_fails_by_itself_costs_nothing_acknowledged(servers, tmp_path):
    acknowledged = 0
    for seed in range(first_seed(), first_seed() + TRUE_ERRORS):
        disk = ThinDisk(tmp_path, f"thin{seed}", 48)
        try:
            acknowledged += out_of_memory(servers, disk, seed)
        finally:
            servers.close()
            disk.remove()
    figures = {"true I/O errors": TRUE_ERRORS}
    record("C7", runs=TRUE_ERRORS, acks=acknowledged, figures=figures)


def unsynced_segments(servers, shim: Path, binary=None, **environment: str) -> list[str]:
    """Segments in which something was synced, to be acknowledged, before their name was."""
    server = servers.new(binary=binary, environment=environment)
    trace = server.data_dir.with_suffix(".trace")
    server.settings.environment |= {
        "LD_PRELOAD": str(shim),
        "SYNC_SHIM_MATCH": f"{server.data_dir.name}/log/0",
        "SYNC_SHIM_TRACE": str(trace),
        "CAIRN_EVENTLOG_SEGMENT_BYTES": "4MiB",
    }
    server.start()
    load = {"producers": 3, "batch_events": 200}
    driver = Driver(server.endpoint, server.credentials, Ledger(), seed=7, **load).start()
    eventually(lambda: trace.read_text().count("C ") > 3, 60, "four segments")
    driver.stop()
    assert server.stop() == 0
    created, syncs, bad = {}, {}, []
    for line in trace.read_text().splitlines():
        mark, path = line.split(" ", 1)
        if mark == "C":
            created[path], syncs[path] = False, 0
        elif mark == "D":
            created = dict.fromkeys(created, True)
        elif path in created:
            syncs[path] += 1
            # The first sync is of the empty file, before anything can be acknowledged in it.
            if syncs[path] == 2 and not created[path]:
                bad.append(path)
    return bad


# Proves: C7, R1
def test_the_name_of_a_segment_is_synced_before_its_first_acknowledgement(servers, shim):
    assert unsynced_segments(servers, shim) == []


def test_the_harness_catches_a_missing_sync_of_the_directory(servers, shim, sabotaged_binary):
    """Control: ext4 happens to sync the name with the file; other file systems do not."""
    fault = {"CAIRN_SABOTAGE": "no-directory-sync"}
    assert unsynced_segments(servers, shim, binary=sabotaged_binary, **fault)
    record("C7", controls=1, controls_caught=1)


def test_the_harness_catches_a_second_sync(servers, shim, sabotaged_binary):
    """Control: a server that tries the sync again must be found out."""
    server, _, report = failed_sync(
        servers, shim, 6, binary=sabotaged_binary, CAIRN_SABOTAGE="retry-fsync"
    )
    if server.is_running:
        server.kill()
    assert "R" in report.read_text(), "the second sync was not noticed"
    record("C7", controls=1, controls_caught=1)
