"""Every operation of IAM and STS that Cairn has, once: is its event what AWS would write?

`requestParameters` are the sent members in lower camel case and nothing else; `responseElements`
are null but for the operations whose answer AWS records.
"""

import json
import re
import uuid
from pathlib import Path

import pytest

from harness.server import ACCOUNT
from harness.waiting import eventually

IDENTITY_PAGE = Path(__file__).parents[2] / "docs" / "identity.md"
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}],
})
POLICY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}],
})
TAGS = [{"Key": "team", "Value": "audit"}]
MANAGED = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"
ENTITY = {"path", "arn", "createDate"}
#: The members of `responseElements`, for the operations that have any.
ANSWERS = {
    "CreateUser": {"user": ENTITY | {"userName", "userId", "tags", "permissionsBoundary"}},
    "CreateGroup": {"group": ENTITY | {"groupName", "groupId"}},
    "CreateRole": {"role": ENTITY | {"roleName", "roleId", "assumeRolePolicyDocument", "tags"}},
    "UpdateRoleDescription": {
        "role": ENTITY
        | {"roleName", "roleId", "assumeRolePolicyDocument", "description", "maxSessionDuration"}
    },
    "CreateAccessKey": {"accessKey": {"userName", "accessKeyId", "status", "createDate"}},
    "CreatePolicy": {
        "policy": ENTITY
        | {"policyName", "policyId", "defaultVersionId", "attachmentCount", "isAttachable"}
        | {"permissionsBoundaryUsageCount", "updateDate", "tags"}
    },
    "CreatePolicyVersion": {"policyVersion": {"versionId", "isDefaultVersion", "createDate"}},
    "AssumeRole": {
        "credentials": {"accessKeyId", "sessionToken", "expiration"},
        "assumedRoleUser": {"assumedRoleId", "arn"},
    },
    "GetSessionToken": {"credentials": {"accessKeyId", "sessionToken", "expiration"}},
}


def recorded(value):
    """Request members as records name them."""
    match value:
        case dict():
            return {key[0].lower() + key[1:]: recorded(one) for key, one in value.items()}
        case list():
            return [recorded(one) for one in value]
        case _:
            return value


class Journal:
    """Makes calls and remembers what was asked under which request ID."""

    def __init__(self, server):
        self.server = server
        self.clients = {service: server.client(service) for service in ("iam", "sts")}
        self.calls: dict[str, tuple[str, str, dict]] = {}

    def call(self, operation: str, service: str = "iam", **parameters) -> dict:
        """One call, named as the API names it."""
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        answer = getattr(self.clients[service], method)(**parameters)
        request_id = answer["ResponseMetadata"]["RequestId"]
        self.calls[request_id] = (service, operation, parameters)
        return answer

    def records(self) -> dict[str, dict]:
        """The events of all calls, by request ID."""
        client = self.server.client("cloudtrail")

        def find():
            pages = client.get_paginator("lookup_events").paginate(
                PaginationConfig={"PageSize": 50}
            )
            texts = (event["CloudTrailEvent"] for page in pages for event in page["Events"])
            found = {record.get("requestID"): record for record in map(json.loads, texts)}
            return found if self.calls.keys() <= found.keys() else None

        return eventually(find, what="events of all calls")


