"""Objects and trails encrypted with KMS keys, through boto3 and the AWS CLI: keys of this node, and
keys of a configured KMS, which moto's server plays."""

import base64
import gzip
import json
import os
from datetime import datetime, timedelta, timezone

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from harness.accounts import create_account
from harness.moto import Moto, write_credentials
from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

#: A file is due two seconds after its event, a digest six seconds after the one before.
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "2s", "CAIRN_TRAILS_DIGEST_INTERVAL": "6s"}
DELIVERED_SECONDS = 60.0
TEXT = b"the quick brown fox jumps over the lazy dog" * 2000
MIB = 1024 * 1024
TRAIL = "sealed"
OTHER = "333344445555"


class Place:
    """A server, and whoever keeps its KMS keys."""

    def __init__(self, server, kms, is_own: bool):
        self.server = server
        self.kms = kms
        self.is_own = is_own
        self.s3 = server.client("s3")

    def new_key(self, alias: str) -> str:
        """A key with an alias, which administrators and their policies decide on; its ARN."""
        key = self.kms.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
        self.kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        return key["Arn"]

    def user(self, name: str, *statements: dict) -> Credentials:
        """A user who may do what the statements say."""
        iam = self.server.client("iam")
        iam.create_user(UserName=name)
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(
            UserName=name, PolicyName="own", PolicyDocument=json.dumps(document)
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def lies_nowhere(self, text: bytes) -> None:
        """Nothing of the buckets' files holds the text."""
        bodies = [path for path in (self.server.data_dir / "buckets").rglob("*") if path.is_file()]
        assert bodies
        for path in bodies:
            assert text not in path.read_bytes(), path


@pytest.fixture(params=["own", "configured"])
def place(request, servers, tmp_path):
    if request.param == "own":
        server = servers.start(environment=TIMES)
        yield Place(server, server.client("kms"), True)
        return
    moto = Moto(tmp_path / "moto").start()
    environment = TIMES | {
        "CAIRN_ENDPOINTS_KMS": f"{REGION}={moto.endpoint}",
        "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(write_credentials(tmp_path / "keys", "kms")),
    }
    yield Place(servers.start(environment=environment), moto.client("kms"), False)
    moto.stop()


def allow(*actions: str, resource: str = "*") -> dict:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def refused(call, **arguments) -> tuple[str, int]:
    """Code and status of a call that must fail."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def told(answer: dict) -> tuple[str, str | None]:
    return answer["ServerSideEncryption"], answer.get("SSEKMSKeyId")


# Proves: SEC-319, SEC-357, SEC-361, SEC-371, SEC-378
def test_objects_under_a_key(place, tmp_path):
    s3, arn = place.s3, place.new_key("alias/objects")
    s3.create_bucket(Bucket="sealed-objects")
    key_id = arn.rpartition("/")[2]
    alias_arn = arn.replace(f"key/{key_id}", "alias/objects")
    for name in ("alias/objects", alias_arn, key_id, arn):
        put = s3.put_object(
            Bucket="sealed-objects", Key="k", Body=TEXT,
            ServerSideEncryption="aws:kms", SSEKMSKeyId=name,
        )  # fmt: skip
        assert told(put) == ("aws:kms", arn)
    got = s3.get_object(Bucket="sealed-objects", Key="k")
    assert (told(got), got["Body"].read()) == (("aws:kms", arn), TEXT)
    assert told(s3.head_object(Bucket="sealed-objects", Key="k")) == ("aws:kms", arn)
    part = s3.get_object(Bucket="sealed-objects", Key="k", Range="bytes=65530-65580")
    assert part["Body"].read() == TEXT[65530:65581]
    context = base64.b64encode(b'{"team":"blue"}').decode()
    s3.put_object(
        Bucket="sealed-objects", Key="context", Body=TEXT, ServerSideEncryption="aws:kms",
        SSEKMSKeyId=arn, SSEKMSEncryptionContext=context,
    )  # fmt: skip
    assert s3.get_object(Bucket="sealed-objects", Key="context")["Body"].read() == TEXT
    source = {"Bucket": "sealed-objects", "Key": "k"}
    plain = s3.copy_object(Bucket="sealed-objects", Key="plain", CopySource=source)
    assert told(plain) == ("AES256", None)
    again = s3.copy_object(
        Bucket="sealed-objects", Key="again", CopySource=source | {"Key": "plain"},
        ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/objects",
    )  # fmt: skip
    assert told(again) == ("aws:kms", arn)
    body, file = os.urandom(12 * MIB), tmp_path / "large"
    file.write_bytes(body)
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    s3.upload_file(str(file), "sealed-objects", "large", ExtraArgs=extra, Config=parts)
    got = s3.get_object(Bucket="sealed-objects", Key="large")
    assert (told(got), got["Body"].read()) == (("aws:kms", arn), body)
    place.lies_nowhere(b"quick brown fox")
    missing = arn.replace(key_id, "00000000-0000-0000-0000-000000000000")
    for name in (missing, "alias/none", arn.replace(REGION, "eu-west-1"), "no key"):
        answer = refused(
            s3.put_object, Bucket="sealed-objects", Key="no", Body=b"1",
            ServerSideEncryption="aws:kms", SSEKMSKeyId=name,
        )  # fmt: skip
        assert answer == ("KMS.NotFoundException", 400), name


def test_the_aws_cli_encrypts_by_request_and_by_default(place, tmp_path):
    arn = place.new_key("alias/cli")
    aws = place.server.aws
    aws("s3", "mb", "s3://by-cli")
    file = tmp_path / "file"
    file.write_bytes(TEXT)
    aws("s3", "cp", str(file), "s3://by-cli/a", "--sse", "aws:kms", "--sse-kms-key-id", arn)
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/cli"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
    put = ("s3api", "put-bucket-encryption", "--bucket", "by-cli")
    aws(*put, "--server-side-encryption-configuration", json.dumps(rules))
    set_now = aws("s3api", "get-bucket-encryption", "--bucket", "by-cli").stdout
    stored = json.loads(set_now)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert stored["ApplyServerSideEncryptionByDefault"] == rule
    rules["Rules"][0]["BucketKeyEnabled"] = True
    wanted = ("--server-side-encryption-configuration", json.dumps(rules))
    assert "NotImplemented" in aws(*put, *wanted, check=False).stderr
    aws("s3", "cp", str(file), "s3://by-cli/b")
    for key in ("a", "b"):
        head = json.loads(aws("s3api", "head-object", "--bucket", "by-cli", "--key", key).stdout)
        assert told(head) == ("aws:kms", arn)
        aws("s3", "cp", f"s3://by-cli/{key}", str(tmp_path / key))
        assert (tmp_path / key).read_bytes() == TEXT


# Proves: SEC-319, SEC-320
def test_readers_need_the_key(place):
    s3, arn = place.s3, place.new_key("alias/readers")
    s3.create_bucket(Bucket="for-readers")
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    s3.put_object(Bucket="for-readers", Key="k", Body=TEXT, **sealed)
    keyless = place.user("keyless", allow("s3:*"))
    reader = place.user("reader", allow("s3:*"), allow("kms:Decrypt", resource=arn))
    writer = place.user("writer", allow("s3:*"), allow("kms:GenerateDataKey", resource=arn))
    wanted = {"Bucket": "for-readers", "Key": "k"}
    for user, may_read, may_write in (
        (keyless, False, False),
        (reader, True, False),
        (writer, False, True),
    ):
        client = place.server.client("s3", user)
        copy = {"Bucket": "for-readers", "Key": "copy", "CopySource": wanted}
        if may_read:
            assert client.get_object(**wanted)["Body"].read() == TEXT
            client.copy_object(**copy)
        else:
            assert refused(client.get_object, **wanted) == ("AccessDenied", 403)
            assert refused(client.copy_object, **copy) == ("AccessDenied", 403)
        put = {"Bucket": "for-readers", "Key": "own", "Body": b"1"} | sealed
        if may_write:
            client.put_object(**put)
        else:
            assert refused(client.put_object, **put) == ("AccessDenied", 403)


# Proves: SEC-321, SEC-323
def test_a_disabled_key_opens_and_seals_nothing(servers):
    server = servers.start(environment=TIMES)
    place = Place(server, server.client("kms"), True)
    s3, arn = place.s3, place.new_key("alias/switched")
    s3.create_bucket(Bucket="switched")
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    s3.put_object(Bucket="switched", Key="k", Body=TEXT, **sealed)
    place.kms.disable_key(KeyId=arn)
    disabled = ("KMS.DisabledException", 400)
    assert refused(s3.get_object, Bucket="switched", Key="k") == disabled
    assert refused(s3.put_object, Bucket="switched", Key="l", Body=b"1", **sealed) == disabled
    place.kms.enable_key(KeyId=arn)
    assert s3.get_object(Bucket="switched", Key="k")["Body"].read() == TEXT
    place.kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    code = "KMS.KMSInvalidStateException"
    assert refused(s3.get_object, Bucket="switched", Key="k") == (code, 400)


def key_policy(*readers: str) -> str:
    """The statements that the manual gives for a trail's key (SEC-332, SEC-338, SEC-346)."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    arn = trail_arn(TRAIL)
    statements = [
        {
            "Sid": "Administrators",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "AllowCloudTrailEncryptLogs",
            "Effect": "Allow",
            "Principal": service,
            "Action": "kms:GenerateDataKey*",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceArn": arn},
                "StringLike": {
                    "kms:EncryptionContext:aws:cloudtrail:arn": (
                        f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"
                    )
                },
            },
        },
        {
            "Sid": "AllowCloudTrailDescribe",
            "Effect": "Allow",
            "Principal": service,
            "Action": "kms:DescribeKey",
            "Resource": "*",
        },
    ]
    if readers:
        statements.append(
            {
                "Sid": "EnableCloudTrailLogDecryptPermissions",
                "Effect": "Allow",
                "Principal": {"AWS": list(readers)},
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"Null": {"kms:EncryptionContext:aws:cloudtrail:arn": "false"}},
            }
        )
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class SealedTrail:
    """A trail with a key, and its files as they come."""

    def __init__(self, place: Place, bucket: str):
        self.place, self.bucket = place, bucket
        self.journey = Journey(place.server, place.s3, {})
        self.arn = place.new_key("alias/trails")
        place.s3.create_bucket(Bucket=bucket)
        policy = bucket_policy(bucket, trail_arn(TRAIL))
        place.s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    def keys(self) -> list[str]:
        return self.journey.objects(self.bucket, "/CloudTrail/")

    def key_uses(self, name: str) -> list[dict]:
        return [
            record
            for record in self.journey.records(self.bucket)
            if record["eventSource"] == "kms.amazonaws.com" and record["eventName"] == name
        ]


