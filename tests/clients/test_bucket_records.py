"""What boto3's requests to the bucket endpoint leave behind, and what policies and rates do."""

import json
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.log_events import logged_events
from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from harness.waiting import eventually

BUCKET = "cairn-lake"
KEY = "event-history/probe.json"
CONTENT = b'{"some": "bytes of the lake"}'
SOURCE = "s3.amazonaws.com"


@pytest.fixture
def lake(servers):
    """Starts a server, with settings, that has one known object in its lake."""

    def start(**environment: str):
        server = servers.start(environment=environment)
        path = server.data_dir / "lake" / KEY
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
        return server

    return start


def user(server, name: str, condition: dict) -> Credentials:
    """A user that may do everything with S3, under a condition."""
    iam = server.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="lake", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def client(server, **config):
    """The administrator's client of the bucket endpoint, with settings of botocore."""
    keys = server.credentials
    return boto3.client(
        "s3",
        endpoint_url=server.bucket_endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=Config(s3={"addressing_style": "path"}, **config),
    )


def error_code(call) -> str:
    """The code of the error that a call ends with."""
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"]


# Proves: REC-025, REC-026, SEL-022
def test_a_read_can_be_matched_to_its_event(lake):
    server = lake()
    answer = server.client("s3").get_object(Bucket=BUCKET, Key=KEY)
    assert answer["Body"].read() == CONTENT
    (event,) = logged_events(server.data_dir, SOURCE, "GetObject")
    assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]
    extra = event["additionalEventData"]
    assert extra["x-amz-id-2"] == answer["ResponseMetadata"]["HostId"]
    assert extra["bytesTransferredOut"] == len(CONTENT)
    assert extra["AuthenticationMethod"] == "AuthHeader"
    assert event["eventCategory"] == "Data"
    assert "boto3" in event["userAgent"].lower()


def test_a_presigned_link_leaves_no_secret(lake):
    server = lake()
    link = client(server, signature_version="s3v4").generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": KEY}
    )
    with urllib.request.urlopen(link, timeout=30) as answer:
        assert answer.read() == CONTENT
    (event,) = logged_events(server.data_dir, SOURCE, "GetObject")
    assert event["additionalEventData"]["AuthenticationMethod"] == "QueryString"
    parameters = {name.lower() for name in event["requestParameters"]}
    assert "x-amz-expires" in parameters
    assert not parameters & {"x-amz-signature", "x-amz-credential", "x-amz-security-token"}


# Proves: SEC-027, SEC-102
def test_a_refusal_is_in_the_history_of_the_owner(lake):
    server = lake()
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    outsider = server.client("s3", user(server, "outsider", condition))
    assert error_code(lambda: outsider.get_object(Bucket=BUCKET, Key=KEY)) == "AccessDenied"
    assert error_code(lambda: outsider.delete_object(Bucket=BUCKET, Key=KEY)) == "MethodNotAllowed"
    local = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Bool": {"aws:SecureTransport": "false"}}
    insider = server.client("s3", user(server, "insider", local))
    assert insider.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == CONTENT

    lookups = server.client("cloudtrail")
    attribute = {"AttributeKey": "EventName", "AttributeValue": "LakeAccessRefused"}
    found = []

    def told() -> bool:
        answer = lookups.lookup_events(LookupAttributes=[attribute])
        found[:] = [json.loads(event["CloudTrailEvent"]) for event in answer["Events"]]
        return len(found) == 2

    eventually(told, 10, "the refusals in event history")
    details = {event["serviceEventDetails"]["operation"]: event for event in found}
    assert set(details) == {"GetObject", "DeleteObject"}
    for event in found:
        assert event["recipientAccountId"] == ACCOUNT
        assert event["serviceEventDetails"]["principalArn"].endswith("user/outsider")
        assert event["serviceEventDetails"]["key"] == KEY


def test_buckets_are_listed_and_the_listing_is_in_event_history(lake):
    server = lake()
    listed = server.aws("s3", "ls", "--endpoint-url", server.bucket_endpoint)
    assert BUCKET in listed.stdout
    lookups = server.client("cloudtrail")
    attribute = {"AttributeKey": "EventName", "AttributeValue": "ListBuckets"}
    eventually(
        lambda: lookups.lookup_events(LookupAttributes=[attribute])["Events"],
        10,
        "ListBuckets in event history",
    )


# Proves: R18
def test_a_client_that_is_slowed_down_comes_through_by_trying_again(lake):
    server = lake(CAIRN_S3_REQUESTS_PER_SECOND="1", CAIRN_S3_REQUESTS_BURST="5")
    impatient = server.client("s3")
    codes = set()
    for _ in range(30):
        try:
            impatient.head_bucket(Bucket=BUCKET)
        except ClientError as refused:
            codes.add(refused.response["ResponseMetadata"]["HTTPStatusCode"])
    assert codes == {503}

    def hurried():
        for _ in range(30):
            impatient.get_object(Bucket=BUCKET, Key=KEY)

    assert error_code(hurried) == "SlowDown"
    patient = client(server, retries={"mode": "standard", "total_max_attempts": 10})
    for _ in range(3):
        assert patient.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == CONTENT
    assert server.metrics()['cairn_not_admitted_total{reason="rate"}'] > 0