def users_and_groups(journal: Journal, user: str, group: str) -> None:
    """Users, groups and what hangs on them."""
    call, named, of_group = journal.call, {"UserName": user}, {"GroupName": group}
    call("CreateUser", Path="/", Tags=TAGS, PermissionsBoundary=MANAGED, **named)
    call("GetUser", **named)
    call("ListUsers", PathPrefix="/", MaxItems=5)
    call("CreateGroup", Path="/", **of_group)
    call("AddUserToGroup", **of_group, **named)
    call("GetGroup", **of_group)
    call("ListGroups")
    call("ListGroupsForUser", **named)
    for subject, member in (("User", named), ("Group", of_group)):
        inline = member | {"PolicyName": "inline"}
        call(f"Put{subject}Policy", PolicyDocument=POLICY, **inline)
        call(f"Get{subject}Policy", **inline)
        call(f"List{subject}Policies", **member)
        call(f"Delete{subject}Policy", **inline)
        call(f"Attach{subject}Policy", PolicyArn=MANAGED, **member)
        call(f"ListAttached{subject}Policies", **member)
        call(f"Detach{subject}Policy", PolicyArn=MANAGED, **member)
    key = {"AccessKeyId": call("CreateAccessKey", **named)["AccessKey"]["AccessKeyId"]}
    call("ListAccessKeys", **named)
    call("UpdateAccessKey", Status="Inactive", **key, **named)
    call("GetAccessKeyLastUsed", **key)
    call("DeleteAccessKey", **key, **named)
    call("PutUserPermissionsBoundary", PermissionsBoundary=MANAGED, **named)
    call("DeleteUserPermissionsBoundary", **named)
    call("TagUser", Tags=TAGS, **named)
    call("ListUserTags", **named)
    call("UntagUser", TagKeys=["team"], **named)
    call("RemoveUserFromGroup", **of_group, **named)
    call("UpdateGroup", NewGroupName=f"{group}-2", **of_group)
    call("DeleteGroup", GroupName=f"{group}-2")
    call("UpdateUser", NewUserName=f"{user}-2", NewPath="/left/", **named)
    call("DeleteUser", UserName=f"{user}-2")


def roles_and_policies(journal: Journal, role: str, policy: str) -> None:
    """Roles, managed policies, sessions and the account."""
    call, named = journal.call, {"RoleName": role}
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    call("CreateRole", AssumeRolePolicyDocument=TRUST, Tags=TAGS, **named)
    call("GetRole", **named)
    call("ListRoles", MaxItems=3)
    call("UpdateRole", MaxSessionDuration=7200, **named)
    call("UpdateRoleDescription", Description="for tests", **named)
    call("UpdateAssumeRolePolicy", PolicyDocument=TRUST, **named)
    call("ListInstanceProfilesForRole", **named)
    call("PutRolePermissionsBoundary", PermissionsBoundary=MANAGED, **named)
    call("DeleteRolePermissionsBoundary", **named)
    call("TagRole", Tags=TAGS, **named)
    call("ListRoleTags", **named)
    call("UntagRole", TagKeys=["team"], **named)
    inline = named | {"PolicyName": "inline"}
    call("PutRolePolicy", PolicyDocument=POLICY, **inline)
    call("GetRolePolicy", **inline)
    call("ListRolePolicies", **named)
    call("DeleteRolePolicy", **inline)
    call("AttachRolePolicy", PolicyArn=MANAGED, **named)
    call("ListAttachedRolePolicies", **named)
    call("DetachRolePolicy", PolicyArn=MANAGED, **named)
    call("AssumeRole", "sts", RoleArn=arn, RoleSessionName="shift", ExternalId="e-1")
    call("GetSessionToken", "sts", DurationSeconds=900)
    call("GetCallerIdentity", "sts")
    call("GetAccessKeyInfo", "sts", AccessKeyId=journal.server.credentials.access_key_id)
    call("DeleteRole", **named)
    made = call("CreatePolicy", PolicyName=policy, PolicyDocument=POLICY, Tags=TAGS)
    of_policy = {"PolicyArn": made["Policy"]["Arn"]}
    call("GetPolicy", **of_policy)
    call("ListPolicies", Scope="Local", OnlyAttached=False)
    call("CreatePolicyVersion", PolicyDocument=POLICY, SetAsDefault=False, **of_policy)
    call("GetPolicyVersion", VersionId="v2", **of_policy)
    call("ListPolicyVersions", **of_policy)
    call("SetDefaultPolicyVersion", VersionId="v2", **of_policy)
    call("DeletePolicyVersion", VersionId="v1", **of_policy)
    call("ListEntitiesForPolicy", **of_policy)
    call("TagPolicy", Tags=TAGS, **of_policy)
    call("ListPolicyTags", **of_policy)
    call("UntagPolicy", TagKeys=["team"], **of_policy)
    call("DeletePolicy", **of_policy)
    alias = {"AccountAlias": f"acme-{role}"}
    call("CreateAccountAlias", **alias)
    call("ListAccountAliases")
    call("DeleteAccountAlias", **alias)
    call("GetAccountSummary")
    call("GetAccountAuthorizationDetails", Filter=["User"])