# Proves: SEC-307, SEC-308, SEC-311, SEC-321, SEC-360, SEC-361, SEC-362, SEC-363, SEC-366, SEC-369
# Proves: SEC-370, SEC-371, SEC-372, SEC-373, SEC-374, SEC-375, SEC-376
def test_a_trail_under_a_key(place):
    since = datetime.now(timezone.utc) - timedelta(minutes=2)
    trail = SealedTrail(place, "sealed-logs")
    journey, aws = trail.journey, trail.journey.aws
    create = (
        "cloudtrail", "create-trail", "--name", TRAIL, "--s3-bucket-name", "sealed-logs",
        "--enable-log-file-validation", "--kms-key-id", "alias/trails",
    )  # fmt: skip
    if place.is_own:
        denied = place.server.aws(*create, check=False).stderr
        assert "InsufficientEncryptionPolicyException" in denied
        place.kms.put_key_policy(KeyId=trail.arn, PolicyName="default", Policy=key_policy())
    created = aws(*create)
    assert created["KmsKeyId"] == trail.arn
    aws("cloudtrail", "start-logging", "--name", TRAIL)
    aws("iam", "list-users")

    def digests() -> list[str]:
        return journey.objects("sealed-logs", "/CloudTrail-Digest/")

    eventually(lambda: trail.keys() and len(digests()) >= 2, DELIVERED_SECONDS, "files and digests")
    for key in trail.keys() + digests():
        head = place.s3.head_object(Bucket="sealed-logs", Key=key)
        assert told(head) == ("aws:kms", trail.arn), key
    place.lies_nowhere(b'"Records"')
    check_readers(place, trail)
    check_records(place, trail)
    eventually(lambda: journey.validate(TRAIL, since)[0] == 0, DELIVERED_SECONDS, "a valid chain")
    code, lines, errors = journey.validate(TRAIL, since)
    assert code == 0 and any("log files valid" in line for line in lines), (lines, errors)
    if place.is_own:
        check_outage(place, trail)
    cleared = aws("cloudtrail", "update-trail", "--name", TRAIL, "--kms-key-id", "")
    assert "KmsKeyId" not in cleared
    before = set(trail.keys())
    aws("iam", "list-users")

    def managed() -> bool:
        fresh = set(trail.keys()) - before
        heads = [place.s3.head_object(Bucket="sealed-logs", Key=key) for key in fresh]
        return any(told(head) == ("AES256", None) for head in heads)

    eventually(managed, DELIVERED_SECONDS, "a file without the key")


