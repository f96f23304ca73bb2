"""Trails from end to end, as their owners use them: the AWS CLI makes bucket and trail, events go
in, log files and digests come out, and `aws cloudtrail validate-logs` says what it thinks of them.
Into the embedded endpoint, and into SeaweedFS as an endpoint elsewhere."""

import gzip
import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.producer import Producer
from harness.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed
from harness.trails import HOME, Journey, bucket_policy, trail_arn
from harness.waiting import eventually

#: A file is due two seconds after its event, a digest six seconds after the one before.
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "2s", "CAIRN_TRAILS_DIGEST_INTERVAL": "6s"}
DELIVERED_SECONDS = 60.0
AWAY = "eu-west-1"
WATCHED = "arn:aws:s3:::watched/"
SELECTORS = [
    {
        "Name": "Management but key use",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
            {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]},
        ],
    },
    {
        "Name": "Writes of one bucket",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "resources.ARN", "StartsWith": [WATCHED]},
            {"Field": "readOnly", "Equals": ["false"]},
        ],
    },
]


@pytest.fixture(params=["embedded", "elsewhere"])
def journey(request, servers, tmp_path):
    """A server whose trails deliver into its own endpoint, or into SeaweedFS."""
    if request.param == "embedded":
        server = servers.start(environment=TIMES)
        yield Journey(server, server.client("s3"), {})
        return
    seaweed = Seaweed(tmp_path / "seaweed").start()
    credentials = tmp_path / "endpoints"
    credentials.write_text(
        f"[far]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    server = servers.start(
        environment=TIMES
        | {
            "CAIRN_ENDPOINTS_S3": f"far={seaweed.endpoint} us-east-1 path trail-*",
            "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials),
        }
    )
    yield Journey(server, seaweed.client(), {"AWS_ENDPOINT_URL_S3": seaweed.endpoint})
    seaweed.stop()