@pytest.fixture(scope="module")
def journal(server) -> Journal:
    """All calls, made."""
    made, mark = Journal(server), uuid.uuid4().hex[:8]
    users_and_groups(made, f"user-{mark}", f"group-{mark}")
    roles_and_policies(made, f"role-{mark}", f"policy-{mark}")
    return made


def test_no_operation_is_missing(journal):
    documented = int(re.search(r"\((\d+) operations\)", IDENTITY_PAGE.read_text()).group(1))
    called = {operation for service, operation, _ in journal.calls.values() if service == "iam"}
    assert len(called) == documented


# Proves: REC-023, REC-024, REC-033, SEC-019, SEC-025, SEC-026
def test_every_operation_is_recorded_as_aws_records_it(journal):
    records = journal.records()
    for request_id, (service, operation, parameters) in journal.calls.items():
        record = records[request_id]
        assert record["eventName"] == operation
        assert record["eventSource"] == f"{service}.amazonaws.com"
        assert record["requestParameters"] == (recorded(parameters) or None), operation
        is_read = operation.startswith(("Get", "List")) or service == "sts"
        assert record["readOnly"] is is_read, operation
        answer = record["responseElements"]
        if operation in ANSWERS:
            shown = {name: set(members) for name, members in answer.items()}
            assert shown == ANSWERS[operation], operation
        else:
            assert answer is None, (operation, answer)
        assert "errorCode" not in record and "errorMessage" not in record


# Proves: SEC-019, OVR-136
def test_a_global_services_call_is_recorded_in_one_region_another_where_it_was_made(server):
    iam, sts = (server.client(service, region="eu-west-1") for service in ("iam", "sts"))
    global_call = iam.get_user()["ResponseMetadata"]["RequestId"]
    regional_call = sts.get_caller_identity()["ResponseMetadata"]["RequestId"]

    def found(region: str) -> dict[str, str]:
        events = server.client("cloudtrail", region=region).lookup_events(MaxResults=50)["Events"]
        records = (json.loads(event["CloudTrailEvent"]) for event in events)
        return {record["requestID"]: record["awsRegion"] for record in records}

    eventually(lambda: global_call in found("us-east-1") and regional_call in found("eu-west-1"))
    assert found("us-east-1")[global_call] == "us-east-1"
    assert found("eu-west-1")[regional_call] == "eu-west-1"
    assert regional_call not in found("us-east-1") and global_call not in found("eu-west-1")


# Proves: SEC-027
@pytest.mark.parametrize(("operation", "parameters", "code", "error"), [
    ("create_user", {"UserName": "no spaces please", "Path": "/"}, "ValidationError",
     "ValidationException"),
    ("get_user", {"UserName": "nobody-of-this-name"}, "NoSuchEntity", "NoSuchEntityException"),
    ("create_group", {"GroupName": "x" * 129}, "ValidationError", "ValidationException"),
])
def test_a_refused_call_is_recorded_with_what_it_asked(server, operation, parameters, code, error):
    client = server.client("iam")
    with pytest.raises(client.exceptions.ClientError) as refused:
        getattr(client, operation)(**parameters)
    response = refused.value.response
    request_id = response["ResponseMetadata"]["RequestId"]

    def find():
        events = server.client("cloudtrail").lookup_events(MaxResults=50)["Events"]
        records = (json.loads(event["CloudTrailEvent"]) for event in events)
        return next((one for one in records if one["requestID"] == request_id), None)

    record = eventually(find)
    assert response["Error"]["Code"] == code
    assert record["errorCode"] == error
    assert record["errorMessage"] == response["Error"]["Message"]
    assert record["requestParameters"] == recorded(parameters)
    assert record["responseElements"] is None


def test_no_record_holds_a_secret(journal):
    shown = json.dumps(list(journal.records().values()))
    assert "secretAccessKey" not in shown and "SecretAccessKey" not in shown
