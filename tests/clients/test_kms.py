"""The key service as boto3 and the AWS CLI use it: keys, aliases, policies, their use, and what the
records of the calls say."""

import base64
import configparser
import json
import subprocess
import uuid

import pytest
from botocore.exceptions import ClientError

from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from harness.waiting import eventually

OTHER = "333344445555"
CONTEXT = {"aws:cloudtrail:arn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/main"}
PLAINTEXT = b"canary-of-the-plaintext"


def refused(call, **arguments) -> tuple[str, str]:
    """Code and message of a call that fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def kms(server):
    """The administrator's client."""
    return server.client("kms")


@pytest.fixture
def key(kms) -> str:
    """The ARN of a new key."""
    return kms.create_key(Description="of a test")["KeyMetadata"]["Arn"]


def user(server, name: str, *actions: str) -> Credentials:
    """A new user who may do this."""
    iam = server.client("iam")
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"])


def records(server, name: str, key: str, credentials: Credentials | None = None) -> list[dict]:
    """The records of an operation that name the key."""
    lookup = server.client("cloudtrail", credentials).get_paginator("lookup_events")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
    pages = lookup.paginate(LookupAttributes=attributes)
    events = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return [event for event in events if key in json.dumps(event)]


# Proves: SEC-374, QRY-293
def test_a_key_s_life(server, kms, key):
    alias = f"alias/life-{uuid.uuid4().hex[:8]}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    sealed = kms.encrypt(KeyId=alias, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)
    assert sealed["KeyId"] == key
    blob = sealed["CiphertextBlob"]
    assert PLAINTEXT not in blob
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == PLAINTEXT
    assert refused(kms.decrypt, CiphertextBlob=blob)[0] == "InvalidCiphertextException"

    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    again = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert again["Plaintext"] == made["Plaintext"]
    assert len(made["Plaintext"]) == 32
    assert len(kms.generate_random(NumberOfBytes=24)["Plaintext"]) == 24

    kms.disable_key(KeyId=key)
    code, message = refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert (code, message) == ("DisabledException", f"{key} is disabled.")
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == PLAINTEXT
    kms.rotate_key_on_demand(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == PLAINTEXT

    deletion = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert deletion["KeyState"] == "PendingDeletion"
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    code, _ = refused(kms.encrypt, KeyId=key, Plaintext=PLAINTEXT)
    assert code == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"

    def seen():
        return len(records(server, "Decrypt", key)) >= 4

    eventually(seen, what="the records of Decrypt")
    opened = records(server, "Decrypt", key)
    first = opened[-1]
    assert first["eventSource"] == "kms.amazonaws.com"
    assert first["readOnly"] is True
    assert first["managementEvent"] is True
    assert first["eventCategory"] == "Management"
    assert first["requestParameters"] == {
        "encryptionContext": CONTEXT,
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
    assert first["responseElements"] is None
    resource = {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}
    assert first["resources"] == [resource]
    uses = opened + records(server, "Encrypt", key) + records(server, "GenerateDataKey", key)
    text = json.dumps(uses)
    for secret in (PLAINTEXT, blob, made["Plaintext"], made["CiphertextBlob"]):
        assert base64.b64encode(secret).decode() not in text
    scheduled = records(server, "ScheduleKeyDeletion", key)[0]
    assert scheduled["readOnly"] is False
    assert scheduled["responseElements"]["keyState"] == "PendingDeletion"


# Proves: SEC-340
def test_who_is_not_let_in_is_refused_and_recorded(server, kms, key):
    nobody = server.client("kms", user(server, "nobody", "cloudtrail:*"))
    code, message = refused(nobody.encrypt, KeyId=key, Plaintext=PLAINTEXT)
    assert code == "AccessDeniedException"
    assert message.endswith("because no identity-based policy allows the kms:Encrypt action")
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    who = message.split()[1]
    policy["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": who}, "Action": "kms:Encrypt", "Resource": "*"}
    )
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert nobody.encrypt(KeyId=key, Plaintext=PLAINTEXT)["KeyId"] == key
    locked = {"Version": "2012-10-17", "Statement": policy["Statement"][-1:]}
    code, _ = refused(kms.put_key_policy, KeyId=key, Policy=json.dumps(locked))
    assert code == "MalformedPolicyDocumentException"

    def denied():
        return [event for event in records(server, "Encrypt", key) if "errorCode" in event]

    eventually(denied, what="the record of the refusal")
    [event] = denied()
    assert event["errorCode"] == "AccessDenied"
    assert event["errorMessage"] == message


