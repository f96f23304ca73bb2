"""What trails tell beside putting files: a topic, a log group and an event bus in moto's server,
and what those who listen there get."""

import pytest

from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.moto import Moto, write_credentials
from harness.outlets import (
    GROUP,
    GROUP_ARN,
    ROLE,
    ROLE_ARN,
    STREAM,
    Told,
    make_role,
    role_policies,
)
from harness.producer import Producer
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "2s", "CAIRN_TRAILS_RETRY_PAUSE_MAX": "1s"}
SECONDS = 60.0
AWAY = "eu-west-1"
BUCKET, NAME = "logs", "audit-trail"
MANAGEMENT_BUT_KEYS = [
    {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
            {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]},
        ]
    }
]


@pytest.fixture
def moto(tmp_path):
    """AWS, as far as it is needed."""
    moto = Moto(tmp_path / "moto").start()
    yield moto
    moto.stop()


@pytest.fixture
def server(servers, moto, tmp_path):
    """A server that knows where topics, log groups and buses are, with a bucket for a trail."""
    credentials = write_credentials(tmp_path / "endpoints", "sns", "logs", "eventbridge")
    server = servers.start(
        environment=TIMES
        | {
            "CAIRN_ENDPOINTS_SNS": moto.endpoint,
            "CAIRN_ENDPOINTS_LOGS": moto.endpoint,
            "CAIRN_ENDPOINTS_EVENTBRIDGE": moto.endpoint,
            "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials),
        }
    )
    store = server.client("s3")
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))
    return server


def send(server, events: list[dict]) -> None:
    """Send events as their producer does."""
    producer = Producer(server.endpoint, server.credentials, Ledger())
    for start in range(0, len(events), 100):
        batch = [encode(event) for event in events[start : start + 100]]
        assert producer.send(batch).refused == []
    producer.close()


def by_id(events: list[dict]) -> dict[str, dict]:
    """Events by their IDs, each of which must be there once."""
    found = {event["eventID"]: event for event in events}
    assert len(found) == len(events), "an event came twice"
    return found