def make_events(count: int) -> tuple[list[dict], set[str]]:
    """Events of two Regions, and the IDs of those that the selectors take."""
    maker, away = EventMaker(5), EventMaker(6, region=AWAY)
    made, wanted = [], set()
    for number in range(count):
        source = away if number % 3 == 0 else maker
        event = source.event()
        if number % 5 == 0:
            reads, watched = number % 2 == 0, number % 4 < 2
            bucket = "watched" if watched else "watched-too"
            event |= {
                "eventSource": "s3.amazonaws.com",
                "eventName": "GetObject" if reads else "PutObject",
                "readOnly": reads,
                "managementEvent": False,
                "eventCategory": "Data",
                "resources": [
                    {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/k{number}"},
                    {"type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
                ],
            }
            taken = watched and not reads
        else:
            taken = event["eventSource"] != "kms.amazonaws.com"
        made.append(event)
        if taken:
            wanted.add(event["eventID"])
    return made, wanted


# Proves: TRL-001, TRL-050, TRL-061, TRL-087, TRL-092, TRL-139, SEL-077, REC-148, REC-234, REC-246
# Proves: REC-278, TRL-360, I3, I6
def test_a_trail_from_its_bucket_to_its_last_digest(journey):
    server, bucket, name = journey.server, "trail-logs", "audit-trail"
    since = datetime.now(timezone.utc) - timedelta(minutes=2)
    journey.store.create_bucket(Bucket=bucket)
    if not journey.environment:
        policy = bucket_policy(bucket, trail_arn(name))
        journey.store.put_bucket_policy(Bucket=bucket, Policy=policy)
    created = journey.aws(
        "cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket,
        "--is-multi-region-trail", "--enable-log-file-validation",
    )  # fmt: skip
    assert created["TrailARN"] == trail_arn(name)
    put = journey.aws(
        "cloudtrail", "put-event-selectors", "--trail-name", name,
        "--advanced-event-selectors", json.dumps(SELECTORS),
    )  # fmt: skip
    assert put["AdvancedEventSelectors"] == SELECTORS
    producer = Producer(server.endpoint, server.credentials, Ledger())
    early, _ = make_events(5)
    assert producer.send([encode(event) for event in early]).refused == []
    journey.aws("cloudtrail", "start-logging", "--name", name)
    made, wanted = make_events(600)
    made = made[5:]
    wanted -= {event["eventID"] for event in early}
    by_id = {event["eventID"]: event for event in made}
    for start in range(0, len(made), 100):
        batch = made[start : start + 100]
        answer = producer.send([encode(event) for event in batch])
        assert answer.refused == []
        nobodys = [
            event for event in batch
            if event["eventCategory"] == "Data" and event["eventID"] not in wanted
        ]  # fmt: skip
        assert answer.document["unselected"] == len(nobodys), "a trail's events are not nobody's"
        time.sleep(0.5)
    journey.aws("iam", "list-users")
    producer.close()

    def delivered() -> dict[str, dict]:
        records = journey.records(bucket)
        found = {record["eventID"]: record for record in records}
        assert len(found) == len(records), "an event is delivered once"
        return found

    def complete() -> dict[str, dict] | None:
        found = delivered()
        names = {record["eventName"] for record in found.values()}
        return found if wanted <= set(found) and "ListUsers" in names else None

    found = eventually(complete, DELIVERED_SECONDS, "delivery")
    ours = {name: record for name, record in found.items() if name in by_id}
    assert set(ours) == wanted, "none that the selectors leave out"
    assert all(record == by_id[name] for name, record in ours.items()), "as they were sent"
    assert not {event["eventID"] for event in early} & set(found), "nothing from before the start"
    status = journey.aws("cloudtrail", "get-trail-status", "--name", name)
    assert status["IsLogging"] is True and "LatestDeliveryError" not in status
    stopped = journey.aws("cloudtrail", "stop-logging", "--name", name)
    assert stopped == {}

    def all_listed() -> bool:
        listed = journey.listed(bucket)
        assert len(set(listed)) == len(listed), "a log file stands in one digest"
        return sorted(listed) == sorted(journey.objects(bucket, "/CloudTrail/"))

    eventually(all_listed, DELIVERED_SECONDS, "the last digests")
    if not journey.environment:
        check_validation(journey, bucket, name, since)
    journey.aws("cloudtrail", "delete-trail", "--name", name)
    kept = journey.objects(bucket, "/CloudTrail/")
    assert kept, "the files stay"


def check_validation(journey: Journey, bucket: str, name: str, since: datetime) -> None:
    """Both validators find everything valid, and name a log file that was changed."""
    for region in (HOME, AWAY):
        code, lines, errors = journey.validate(name, since, region=region)
        assert code == 0, (lines, errors)
        digests = len(journey.objects(bucket, f"/CloudTrail-Digest/{region}/"))
        files = len(journey.objects(bucket, f"/CloudTrail/{region}/"))
        assert f"{digests}/{digests} digest files valid" in lines
        assert f"{files}/{files} log files valid" in lines
    key = journey.objects(bucket, f"/CloudTrail/{HOME}/")[0]
    kept = journey.store.get_object(Bucket=bucket, Key=key)["Body"].read()
    changed = gzip.decompress(kept).replace(b"eventTime", b"eventTlme", 1)
    journey.store.put_object(Bucket=bucket, Key=key, Body=gzip.compress(changed))
    printed = {}
    for tool in ("aws", "cairn"):
        code, lines, errors = journey.validate(name, since, tool=tool)
        assert code == 1
        # What is wrong goes to standard error.
        wrong = [line for line in errors.splitlines() if "INVALID" in line]
        assert wrong == [f"Log file\ts3://{bucket}/{key}\tINVALID: hash value doesn't match"]
        printed[tool] = [line for line in lines if line.startswith(("Digest file", "Log file"))]
    assert printed["aws"] == printed["cairn"]
    journey.store.put_object(Bucket=bucket, Key=key, Body=kept)
    assert journey.validate(name, since)[0] == 0


# Proves: SEC-204, SEC-206, SEC-207, TRL-049
def test_a_bucket_must_let_the_trail_in(servers):
    server = servers.start(environment=TIMES)
    store, trails = server.client("s3"), server.client("cloudtrail")
    wanted = {"Name": "audit-trail", "S3BucketName": "logs"}

    def refusal(**changes) -> str:
        with pytest.raises(trails.exceptions.ClientError) as refused:
            trails.create_trail(**wanted | changes)
        return refused.value.response["Error"]["Code"]

    assert refusal() == "S3BucketDoesNotExistException"
    store.create_bucket(Bucket="logs")
    assert refusal() == "InsufficientS3BucketPolicyException"
    store.put_bucket_policy(Bucket="logs", Policy=bucket_policy("logs", trail_arn("other")))
    assert refusal() == "InsufficientS3BucketPolicyException"
    store.put_bucket_policy(Bucket="logs", Policy=bucket_policy("logs", trail_arn("audit-trail")))
    assert refusal(S3KeyPrefix="elsewhere") == "InsufficientS3BucketPolicyException"
    trails.create_trail(**wanted)


# Proves: TRL-079, TRL-133, SEC-212, REC-154, I7
def test_a_policy_that_is_taken_away_shows_in_the_status_until_it_is_back(servers):
    server = servers.start(environment=TIMES | {"CAIRN_TRAILS_RETRY_PAUSE_MAX": "1s"})
    store, trails = server.client("s3"), server.client("cloudtrail")
    policy = bucket_policy("logs", trail_arn("audit-trail"))
    store.create_bucket(Bucket="logs")
    store.put_bucket_policy(Bucket="logs", Policy=policy)
    trails.create_trail(Name="audit-trail", S3BucketName="logs")
    trails.start_logging(Name="audit-trail")
    store.delete_bucket_policy(Bucket="logs")
    server.client("iam").list_users()

    def status() -> dict:
        return trails.get_trail_status(Name="audit-trail")

    refused = lambda: status().get("LatestDeliveryError") == "AccessDenied"  # noqa: E731
    eventually(refused, DELIVERED_SECONDS, "the error")
    assert "LatestDeliveryTime" not in status()
    store.put_bucket_policy(Bucket="logs", Policy=policy)
    eventually(lambda: "LatestDeliveryTime" in status(), DELIVERED_SECONDS, "delivery")
    assert "LatestDeliveryError" not in status()
    names = {record["eventName"] for record in Journey(server, store, {}).records("logs")}
    assert "ListUsers" in names
    assert server.stop() == 0


# Proves: C2, R14, R16, I3, I6
def test_kills_lose_no_event_and_double_none(servers):
    server = servers.start(environment=TIMES)
    store, trails = server.client("s3"), server.client("cloudtrail")
    store.create_bucket(Bucket="logs")
    store.put_bucket_policy(Bucket="logs", Policy=bucket_policy("logs", trail_arn("audit-trail")))
    trails.create_trail(Name="audit-trail", S3BucketName="logs", EnableLogFileValidation=True)
    trails.start_logging(Name="audit-trail")
    ledger = Ledger()
    maker = EventMaker(9)
    wanted = set()
    since = datetime.now(timezone.utc) - timedelta(minutes=2)
    for turn in range(6):
        producer = Producer(server.endpoint, server.credentials, ledger)
        for _ in range(5):
            batch = [maker.event() for _ in range(20)]
            assert producer.send([encode(event) for event in batch]).refused == []
            wanted |= {event["eventID"] for event in batch}
            time.sleep(0.1 + 0.13 * turn)
        producer.close()
        server.kill()
        server.restart()
    journey = Journey(server, store, {})

    def delivered() -> bool:
        records = [record["eventID"] for record in journey.records("logs")]
        assert len(set(records)) == len(records), "an event is delivered once"
        return wanted <= set(records)

    eventually(delivered, DELIVERED_SECONDS, "delivery")
    trails.stop_logging(Name="audit-trail")
    listed = lambda: sorted(journey.listed("logs")) == sorted(  # noqa: E731
        journey.objects("logs", "/CloudTrail/")
    )
    eventually(listed, DELIVERED_SECONDS, "the last digests")
    code, lines, errors = journey.validate("audit-trail", since)
    assert code == 0, (lines, errors)
    assert server.error_lines() == []
