"""Trailscraper on log files and on LookupEvents: what it downloads, selects and generates."""

import json
import uuid

import pytest

from harness.server import ACCOUNT, REGION
from harness.tools import program, run
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

BUCKET, NAME, PREFIX = "scraped-logs", "scraped", "audit/"
DELIVERED_SECONDS = 60.0


@pytest.fixture
def delivered(servers):
    """A server whose trail has delivered the making of some users."""
    server = servers.start(environment={"CAIRN_TRAILS_DELIVERY_INTERVAL": "2s"})
    store, trails, iam = (server.client(name) for name in ("s3", "cloudtrail", "iam"))
    store.create_bucket(Bucket=BUCKET)
    policy = bucket_policy(BUCKET, trail_arn(NAME), PREFIX)
    store.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    trails.create_trail(Name=NAME, S3BucketName=BUCKET, S3KeyPrefix=PREFIX)
    trails.start_logging(Name=NAME)
    users = {f"user-{uuid.uuid4().hex[:8]}" for _ in range(5)}
    for user in sorted(users):
        iam.create_user(UserName=user)
    journey = Journey(server, store, {})
    eventually(lambda: users <= users_made(journey.records(BUCKET)), DELIVERED_SECONDS, "delivery")
    return server, journey, users


def users_made(records: list[dict]) -> set[str]:
    """Names of users whose making is recorded."""
    made = [record for record in records if record["eventName"] == "CreateUser"]
    return {record["requestParameters"]["userName"] for record in made}


# Proves: TRL-135, TRL-137, TRL-138, TRL-146
def test_trailscraper_downloads_selects_and_generates(delivered, tmp_path):
    server, journey, users = delivered
    logs = tmp_path / "logs"

    def scrape(*arguments: str, given: str | None = None) -> str:
        command = [str(program("trailscraper", "trailscraper")), *arguments]
        done = run(server, tmp_path, command, input=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = set(journey.objects(BUCKET, "/CloudTrail/"))
    scrape(
        "download", "--bucket", BUCKET, "--prefix", PREFIX, "--account-id", ACCOUNT,
        "--region", REGION, "--log-dir", str(logs), "--from", "one day ago", "--to", "now",
    )  # fmt: skip
    fetched = {str(path.relative_to(logs)): path.read_bytes() for path in logs.rglob("*.json.gz")}
    assert before and before <= set(fetched)
    for key, body in fetched.items():
        assert journey.store.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    # It goes by the names of files: a name of another form would be left out.
    selected = json.loads(scrape("select", "--log-dir", str(logs), "--from", "one day ago"))
    assert users_made(selected["Records"]) == users
    looked_up = json.loads(scrape("select", "--use-cloudtrail-api", "--from", "one day ago"))
    assert users_made(looked_up["Records"]) == users
    told = {record["eventID"]: record for record in looked_up["Records"]}
    for record in selected["Records"]:
        if record["eventName"] == "CreateUser":
            assert told[record["eventID"]] == record
    policy = json.loads(scrape("generate", given=json.dumps(selected)))
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert "iam:CreateUser" in actions