def check_readers(place: Place, trail: SealedTrail) -> None:
    """Who may not decrypt does not read; who assumes a role that may leaves its name."""
    wanted = {"Bucket": trail.bucket, "Key": trail.keys()[0]}
    keyless = place.server.client("s3", place.user("keyless", allow("s3:*")))
    assert refused(keyless.get_object, **wanted) == ("AccessDenied", 403)
    iam = place.server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    iam.create_role(RoleName="auditor", AssumeRolePolicyDocument=json.dumps(document))
    rights = [allow("s3:GetObject"), allow("kms:Decrypt", resource=trail.arn)]
    iam.put_role_policy(
        RoleName="auditor",
        PolicyName="reads",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
    )
    session = place.server.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/auditor", RoleSessionName="mary"
    )["Credentials"]
    held = Credentials(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    body = place.server.client("s3", held).get_object(**wanted)["Body"].read()
    assert json.loads(gzip.decompress(body))["Records"]


def check_records(place: Place, trail: SealedTrail) -> None:
    """Uses of the key are events that the trail delivers, member by member."""
    object_arn = f"arn:aws:s3:::{trail.bucket}/{trail.keys()[0]}"
    context = {"aws:cloudtrail:arn": trail_arn(TRAIL), "aws:s3:arn": object_arn}

    def found(name: str, **wanted) -> dict | None:
        for record in trail.key_uses(name):
            parameters = record["requestParameters"]
            if parameters["encryptionContext"] == context and all(
                record.get(member) == value for member, value in wanted.items()
            ):
                return record
        return None

    made = eventually(lambda: found("GenerateDataKey"), DELIVERED_SECONDS, "GenerateDataKey")
    service = "cloudtrail.amazonaws.com"
    assert made["userIdentity"] == {"type": "AWSService", "invokedBy": service}
    assert made["sourceIPAddress"] == made["userAgent"] == service
    assert made["requestParameters"]["keySpec"] == "AES_256"
    assert made["requestParameters"]["keyId"] == trail.arn
    assert made["sharedEventID"] and made["readOnly"] is True
    opened = eventually(
        lambda: next(
            (
                record
                for record in trail.key_uses("Decrypt")
                if record["userIdentity"]["type"] == "AssumedRole"
            ),
            None,
        ),
        DELIVERED_SECONDS,
        "Decrypt",
    )
    identity = opened["userIdentity"]
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "auditor"
    assert set(identity["sessionContext"]) == {"sessionIssuer", "attributes"}
    assert identity["invokedBy"] == "AWS Internal"
    assert opened["sourceIPAddress"] == opened["userAgent"] == "AWS Internal"
    assert opened["requestParameters"] == {
        "encryptionContext": context,
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
    assert "sharedEventID" not in opened
    resource = {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": trail.arn}
    for record in (made, opened):
        assert record["resources"] == [resource]
        assert record["managementEvent"] is True and record["eventCategory"] == "Management"
        assert record["responseElements"] is None and record["awsRegion"] == REGION
    eventually(
        lambda: found("Decrypt", errorCode="AccessDenied"), DELIVERED_SECONDS, "the refused Decrypt"
    )
    probe = f"arn:aws:s3:::{trail.bucket}/AWSLogs/{ACCOUNT}/CloudTrail/"
    history = place.server.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GenerateDataKey"}]
    )["Events"]
    contexts = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["encryptionContext"]
        for event in history
    ]
    assert {"aws:cloudtrail:arn": trail_arn(TRAIL), "aws:s3:arn": probe} in contexts


def check_outage(place: Place, trail: SealedTrail) -> None:
    """A disabled key stops delivery, tells why, and nothing is lost."""
    aws = trail.journey.aws
    place.kms.disable_key(KeyId=trail.arn)
    aws("iam", "list-groups")

    def status() -> dict:
        return aws("cloudtrail", "get-trail-status", "--name", TRAIL)

    eventually(
        lambda: status().get("LatestDeliveryError") == "KMS.DisabledException",
        DELIVERED_SECONDS,
        "the status",
    )
    update = ("cloudtrail", "update-trail", "--name", TRAIL, "--kms-key-id", "alias/trails")
    refused_update = place.server.aws(*update, check=False).stderr
    assert "KmsException" in refused_update, refused_update
    place.kms.enable_key(KeyId=trail.arn)

    def delivered() -> bool:
        return any(
            record["eventName"] == "ListGroups" for record in trail.journey.records(trail.bucket)
        )

    eventually(delivered, DELIVERED_SECONDS, "what had waited")
    eventually(lambda: "LatestDeliveryError" not in status(), DELIVERED_SECONDS, "a clean status")


# Proves: SEC-313, SEC-323
def test_keys_that_cannot_serve_a_trail(place):
    trail = SealedTrail(place, "refusing-logs")
    if place.is_own:
        place.kms.put_key_policy(KeyId=trail.arn, PolicyName="default", Policy=key_policy())
    client = place.server.client("cloudtrail")

    def refusal(key: str) -> str:
        wanted = {"Name": TRAIL, "S3BucketName": "refusing-logs", "KmsKeyId": key}
        return refused(client.create_trail, **wanted)[0]

    elsewhere = trail.arn.replace(REGION, "eu-west-1")
    assert refusal(elsewhere) == "KmsKeyNotFoundException"
    assert refusal("alias/none") == "KmsKeyNotFoundException"
    place.kms.disable_key(KeyId=trail.arn.rpartition("/")[2])
    assert refusal("alias/trails") == "KmsException"


# Proves: SEC-315, SEC-341, REC-062, REC-063, REC-064
def test_a_key_of_another_account(servers):
    server = servers.start(environment=TIMES)
    theirs = create_account(server, OTHER)
    place = Place(server, server.client("kms", theirs), True)
    trail = SealedTrail(place, "their-key-logs")
    client = server.client("cloudtrail")
    wanted = {"Name": TRAIL, "S3BucketName": "their-key-logs", "KmsKeyId": trail.arn}
    code = "InsufficientEncryptionPolicyException"
    assert trail.arn.split(":")[4] == OTHER
    assert refused(client.create_trail, **wanted)[0] == code
    policy = json.loads(key_policy())
    # The account of the key governs it; the trail's may decrypt what trails have encrypted.
    policy["Statement"][0]["Principal"] = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    reading = {
        "Sid": "EnableEncryptedCloudTrailLogReadAccess",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:Decrypt",
        "Resource": trail.arn,
        "Condition": {"Null": {"kms:EncryptionContext:aws:cloudtrail:arn": "false"}},
    }

    def put(*more: dict) -> None:
        document = policy | {"Statement": policy["Statement"] + list(more)}
        place.kms.put_key_policy(
            KeyId=trail.arn, PolicyName="default", Policy=json.dumps(document)
        )

    put()
    assert client.create_trail(**wanted)["KmsKeyId"] == trail.arn
    client.start_logging(Name=TRAIL)
    server.client("iam").list_users()
    key = eventually(trail.keys, DELIVERED_SECONDS, "a file")[0]
    asked = {"Bucket": "their-key-logs", "Key": key}
    assert refused(place.s3.get_object, **asked) == ("AccessDenied", 403)
    put(reading)
    assert gzip.decompress(place.s3.get_object(**asked)["Body"].read())

    def copies() -> list[dict]:
        attribute = {"AttributeKey": "EventName", "AttributeValue": "Decrypt"}
        found = []
        for credentials in (server.credentials, theirs):
            history = server.client("cloudtrail", credentials)
            events = history.lookup_events(LookupAttributes=[attribute])["Events"]
            records = [json.loads(event["CloudTrailEvent"]) for event in events]
            found += [record for record in records if "errorCode" not in record]
        return found if len(found) == 2 else []

    ours, foreign = eventually(copies, what="a copy for each account")
    assert ours["recipientAccountId"] == ACCOUNT and foreign["recipientAccountId"] == OTHER
    assert ours["sharedEventID"] == foreign["sharedEventID"]
    assert ours["eventID"] != foreign["eventID"]
    assert ours["userIdentity"]["userName"] and foreign["userIdentity"]["type"] == "AWSAccount"


def test_a_kms_that_does_not_answer_refuses_no_more_than_its_keys(servers, tmp_path):
    moto = Moto(tmp_path / "moto").start()
    environment = {
        "CAIRN_ENDPOINTS_KMS": f"{REGION}={moto.endpoint}",
        "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(write_credentials(tmp_path / "keys", "kms")),
    }
    place = Place(servers.start(environment=environment), moto.client("kms"), False)
    arn = place.new_key("alias/away")
    place.s3.create_bucket(Bucket="away")
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    place.s3.put_object(Bucket="away", Key="sealed", Body=TEXT, **sealed)
    place.s3.put_object(Bucket="away", Key="plain", Body=TEXT)
    moto.stop()
    unavailable = ("ServiceUnavailable", 503)
    assert refused(place.s3.get_object, Bucket="away", Key="sealed") == unavailable
    assert refused(place.s3.put_object, Bucket="away", Key="k", Body=b"1", **sealed) == unavailable
    assert place.s3.get_object(Bucket="away", Key="plain")["Body"].read() == TEXT
