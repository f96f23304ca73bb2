"""A4: every operation, twelve kinds of caller, twelve shapes of policy, against a second table.

A call that is allowed passes to its handler, whatever that answers; a call that is denied says so
and is recorded.
"""

import configparser
import http.client
import json
import subprocess
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
    needs,
    nothing,
    statement,
)
from conftest import ServerFactory
from harness.calls import Caller, CallLedger
from harness.oracle import Oracle
from harness.preload import compiled
from harness.raw_http import address
from harness.results import record
from harness.server import ACCOUNT
from harness.signature import Credentials, Request, Scope, sign
from harness.waiting import eventually

DENIED = {"AccessDeniedException", "AccessDenied"}
UNAUTHENTICATED = {
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
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
class CallerOfMatrix:
    """Credentials and the layers of policies that decide for them; None: not authenticated."""

    kind: str
    shape: str
    credentials: Credentials | None
    layers: tuple | None
    #: Of another account: what a request names of ours needs our consent too, which nothing gives.
    is_foreign: bool = False

    def is_allowed(self, name: str) -> bool:
        """What the second table says."""
        given = json.dumps(OPERATIONS[name].parameters)
        named = [resource for _, resource in needs(name) if resource in given]
        # PutAuditEvents names its channel in the query.
        names_ours = name == "PutAuditEvents" or any(f":{ACCOUNT}:" in arn for arn in named)
        return allowed(name, *self.layers) and not (self.is_foreign and names_ours)


OTHER_ACCOUNT = "222233334444"
#: Sessions of the shortest life, given out by a server whose clock is so far behind, have ended.
BEHIND_SECONDS = -1_000
LIFE_SECONDS = "900"


@dataclass(frozen=True)
class Row:
    """One shape of policy: what the caller holds, and the layers above it, if it has any."""

    name: str
    shape: Shape
    boundary: str | None = None
    session_policy: dict | None = None
    above: tuple = ()


LISTS_ONLY = document(statement("Allow", Action="cloudtrail:List*", Resource="*"))
LISTS = Shape({}, lambda action, resource: action.startswith("cloudtrail:List"))
WHOLE = IDENTITY_SHAPES["allow"]
MANAGED = "arn:aws:iam::aws:policy/"
ROWS = [
    *(Row(name, shape) for name, shape in IDENTITY_SHAPES.items()),
    Row(
        "permissions boundary",
        WHOLE,
        boundary=MANAGED + "AWSCloudTrail_ReadOnlyAccess",
        above=((READ_ONLY,),),
    ),
    Row("session policy", WHOLE, session_policy=LISTS_ONLY, above=((LISTS,),)),
]


@pytest.fixture(scope="module")
def patient_server(binary, tmp_path_factory):
    """A server without a limit of calls per principal, on which sessions have expired already."""
    folder = tmp_path_factory.mktemp("matrix")
    factory = ServerFactory(binary, folder)
    limits = {"CAIRN_API_REQUESTS_PER_SECOND": "100000", "CAIRN_API_REQUESTS_BURST": "100000"}
    behind = {
        "LD_PRELOAD": str(compiled("clock_shim", folder)),
        "CLOCK_SHIM_SECONDS": str(BEHIND_SECONDS),
    }
    running = factory.start(environment=limits | behind)
    running.expired = {row.name: ended_session(running, row) for row in ROWS}
    assert running.stop() == 0
    running.settings.environment = limits
    running.restart()
    yield running
    assert running.stop() == 0
    assert running.error_lines() == []


def ended_session(server, row: Row) -> Credentials:
    """A session of a role with this shape, made while the server's clock was behind."""
    caller = Caller(server.endpoint, server.credentials, CallLedger())
    caller.clock_seconds = BEHIND_SECONDS
    name = f"a4-{uuid.uuid4().hex[:10]}"
    extra = {"PermissionsBoundary": row.boundary} if row.boundary else {}
    trust = json.dumps(trust_of(ACCOUNT))
    caller.query("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **extra)
    policy = {"PolicyName": "p", "PolicyDocument": json.dumps(row.shape.document)}
    caller.query("iam", "PutRolePolicy", RoleName=name, **policy)
    extra = {"Policy": json.dumps(row.session_policy)} if row.session_policy else {}
    role = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RoleSessionName": "ended"}
    answer = caller.query("sts", "AssumeRole", DurationSeconds=LIFE_SECONDS, **role, **extra)
    caller.close()
    found = [
        answer.split(f"<{part}>".encode())[1].split(b"<")[0].decode()
        for part in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    ]
    return Credentials(*found)


def trust_of(account: str) -> dict:
    """Lets the account's administrator become the role."""
    admin = {"AWS": f"arn:aws:iam::{account}:user/admin"}
    return document(statement("Allow", Principal=admin, Action="sts:AssumeRole"))


@pytest.fixture(scope="module")
def other_account(patient_server) -> Credentials:
    """The administrator of a second account."""
    command = [patient_server.settings.binary, "identity"]
    command += ["--endpoint", patient_server.endpoint]
    command += ["account", "create", OTHER_ACCOUNT, "--name", "other"]
    environment = patient_server.aws_environment()
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    files = configparser.ConfigParser()
    files.read_string(made.stdout[made.stdout.index("[") :])
    section = files[files.sections()[0]]
    return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])


