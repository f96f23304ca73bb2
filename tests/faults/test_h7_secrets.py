"""H7: canary secrets pass through every flow; none appears in logs, metrics, errors or files."""

import base64
import json
import urllib.request
import uuid

import botocore.exceptions

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.oracle import HISTORY, Oracle
from harness.producer import Producer
from harness.raw_http import address, send
from harness.results import record
from harness.signature import Credentials, Request, Scope, sign
from harness.waiting import eventually

#: Files in which a secret may lie: what the first start gives to the administrator.
GIVEN = {"credentials", "master.key"}
#: Where events lie. AWS records a session token with the credentials that it gives out (it is of no
#: use without the secret key), and so do we; secret keys never.
EVENT_FOLDERS = ("lake", "log")


def variants(secret: str) -> list[bytes]:
    """The forms in which a secret could leak."""
    raw = secret.encode()
    return [raw, base64.b64encode(raw), raw.hex().encode(), secret.replace("/", "%2F").encode()]


def exercise(server) -> tuple[list[str], str]:
    """Use keys, sessions and mistakes; returns the secrets in play, and the session token."""
    secrets = [server.credentials.secret_access_key]
    iam, sts = server.client("iam"), server.client("sts")
    name = f"canary-{uuid.uuid4().hex[:6]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    secrets.append(key["SecretAccessKey"])
    session = sts.get_session_token()["Credentials"]
    secrets.append(session["SecretAccessKey"])
    token = session["SessionToken"]
    caller = Credentials(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    server.client("cloudtrail", caller).lookup_events()
    read_with_session(server, caller)
    denied = server.client("cloudtrail", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    try:
        denied.lookup_events()
    except botocore.exceptions.ClientError as refused:
        assert key["SecretAccessKey"] not in str(refused.response)
    # The right key with a damaged token, and a request that fails after authentication.
    broken = Credentials(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"][:-8]
    )
    host, port = address(server.endpoint)
    for credentials, body in ((broken, b"{}"), (caller, b"{"), (caller, b'{"MaxResults":99}')):
        request = Request(
            "POST",
            "/",
            "",
            [
                ("Host", f"{host}:{port}"),
                ("Content-Type", "application/x-amz-json-1.1"),
                ("X-Amz-Target", "CloudTrail_20131101.LookupEvents"),
            ],
            body,
        )
        answer = send(server.endpoint, sign(request, credentials, Scope()))
        for secret in (*secrets, token):
            assert secret.encode() not in answer.body
    producer = Producer(server.endpoint, server.credentials, Ledger())
    producer.send(EventMaker(77).batch(3))
    producer.close()
    return secrets, token


def read_with_session(server, caller: Credentials) -> None:
    """An object of the lake, asked for by header and by link."""
    bucket, key = "cairn-lake", Oracle(server.data_dir).state(HISTORY).metadata
    client = server.client("s3", caller, signature_version="s3v4")
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read()
    link = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    assert "X-Amz-Security-Token=" in link
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read()


# Proves: H7, I9, R23
def test_canaries_appear_nowhere(servers):
    server = servers.start(environment={"CAIRN_LOG_LEVEL": "trace"})
    secrets, token = exercise(server)
    metrics = json.dumps(server.metrics())
    eventually(lambda: server.client("cloudtrail").lookup_events(MaxResults=50)["Events"])
    history = json.dumps(
        server.client("cloudtrail").lookup_events(MaxResults=50)["Events"], default=str
    )
    assert server.stop() == 0
    sinks = {"log": server.log_path.read_bytes(), "metrics": metrics.encode()}
    sinks["history"] = history.encode()
    for path in server.data_dir.rglob("*"):
        if path.is_file() and path.name not in GIVEN:
            sinks[str(path)] = path.read_bytes()
    hits = [
        (name, index)
        for name, content in sinks.items()
        for index, secret in enumerate(secrets)
        if any(form in content for form in variants(secret))
    ]
    quiet = {
        name: content
        for name, content in sinks.items()
        if name != "history" and not any(f"/{folder}/" in name for folder in EVENT_FOLDERS)
    }
    hits += [(name, "token") for name, content in quiet.items() if token.encode() in content]
    assert hits == []
    record("H7", runs=1, figures={"sinks scanned": len(sinks), "hits": 0})


def test_the_scan_finds_a_secret_in_each_form():
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for form in variants(secret):
        assert any(candidate in b"prefix " + form + b" suffix" for candidate in variants(secret))