@pytest.fixture(scope="module")
def other(server, binary) -> Credentials:
    """The administrator of a second account, as `cairn identity` prints it."""
    made = subprocess.run(
        [binary, "identity", "--endpoint", server.endpoint, "account", "create", OTHER],
        env=server.aws_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    printed = configparser.ConfigParser()
    printed.read_string(made.stdout)
    section = printed[printed.sections()[0]]
    return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])


# Proves: SEC-341, REC-062, REC-064
def test_a_key_of_another_account(server, key, kms, other):
    theirs = server.client("kms", other)
    code, _ = refused(theirs.encrypt, KeyId=key, Plaintext=PLAINTEXT)
    assert code == "AccessDeniedException"
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"].append(
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
            "Action": "kms:Encrypt",
            "Resource": "*",
        }
    )
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert theirs.encrypt(KeyId=key, Plaintext=PLAINTEXT)["KeyId"] == key

    def both():
        return records(server, "Encrypt", key) and len(records(server, "Encrypt", key, other)) == 2

    eventually(both, what="the record in both accounts")
    [ours] = records(server, "Encrypt", key)
    used = [event for event in records(server, "Encrypt", key, other) if "errorCode" not in event]
    assert [event["sharedEventID"] for event in used] == [ours["sharedEventID"]]
    assert ours["userIdentity"]["type"] == "AWSAccount"
    assert ours["userIdentity"]["accountId"] == OTHER
    assert ours["recipientAccountId"] == ACCOUNT


def test_the_aws_cli_works_unchanged(server, key, tmp_path):
    def aws(*arguments: str) -> dict:
        return json.loads(server.aws("kms", *arguments, "--output", "json").stdout or "{}")

    alias = f"alias/cli-{uuid.uuid4().hex[:8]}"
    aws("create-alias", "--alias-name", alias, "--target-key-id", key)
    listed = aws("list-aliases", "--key-id", key)["Aliases"]
    assert [entry["AliasName"] for entry in listed] == [alias]
    plain = tmp_path / "plain"
    plain.write_bytes(PLAINTEXT)
    encrypt = ["encrypt", "--key-id", alias, "--plaintext", f"fileb://{plain}"]
    sealed = aws(*encrypt, "--encryption-context", "a=1,b=2")["CiphertextBlob"]
    blob = tmp_path / "blob"
    blob.write_bytes(base64.b64decode(sealed))
    decrypt = ["decrypt", "--ciphertext-blob", f"fileb://{blob}"]
    opened = aws(*decrypt, "--encryption-context", "a=1,b=2")
    assert base64.b64decode(opened["Plaintext"]) == PLAINTEXT
    failed = server.aws("kms", *decrypt, check=False)
    assert "InvalidCiphertextException" in failed.stderr
    aws("tag-resource", "--key-id", key, "--tags", "TagKey=Team,TagValue=audit")
    assert aws("list-resource-tags", "--key-id", key)["Tags"] == [
        {"TagKey": "Team", "TagValue": "audit"}
    ]
    aws("enable-key-rotation", "--key-id", key)
    assert aws("get-key-rotation-status", "--key-id", key)["KeyRotationEnabled"] is True
    keys = aws("list-keys", "--page-size", "1")["Keys"]
    assert key in [entry["KeyArn"] for entry in keys]
    failed = server.aws("kms", "create-grant", "--key-id", key, "--grantee-principal", ACCOUNT,
                        "--operations", "Decrypt", check=False)
    assert "UnsupportedOperationException" in failed.stderr