class Identities:
    """Makes users, roles and sessions of one account through IAM and STS."""

    def __init__(self, server, administrator: Credentials | None = None, account: str = ACCOUNT):
        self.iam = server.client("iam", administrator)
        self.sts = server.client("sts", administrator)
        self.account = account

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
            self.iam.attach_user_policy(UserName=name, PolicyArn=MANAGED + managed)
        return name, self.key(name)

    def key(self, name: str) -> Credentials:
        """A new access key of the user."""
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def session(self, row: Row, *policies: dict, managed: str | None = None) -> Credentials:
        """A session of a role with these policies, under the row's boundary and session policy."""
        name = f"a4-{uuid.uuid4().hex[:10]}"
        extra = {"PermissionsBoundary": row.boundary} if row.boundary else {}
        trust = json.dumps(trust_of(self.account))
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **extra)
        for index, policy in enumerate(policies):
            self.iam.put_role_policy(
                RoleName=name, PolicyName=f"p{index}", PolicyDocument=json.dumps(policy)
            )
        if managed:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=MANAGED + managed)
        extra = {"Policy": json.dumps(row.session_policy)} if row.session_policy else {}
        given = self.sts.assume_role(
            RoleArn=role["Role"]["Arn"], RoleSessionName="matrix", **extra
        )["Credentials"]
        return Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )

    def principal(self, row: Row, *policies: dict, managed: str | None = None) -> Credentials:
        """A user, or a session where the row has a session policy."""
        if row.session_policy:
            return self.session(row, *policies, managed=managed)
        return self.user(*policies, managed=managed, boundary=row.boundary)[1]


def callers_of(
    row: Row, own: Identities, other: Identities, ended: Credentials
) -> list[CallerOfMatrix]:
    """Every kind of caller for one shape."""
    given = row.shape.document
    user, _ = own.user(given, boundary=row.boundary)
    disabled = own.key(user)
    own.iam.update_access_key(
        UserName=user, AccessKeyId=disabled.access_key_id, Status="Inactive"
    )
    session = own.session(row, given)
    damaged = Credentials(
        session.access_key_id,
        session.secret_access_key,
        (session.session_token or "")[:-6] + "AAAAAA",
    )
    unknown = Credentials("AKIAUNKNOWNUNKNOWN00", "x" * 40)

    def caller(kind: str, credentials: Credentials, *layer: Shape) -> CallerOfMatrix:
        return CallerOfMatrix(kind, row.name, credentials, (layer, *row.above))

    return [
        CallerOfMatrix("none", row.name, None, None),
        CallerOfMatrix("unknown key", row.name, unknown, None),
        CallerOfMatrix("disabled key", row.name, disabled, None),
        CallerOfMatrix("damaged session", row.name, damaged, None),
        CallerOfMatrix("expired session", row.name, ended, None),
        caller("no policy", own.principal(row)),
        CallerOfMatrix(
            "other account",
            row.name,
            other.principal(row, given),
            ((row.shape,), *row.above),
            is_foreign=True,
        ),
        caller("wrong resource", own.principal(row, WRONG_RESOURCE.document), WRONG_RESOURCE),
        caller("the shape alone", own.principal(row, given), row.shape),
        caller("role session", session, row.shape),
        caller(
            "administrator",
            own.principal(row, given, managed="AdministratorAccess"),
            row.shape,
            FULL,
        ),
        caller(
            "read-only",
            own.principal(row, given, managed="AWSCloudTrail_ReadOnlyAccess"),
            row.shape,
            READ_ONLY,
        ),
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


def judge(caller: CallerOfMatrix, name: str, status: int, code: str) -> str | None:
    """What is wrong with an answer, or None."""
    if status >= 500:
        verdict = "a server error"
    elif caller.layers is None:
        verdict = None if code in UNAUTHENTICATED else "authentication passed"
    elif caller.is_allowed(name):
        verdict = "denied" if code in DENIED or code in UNAUTHENTICATED else None
    else:
        verdict = None if code in DENIED else "allowed"
    return verdict and f"{verdict}: {name} by {caller.kind}, {caller.shape}: {status} {code}"


def unrecorded(server, denied: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The denied calls, by access key and operation, that the history does not tell of."""
    told = set()
    for stored in Oracle(server.data_dir).events():
        event = json.loads(stored.json)
        if event.get("errorCode", "").startswith("AccessDenied"):
            told.add((event["userIdentity"].get("accessKeyId"), event["eventName"]))
    return denied - told


# Proves: A4, R20, R21
def test_every_cell_is_as_the_second_table_says(patient_server, other_account):
    own = Identities(patient_server)
    other = Identities(patient_server, other_account, OTHER_ACCOUNT)
    callers = []
    for row in ROWS:
        callers += callers_of(row, own, other, patient_server.expired[row.name])

    def run(caller: CallerOfMatrix) -> list[str]:
        channel = Channel(patient_server)
        found = (
            judge(caller, name, *channel.call(name, caller.credentials)) for name in OPERATIONS
        )
        return [problem for problem in found if problem]

    with ThreadPoolExecutor(THREADS) as pool:
        mismatches = [problem for problems in pool.map(run, callers) for problem in problems]
    cells = len(callers) * len(OPERATIONS)
    assert mismatches == [], f"{len(mismatches)} of {cells} cells"
    # What PutAuditEvents would write are data events, which the history does not keep.
    denied = {
        (caller.credentials.access_key_id, name)
        for caller in callers
        for name in OPERATIONS
        if caller.layers is not None and not caller.is_allowed(name) and name != "PutAuditEvents"
    }
    eventually(lambda: not unrecorded(patient_server, denied), 30, "the record of denied calls")
    figures = {"mismatches": 0, "denied calls, all recorded": len(denied)}
    record("A4", runs=cells, figures=figures)


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
