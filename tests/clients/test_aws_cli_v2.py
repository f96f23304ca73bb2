"""Version 2 of the AWS CLI, whose S3 client and checksums are its own: the life of a trail, and
objects in one piece and in parts. Other tests use version 1."""

import json
import os

import pytest

from harness.server import ACCOUNT
from harness.tools import ROOT, run
from harness.trails import bucket_policy, trail_arn
from harness.waiting import eventually

AWS = ROOT / ".venv" / "aws-cli-v2" / "dist" / "aws"
#: More than the AWS CLI sends in one piece (8 MiB).
LARGE_BYTES = 9 * 1024 * 1024


@pytest.fixture
def aws(server, tmp_path):
    """Runs a command; gives back its answer."""

    def call(*arguments: str) -> dict:
        done = run(server, tmp_path, [str(AWS), *arguments])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    return call


# Proves: TRL-048, TRL-061, TRL-077, TRL-087, TRL-088
def test_the_life_of_a_trail(server, aws):
    bucket, name = "second-logs", "by-version-2"
    aws("s3api", "create-bucket", "--bucket", bucket)
    policy = bucket_policy(bucket, trail_arn(name))
    aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", policy)
    made = aws(
        "cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket,
        "--is-multi-region-trail", "--tags-list", "Key=Team,Value=audit",
    )  # fmt: skip
    assert made == {
        "Name": name,
        "S3BucketName": bucket,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "IsOrganizationTrail": False,
        "LogFileValidationEnabled": False,
        "TrailARN": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{name}",
    }
    selectors = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
    put = aws(
        "cloudtrail", "put-event-selectors", "--trail-name", name,
        "--advanced-event-selectors", json.dumps(selectors),
    )  # fmt: skip
    assert put == {"TrailARN": made["TrailARN"], "AdvancedEventSelectors": selectors}
    aws("cloudtrail", "start-logging", "--name", name)
    status = aws("cloudtrail", "get-trail-status", "--name", made["TrailARN"])
    assert status["IsLogging"] is True
    started = status["StartLoggingTime"][: len("2026-11-21T19:46:55")]
    assert status["TimeLoggingStarted"] == f"{started}Z"
    attribute = f"AttributeKey=ResourceName,AttributeValue={name}"

    def told() -> set[str]:
        found = aws("cloudtrail", "lookup-events", "--lookup-attributes", attribute)
        return {event["EventName"] for event in found["Events"]}

    wanted = {"CreateTrail", "PutEventSelectors", "StartLogging"}
    eventually(lambda: wanted <= told(), what="the trail's own events")
    aws("cloudtrail", "delete-trail", "--name", name)
    assert server.client("cloudtrail").list_trails()["Trails"] == []


def test_objects_in_one_piece_and_in_parts(server, aws, tmp_path):
    store = server.client("s3")
    store.create_bucket(Bucket="second-objects")
    for name, size in (("small", 10), ("large", LARGE_BYTES)):
        body = os.urandom(size)
        (tmp_path / name).write_bytes(body)
        place = f"s3://second-objects/{name}"
        aws("s3", "cp", name, place, "--no-progress")
        head = store.head_object(Bucket="second-objects", Key=name, ChecksumMode="ENABLED")
        assert head["ChecksumCRC64NVME"] and head["ChecksumType"] == "FULL_OBJECT"
        aws("s3", "cp", place, "back", "--no-progress")
        assert (tmp_path / "back").read_bytes() == body