# Proves: TRL-147, TRL-148, TRL-153, TRL-156, TRL-158, TRL-159, REC-167, REC-168, REC-172, REC-179
# Proves: REC-184, SEL-010, S6
def test_topic_log_group_and_bus_hear_of_what_the_trail_takes(server, moto):
    told, told_away = Told(moto), Told(moto, AWAY)
    topic = told.topic("told", trail_arn(NAME))
    told.bus("bus")
    told_away.bus("bus")
    told.logs.create_log_group(logGroupName=GROUP)
    make_role(server.client("iam"))
    created = Journey(server, server.client("s3"), {}).aws(
        "cloudtrail", "create-trail", "--name", NAME, "--s3-bucket-name", BUCKET,
        "--is-multi-region-trail", "--sns-topic-name", "told",
        "--cloud-watch-logs-log-group-arn", f"{GROUP_ARN}:*",
        "--cloud-watch-logs-role-arn", ROLE_ARN,
    )  # fmt: skip
    assert (created["SnsTopicName"], created["SnsTopicARN"]) == ("told", topic)
    assert created["CloudWatchLogsLogGroupArn"] == f"{GROUP_ARN}:*"
    trails = server.client("cloudtrail")
    trails.put_event_selectors(TrailName=NAME, AdvancedEventSelectors=MANAGEMENT_BUT_KEYS)
    trails.start_logging(Name=NAME)
    maker, away = EventMaker(11), EventMaker(12, region=AWAY)
    made = [(away if number % 3 == 0 else maker).event() for number in range(300)]
    send(server, made)
    wanted = {e["eventID"]: e for e in made if e["eventSource"] != "kms.amazonaws.com"}
    journey = Journey(server, server.client("s3"), {})

    def everywhere() -> bool:
        delivered = {record["eventID"] for record in journey.records(BUCKET)}
        on_buses = told.received("bus") + told_away.received("bus")
        logged = told.logged() if STREAM in told.streams() else []
        return (
            wanted.keys() <= delivered
            and wanted.keys() <= {event["eventID"] for event in logged}
            and wanted.keys() <= {event["detail"]["eventID"] for event in on_buses}
        )

    eventually(everywhere, SECONDS, "telling everybody")
    trails.stop_logging(Name=NAME)

    def agreed() -> bool:
        """What is recorded while we look comes everywhere as well."""
        delivered = by_id(journey.records(BUCKET))
        keys = sorted((BUCKET, key) for key in journey.objects(BUCKET, "/CloudTrail/"))
        on_buses = told.received("bus") + told_away.received("bus")
        return (
            delivered == by_id(told.logged())
            and delivered == by_id([event["detail"] for event in on_buses])
            and keys == sorted(told.keys("told"))
            and server.metrics()["cairn_outlets_waiting_feeds"] == 0
        )

    eventually(agreed, SECONDS, "agreement")
    assert told.streams() == [STREAM], "events of all Regions go to the trail's stream"
    delivered = by_id(told.logged())
    ours = {name: event for name, event in delivered.items() if name in wanted}
    assert ours == wanted, "as they were sent"
    assert not {e["eventID"] for e in made if e["eventID"] not in wanted} & delivered.keys()
    for region, bus in ((None, told), (AWAY, told_away)):
        for event in bus.received("bus"):
            detail = event["detail"]
            assert (detail["awsRegion"] == AWAY) == (region == AWAY)
            assert event["source"] == "aws." + detail["eventSource"].removesuffix(".amazonaws.com")
            assert event["detail-type"].endswith(" via CloudTrail")
    status = trails.get_trail_status(Name=NAME)
    for name in ("LatestNotificationTime", "LatestCloudWatchLogsDeliveryTime"):
        assert name in status
    for name in ("LatestNotificationError", "LatestCloudWatchLogsDeliveryError"):
        assert name not in status
    assert status["LatestNotificationAttemptTime"] and status["LatestNotificationAttemptSucceeded"]
    assert server.metrics()["cairn_outlets_notified_files"] == len(told.keys("told"))


# Proves: TRL-150, TRL-152, TRL-078, TRL-081, SEC-238, SEC-243, SEC-252
def test_the_topic_s_policy_decides_when_the_trail_is_made_and_at_each_message(
    server, moto, servers
):
    told, trails = Told(moto), server.client("cloudtrail")
    wanted = {"Name": NAME, "S3BucketName": BUCKET}

    def refusal(topic: str) -> str:
        with pytest.raises(trails.exceptions.ClientError) as refused:
            trails.create_trail(**wanted, SnsTopicName=topic)
        return refused.value.response["Error"]["Code"]

    assert refusal("nowhere") == "InsufficientSnsTopicPolicyException"
    topic = told.sns.create_topic(Name="told")["TopicArn"]
    assert refusal("told") == "InsufficientSnsTopicPolicyException", "SNS's own policy"
    told.allow(topic, trail_arn("other"))
    assert refusal(topic) == "InsufficientSnsTopicPolicyException"
    away = Told(moto, AWAY)
    topic = away.topic("away", trail_arn(NAME))
    # Taken away before the first message.
    assert trails.create_trail(**wanted, SnsTopicName=topic)["SnsTopicARN"] == topic
    away.allow(topic, trail_arn("other"))
    trails.start_logging(Name=NAME)
    server.client("iam").list_users()

    def status() -> dict:
        return trails.get_trail_status(Name=NAME)

    refused = lambda: status().get("LatestNotificationError") == "AuthorizationError"  # noqa: E731
    eventually(refused, SECONDS, "the error")
    assert "LatestDeliveryTime" in status() and "LatestDeliveryError" not in status()
    assert "LatestNotificationTime" not in status()
    assert away.received("away") == []
    away.allow(topic, trail_arn(NAME))
    eventually(lambda: "LatestNotificationTime" in status(), SECONDS, "the notification")
    assert "LatestNotificationError" not in status()
    trails.stop_logging(Name=NAME)
    journey = Journey(server, server.client("s3"), {})

    def all_told() -> bool:
        delivered = journey.objects(BUCKET, "/CloudTrail/")
        return sorted(away.keys("away")) == sorted((BUCKET, key) for key in delivered)

    eventually(all_told, SECONDS, "all files")


