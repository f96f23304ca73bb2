"""One bucket for the trails of several accounts: who may write where, who may read what, and which
account's trail gets the events of an object that several accounts use."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import ServerFactory
from harness.accounts import administer, as_environment, create_account
from harness.events import EventMaker
from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from harness.trail_stand import DELIVERED_SECONDS, TIMES, TrailStand
from harness.trails import bucket_policy, trail_arn
from harness.waiting import eventually

#: The second account's ID begins with zeroes, which belong to it.
SECOND, THIRD = "000011112222", "222233334444"
BUCKET = "everybodys-logs"


def objects(arn: str) -> list[dict]:
    """A basic selector of all management events, and of objects by the beginning of their ARN."""
    resources = [{"Type": "AWS::S3::Object", "Values": [arn]}]
    return [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": resources}]


class Accounts:
    """The owner of the buckets and two more accounts, by their administrators."""

    def __init__(self, server):
        self.server = server
        self.stand = TrailStand(server)
        self.keys = {ACCOUNT: server.credentials}
        self.keys |= {account: create_account(server, account) for account in (SECOND, THIRD)}

    def client(self, service: str, account: str):
        """A client of the account's administrator."""
        return self.server.client(service, self.keys[account])

    def aws(self, account: str, *arguments: str, check: bool = True):
        """A command of the AWS CLI in the account."""
        environment = as_environment(self.keys[account])
        return self.server.aws(*arguments, check=check, **environment)

    def user(self, account: str, name: str, *statements: dict) -> Credentials:
        """A user with an inline policy."""
        iam = self.client("iam", account)
        iam.create_user(UserName=name)
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def accounts(binary, tmp_path_factory):
    """One server for all tests here."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("accounts"))
    yield Accounts(factory.start(environment=TIMES | {"CAIRN_TRAILS_DIGEST_INTERVAL": "2s"}))
    factory.close()


@pytest.fixture(scope="module")
def shared(accounts) -> dict[str, str]:
    """A bucket with log files of three accounts; the ID of one event of each."""
    stand = accounts.stand
    arns = {account: trail_arn("account-trail", REGION, account) for account in accounts.keys}
    create = (
        "cloudtrail", "create-trail", "--name", "account-trail", "--s3-bucket-name", BUCKET,
        "--is-multi-region-trail",
    )  # fmt: skip
    # First the owner's trail, then the policy for the others, then theirs.
    stand.make_bucket(BUCKET, arns[ACCOUNT])
    accounts.aws(ACCOUNT, *create, "--enable-log-file-validation")
    early = accounts.aws(SECOND, *create, check=False)
    assert "(InsufficientS3BucketPolicyException)" in early.stderr
    policy = bucket_policy(BUCKET, list(arns.values()), accounts=tuple(arns))
    stand.store.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    elsewhere = accounts.aws(SECOND, *create, "--s3-key-prefix", "mine", check=False)
    assert "(InsufficientS3BucketPolicyException)" in elsewhere.stderr
    for account in (SECOND, THIRD):
        assert json.loads(accounts.aws(account, *create).stdout) == {
            "IncludeGlobalServiceEvents": True,
            "Name": "account-trail",
            "TrailARN": arns[account],
            "LogFileValidationEnabled": False,
            "IsMultiRegionTrail": True,
            "IsOrganizationTrail": False,
            "S3BucketName": BUCKET,
        }
    accounts.client("cloudtrail", SECOND).update_trail(
        Name="account-trail", EnableLogFileValidation=True
    )
    sent = {}
    for number, (account, keys) in enumerate(accounts.keys.items()):
        accounts.aws(account, "cloudtrail", "start-logging", "--name", "account-trail")
        event = EventMaker(900 + number, account=account).event()
        stand.send([event], keys)
        sent[account] = event["eventID"]
    stand.settle()
    return sent


# Proves: REC-201, REC-203, REC-204, REC-205, REC-208, REC-209, REC-210, REC-211, TRL-004
def test_each_account_has_a_folder_of_its_own(accounts, shared):
    records = accounts.stand.records(BUCKET)
    assert len(shared) == 3
    for account, event_id in shared.items():
        own = [record for record in records if record["recipientAccountId"] == account]
        assert event_id in {record["eventID"] for record in own}
    keys = accounts.stand.keys(BUCKET)
    assert {key.split("/")[1] for key in keys} == set(shared)
    for account in shared:
        folder = f"AWSLogs/{account}/CloudTrail/{REGION}/"
        files = [key.removeprefix(folder) for key in keys if key.startswith(folder)]
        assert files and all(f"/{account}_CloudTrail_{REGION}_" in name for name in files)


# Proves: REC-236, REC-237
def test_digests_lie_beside_the_log_files_of_their_account(accounts, shared):
    stand = accounts.stand

    def folders() -> set[tuple[str, str]]:
        return {tuple(key.split("/")[1:3]) for key in stand.keys(BUCKET, "/AWSLogs/"[1:])}

    wanted = {(account, "CloudTrail") for account in shared}
    wanted |= {(account, "CloudTrail-Digest") for account in (ACCOUNT, SECOND)}
    eventually(lambda: folders() >= wanted, DELIVERED_SECONDS, "digests")
    assert folders() == wanted, "the third account did not ask for any"


def trusting(account: str, **condition) -> str:
    """A role's trust policy that names an account."""
    statement = {
        "Sid": "",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "sts:AssumeRole",
    }
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def reading(what: str) -> str:
    """A policy that lets log files be read."""
    statement = {
        "Effect": "Allow",
        "Action": ["s3:Get*", "s3:List*"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/{what}", f"arn:aws:s3:::{BUCKET}"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(accounts, name: str, trust: str, policy: str) -> str:
    """A role of the bucket's owner; its ARN."""
    iam = accounts.client("iam", ACCOUNT)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=policy)
    return role["Arn"]


def assume(accounts, caller: Credentials, role: str, **more: str) -> Credentials:
    """A session of the role."""
    client = accounts.server.client("sts", caller)
    given = client.assume_role(RoleArn=role, RoleSessionName="reading", **more)["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def denied(call, **arguments) -> bool:
    """Whether the call is refused for want of a permission, or because its key counts no more."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    code = refused.value.response["Error"]["Code"]
    dead = {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"}
    assert code in dead | {"AccessDenied"}, code
    return True


def readable(store, keys: list[str]) -> set[str]:
    """Of which accounts the log files can be read."""
    found = set()
    for key in keys:
        try:
            assert store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            found.add(key.split("/")[1])
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "AccessDenied"
    return found


# Proves: REC-216, REC-219, REC-220, REC-223, REC-224, REC-226
def test_an_account_reads_its_own_log_files_by_a_role(accounts, shared):
    policy = reading(f"AWSLogs/{SECOND}/*")
    role = make_role(accounts, "SecondReader", trusting(SECOND), policy)
    may_assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    reader = accounts.user(SECOND, "reader", may_assume)
    other = accounts.user(SECOND, "other")
    stranger = accounts.user(THIRD, "stranger", may_assume)
    for caller in (other, stranger):
        client = accounts.server.client("sts", caller)
        assert denied(client.assume_role, RoleArn=role, RoleSessionName="reading")
    keys = accounts.stand.keys(BUCKET)
    assert readable(accounts.server.client("s3", reader), keys) == set(), "not without the role"
    store = accounts.server.client("s3", assume(accounts, reader, role))
    listed = store.list_objects_v2(Bucket=BUCKET, Prefix=f"AWSLogs/{SECOND}/")
    assert listed["KeyCount"] > 0
    assert readable(store, keys) == {SECOND}
    own = next(key for key in keys if f"/{SECOND}/" in key)
    assert denied(store.put_object, Bucket=BUCKET, Key=own, Body=b"")
    assert denied(store.delete_object, Bucket=BUCKET, Key=own)
    # The role's end is the end of sharing, for sessions that are open too.
    iam = accounts.client("iam", ACCOUNT)
    iam.delete_role_policy(RoleName="SecondReader", PolicyName="read")
    iam.delete_role(RoleName="SecondReader")
    client = accounts.server.client("sts", reader)
    assert denied(client.assume_role, RoleArn=role, RoleSessionName="reading")
    assert denied(store.get_object, Bucket=BUCKET, Key=own)


# Proves: REC-216, REC-218, REC-221, REC-222
def test_a_third_party_reads_all_log_files_by_its_external_id(accounts, shared):
    condition = {"StringEquals": {"sts:ExternalId": "contract-17"}}
    trust = trusting(THIRD, **condition)
    role = make_role(accounts, "Auditor", trust, reading("*"))
    may_assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    auditor = accounts.user(THIRD, "auditor", may_assume)
    client = accounts.server.client("sts", auditor)
    for more in ({}, {"ExternalId": "contract-18"}):
        assert denied(client.assume_role, RoleArn=role, RoleSessionName="reading", **more)
    session = assume(accounts, auditor, role, ExternalId="contract-17")
    store = accounts.server.client("s3", session)
    keys = accounts.stand.keys(BUCKET)
    assert readable(store, keys) == {ACCOUNT, SECOND, THIRD}
    assert denied(store.delete_object, Bucket=BUCKET, Key=keys[0])


# Proves: REC-215
def test_an_account_reads_its_own_log_files_by_the_buckets_policy(accounts, shared):
    stand = accounts.stand
    kept = stand.store.get_bucket_policy(Bucket=BUCKET)["Policy"]
    document = json.loads(kept)
    document["Statement"].append(
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{SECOND}:root"},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/AWSLogs/{SECOND}/*",
        }
    )
    keys = stand.keys(BUCKET)
    store = accounts.client("s3", SECOND)
    assert readable(store, keys) == set()
    stand.store.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document))
    assert readable(store, keys) == {SECOND}
    stand.store.put_bucket_policy(Bucket=BUCKET, Policy=kept)


def object_events(stand, bucket: str) -> set[tuple[str, str, str]]:
    """Caller's account, name and key of the events of a bucket's objects in log files."""
    return {
        (
            record["userIdentity"]["accountId"],
            record["eventName"],
            record["requestParameters"]["key"],
        )
        for record in stand.records(bucket)
        if record["eventSource"] == "s3.amazonaws.com"
        and (record["requestParameters"] or {}).get("bucketName") == "owners-bucket"
        and "key" in record["requestParameters"]
    }


# Proves: SEL-129, SEL-130, SEL-131, SEL-132, SEL-133, SEL-134, SEL-135
def test_the_owner_and_the_caller_get_the_events_of_an_object(accounts):
    stand = accounts.stand
    owner, bob, mary = ACCOUNT, SECOND, THIRD
    buckets = {owner: "owner-logs", bob: "bob-logs", mary: "mary-logs"}
    # Bob names the one bucket; the others take all buckets, those that are made later as well.
    selected = {bob: "arn:aws:s3:::owners-bucket/"}
    for account, bucket in buckets.items():
        arn = trail_arn("object-trail", REGION, account)
        stand.make_bucket(bucket, arn, accounts=(account,))
        trails = accounts.client("cloudtrail", account)
        trails.create_trail(Name="object-trail", S3BucketName=bucket)
        selectors = objects(selected.get(account, "arn:aws:s3:::"))
        trails.put_event_selectors(TrailName="object-trail", EventSelectors=selectors)
        trails.start_logging(Name="object-trail")
    stand.settle()
    stand.store.create_bucket(Bucket="owners-bucket")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in (bob, mary)]},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::owners-bucket/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stand.store.put_bucket_policy(Bucket="owners-bucket", Policy=policy)
    stand.store.put_object(Bucket="owners-bucket", Key="owners", Body=b"1")
    accounts.client("s3", bob).put_object(Bucket="owners-bucket", Key="bobs", Body=b"2")
    accounts.client("s3", mary).get_object(Bucket="owners-bucket", Key="owners")
    stand.settle()
    by_owner = (owner, "PutObject", "owners")
    by_bob = (bob, "PutObject", "bobs")
    by_mary = (mary, "GetObject", "owners")
    assert {account: object_events(stand, bucket) for account, bucket in buckets.items()} == {
        owner: {by_owner, by_bob, by_mary},
        bob: {by_bob},
        mary: {by_mary},
    }


# Proves: TRL-283, TRL-287, TRL-289
def test_a_trail_outlives_its_account(accounts):
    stand, closing, bucket = accounts.stand, "333344445555", "outliving-logs"
    keys = create_account(accounts.server, closing)
    arn = trail_arn("outliving", REGION, closing)
    stand.make_bucket(bucket, arn, accounts=(closing,))
    policy = stand.store.get_bucket_policy(Bucket=bucket)["Policy"]
    trails = accounts.server.client("cloudtrail", keys)
    trails.create_trail(Name="outliving", S3BucketName=bucket, EnableLogFileValidation=True)
    trails.start_logging(Name="outliving")
    stand.store.delete_bucket_policy(Bucket=bucket)
    event = EventMaker(990, account=closing).event()
    stand.send([event], keys)
    status = lambda: trails.get_trail_status(Name="outliving")  # noqa: E731
    eventually(lambda: "LatestDeliveryError" in status(), DELIVERED_SECONDS, "a failed delivery")
    administer(accounts.server, "account", "disable", closing)
    assert denied(trails.get_trail_status, Name="outliving")
    stand.store.put_bucket_policy(Bucket=bucket, Policy=policy)
    stand.settle()
    assert event["eventID"] in stand.ids(bucket)
    folder = "/CloudTrail-Digest/"
    count = len(stand.keys(bucket, folder))
    more = lambda: len(stand.keys(bucket, folder)) >= count + 2  # noqa: E731
    eventually(more, DELIVERED_SECONDS, "digests as before")
    files = set(stand.keys(bucket))
    whole = lambda: set(stand.journey.listed(bucket)) >= files  # noqa: E731
    eventually(whole, DELIVERED_SECONDS, "all in digests")
