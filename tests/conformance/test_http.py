"""The wire below the operations: targets, bodies, methods and content types that no SDK sends."""

import json

import pytest
from harness import raw_http
from harness.signature import Request, Scope, sign

LONG = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
SHORT = "CloudTrail_20131101."
JSON_1_1 = "application/x-amz-json-1.1"
MEBIBYTE = 1024 * 1024


def send(server, body: bytes = b"{}", *, target=SHORT + "LookupEvents", content_type=JSON_1_1,
         method="POST", path="/", service="cloudtrail"):
    """A correctly signed request, whatever it holds."""
    headers = [("Host", server.endpoint.removeprefix("http://"))]
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    if target is not None:
        headers.append(("X-Amz-Target", target))
    request = Request(method, path, "", headers, body)
    sign(request, server.credentials, Scope(service=service))
    return raw_http.send(server.endpoint, request)


def check_refused(answer, status: int, code: str) -> None:
    assert (answer.status, answer.error_code) == (status, code), answer.body
    assert answer.headers.get("x-amzn-requestid")
    assert json.loads(answer.body)["message"]


@pytest.mark.parametrize("prefix", [LONG, SHORT], ids=["long", "short"])
def test_both_spellings_of_a_target_are_served(server, prefix):
    answer = send(server, target=prefix + "LookupEvents")
    assert answer.status == 200
    assert answer.headers["content-type"] == JSON_1_1
    assert answer.headers["x-amzn-requestid"]
    assert set(json.loads(answer.body)) <= {"Events", "NextToken"}


@pytest.mark.parametrize(
    "target",
    [None, "", "LookupEvents", SHORT, SHORT + "lookupevents", SHORT + "PutAuditEvents",
     "DynamoDB_20120810.ListTables", LONG + LONG + "LookupEvents", SHORT + "X" * 4000],
    ids=["none", "empty", "bare", "prefix", "case", "data-plane", "foreign", "twice", "long"],
)
def test_a_target_that_names_nothing_is_unknown(server, target):
    check_refused(send(server, target=target), 400, "UnknownOperationException")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b"{}{}", b'{"a":1,}', b"\xff\xfe", b'{"a":"\xff"}',
     b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"MaxResults=1"],
    ids=["cut", "list", "null", "text", "two", "comma", "utf-16", "latin-1", "deep-lists",
         "deep-objects", "form"],
)
def test_what_is_no_json_object_cannot_be_read(server, body):
    check_refused(send(server, body), 400, "SerializationException")


@pytest.mark.parametrize(
    "request_",
    [{"MaxResults": "5"}, {"MaxResults": 1.5}, {"MaxResults": True}, {"MaxResults": [1]},
     {"MaxResults": 2**40}, {"NextToken": 5}, {"NextToken": {}}, {"StartTime": "2026-11-01"},
     {"StartTime": 1e300}, {"LookupAttributes": {}}, {"LookupAttributes": ["x"]}],
    ids=json.dumps,
)
def test_values_of_the_wrong_json_type_cannot_be_read(server, request_):
    answer = send(server, json.dumps(request_).encode())
    check_refused(answer, 400, "SerializationException")


def test_unknown_members_and_nulls_are_ignored(server):
    body = json.dumps({"Unknown": {"a": [1]}, "NextToken": None, "MaxResults": 1}).encode()
    assert send(server, body).status == 200


def test_an_empty_body_is_an_empty_request(server):
    assert send(server, b"").status == 200
    answer = send(server, b"", target=SHORT + "GetTrail")
    check_refused(answer, 400, "ValidationException")
    assert "Value null at 'name'" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "*/*"])
def test_another_content_type_cannot_be_read(server, content_type):
    answer = send(server, content_type=content_type)
    assert answer.status == 400
    assert answer.error_code in ("SerializationException", "UnknownOperationException")


@pytest.mark.parametrize(
    "content_type", [JSON_1_1 + "; charset=utf-8", "Application/X-AMZ-JSON-1.1"]
)
def test_parameters_and_case_of_the_content_type_do_not_matter(server, content_type):
    assert send(server, content_type=content_type).status == 200


def test_a_body_over_the_limit_is_refused(server):
    body = b'{"NextToken":"' + b"x" * MEBIBYTE + b'"}'
    check_refused(send(server, body), 413, "RequestEntityTooLargeException")
    # The connection's other users and the next request do not suffer.
    assert send(server).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_name_no_operation(server, method):
    answer = send(server, b"", method=method)
    assert 400 <= answer.status < 500
    assert answer.headers.get("x-amzn-requestid")


def test_put_audit_events_speaks_rest_json(server):
    answer = send(server, b'{"auditEvents":[{"id":"a","eventData":"{}"}]}', target=None,
                  content_type="application/json", path="/PutAuditEvents",
                  service="cloudtrail-data")
    check_refused(answer, 400, "ValidationException")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    assert "Value null at 'channelArn'" in json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    "method,path,status",
    [
        ("GET", "/PutAuditEvents", 404),
        ("POST", "/putauditevents", 404),
        ("POST", "/PutAuditEvents/", 404),
        # The path of AWS JSON is answered in AWS JSON, whatever the signature is for.
        ("POST", "/", 400),
    ],
)
def test_the_data_plane_has_one_path(server, method, path, status):
    answer = send(server, b"{}", target=None, content_type="application/json", method=method,
                  path=path, service="cloudtrail-data")
    check_refused(answer, status, "UnknownOperationException")


# Proves: DSH-137
def test_each_service_serves_its_own_operations_only(server):
    body = b'{"auditEvents":[{"id":"a","eventData":"{}"}]}'
    answer = send(server, body, path="/PutAuditEvents", service="cloudtrail")
    assert answer.error_code == "UnknownOperationException"


def test_messages_do_not_grow_with_the_request(server):
    body = json.dumps({"Channel": "!" * 500_000}).encode()
    answer = send(server, body, target=SHORT + "GetChannel")
    check_refused(answer, 400, "ChannelARNInvalidException")
    assert len(answer.body) < 8_192
