"""C6: no room. New events are refused quickly, reads go on, and work resumes without a restart.

The log file of the process lies on the full disk too: lines that cannot be written must do no harm.
"""

import os
import time
from pathlib import Path

import botocore.exceptions
import pytest

from harness.events import EventMaker
from harness.ledger import Ledger, Outcome
from harness.log_events import logged_events
from harness.loop_image import LoopImage, MemoryDisk, available
from harness.oracle import HISTORY, Oracle, own_call
from harness.producer import Producer
from harness.results import record
from harness.waiting import eventually

MEGABYTES = 96

pytestmark = pytest.mark.skipif(available() is not None, reason=f"not run: {available()}")


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request, tmp_path):
    """A small disk for the data directory."""
    made = (
        MemoryDisk(tmp_path / "memory", MEGABYTES)
        if request.param == "tmpfs"
        else LoopImage.create(tmp_path, "small", MEGABYTES)
    )
    yield made
    made.remove()


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Take the free space with a file."""
    ballast = folder / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - leave_bytes
    with ballast.open("wb") as file:
        try:
            while free > 0:
                free -= file.write(b"\1" * min(free, 1 << 20))
            file.flush()
        except OSError:
            pass
    return ballast


def reads_go_on(server) -> bool:
    """Files and lookups are answered, quickly; what the log is owed for them waits for room."""
    oracle = Oracle(server.data_dir)
    key = oracle.state(HISTORY).metadata
    stored = server.client("s3").get_object(Bucket="cairn-lake", Key=key)["Body"].read()
    assert stored and server.metrics()
    began = time.monotonic()
    assert server.client("cloudtrail").lookup_events(MaxResults=10)["Events"]
    return time.monotonic() - began < 1.0


def change_is_refused(server) -> None:
    """A change whose record finds no room is not made."""
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        server.client("iam").create_user(UserName="late")
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert not late_user_is_there(server)


def late_user_is_there(server) -> bool:
    """Whether the refused change has had an effect."""
    users = [user["UserName"] for user in server.client("iam").list_users()["Users"]]
    return "late" in users


def refusal_is_recorded(server) -> bool:
    """Once there is room, history tells of the refusal and of nothing else."""
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
    events = server.client("cloudtrail").lookup_events(LookupAttributes=wanted)["Events"]
    texts = [event["CloudTrailEvent"] for event in events]
    told = ['"errorCode"' in text for text in texts if '"userName":"late"' in text]
    return bool(told) and all(told)


# Proves: C6, I1, I2, R2, R18, R21
def test_a_full_disk_refuses_and_resumes(servers, disk):
    server = servers.start(
        data_dir=disk.mount_point / "data",
        environment={
            "CAIRN_EVENTLOG_RESERVE_BYTES": "4MiB",
            "CAIRN_EVENTLOG_FREE_BYTES_MIN": "8MiB",
            "CAIRN_EVENTLOG_PREALLOCATE_BYTES": "1MiB",
            "CAIRN_EVENTLOG_SEGMENT_BYTES": "4MiB",
            "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
        },
    )
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(61)
    assert producer.send(maker.batch(50)).status == 200
    lookups = server.client("cloudtrail")
    eventually(lambda: lookups.lookup_events(MaxResults=1)["Events"], 20, "visible events")
    ballast = fill(disk.mount_point)
    refused_after = []
    for _ in range(40):
        began = time.monotonic()
        answer = producer.send(maker.batch(50))
        if answer is None or answer.status != 200:
            refused_after.append(time.monotonic() - began)
            assert answer is not None and answer.status in (429, 503), answer
    assert refused_after, "the full disk took everything"
    assert sorted(refused_after)[len(refused_after) // 2] < 0.5
    assert server.is_running, server.log_tail()
    assert not server.is_ready(), "a load balancer would send events to a full disk"
    assert reads_go_on(server)
    change_is_refused(server)
    began = time.monotonic()
    ballast.unlink()
    # Nobody sends anything meanwhile: a load balancer would wait for this.
    eventually(server.is_ready, what="readiness")
    eventually(
        lambda: (answer := producer.send(maker.batch(50))) is not None and answer.status == 200,
        20,
        "resumption",
    )
    resumed = time.monotonic() - began
    eventually(lambda: refusal_is_recorded(server), 20, "the record of the refused change")
    assert not late_user_is_there(server)
    producer.close()
    assert server.stop() == 0
    # The one read from the bucket is a data event, which the history does not keep. Its record
    # waited for room, and is in the log now.
    reads = logged_events(server.data_dir, "s3.amazonaws.com", "GetObject")
    buckets = [event["requestParameters"]["bucketName"] for event in reads]
    assert buckets.count("cairn-lake") == 1
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call, unselected=1)
    assert verdict.holds, verdict
    assert ledger.count(Outcome.REFUSED) > 0
    record(
        "C6",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        figures={"resumes after s": round(resumed, 2)},
    )
