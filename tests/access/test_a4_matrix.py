"""A4: every operation, nine kinds of caller, twelve shapes of policy, against a second table.

A call that is allowed passes to its handler, whatever that answers; a call that is denied says so,
changes nothing and is recorded.
"""

import http.client
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import boto3.session
import botocore.exceptions
import pytest

from authorization_table import (
    CHANNEL,
    IDENTITY_SHAPES,
    OPERATIONS,
    Shape,
    allowed,
    document,
    everything,
    is_read,
    nothing,
    statement,
)
from conftest import ServerFactory
from harness.raw_http import address
from harness.results import record
from harness.server import ACCOUNT
from harness.signature import Credentials, Request, Scope, sign

DENIED = {"AccessDeniedException", "AccessDenied"}
UNAUTHENTICATED = {
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "InvalidClientTokenId",
}
THREADS = 4
READ_ONLY = Shape({}, lambda action, resource: is_read(action))
FULL = Shape({}, everything)
WRONG_RESOURCE = Shape(
    document(
        statement(
            "Allow",
            Action="*",
            Resource="arn:aws:cloudtrail:us-east-1:123456789012:trail/another-one",
        )
    ),
    nothing,
)


@dataclass(frozen=True)
class Caller:
    """Credentials and the layers of policies that decide for them; None: not authenticated."""

    kind: str
    shape: str
    credentials: Credentials | None
    layers: tuple | None


