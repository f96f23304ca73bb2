"""Calls to our own API become events as CloudTrail records them, checked member by member."""

import json
import re
import uuid
from datetime import datetime, timezone

import botocore.exceptions
import pytest

from harness.raw_http import address, send
from harness.server import ACCOUNT, REGION
from harness.signature import Credentials, Request, Scope, sign
from harness.waiting import eventually

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
API_CALL_MEMBERS = {
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "requestParameters",
    "responseElements",
    "requestID",
    "eventID",
    "readOnly",
    "eventType",
    "managementEvent",
    "recipientAccountId",
    "eventCategory",
}


def recorded(server, request_id: str, name: str) -> dict:
    """The event of the call that was answered with this request ID."""
    client = server.client("cloudtrail")

    def find():
        page = client.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            MaxResults=50,
        )
        for event in page["Events"]:
            record = json.loads(event["CloudTrailEvent"])
            if record["requestID"] == request_id:
                return record
        return None

    return eventually(find, what=f"event of {name} {request_id}")


def request_id(answer: dict) -> str:
    """What the client was told."""
    return answer["ResponseMetadata"]["RequestId"]


def check_common(record: dict, source: str, name: str, began: datetime) -> None:
    """The members that are alike in every event of our own."""
    assert set(record) >= API_CALL_MEMBERS
    assert record["eventVersion"] == "1.11"
    assert record["eventSource"] == source
    assert record["eventName"] == name
    assert record["awsRegion"] == REGION
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert record["eventType"] == "AwsApiCall"
    assert record["managementEvent"] is True
    assert record["eventCategory"] == "Management"
    assert record["recipientAccountId"] == ACCOUNT
    assert UUID.fullmatch(record["eventID"])
    moment = datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ")
    moment = moment.replace(tzinfo=timezone.utc)
    assert began.replace(microsecond=0) <= moment <= datetime.now(timezone.utc)


