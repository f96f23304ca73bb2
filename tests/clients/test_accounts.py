"""Two accounts: each has a history of its own from its first moment, and what concerns both is told
to both."""

import json

import pytest

from harness.accounts import create_account
from harness.server import ACCOUNT
from harness.signature import Credentials
from harness.waiting import eventually

OTHER = "222233334444"


@pytest.fixture(scope="module")
def other(server) -> Credentials:
    """The administrator of a second account."""
    return create_account(server, OTHER)


def history(server, credentials: Credentials | None = None) -> list[dict]:
    """The newest records of a caller's account."""
    page = server.client("cloudtrail", credentials).lookup_events(MaxResults=50)
    return [json.loads(event["CloudTrailEvent"]) for event in page["Events"]]


# Proves: OVR-003, OVR-073, REC-096
def test_a_new_account_has_a_history_at_once_and_of_its_own(server, other):
    first = server.client("iam", other).list_users()["ResponseMetadata"]["RequestId"]
    records = eventually(lambda: history(server, other))
    assert {record["recipientAccountId"] for record in records} == {OTHER}
    assert first in {record["requestID"] for record in records}
    assert {record["userIdentity"]["accountId"] for record in records} == {OTHER}
    assert {record["recipientAccountId"] for record in history(server)} == {ACCOUNT}
    # Who made the account is told in the account of whoever made it.
    assert "CreateAccount" in {record["eventName"] for record in history(server)}


# Proves: REC-035, REC-037, REC-062, REC-063, REC-064, REC-065, REC-119, REC-121, REC-122
def test_a_role_of_another_account_is_assumed(server, other):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
            }
        ],
    }
    role = server.client("iam").create_role(
        RoleName="Guest", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    answer = server.client("sts", other).assume_role(
        RoleArn=role, RoleSessionName="visit", SourceIdentity="grace"
    )
    request_id = answer["ResponseMetadata"]["RequestId"]

    def find(credentials):
        records = history(server, credentials)
        return [record for record in records if record["requestID"] == request_id]

    (own,), (owners,) = eventually(lambda: find(other)), eventually(lambda: find(None))
    assert (own["recipientAccountId"], owners["recipientAccountId"]) == (OTHER, ACCOUNT)
    assert own["userIdentity"]["type"] == "IAMUser"
    assert owners["userIdentity"] == {
        "type": "AWSAccount",
        "principalId": own["userIdentity"]["principalId"],
        "accountId": OTHER,
    }
    assert own["sharedEventID"] == owners["sharedEventID"]
    assert len({own["eventID"], owners["eventID"], own["sharedEventID"]}) == 3
    for record in (own, owners):
        assert record["requestParameters"] == {
            "roleArn": role,
            "roleSessionName": "visit",
            "sourceIdentity": "grace",
        }
        shown = record["responseElements"]
        assert set(shown) == {"credentials", "assumedRoleUser", "sourceIdentity"}
        assert shown["sourceIdentity"] == "grace"
        assert record["resources"] == [
            {"accountId": ACCOUNT, "type": "AWS::IAM::Role", "ARN": role}
        ]
    # What the session does afterwards happens in the role's account.
    given = answer["Credentials"]
    session = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    call = server.client("sts", session).get_caller_identity()["ResponseMetadata"]["RequestId"]
    made = eventually(lambda: [one for one in history(server) if one["requestID"] == call])
    assert made[0]["userIdentity"]["sessionContext"]["sourceIdentity"] == "grace"
    assert "sharedEventID" not in made[0]
    assert call not in {record["requestID"] for record in history(server, other)}
