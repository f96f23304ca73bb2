"""The unmodified AWS SDKs for JavaScript and Rust beside boto3: one journey, one understanding."""

import json
import os
import subprocess
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pytest

from harness.server import ACCOUNT, REGION
from harness.trails import bucket_policy, trail_arn
from harness.waiting import eventually

SDKS = Path(__file__).parent / "sdks"
EVENTS = 5


@pytest.fixture(scope="module")
def javascript() -> list[str]:
    """The journey in JavaScript; its packages are those of the lock file."""
    folder = SDKS / "javascript"
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return ["node", str(folder / "journey.mjs")]


@pytest.fixture(scope="module")
def rust(tmp_path_factory) -> list[str]:
    """The journey in Rust, built by its own lock file."""
    folder = SDKS / "rust"
    target = Path(os.environ.get("CARGO_TARGET_DIR", folder / "target"))
    subprocess.run(["cargo", "build", "--locked", "--quiet"], cwd=folder, check=True)
    return [str(target / "debug" / "cairn-client-journey")]


@pytest.fixture
def told_by_boto3(server):
    """Users made now, and what boto3 is told of it."""
    iam = server.client("iam")
    names = {f"sdk-{uuid.uuid4().hex[:8]}" for _ in range(EVENTS)}
    for name in sorted(names):
        iam.create_user(UserName=name)
    pages = server.client("cloudtrail").get_paginator("lookup_events")
    attribute = {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}

    def all_told() -> list[dict] | None:
        events = [
            event
            for page in pages.paginate(LookupAttributes=[attribute])
            for event in page["Events"]
        ]
        records = [json.loads(event["CloudTrailEvent"]) for event in events]
        users = {record["requestParameters"]["userName"] for record in records}
        return events if names <= users else None

    return eventually(all_told, what="the lookup of all users made")


def journey(server, command: list[str], **environment: str) -> dict:
    """What a client prints. It makes a trail of a name of its own, in a bucket that lets it in."""
    name = f"sdk-{uuid.uuid4().hex[:8]}"
    store = server.client("s3")
    store.create_bucket(Bucket=f"{name}-logs")
    policy = bucket_policy(f"{name}-logs", trail_arn(name))
    store.put_bucket_policy(Bucket=f"{name}-logs", Policy=policy)
    given = {
        "JOURNEY_TRAIL": name,
        "JOURNEY_BUCKET": f"{name}-logs",
        "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        command, env=kept | given | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_trail(found.pop("trail"), name)
    return found


def check_trail(trail: dict, name: str) -> None:
    """The life of a trail as boto3 would tell it."""
    started, stopped = (
        datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        for seconds in trail.pop("seconds")
    )
    assert started <= stopped
    assert trail == {
        "arn": trail_arn(name),
        "validates": True,
        "described": [[name, True]],
        "conditions": [
            ["eventCategory", ["Data"]],
            ["resources.type", ["AWS::S3::Object"]],
            ["resources.ARN", ["arn:aws:s3:::watched/"]],
        ],
        "tags": [["Team", "audit"], ["environment", "dev"]],
        "logging": [True, False],
        "texts": [started, "", stopped],
        "gone": {"name": "TrailNotFoundException", "status": 400},
    }


def check(found: dict, expected: list[dict]) -> None:
    """The same events as boto3 was told, and errors by name."""
    assert found["events"] == [
        {
            "id": event["EventId"],
            "seconds": event["EventTime"].timestamp(),
            "username": event["Username"],
            "resources": [resource["ResourceName"] for resource in event["Resources"]],
            "record": event["CloudTrailEvent"],
        }
        for event in expected
    ]
    assert found["unbuilt"] == {"name": "UnsupportedOperationException", "status": 400}
    assert found["forged"] == {"name": "InvalidSignatureException", "status": 400}


# Proves: A1, OVR-006, TRL-015
@pytest.mark.parametrize("version", ["1", "2"])
def test_the_sdk_for_javascript_over_both_versions_of_http(
    server, javascript, told_by_boto3, version
):
    found = journey(server, javascript, JOURNEY_HTTP=version)
    assert found.pop("arn") == f"arn:aws:iam::{ACCOUNT}:user/admin"
    check(found, told_by_boto3)


# Proves: A1, OVR-006, TRL-015
def test_the_sdk_for_rust(server, rust, told_by_boto3):
    check(journey(server, rust), told_by_boto3)
