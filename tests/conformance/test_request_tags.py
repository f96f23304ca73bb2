"""Policies see the tags of a request, on operations that are built and on those that are not."""

import json

import pytest
from botocore.exceptions import ClientError
from harness.signature import Credentials

#: The two statements of the manual: a store must be created with a stage, and with a known one.
STAGES = ["alpha", "beta", "gamma", "prod"]
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "cloudtrail:CreateEventDataStore",
            "Resource": "*",
            "Condition": {"Null": {"aws:RequestTag/stage": "true"}},
        },
        {
            "Effect": "Deny",
            "Action": "cloudtrail:CreateEventDataStore",
            "Resource": "*",
            "Condition": {"ForAnyValue:StringNotEquals": {"aws:RequestTag/stage": STAGES}},
        },
    ],
}


@pytest.fixture(scope="module")
def tagger(server):
    """A CloudTrail client of a user under the policy."""
    iam = server.client("iam")
    iam.create_user(UserName="tagger")
    iam.put_user_policy(
        UserName="tagger", PolicyName="stages", PolicyDocument=json.dumps(POLICY)
    )
    key = iam.create_access_key(UserName="tagger")["AccessKey"]
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    return server.client("cloudtrail", credentials)


def refusal(call, **request) -> str | None:
    """The code of the error that a call ends in."""
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


# Proves: SEC-132, SEC-133, SEC-145
@pytest.mark.parametrize(
    "tags,denied",
    [
        (None, True),
        ([{"Key": "owner", "Value": "me"}], True),
        ([{"Key": "stage", "Value": "test"}], True),
        ([{"Key": "stage", "Value": "prod"}], False),
        ([{"Key": "owner", "Value": "me"}, {"Key": "stage", "Value": "beta"}], False),
    ],
    ids=["none", "other", "unknown-stage", "stage", "both"],
)
def test_a_store_must_be_created_with_a_known_stage(tagger, tags, denied):
    request = {"Name": "a-store"} | ({"TagsList": tags} if tags else {})
    code = refusal(tagger.create_event_data_store, **request)
    assert (code == "AccessDeniedException") is denied, code


def test_other_operations_ask_for_no_tag(tagger):
    assert refusal(tagger.lookup_events, MaxResults=1) is None
