"""C2, S2: the process dies at each step of the delivery of trails and of the signing of digests.

The server ends itself, as `kill -9` would, when it comes to a named point for the n-th time.
Events are sent all the while. Afterwards every acknowledged event is in exactly one log file, each
log file in exactly one digest, no key was put twice, no window is signed twice, and the AWS CLI
finds everything valid.
"""

import contextlib
import random
import re
import signal
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore.exceptions import ConnectionError, HTTPClientError

from harness.deliveries import DeliveryVerdict, is_settled, judge, judge_versions
from harness.ledger import Ledger
from harness.outlets import POINTS as OUTLET_POINTS
from harness.producer import Driver
from harness.results import amount, first_seed, record
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

#: Each round kills one server at every point once, and once more at its last digest.
ROUNDS = amount(usual=1, full=20)
#: Where the server names its points.
SOURCE = Path(__file__).parents[2] / "crates" / "trails" / "src" / "failpoints.rs"
#: All of them, and up to which of its visits a life may last.
POINTS = {
    "trails::cut::spooled": 3,
    "trails::cut::recorded": 3,
    "trails::put::begins": 3,
    "trails::put::done": 3,
    "trails::put::recorded": 3,
    "trails::digest::signed": 2,
    "trails::digest::spooled": 2,
    "trails::digest::recorded": 2,
}
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "1s", "CAIRN_TRAILS_DIGEST_INTERVAL": "3s"}
#: No window ends by itself, so that the next digest is the last one of a trail that is stopped.
LONG_WINDOWS = TIMES | {"CAIRN_TRAILS_DIGEST_INTERVAL": "1h"}
LAST_DIGEST_POINTS = [point for point in POINTS if "::digest::" in point]
BUCKET, NAME = "trail-logs", "audit-trail"
#: Until a point is reached, or all is delivered.
STEP_SECONDS = 60.0


def make_bucket(store) -> None:
    """A bucket that lets the trail in and keeps versions, so that a key that is put again shows."""
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))


class TroubledTrail:
    """A server whose trail logs and validates, and a producer that never stops."""

    def __init__(self, servers, binary, seed: int):
        self.since = datetime.now(timezone.utc) - timedelta(minutes=2)
        self.server = servers.start(binary=binary, environment=dict(TIMES))
        self.journey = Journey(self.server, self.server.client("s3"), {})
        self.trails = self.server.client("cloudtrail")
        make_bucket(self.journey.store)
        self.trails.create_trail(Name=NAME, S3BucketName=BUCKET, EnableLogFileValidation=True)
        self.trails.start_logging(Name=NAME)
        self.ledger = Ledger()
        self.driver = Driver(
            self.server.endpoint,
            self.server.credentials,
            self.ledger,
            seed,
            producers=1,
            pause_seconds=0.05,
        ).start()

    def live_on(self, sabotage: str = "", times: dict[str, str] = TIMES) -> None:
        """Another life, with a fault planted or without."""
        self.server.kill()
        self.server.settings.environment = times | {"CAIRN_SABOTAGE": sabotage}
        self.server.spawn()

    def die_at(self, point: str, visit: int) -> None:
        """A life that ends at the point."""
        self.live_on(f"stop-at:{point}:{visit}")
        self.await_death(point)

    def die_stopping_at(self, point: str) -> None:
        """A life in which the trail is stopped, and which ends at a point of its last digest."""
        self.live_on(f"stop-at:{point}:1", LONG_WINDOWS)
        self.server.wait_ready()
        # No trail takes what is sent once it has stopped.
        self.driver.stop()
        # The end may come before the answer.
        with contextlib.suppress(ConnectionError, HTTPClientError):
            self.trails.stop_logging(Name=NAME)
        self.await_death(point)

    def await_death(self, point: str) -> None:
        """The process ends as it was told to."""
        try:
            code = self.server.process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{point} was not reached\n{self.server.log_tail()}") from late
        assert code == -signal.SIGKILL, f"{point}: exit {code}\n{self.server.log_tail()}"

    def settle(self) -> DeliveryVerdict:
        """Stop the trail if that is not done, wait for its last digest, and judge."""
        self.live_on()
        self.server.wait_ready()
        self.driver.stop()
        assert self.driver.unexpected == []
        self.trails.stop_logging(Name=NAME)
        eventually(lambda: is_settled(self.server), STEP_SECONDS, "the last digest")
        return judge(self.journey, BUCKET, self.ledger)


