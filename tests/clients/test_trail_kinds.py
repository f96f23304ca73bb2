"""Every kind of event in one trail, and what the record of an object's data event has."""

import gzip
import json
from datetime import datetime, timedelta, timezone

import pytest

from conftest import ServerFactory
from harness.events import timestamp
from harness.probes import PROBES, Prober
from harness.selectors import S3_TYPE, field, of
from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from harness.trail_stand import DELIVERED_SECONDS, TIMES, TrailStand
from harness.trails import trail_arn
from harness.waiting import eventually

INSIGHTS = "/CloudTrail-Insight/"


@pytest.fixture(scope="module")
def stand(binary, tmp_path_factory):
    """One server for all tests here."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("kinds"))
    times = TIMES | {"CAIRN_TRAILS_DIGEST_INTERVAL": "2s"}
    yield TrailStand(factory.start(environment=times))
    factory.close()


def insight(stand, kind: str, state: str = "Start") -> dict:
    """An Insights event in the layout of trails (REC-066)."""
    event = stand.maker.event()
    return {
        "eventVersion": "1.08",
        "eventTime": event["eventTime"],
        "awsRegion": REGION,
        "eventID": event["eventID"],
        "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": ACCOUNT,
        "sharedEventID": event["requestID"],
        "insightDetails": {
            "state": state,
            "eventSource": "ec2.amazonaws.com",
            "eventName": "RunInstances",
            "insightType": kind,
            "insightContext": {"statistics": {"baseline": {"average": 1}}},
        },
        "eventCategory": "Insight",
    }


def insights(stand, bucket: str) -> dict[str, dict]:
    """Records in the folder of Insights events."""
    found = {}
    for key in stand.keys(bucket, INSIGHTS):
        body = stand.store.get_object(Bucket=bucket, Key=key)["Body"].read()
        found |= {one["eventID"]: one for one in json.loads(gzip.decompress(body))["Records"]}
    return found


# Proves: REC-150, REC-151, TRL-130, TRL-141, SEL-006, SEL-007
def test_one_trail_takes_all_four_kinds(stand):
    since = datetime.now(timezone.utc) - timedelta(minutes=1)
    stand.make_bucket("kinds-logs", trail_arn("kinds"))
    stand.make_trail("kinds", "kinds-logs", EnableLogFileValidation=True)
    sources = [event["eventSource"] for event in PROBES.values() if event.get("vpcEndpointId")]
    types = {
        entry["type"] for event in PROBES.values() for entry in event.get("resources", [])
    }
    selectors = [
        of("", "Management"),
        *(of("", "Data", field("resources.type", Equals=[one])) for one in sorted(types)),
        *(
            of("", "NetworkActivity", field("eventSource", Equals=[source]))
            for source in sorted(set(sources))
        ),
    ]
    stand.trails.put_event_selectors(TrailName="kinds", AdvancedEventSelectors=selectors)
    prober = Prober()
    early = insight(stand, "ApiCallRateInsight")
    stand.send([*prober.events("all"), early])
    stand.trails.put_insight_selectors(
        TrailName="kinds", InsightSelectors=[{"InsightType": "ApiCallRateInsight"}]
    )
    start, end = (insight(stand, "ApiCallRateInsight", state) for state in ("Start", "End"))
    other = insight(stand, "ApiErrorRateInsight")
    stand.send([start, end, other])
    stand.settle()
    assert prober.seen(stand.records("kinds-logs")) == {"all": set(PROBES)}
    found = insights(stand, "kinds-logs")
    assert found == {event["eventID"]: event for event in (start, end)}
    assert not stand.ids("kinds-logs") & {one["eventID"] for one in (early, start, end, other)}
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{REGION}/"
    assert all(key.startswith(folder) for key in stand.keys("kinds-logs", INSIGHTS))
    stand.trails.stop_logging(Name="kinds")
    stand.settle()
    everything = sorted(stand.keys("kinds-logs") + stand.keys("kinds-logs", INSIGHTS))
    whole = lambda: sorted(stand.journey.listed("kinds-logs")) == everything  # noqa: E731
    eventually(whole, DELIVERED_SECONDS, "the last digests")
    code, lines, errors = stand.journey.validate("kinds", since)
    assert code == 0 and f"{len(everything)}/{len(everything)} log files valid" in lines, errors
    stand.trails.delete_trail(Name="kinds")


def role_session(stand) -> Credentials:
    """A session of a role that may use S3."""
    iam = stand.server.client("iam")

    def policy(**statement) -> str:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]}
        return json.dumps(document)

    trust = policy(Principal={"AWS": ACCOUNT}, Action="sts:AssumeRole")
    role = iam.create_role(RoleName="Writer", AssumeRolePolicyDocument=trust)["Role"]
    rights = policy(Action="s3:*", Resource="*")
    iam.put_role_policy(RoleName="Writer", PolicyName="s3", PolicyDocument=rights)
    given = stand.server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="night")
    keys = given["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


# Proves: SEL-023, SEL-029
def test_the_record_of_an_objects_event(stand):
    stand.make_bucket("record-logs", trail_arn("records"))
    stand.make_trail("records", "record-logs")
    bucket = field("resources.ARN", StartsWith=["arn:aws:s3:::written/"])
    selectors = [of("", "Data", S3_TYPE, bucket)]
    stand.trails.put_event_selectors(TrailName="records", AdvancedEventSelectors=selectors)
    stand.store.create_bucket(Bucket="written")
    session = role_session(stand)
    began = timestamp(datetime.now(timezone.utc))
    answer = stand.server.client("s3", session).put_object(Bucket="written", Key="one", Body=b"1")
    stand.settle()
    records = stand.records("record-logs")
    (record,) = [one for one in records if one["eventCategory"] == "Data"]
    assert set(record) == {
        "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion",
        "sourceIPAddress", "userAgent", "requestParameters", "responseElements", "requestID",
        "eventID", "readOnly", "resources", "eventType", "managementEvent", "recipientAccountId",
        "eventCategory", "additionalEventData",
    }  # fmt: skip
    assert record["requestID"] == answer["ResponseMetadata"]["RequestId"]
    expected = {
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "awsRegion": REGION,
        "eventType": "AwsApiCall",
        "readOnly": False,
        "managementEvent": False,
        "eventCategory": "Data",
        "recipientAccountId": ACCOUNT,
    }
    assert {name: record[name] for name in expected} == expected
    assert record["eventVersion"].startswith("1.") and record["eventTime"] >= began
    identity = record["userIdentity"]
    issuer = identity["sessionContext"].pop("sessionIssuer")
    created = identity["sessionContext"]["attributes"].pop("creationDate")
    assert created <= record["eventTime"] and created.endswith("Z")
    assert issuer == {
        "type": "Role",
        "principalId": identity["principalId"].removesuffix(":night"),
        "arn": f"arn:aws:iam::{ACCOUNT}:role/Writer",
        "accountId": ACCOUNT,
        "userName": "Writer",
    }
    assert identity == {
        "type": "AssumedRole",
        "principalId": f"{issuer['principalId']}:night",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Writer/night",
        "accountId": ACCOUNT,
        "accessKeyId": session.access_key_id,
        "sessionContext": {"attributes": {"mfaAuthenticated": "false"}},
    }
    stand.trails.delete_trail(Name="records")