@pytest.fixture(scope="module")
def patient_server(binary, tmp_path_factory):
    """A server without a limit of calls per principal."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("matrix"))
    limits = {"CAIRN_API_REQUESTS_PER_SECOND": "100000", "CAIRN_API_REQUESTS_BURST": "100000"}
    running = factory.start(environment=limits)
    yield running
    assert running.stop() == 0
    assert running.error_lines() == []


class Identities:
    """Makes users, roles and sessions through IAM and STS."""

    def __init__(self, server):
        self.server = server
        self.iam = server.client("iam")

    def user(self, *policies: dict, managed: str | None = None, boundary: str | None = None):
        """A user with inline policies; returns its name and key."""
        name = f"a4-{uuid.uuid4().hex[:10]}"
        extra = {"PermissionsBoundary": boundary} if boundary else {}
        self.iam.create_user(UserName=name, **extra)
        for index, policy in enumerate(policies):
            self.iam.put_user_policy(
                UserName=name, PolicyName=f"p{index}", PolicyDocument=json.dumps(policy)
            )
        if managed:
            self.iam.attach_user_policy(UserName=name, PolicyArn=managed)
        return name, self.key(name)

    def key(self, name: str) -> Credentials:
        """A new access key of the user."""
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def session(self, policy: dict, session_policy: dict | None = None) -> Credentials:
        """A session of a role with this policy."""
        name = f"a4-{uuid.uuid4().hex[:10]}"
        trust = document(
            statement(
                "Allow",
                Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/admin"},
                Action="sts:AssumeRole",
            )
        )
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy)
        )
        extra = {"Policy": json.dumps(session_policy)} if session_policy else {}
        given = self.server.client("sts").assume_role(
            RoleArn=role["Role"]["Arn"], RoleSessionName="matrix", **extra
        )["Credentials"]
        return Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )


def callers_of_shape(identities: Identities, name: str, shape: Shape) -> list[Caller]:
    """The nine kinds of caller for one policy shape."""
    user, key = identities.user(shape.document)
    disabled = identities.key(user)
    identities.iam.update_access_key(
        UserName=user, AccessKeyId=disabled.access_key_id, Status="Inactive"
    )
    session = identities.session(shape.document)
    damaged = Credentials(
        session.access_key_id,
        session.secret_access_key,
        (session.session_token or "")[:-6] + "AAAAAA",
    )
    _, bare = identities.user()
    _, wrong = identities.user(WRONG_RESOURCE.document)
    _, reader = identities.user(
        shape.document, managed="arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"
    )
    _, admin = identities.user(
        shape.document, managed="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    return [
        Caller("none", name, None, None),
        Caller("unknown key", name, Credentials("AKIAUNKNOWNUNKNOWN00", "x" * 40), None),
        Caller("disabled key", name, disabled, None),
        Caller("damaged session", name, damaged, None),
        Caller("no policy", name, bare, ((),)),
        Caller("wrong resource", name, wrong, ((WRONG_RESOURCE,),)),
        Caller("the shape alone", name, key, ((shape,),)),
        Caller("role session", name, session, ((shape,),)),
        Caller("administrator", name, admin, ((shape, FULL),)),
        Caller("read-only", name, reader, ((shape, READ_ONLY),)),
    ]


def callers_of_layers(identities: Identities) -> list[Caller]:
    """Boundary and session policy: the shapes that need a second layer."""
    whole = IDENTITY_SHAPES["allow"].document
    _, bounded = identities.user(
        whole, boundary="arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"
    )
    lists_only = document(statement("Allow", Action="cloudtrail:List*", Resource="*"))
    session = identities.session(whole, session_policy=lists_only)
    lists = Shape({}, lambda action, resource: action.startswith("cloudtrail:List"))
    return [
        Caller("the shape alone", "permissions boundary", bounded, ((FULL,), (READ_ONLY,))),
        Caller("the shape alone", "session policy", session, ((FULL,), (lists,))),
    ]


class Channel:
    """A kept connection that sends any operation for any caller."""

    def __init__(self, server):
        self.host, self.port = address(server.endpoint)
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=30)

    def call(self, name: str, credentials: Credentials | None) -> tuple[int, str]:
        """Status and error code of one call."""
        need = OPERATIONS[name]
        body = json.dumps(need.parameters).encode()
        headers = [("Host", f"{self.host}:{self.port}")]
        path, query = "/", ""
        if need.service == "cloudtrail-data":
            path, query = "/PutAuditEvents", "channelArn=" + CHANNEL.replace(":", "%3A").replace(
                "/", "%2F"
            )
            headers.append(("Content-Type", "application/json"))
        else:
            headers.append(("Content-Type", "application/x-amz-json-1.1"))
            headers.append(("X-Amz-Target", f"CloudTrail_20131101.{name}"))
        request = Request("POST", path, query, headers, body)
        if credentials is not None:
            sign(request, credentials, Scope(service=need.service))
        sent = {key: value for key, value in request.headers if key != "Host"}
        self.connection.request("POST", request.target, body, sent)
        answer = self.connection.getresponse()
        data = answer.read()
        kind = answer.headers.get("x-amzn-errortype") or ""
        if not kind and data[:1] == b"{":
            kind = json.loads(data).get("__type", "")
        return answer.status, kind.split("#")[-1].split(":")[0]


def judge(caller: Caller, name: str, status: int, code: str) -> str | None:
    """What is wrong with an answer, or None."""
    if status >= 500:
        verdict = "a server error"
    elif caller.layers is None:
        verdict = None if code in UNAUTHENTICATED else "authentication passed"
    elif allowed(name, *caller.layers):
        verdict = "denied" if code in DENIED or code in UNAUTHENTICATED else None
    else:
        verdict = None if code in DENIED else "allowed"
    return verdict and f"{verdict}: {name} by {caller.kind}, {caller.shape}: {status} {code}"


# Proves: A4, R20
def test_every_cell_is_as_the_second_table_says(patient_server):
    identities = Identities(patient_server)
    callers = callers_of_layers(identities)
    for name, shape in IDENTITY_SHAPES.items():
        callers += callers_of_shape(identities, name, shape)
    identities_before = everything_that_exists(identities)

    def run(caller: Caller) -> list[str]:
        channel = Channel(patient_server)
        found = (
            judge(caller, name, *channel.call(name, caller.credentials)) for name in OPERATIONS
        )
        return [problem for problem in found if problem]

    with ThreadPoolExecutor(THREADS) as pool:
        mismatches = [problem for problems in pool.map(run, callers) for problem in problems]
    cells = len(callers) * len(OPERATIONS)
    assert mismatches == [], f"{len(mismatches)} of {cells} cells"
    assert everything_that_exists(identities) == identities_before
    record("A4", runs=cells, figures={"mismatches": 0})


def everything_that_exists(identities: Identities) -> tuple:
    """The control plane's state, to see that denied calls change nothing."""
    users = identities.iam.get_paginator("list_users").paginate()
    roles = identities.iam.get_paginator("list_roles").paginate()
    return (
        sorted(user["Arn"] for page in users for user in page["Users"]),
        sorted(role["Arn"] for page in roles for role in page["Roles"]),
    )


def test_the_table_knows_every_operation():
    models = boto3.session.Session()
    known = set()
    for service in ("cloudtrail", "cloudtrail-data"):
        client = models.client(service, region_name="us-east-1", aws_access_key_id="x",
                               aws_secret_access_key="x")
        known |= set(client.meta.service_model.operation_names)
    assert known == set(OPERATIONS)


# Proves: A4
def test_a_policy_with_duplicate_members_is_refused_when_it_is_written(patient_server):
    iam = patient_server.client("iam")
    name, _ = Identities(patient_server).user()
    for text in (
        '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Effect":"Allow",'
        '"Action":"*","Resource":"*"}]}',
    ):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
        assert refused.value.response["Error"]["Code"] == "MalformedPolicyDocument"