def test_every_point_is_tried():
    named = re.findall(r'pub const \w+: &str = "([^"]+)"', SOURCE.read_text())
    assert sorted(named) == sorted([*POINTS, *OUTLET_POINTS])


# Proves: C2, S2, R14, R16, I3, I6
def test_a_death_at_any_step_loses_nothing_and_doubles_nothing(servers, sabotaged_binary):
    acknowledged, files, digests, deaths, lost, duplicates, conflicts = 0, 0, 0, 0, 0, 0, 0
    for turn in range(first_seed(), first_seed() + ROUNDS):
        choose = random.Random(turn)
        trail = TroubledTrail(servers, sabotaged_binary, turn)
        for point in choose.sample(list(POINTS), len(POINTS)):
            trail.die_at(point, choose.randint(1, POINTS[point]))
        trail.die_stopping_at(choose.choice(LAST_DIGEST_POINTS))
        deaths += len(POINTS) + 1
        verdict = trail.settle()
        assert verdict.holds, f"round {turn}: {verdict}"
        assert verdict.acknowledged > 0 and verdict.digests > 1
        code, lines, errors = trail.journey.validate(NAME, trail.since)
        assert code == 0, (lines, errors)
        assert f"{verdict.digests}/{verdict.digests} digest files valid" in lines
        assert f"{verdict.files}/{verdict.files} log files valid" in lines
        assert trail.server.error_lines() == []
        assert trail.server.stop() == 0
        acknowledged += verdict.acknowledged
        files += verdict.files
        digests += verdict.digests
        lost += len(verdict.lost)
        duplicates += len(verdict.duplicates)
        conflicts += len(verdict.put_twice)
    record(
        "C2",
        runs=deaths,
        acks=acknowledged,
        lost=lost,
        duplicates=duplicates,
        figures={"points": len(POINTS), "log files": files, "digests": digests},
    )
    puts = sum(point.startswith("trails::put::") for point in POINTS) * ROUNDS
    record("S2", runs=puts, figures={"objects": files + digests, "conflicting": conflicts})


def test_the_harness_sees_a_key_that_was_put_twice(servers):
    server = servers.start()
    store, verdict = server.client("s3"), DeliveryVerdict()
    make_bucket(store)
    for key, body in (("once", b"1"), ("twice", b"1"), ("twice", b"2")):
        store.put_object(Bucket=BUCKET, Key=key, Body=body)
    judge_versions(verdict, Journey(server, store, {}), BUCKET)
    assert verdict.put_twice == ["twice"] and not verdict.holds


@pytest.mark.parametrize(
    ("fault", "harm", "sign"),
    [
        ("cut-without-files", "a cut was recorded without its files", "lost"),
        ("delivered-before-put", "a delivery was recorded before the put", "the bucket lacks"),
        ("window-signed-twice", "half of a window will be signed twice", "signed twice"),
    ],
)
def test_the_harness_catches_a_step_that_is_left_out(
    servers, sabotaged_binary, fault, harm, sign
):
    """Controls: what a broken step loses or doubles must be found out."""
    trail = TroubledTrail(servers, sabotaged_binary, 990)
    trail.live_on(fault)
    done = f"a planted fault: {harm}"
    eventually(lambda: done in trail.server.log_text(), STEP_SECONDS, "the planted fault")
    verdict = trail.settle()
    if sign == "lost":
        assert verdict.lost, f"the planted loss was not found: {verdict}"
    else:
        found = [problem for problem in verdict.problems if sign in problem]
        assert found, f"the planted fault was not found: {verdict}"
    record("C2", controls=1, controls_caught=1)