# Proves: OVR-002, REC-008, REC-010, REC-014, REC-087, REC-095, REC-096, REC-109
def test_a_read_by_an_iam_user(server):
    began = datetime.now(timezone.utc)
    client = server.client("cloudtrail")
    answer = client.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}],
        StartTime=began,
        MaxResults=5,
    )
    record = recorded(server, request_id(answer), "LookupEvents")
    check_common(record, "cloudtrail.amazonaws.com", "LookupEvents", began)
    identity = record["userIdentity"]
    assert set(identity) == {
        "type",
        "principalId",
        "arn",
        "accountId",
        "accessKeyId",
        "userName",
    }
    assert identity["type"] == "IAMUser"
    assert identity["principalId"].startswith("AIDA")
    assert identity["arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert identity["accountId"] == ACCOUNT
    assert identity["accessKeyId"] == server.credentials.access_key_id
    assert identity["userName"] == "admin"
    assert record["readOnly"] is True
    assert record["responseElements"] is None
    assert "Boto3" in record["userAgent"]
    parameters = record["requestParameters"]
    assert parameters["lookupAttributes"] == [
        {"attributeKey": "EventName", "attributeValue": "RunInstances"}
    ]
    assert parameters["maxResults"] == 5
    assert "errorCode" not in record
    assert "tlsDetails" not in record


def test_a_call_without_parameters(server):
    answer = server.client("cloudtrail").lookup_events()
    record = recorded(server, request_id(answer), "LookupEvents")
    assert record["requestParameters"] is None


# Proves: REC-018, REC-020, SEC-027
def test_a_refused_call_is_recorded_with_its_error(server):
    began = datetime.now(timezone.utc)
    client = server.client("cloudtrail")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client.create_trail(Name="payroll", S3BucketName="payroll-bucket")
    record = recorded(server, request_id(refused.value.response), "CreateTrail")
    check_common(record, "cloudtrail.amazonaws.com", "CreateTrail", began)
    assert record["errorCode"] == "S3BucketDoesNotExistException"
    assert record["errorMessage"] == "S3 bucket payroll-bucket does not exist!"
    assert record["readOnly"] is False
    assert record["requestParameters"]["name"] == "payroll"
    assert record["requestParameters"]["s3BucketName"] == "payroll-bucket"
    assert record["responseElements"] is None


def new_user(server, policy: dict | None = None) -> tuple[str, Credentials]:
    """An IAM user with a key, made through IAM's own API."""
    iam = server.client("iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(
            UserName=name, PolicyName="inline", PolicyDocument=json.dumps(policy)
        )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, Credentials(key["AccessKeyId"], key["SecretAccessKey"])


# Proves: R21
def test_a_denied_call_is_recorded_with_the_caller(server):
    name, credentials = new_user(server)
    client = server.client("cloudtrail", credentials)
    with pytest.raises(botocore.exceptions.ClientError) as denied:
        client.lookup_events()
    error = denied.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    assert error["Message"] == (
        f"User: {arn} is not authorized to perform: cloudtrail:LookupEvents because no"
        " identity-based policy allows the cloudtrail:LookupEvents action"
    )
    record = recorded(server, request_id(denied.value.response), "LookupEvents")
    assert record["userIdentity"]["userName"] == name
    assert record["errorCode"] == "AccessDenied"
    assert record["errorMessage"] == error["Message"]
    assert record["responseElements"] is None


# Proves: SEC-142
def test_a_denied_command_says_so(server):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    logging = ["cloudtrail:StopLogging", "cloudtrail:StartLogging"]
    denied = {"Effect": "Deny", "Action": logging, "Resource": "*"}
    _, credentials = new_user(
        server, {"Version": "2012-10-17", "Statement": [everything, denied]}
    )
    key = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    for command, operation in (("stop-logging", "StopLogging"), ("start-logging", "StartLogging")):
        refused = server.aws("cloudtrail", command, "--name", "payroll", check=False, **key)
        assert refused.returncode != 0
        shown = f"(AccessDeniedException) when calling the {operation} operation"
        assert shown in refused.stderr, refused.stderr
    assert server.aws("cloudtrail", "lookup-events", "--max-items", "1", **key)


# Proves: R21
def test_an_iam_mutation_is_recorded_with_its_answer_and_without_the_secret(server):
    began = datetime.now(timezone.utc)
    iam = server.client("iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    created = iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "audit"}])
    record = recorded(server, request_id(created), "CreateUser")
    check_common(record, "iam.amazonaws.com", "CreateUser", began)
    assert record["readOnly"] is False
    assert record["requestParameters"]["userName"] == name
    assert record["responseElements"]["user"]["userName"] == name
    assert record["responseElements"]["user"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"

    key = iam.create_access_key(UserName=name)
    secret = key["AccessKey"]["SecretAccessKey"]
    record = recorded(server, request_id(key), "CreateAccessKey")
    assert record["responseElements"]["accessKey"]["accessKeyId"] == key["AccessKey"]["AccessKeyId"]
    assert record["responseElements"]["accessKey"]["status"] == "Active"
    assert secret not in json.dumps(record)


def test_an_iam_read_has_no_response_elements(server):
    answer = server.client("iam").list_users()
    record = recorded(server, request_id(answer), "ListUsers")
    assert record["readOnly"] is True
    assert record["responseElements"] is None


def make_role(server, name: str, trusted: str) -> str:
    """A role with full access that `trusted` may assume; returns its ARN."""
    iam = server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": trusted},
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            }
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AWSCloudTrail_FullAccess"
    )
    return role["Role"]["Arn"]


# Proves: REC-100, REC-110, REC-118, REC-119
def test_assuming_a_role_and_acting_in_it(server):
    began = datetime.now(timezone.utc)
    name = f"auditor-{uuid.uuid4().hex[:6]}"
    arn = make_role(server, name, f"arn:aws:iam::{ACCOUNT}:root")
    assumed = server.client("sts").assume_role(
        RoleArn=arn, RoleSessionName="night-shift", SourceIdentity="alice"
    )
    record = recorded(server, request_id(assumed), "AssumeRole")
    check_common(record, "sts.amazonaws.com", "AssumeRole", began)
    assert record["requestParameters"]["roleArn"] == arn
    assert record["requestParameters"]["roleSessionName"] == "night-shift"
    assert record["requestParameters"]["sourceIdentity"] == "alice"
    key_id = assumed["Credentials"]["AccessKeyId"]
    assert record["responseElements"]["credentials"]["accessKeyId"] == key_id
    assert assumed["Credentials"]["SecretAccessKey"] not in json.dumps(record)
    assert {"AWS::IAM::Role"} <= {entry["type"] for entry in record["resources"]}

    session = Credentials(
        key_id,
        assumed["Credentials"]["SecretAccessKey"],
        assumed["Credentials"]["SessionToken"],
    )
    answer = server.client("cloudtrail", session).lookup_events(MaxResults=1)
    record = recorded(server, request_id(answer), "LookupEvents")
    identity = record["userIdentity"]
    session_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/night-shift"
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == session_arn
    assert identity["accountId"] == ACCOUNT
    assert identity["accessKeyId"] == key_id
    assert "userName" not in identity
    role_id, _, session_name = identity["principalId"].partition(":")
    assert (role_id[:4], session_name) == ("AROA", "night-shift")
    context = identity["sessionContext"]
    assert context["sessionIssuer"] == {
        "type": "Role",
        "principalId": role_id,
        "arn": arn,
        "accountId": ACCOUNT,
        "userName": name,
    }
    assert context["attributes"]["mfaAuthenticated"] == "false"
    assert context["attributes"]["creationDate"].endswith("Z")
    assert context["sourceIdentity"] == "alice"


def test_caller_identity_is_recorded_too(server):
    answer = server.client("sts").get_caller_identity()
    assert answer["Account"] == ACCOUNT
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    record = recorded(server, request_id(answer), "GetCallerIdentity")
    assert record["eventSource"] == "sts.amazonaws.com"
    assert record["readOnly"] is True


def test_a_failed_signature_is_no_event(server):
    host, port = address(server.endpoint)
    marker = f"agent-{uuid.uuid4().hex}"
    headers = [
        ("Host", f"{host}:{port}"),
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "CloudTrail_20131101.LookupEvents"),
        ("User-Agent", marker),
    ]
    wrong = Credentials(server.credentials.access_key_id, "wrong")
    assert send(
        server.endpoint, sign(Request("POST", "/", "", list(headers), b"{}"), wrong, Scope())
    ).status == 400
    good = sign(Request("POST", "/", "", list(headers), b"{}"), server.credentials, Scope())
    answer = send(server.endpoint, good)
    recorded(server, answer.headers["x-amzn-requestid"], "LookupEvents")
    page = server.client("cloudtrail").lookup_events(MaxResults=50)
    agents = [json.loads(event["CloudTrailEvent"])["userAgent"] for event in page["Events"]]
    assert agents.count(marker) == 1
