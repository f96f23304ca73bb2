"""Own calls beside AWS's records of the same calls: same members, same kinds of values.

The corpus holds records of IAM, STS, CloudTrail and S3. Each call below is made with the members
that the real caller sent; then our record is compared with the real one, member by member.
"""

import gzip
import json
import re
import uuid
from typing import NamedTuple

import botocore.exceptions
import pytest

from harness.corpus import FOLDER, read_file
from harness.server import ACCOUNT
from harness.signature import Credentials
from harness.waiting import eventually

#: What kind of text a value is; the first that fits.
KINDS = (
    ("time of IAM", re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M")),
    ("time", re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d\d:\d\d [AP]M")),
    ("ISO time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")),
    ("number of a request to S3", re.compile(r"[0-9A-Z]{16}")),
    ("GUID", re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")),
    ("ARN", re.compile(r"arn:aws:(?P<kind>[a-z]+:[a-z0-9-]*:\d*:[a-z-]+).*", re.S)),
    ("key", re.compile(r"(?P<kind>AKIA|ASIA|AROA|AIDA|ANPA)[A-Z0-9]{16,17}(:.*)?")),
    ("encoded document", re.compile(r"%7B.*", re.S)),
    ("document", re.compile(r"\s*\{.*", re.S)),
    ("Boolean in a text", re.compile(r"true|false")),
)
#: What a caller chooses, and what is not there without TLS.
CHOSEN = {"sourceIPAddress", "userAgent", "eventVersion", "tlsDetails", "errorMessage"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    ],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}],
}
TAGS = [{"Key": "audited", "Value": "true"}]


class Call(NamedTuple):
    """A call to make, and which of the real records it is compared with."""

    service: str
    operation: str
    parameters: dict
    credentials: Credentials | None = None
    refused: str | None = None


def kind_of(value):
    """A value with its contents taken out: its members, and what kind of text stands where."""
    match value:
        case dict():
            return {name: kind_of(member) for name, member in value.items()}
        case list():
            return [kind_of(value[0])] if value else []
        case str():
            for name, pattern in KINDS:
                if found := pattern.fullmatch(value):
                    of = found.groupdict().get("kind", "")
                    return f"{name} {re.sub(r'[0-9]{12}', 'ACCOUNT', of)}".strip()
            return "text"
        case _:
            return type(value).__name__


@pytest.fixture(scope="module")
def real_records() -> list[dict]:
    """All real records of the services that Cairn has itself."""
    services = ("iam", "sts", "cloudtrail", "s3")
    ours = {f"{service}.amazonaws.com" for service in services}
    files = sorted(FOLDER.glob("AWSLogs/**/*.json.gz"))
    events = [event for file in files for event in read_file(gzip.decompress(file.read_bytes()))]
    return [event.record for event in events if event.record["eventSource"] in ours]


def like(real_records: list[dict], own: dict) -> dict:
    """A real record of the same call by the same kind of caller with the same outcome."""
    def sort(record: dict) -> tuple:
        called = (record.get(name) for name in ("eventSource", "eventName", "errorCode"))
        identity = record["userIdentity"]
        parameters = sorted(record["requestParameters"] or ())
        return *called, identity.get("type"), "sessionContext" in identity, parameters

    found = [record for record in real_records if sort(record) == sort(own)]
    assert found, f"no real record like {json.dumps(own)}"
    return found[0]


def make(server, call: Call) -> str:
    """Make a call; returns its request ID."""
    client = server.client(call.service, call.credentials)
    method = getattr(client, call.operation)
    if call.refused is None:
        return method(**call.parameters)["ResponseMetadata"]["RequestId"]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        method(**call.parameters)
    assert refused.value.response["Error"]["Code"] == call.refused
    return refused.value.response["ResponseMetadata"]["RequestId"]


def records(server, request_ids: list[str]) -> list[dict]:
    """The events of these calls, in their order."""
    client = server.client("cloudtrail")

    def find():
        pages = client.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 50})
        shown = (json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"])
        found = {record.get("requestID"): record for record in shown}
        return found if all(one in found for one in request_ids) else None

    found = eventually(find, what="events of all calls")
    return [found[one] for one in request_ids]


def identity_calls(name: str) -> list[Call]:
    """Calls to IAM and STS by a user, in an order in which they succeed."""
    role, policy = f"role-{name}", f"policy-{name}"
    policy_arn = f"arn:aws:iam::{ACCOUNT}:policy/{policy}"
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    managed = {"PolicyArn": "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"}
    of_role, of_policy = {"RoleName": role}, {"PolicyArn": policy_arn}
    inline = of_role | {"PolicyName": "inline-policy"}
    iam = [
        ("get_user", {}),
        ("list_users", {}),
        ("get_account_summary", {}),
        ("get_account_authorization_details", {}),
        (
            "create_role",
            of_role
            | {
                "Path": "/",
                "AssumeRolePolicyDocument": json.dumps(TRUST),
                "MaxSessionDuration": 3600,
                "Tags": TAGS,
            },
        ),
        ("get_role", of_role),
        (
            "create_policy",
            {
                "PolicyName": policy,
                "PolicyDocument": json.dumps(POLICY),
                "Path": "/",
                "Description": "",
                "Tags": TAGS,
            },
        ),
        ("get_policy", of_policy),
        ("get_policy_version", of_policy | {"VersionId": "v1"}),
        ("list_policy_versions", of_policy),
        ("list_entities_for_policy", of_policy),
        ("attach_role_policy", of_role | managed),
        ("list_attached_role_policies", of_role),
        ("put_role_policy", inline | {"PolicyDocument": json.dumps(POLICY)}),
        ("get_role_policy", inline),
        ("list_role_policies", of_role),
        ("list_instance_profiles_for_role", of_role),
        ("delete_role_policy", inline),
        ("detach_role_policy", of_role | managed),
    ]
    session = {"RoleArn": role_arn, "RoleSessionName": "aws-go-sdk-1", "DurationSeconds": 900}
    unknown = session | {"RoleArn": f"{role_arn}-unknown"}
    return [
        *(Call("iam", operation, parameters) for operation, parameters in iam),
        Call("sts", "get_caller_identity", {}),
        Call("sts", "assume_role", session),
        Call("sts", "assume_role", unknown, refused="AccessDenied"),
        Call("iam", "delete_role", of_role),
        Call("iam", "delete_policy", of_policy),
    ]


# Proves: SEC-011, SEC-014, SEC-015, SEC-017, SEC-023, SEC-024, SEC-025, SEC-026, SEC-027
# Proves: REC-012, REC-023, REC-024, REC-033, REC-034, REC-109, OVR-015, OVR-025, SEL-012
def test_calls_of_a_user_look_like_the_real_ones(server, real_records):
    made = records(server, [make(server, call) for call in identity_calls(uuid.uuid4().hex[:8])])
    for own in made:
        check(own, like(real_records, own))


# Proves: REC-110, SEC-014
def test_calls_of_a_session_look_like_the_real_ones(server, real_records):
    name = f"role-{uuid.uuid4().hex[:8]}"
    server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    answer = server.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="aws-go-sdk-2"
    )
    given = answer["Credentials"]
    session = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    call = Call("sts", "get_caller_identity", {}, session)
    (own,) = records(server, [make(server, call)])
    real = like(real_records, own)
    context = real["userIdentity"]["sessionContext"]
    # SEC-013: later versions leave out what is empty. The real caller is an instance.
    assert context.pop("webIdFederationData") == {}
    assert context.pop("ec2RoleDelivery") == "1.0"
    check(own, real)