# Proves: TRL-159, REC-171, REC-175, REC-176, REC-184, TRL-080
def test_log_group_and_role_must_be_there_and_fit(server, moto):
    told, trails, iam = Told(moto), server.client("cloudtrail"), server.client("iam")
    values = {
        "CloudWatchLogsLogGroupArn": f"{GROUP_ARN}:*",
        "CloudWatchLogsRoleArn": ROLE_ARN,
    }
    trails.create_trail(Name=NAME, S3BucketName=BUCKET)

    def refusal(**changes) -> tuple[str, str]:
        with pytest.raises(trails.exceptions.ClientError) as refused:
            trails.update_trail(Name=NAME, **values | changes)
        error = refused.value.response["Error"]
        return error["Code"].removeprefix("InvalidCloudWatchLogs"), error["Message"]

    denied = "Access denied. Verify in IAM that the role has adequate permissions."
    assert refusal() == ("RoleArnException", denied), "no role"
    make_role(iam, actions=["logs:PutLogEvents"])
    assert refusal() == ("LogGroupArnException", denied), "the role may not make streams"
    trust, policy = role_policies()
    iam.put_role_policy(RoleName=ROLE, PolicyName="logs", PolicyDocument=policy)
    missing = "CloudTrail cannot validate the specified log group ARN."
    assert refusal() == ("LogGroupArnException", missing), "no group"
    told.logs.create_log_group(logGroupName=f"{GROUP}-of-another-name")
    assert refusal() == ("LogGroupArnException", missing)
    told.logs.create_log_group(logGroupName=GROUP)
    elsewhere = trust.replace("cloudtrail.amazonaws.com", "events.amazonaws.com")
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=elsewhere)
    assert refusal() == ("RoleArnException", denied), "the role trusts somebody else"
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=trust)
    assert refusal(CloudWatchLogsRoleArn="")[0] == "RoleArnException", "both or neither"
    updated = trails.update_trail(Name=NAME, **values)
    assert updated["CloudWatchLogsLogGroupArn"] == f"{GROUP_ARN}:*"
    trails.start_logging(Name=NAME)
    told.logs.delete_log_group(logGroupName=GROUP)
    iam.list_users()

    def error() -> str | None:
        return trails.get_trail_status(Name=NAME).get("LatestCloudWatchLogsDeliveryError")

    eventually(lambda: error() == "ResourceNotFoundException", SECONDS, "the error")
    told.logs.create_log_group(logGroupName=GROUP)
    eventually(lambda: error() is None, SECONDS, "the repair")
    assert "ListUsers" in {event["eventName"] for event in told.logged()}
    cleared = trails.update_trail(
        Name=NAME, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn=""
    )
    assert "CloudWatchLogsLogGroupArn" not in cleared and "CloudWatchLogsRoleArn" not in cleared


# Proves: TRL-150
def test_without_endpoints_a_trail_has_neither_topic_nor_log_group(servers):
    server = servers.start(environment=TIMES)
    trails, store = server.client("cloudtrail"), server.client("s3")
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))
    make_role(server.client("iam"))
    for values, expected in (
        ({"SnsTopicName": "told"}, "InsufficientSnsTopicPolicyException"),
        (
            {"CloudWatchLogsLogGroupArn": GROUP_ARN, "CloudWatchLogsRoleArn": ROLE_ARN},
            "CloudWatchLogsDeliveryUnavailableException",
        ),
    ):
        with pytest.raises(trails.exceptions.ClientError) as refused:
            trails.create_trail(Name=NAME, S3BucketName=BUCKET, **values)
        assert refused.value.response["Error"]["Code"] == expected
