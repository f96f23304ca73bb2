"""Errors as AWS's SDKs expect them: by code, status, header, request ID; never a hang or a 500."""

import json
import sqlite3
from datetime import datetime, timedelta, timezone

import botocore.exceptions
import pytest

from harness.raw_http import Answer, address, send
from harness.signature import Credentials, Request, Scope, amz_date, sign
from harness.waiting import eventually

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
SHORT_TARGET = "CloudTrail_20131101."


def request(server, target: str, body: bytes = b"{}", **headers: str) -> Request:
    """An unsigned JSON call."""
    host, port = address(server.endpoint)
    given = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target} | headers
    return Request("POST", "/", "", [("Host", f"{host}:{port}"), *given.items()], body)


def call(server, target: str, body: bytes = b"{}", **headers: str) -> Answer:
    """A signed JSON call."""
    return send(server.endpoint, sign(request(server, target, body, **headers), server.credentials))


def check(answer: Answer, status: int, code: str) -> None:
    """An error in AWS JSON 1.1's form."""
    assert (answer.status, answer.error_code) == (status, code), answer
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert json.loads(answer.body)["__type"].split("#")[-1] == code
    assert answer.headers["x-amzn-requestid"]


def test_both_spellings_of_the_target_route(server):
    for prefix in (TARGET, SHORT_TARGET):
        answer = call(server, prefix + "LookupEvents")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        assert answer.headers["x-amzn-requestid"]


def test_an_unknown_operation(server):
    check(call(server, TARGET + "NoSuchOperation"), 400, "UnknownOperationException")
    check(call(server, "Elsewhere.LookupEvents"), 400, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"MaxResults":}'])
def test_malformed_json(server, body):
    answer = call(server, TARGET + "LookupEvents", body)
    if body == b"":
        assert answer.status == 200  # botocore sends {} here; other SDKs send nothing
    else:
        check(answer, 400, "SerializationException")


def test_a_body_of_the_wrong_type(server):
    for body in (b'{"MaxResults":"many"}', b'{"LookupAttributes":{}}', b'{"StartTime":[]}'):
        check(call(server, TARGET + "LookupEvents", body), 400, "SerializationException")


def test_an_oversize_body(server):
    body = json.dumps({"NextToken": "x" * (2 << 20)}).encode()
    answer = call(server, TARGET + "LookupEvents", body)
    assert answer.status in (400, 413)
    assert answer.error_code


def test_values_outside_the_model_are_refused_before_any_handler(server):
    cases = [
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        (
            {"LookupAttributes": [{"AttributeKey": "Nothing", "AttributeValue": "x"}]},
            "InvalidLookupAttributesException",
        ),
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "a"}] * 2},
            "InvalidLookupAttributesException",
        ),
    ]
    for parameters, code in cases:
        answer = call(server, TARGET + "LookupEvents", json.dumps(parameters).encode())
        assert answer.status == 400
        assert answer.error_code in (code, "ValidationException"), (parameters, answer)


def test_a_missing_signature(server):
    answer = send(server.endpoint, request(server, TARGET + "LookupEvents"))
    check(answer, 400, "MissingAuthenticationTokenException")


def test_an_unknown_key(server):
    stranger = Credentials("AKIAUNKNOWNUNKNOWN00", "secret")
    signed = sign(request(server, TARGET + "LookupEvents"), stranger)
    check(send(server.endpoint, signed), 400, "UnrecognizedClientException")


def test_a_wrong_secret(server):
    wrong = Credentials(server.credentials.access_key_id, "not-the-secret")
    signed = sign(request(server, TARGET + "LookupEvents"), wrong)
    check(send(server.endpoint, signed), 400, "InvalidSignatureException")


def test_an_expired_date(server):
    past = amz_date(datetime.now(timezone.utc) - timedelta(minutes=6))
    signed = sign(request(server, TARGET + "LookupEvents"), server.credentials, date=past)
    check(send(server.endpoint, signed), 400, "InvalidSignatureException")


def test_a_region_that_is_not_enabled(server):
    scope = Scope(region="xx-nowhere-1")
    signed = sign(request(server, TARGET + "LookupEvents"), server.credentials, scope)
    answer = send(server.endpoint, signed)
    assert answer.status in (400, 403)
    assert answer.error_code


def test_operations_that_are_not_built_say_so(server):
    client = server.client("cloudtrail")
    calls = [
        lambda: client.list_channels(),
        lambda: client.list_dashboards(),
        lambda: client.create_event_data_store(Name="archive"),
        lambda: client.list_event_data_stores(),
    ]
    for attempt in calls:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] == "UnsupportedOperationException"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert refused.value.response["ResponseMetadata"]["RequestId"]


def test_other_methods_and_paths(server):
    for method, path in (("GET", "/"), ("PUT", "/"), ("DELETE", "/events"), ("GET", "/nothing")):
        host, port = address(server.endpoint)
        signed = sign(
            Request(method, path, "", [("Host", f"{host}:{port}")]), server.credentials
        )
        answer = send(server.endpoint, signed)
        assert 400 <= answer.status < 500, (method, path, answer)


# Proves: OVR-090
def test_a_token_belongs_to_its_request(server):
    client = server.client("cloudtrail")
    for _ in range(3):
        client.lookup_events(MaxResults=1)
    # There is another page once two events are visible.
    token = eventually(lambda: client.lookup_events(MaxResults=1).get("NextToken"))
    foreign = [
        {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "LookupEvents"}]},
        {"StartTime": datetime.now(timezone.utc) - timedelta(hours=1)},
    ]
    for parameters in foreign:
        with pytest.raises(client.exceptions.InvalidNextTokenException):
            client.lookup_events(MaxResults=1, NextToken=token, **parameters)
    with pytest.raises(client.exceptions.InvalidNextTokenException):
        client.lookup_events(MaxResults=1, NextToken=token[:-4] + "AAAA")
    elsewhere = server.client("cloudtrail", region="eu-west-1")
    with pytest.raises(client.exceptions.InvalidNextTokenException):
        elsewhere.lookup_events(MaxResults=1, NextToken=token)
    assert client.lookup_events(MaxResults=1, NextToken=token)["Events"]


# Proves: OVR-092
def test_two_lookups_a_second(servers):
    strict = servers.start(relaxed=False)
    client = strict.client("cloudtrail")
    codes = []
    for _ in range(6):
        try:
            client.lookup_events(MaxResults=1)
            codes.append("")
        except botocore.exceptions.ClientError as refused:
            codes.append(refused.response["Error"]["Code"])
    assert codes[:2] == ["", ""]
    assert "ThrottlingException" in codes
    assert set(codes) == {"", "ThrottlingException"}
    # Another Region has a limit of its own.
    assert strict.client("cloudtrail", region="eu-west-1").lookup_events(MaxResults=1)
    assert strict.stop() == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_of_the_catalog_is_logged_under_the_callers_request_id(servers, form):
    server = servers.start(environment={"CAIRN_LOG_FORMAT": form})
    other_process = sqlite3.connect(server.data_dir / "catalog.sqlite", isolation_level=None)
    other_process.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(botocore.exceptions.ClientError) as failed:
            server.client("iam").create_user(UserName="late")
    finally:
        other_process.execute("ROLLBACK")
    assert failed.value.response["Error"]["Code"] == "ServiceUnavailable"
    request_id = failed.value.response["ResponseMetadata"]["RequestId"]
    lines = [line for line in server.log_text().splitlines() if "the catalog failed" in line]
    assert any(request_id in line for line in lines), server.log_tail()