def check(own: dict, real: dict) -> None:
    """Same members in the same order, each of the same kind."""
    assert [name for name in own if name not in CHOSEN] == [
        name for name in real if name not in CHOSEN
    ], own
    for name in set(own) - CHOSEN:
        assert kind_of(own[name]) == kind_of(real[name]), (real["eventName"], name, own, real)
    for name in ("readOnly", "eventType", "managementEvent", "eventCategory", "awsRegion"):
        assert own[name] == real[name]
    if "errorCode" in real:
        message = real["errorMessage"].split(" on resource: ", 1)[0]
        assert own["errorMessage"].startswith(re.sub(r"arn:\S+", own_arn(own), message))


# Proves: REC-034, SEC-011, SEC-014, SEC-017
def test_a_request_about_the_lakes_bucket_looks_like_the_real_ones(server, real_records):
    call = Call("s3", "get_bucket_location", {"Bucket": "cairn-lake"})
    (own,) = records(server, [make(server, call)])
    real = like(real_records, own)
    # Without TLS there is none of its facts.
    assert real["additionalEventData"].pop("CipherSuite")
    for agent in (own["userAgent"], real["userAgent"]):
        assert (agent[0], agent[-1]) == ("[", "]")
    check(own, real)


def own_arn(own: dict) -> str:
    """Who called."""
    return own["userIdentity"]["arn"]


def trail_calls() -> list[Call]:
    """Calls about trails, with the members that the real caller sent."""
    selector = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": False,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": []}],
        "ExcludeManagementEventSources": [],
    }
    create = {
        "Name": "payroll",
        "S3BucketName": "payroll-logs",
        "IncludeGlobalServiceEvents": True,
        "TagsList": TAGS,
    }
    trail_arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/payroll"
    unknown = "TrailNotFoundException"
    return [
        Call("cloudtrail", "create_trail", create),
        Call("cloudtrail", "start_logging", {"Name": "payroll"}),
        Call("cloudtrail", "get_trail_status", {"Name": "payroll"}),
        Call("cloudtrail", "describe_trails", {"trailNameList": ["payroll"]}),
        Call("cloudtrail", "list_tags", {"ResourceIdList": [trail_arn]}),
        Call("cloudtrail", "get_event_selectors", {"TrailName": "payroll"}),
        Call(
            "cloudtrail",
            "put_event_selectors",
            {"TrailName": "payroll", "EventSelectors": [selector]},
        ),
        Call("cloudtrail", "delete_trail", {"Name": "payroll"}),
        Call("cloudtrail", "start_logging", {"Name": "payroll"}, refused=unknown),
        Call("cloudtrail", "stop_logging", {"Name": "payroll"}, refused=unknown),
        Call("cloudtrail", "delete_trail", {"Name": "payroll"}, refused=unknown),
    ]


# Proves: SEC-029, REC-023, REC-024, REC-033
def test_calls_about_trails_are_recorded_like_the_real_ones(
    servers, sabotaged_binary, real_records
):
    unasked = {"CAIRN_SABOTAGE": "destinations-unasked"}
    server = servers.start(binary=sabotaged_binary, environment=unasked)
    calls = trail_calls()
    for own in records(server, [make(server, call) for call in calls]):
        which = ("eventName", "errorCode")
        real = next(
            record for record in real_records
            if [record.get(name) for name in which] == [own.get(name) for name in which]
        )
        same = ("requestParameters", "responseElements", "userIdentity", "eventSource", "requestID")
        for name in same:
            assert kind_of(own[name]) == kind_of(real[name]), own
        assert own["readOnly"] == real["readOnly"]
        if message := real.get("errorMessage"):
            unnamed = re.compile(r"\d{12}|trail/\S+")
            assert unnamed.sub("", own["errorMessage"]) == unnamed.sub("", message)
