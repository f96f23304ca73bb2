"""S8: the clock of the day of the real server jumps and stands still amid deliveries.

Windows of digests never move back, every event arrives once, and a request that was signed at
another time is refused whatever the server's clock says.
"""

import os
import struct
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.deliveries import is_settled, judge
from harness.events import EventMaker
from harness.ledger import Ledger
from harness.preload import compiled
from harness.producer import Producer
from harness.results import amount, record
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

HOUR, DAY = 3600, 86400
JUMPS = [HOUR, -HOUR, DAY, -DAY, -365 * DAY]
#: How often all of them come.
ROUNDS = amount(usual=1, full=5)
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "1s", "CAIRN_TRAILS_DIGEST_INTERVAL": "3s"}
BUCKET, NAME = "trail-logs", "audit-trail"
SECONDS = 60.0


class MovedClock:
    """The clock of a server that is started with `environment`."""

    def __init__(self, folder: Path):
        self.file = folder / "clock"
        self.set()
        self.environment = {
            "LD_PRELOAD": str(compiled("clock_shim", folder)),
            "CLOCK_SHIM_FILE": str(self.file),
        }

    def set(self, seconds: int = 0, frozen_at: int = 0) -> None:
        """So many seconds off, or standing still."""
        file = os.open(self.file, os.O_RDWR | os.O_CREAT)
        os.pwrite(file, struct.pack("=qq", seconds, frozen_at), 0)
        os.close(file)


class Watched:
    """A server whose trail logs, with the clock that it goes by."""

    def __init__(self, servers, folder: Path):
        self.clock = MovedClock(folder)
        self.server = servers.start(environment=TIMES | self.clock.environment)
        store = self.server.client("s3")
        store.create_bucket(Bucket=BUCKET)
        versions = {"Status": "Enabled"}
        store.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versions)
        store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))
        self.journey = Journey(self.server, store, {})
        self.trails = self.server.client("cloudtrail")
        self.trails.create_trail(Name=NAME, S3BucketName=BUCKET, EnableLogFileValidation=True)
        self.trails.start_logging(Name=NAME)
        self.ledger = Ledger()
        self.producer = Producer(self.server.endpoint, self.server.credentials, self.ledger)
        self.maker = EventMaker(8)

    def send(self) -> None:
        """Some events, while the clock is right."""
        for _ in range(3):
            assert self.producer.send(self.maker.batch(5)).status == 200

    def await_digests(self) -> None:
        """Windows end by the steady clock, whatever the other one says."""
        name = "cairn_trails_digests"
        wanted = self.server.metrics()[name] + 2
        eventually(lambda: self.server.metrics()[name] >= wanted, SECONDS, "two digests")

    def is_refused(self) -> bool:
        """Whether a call that is signed now is refused for its time."""
        try:
            self.trails.describe_trails()
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
            return True
        return False

    def settle(self):
        """Stop the trail and judge what it delivered."""
        self.producer.close()
        self.trails.stop_logging(Name=NAME)
        eventually(lambda: is_settled(self.server), SECONDS, "the last digest")
        return judge(self.journey, BUCKET, self.ledger)


# Proves: S8, R17, I3, I6
def test_the_clock_of_a_server_may_jump(servers, tmp_path):
    watched = Watched(servers, tmp_path)
    jumps = 0
    for jump in JUMPS * ROUNDS:
        watched.send()
        watched.clock.set(jump)
        assert watched.is_refused(), f"{jump} s off, and nobody minds the signature's time"
        watched.await_digests()
        watched.clock.set()
        assert not watched.is_refused()
        jumps += 2
    watched.send()
    watched.clock.set(frozen_at=int(time.time()))
    watched.await_digests()
    watched.clock.set()
    watched.send()
    verdict = watched.settle()
    assert verdict.holds, verdict
    assert verdict.acknowledged == len(watched.ledger.acknowledged()) > 0
    ahead = datetime.now(timezone.utc) + timedelta(days=3)
    checked = watched.server.aws(
        "cloudtrail", "validate-logs", "--trail-arn", trail_arn(NAME),
        "--start-time", "2020-01-01T00:00:00Z",
        "--end-time", ahead.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip
    assert f"{verdict.digests}/{verdict.digests} digest files valid" in checked.stdout
    assert f"{verdict.files}/{verdict.files} log files valid" in checked.stdout
    assert watched.server.stop() == 0
    assert watched.server.error_lines() == []
    record(
        "S8 on the real server",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={"jumps": jumps + 2, "digests": verdict.digests, "breaks": len(verdict.problems)},
    )


@pytest.mark.parametrize("seconds", [0, DAY])
def test_the_planted_clock_is_the_servers(servers, tmp_path, seconds):
    """Control: the server sees the clock that is planted, and the right one where none is."""
    clock = MovedClock(tmp_path)
    server = servers.start(environment=clock.environment)
    trails = server.client("cloudtrail")
    clock.set(seconds)
    if seconds:
        with pytest.raises(ClientError):
            trails.describe_trails()
        record("S8 on the real server", controls=1, controls_caught=1)
    else:
        trails.describe_trails()
