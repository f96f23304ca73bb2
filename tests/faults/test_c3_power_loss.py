"""C3: power loss. What was acknowledged is in a copy of the disk image taken at that moment.

That is events, and changes of identities, which are written to the catalog's SQLite file.
"""

import os
import random
import signal
import threading
from dataclasses import dataclass

import pytest

from harness.calls import CallDriver, CallLedger
from harness.ledger import Ledger
from harness.loop_image import LoopImage, available
from harness.oracle import Oracle, Verdict, own_call
from harness.producer import Driver
from harness.results import amount, first_seed, record

RUNS = amount(usual=20, full=400)
IMAGE_MEGABYTES = 512
READY_SECONDS_MAX = 5.0
SETTINGS = {
    "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
    "CAIRN_EVENTLOG_SEGMENT_BYTES": "4MiB",
    "CAIRN_EVENTLOG_RESERVE_BYTES": "1MiB",
    "CAIRN_EVENTLOG_FREE_BYTES_MIN": "16MiB",
    "CAIRN_API_REQUESTS_PER_SECOND": "100000",
    "CAIRN_API_REQUESTS_BURST": "100000",
}

pytestmark = pytest.mark.skipif(available() is not None, reason=f"not run: {available()}")


@dataclass
class Outage:
    """What a run shows."""

    verdict: Verdict
    catalog_is_sound: bool
    ready_seconds: float


def power_loss(
    servers, folder, seed: int, *, binary=None, with_calls: bool = True, **environment: str
) -> Outage:
    """One run: load, loss of power, a start of the shipped server on the copied disk."""
    choose = random.Random(seed)
    disk = LoopImage.create(folder, f"disk{seed}", IMAGE_MEGABYTES)
    copy = None
    try:
        server = servers.start(
            data_dir=disk.mount_point / "data", binary=binary, environment=SETTINGS | environment
        )
        ledger, calls = Ledger(), CallLedger()
        driver = Driver(server.endpoint, server.credentials, ledger, seed, producers=4).start()
        callers = CallDriver(server.endpoint, server.credentials, calls, seed)
        if with_calls:
            callers.start()
        threading.Event().wait(choose.uniform(0.3, 1.5))
        os.kill(server.process.pid, signal.SIGSTOP)
        # What is told after this moment need not be on the copy.
        acknowledged, answered = ledger.acknowledged(), calls.answered()
        copy = disk.copy_as_of_now(f"copy{seed}")
        server.kill()
        driver.stop()
        callers.stop()
        copy.mount()
        server.settings.data_dir = copy.mount_point / "data"
        server.settings.environment = SETTINGS
        server.settings.binary = servers.binary
        is_sound = Oracle(server.data_dir).catalog_is_sound()
        ready_seconds = server.restart()
        assert server.stop() == 0
        verdict = Oracle(server.data_dir).verdict(
            ledger, others=own_call, calls=calls, answered=answered
        )
        verdict.acknowledged = len(acknowledged)
        verdict.lost = [name for name in verdict.lost if name in acknowledged]
        return Outage(verdict, is_sound, ready_seconds)
    finally:
        for server in servers.servers:
            if server.is_running:
                server.kill()
        for image in (copy, disk):
            if image is not None:
                image.remove()


# Proves: C3, I1, I2, I4, I5, R1, R3, R21
def test_nothing_acknowledged_is_lost_with_the_power(servers, tmp_path):
    acknowledged, calls, lost, duplicates, slowest = 0, 0, 0, 0, 0.0
    for seed in range(first_seed(), first_seed() + RUNS):
        outage = power_loss(servers, tmp_path, seed)
        verdict = outage.verdict
        assert outage.catalog_is_sound, f"seed {seed}: the catalog fails its integrity check"
        assert verdict.holds, f"seed {seed}: {verdict}"
        acknowledged += verdict.acknowledged
        calls += verdict.calls
        lost += len(verdict.lost)
        duplicates += len(verdict.duplicates)
        slowest = max(slowest, outage.ready_seconds)
    assert acknowledged > 0 and calls > 0
    assert slowest < READY_SECONDS_MAX
    record(
        "C3",
        runs=RUNS,
        acks=acknowledged,
        lost=lost,
        duplicates=duplicates,
        figures={"calls answered": calls, "ready max s": round(slowest, 2)},
    )


def test_the_harness_catches_an_acknowledgement_before_the_sync(
    servers, tmp_path, sabotaged_binary
):
    """Control: without the sync the copy lacks what was acknowledged.

    A sync of any file commits the whole file system's journal. So there are none: no calls, which
    sync the catalog, no commit of the lake, and no second segment.
    """
    outage = power_loss(
        servers,
        tmp_path,
        seed=900,
        binary=sabotaged_binary,
        with_calls=False,
        CAIRN_SABOTAGE="ack-before-sync",
        CAIRN_LAKE_COMMIT_INTERVAL="1h",
        CAIRN_EVENTLOG_SEGMENT_BYTES="256MiB",
        CAIRN_EVENTLOG_PREALLOCATE_BYTES="128MiB",
    )
    assert outage.verdict.lost, "the planted fault was not found"
    record("C3", controls=1, controls_caught=1)
