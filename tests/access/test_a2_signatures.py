"""A1 and A2: signatures over a bare socket. What is right is accepted; each single fault is refused
with AWS's code, and no handler is reached: nothing of a refused request is recorded."""

import gzip
import json
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from harness.events import EventMaker
from harness.oracle import Oracle
from harness.raw_http import Answer, address, exchange, send, wire_form
from harness.results import record
from harness.signature import Credentials, Request, Scope, amz_date, presign, sha256_hex, sign
from harness.waiting import eventually

INVALID = "InvalidSignatureException"
INCOMPLETE = "IncompleteSignatureException"
MISSING = "MissingAuthenticationTokenException"
UNKNOWN = "UnrecognizedClientException"
EXPIRED = "ExpiredTokenException"
REFUSALS = {
    INVALID,
    INCOMPLETE,
    MISSING,
    UNKNOWN,
    EXPIRED,
    "AccessDeniedException",
    "RequestExpired",
}
TARGET = "CloudTrail_20131101.LookupEvents"
counted: dict[str, int] = {"accepted": 0, "refused": 0}
# Request IDs of all that was refused.
refusals: set[str] = set()


def lookup(server, body: bytes = b"{}", **headers: str) -> Request:
    """An unsigned LookupEvents."""
    host, port = address(server.endpoint)
    given = {
        "Host": f"{host}:{port}",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": TARGET,
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/", "", list(given.items()), body)


def accepted(server, request: Request) -> Answer:
    """The request passes the authentication layer."""
    answer = send(server.endpoint, request)
    assert answer.status == 200, answer
    counted["accepted"] += 1
    return answer


def refused(server, request: Request, *codes: str) -> None:
    """The request is refused before routing."""
    answer = exchange(server.endpoint, wire_form(request))
    assert answer is not None, "closed without an answer"
    assert 400 <= answer.status < 500, answer
    assert answer.error_code in (codes or REFUSALS), (codes, answer)
    assert answer.headers.get("x-amzn-requestid"), answer
    refusals.add(answer.headers["x-amzn-requestid"])
    counted["refused"] += 1


def replaced(request: Request, name: str, value: str | None) -> Request:
    """The request with one header's value changed after signing, or the header taken away."""
    request.headers = [
        (key, value if key.lower() == name and value is not None else old)
        for key, old in request.headers
        if not (key.lower() == name and value is None)
    ]
    return request


# Proves: A1
def test_right_signatures_are_accepted(server):
    keys = server.credentials
    accepted(server, sign(lookup(server), keys))
    accepted(server, presign(lookup(server), keys, Scope()))
    accepted(server, sign(lookup(server, x_amz_content_sha256=sha256_hex(b"{}")), keys))
    accepted(server, sign(lookup(server, x_custom="  several   spaces\tand tabs "), keys))
    session = server.client("sts").get_session_token()["Credentials"]
    temporary = Credentials(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    accepted(server, sign(lookup(server), temporary))
    accepted(server, presign(lookup(server), temporary, Scope()))
    for minutes in (-4.9, 4.9):
        moment = amz_date(datetime.now(timezone.utc) + timedelta(minutes=minutes))
        accepted(server, sign(lookup(server), keys, date=moment))


# Proves: A2
def test_none_two_or_foreign_authorizations(server):
    keys = server.credentials
    refused(server, lookup(server), MISSING)
    twice = sign(lookup(server), keys)
    twice.headers.append(("Authorization", twice.header("authorization")))
    refused(server, twice)
    both = presign(sign(lookup(server), keys), keys, Scope())
    refused(server, both)
    for scheme in ("Basic dXNlcjpwYXNz", "Bearer token", "AWS AKIA:signature", "AWS4-HMAC-SHA256"):
        bad = lookup(server)
        bad.headers.append(("Authorization", scheme))
        refused(server, bad)
    for algorithm in ("AWS4-HMAC-SHA1", "AWS4-ECDSA-P256-SHA256", "aws4-hmac-sha256", "NONE"):
        signed = sign(lookup(server), keys)
        value = signed.header("authorization").replace("AWS4-HMAC-SHA256", algorithm)
        refused(server, replaced(signed, "authorization", value))


# Proves: A2
@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target", "content-type"])
def test_headers_that_must_be_signed(server, name):
    signed = sign(lookup(server), server.credentials, unsigned=frozenset({name}))
    refused(server, signed)


# Proves: A2
def test_an_unsigned_or_foreign_session_token(server):
    session = server.client("sts").get_session_token()["Credentials"]
    secret = session["SecretAccessKey"]
    temporary = Credentials(session["AccessKeyId"], secret, session["SessionToken"])
    hidden = sign(lookup(server), temporary, unsigned=frozenset({"x-amz-security-token"}))
    refused(server, hidden)
    refused(server, sign(lookup(server), Credentials(session["AccessKeyId"], secret, None)))
    other = server.client("sts").get_session_token()["Credentials"]
    mixed = Credentials(session["AccessKeyId"], secret, other["SessionToken"])
    refused(server, sign(lookup(server), mixed))
    damaged = Credentials(session["AccessKeyId"], secret, session["SessionToken"][:-4] + "AAAA")
    refused(server, sign(lookup(server), damaged))
    keys = server.credentials
    lent = Credentials(keys.access_key_id, keys.secret_access_key, session["SessionToken"])
    refused(server, sign(lookup(server), lent))


# Proves: A2
def test_two_targets(server):
    request = lookup(server)
    request.headers.append(("X-Amz-Target", "CloudTrail_20131101.ListTrails"))
    answer = exchange(server.endpoint, wire_form(sign(request, server.credentials)))
    assert answer is None or 400 <= answer.status < 500, answer
    counted["refused"] += 1


# Proves: A2
def test_scopes_that_are_not_ours(server):
    keys = server.credentials
    for scope in (
        Scope(service="cloudtrail-data"),
        Scope(service="s3"),
        Scope(service="CloudTrail"),
        Scope(region="us-east-9"),
        Scope(region=""),
    ):
        answer = send(server.endpoint, sign(lookup(server), keys, scope))
        assert 400 <= answer.status < 500, (scope, answer)
        counted["refused"] += 1
    yesterday = amz_date(datetime.now(timezone.utc) - timedelta(days=1))[:8]
    signed = sign(lookup(server), keys)
    value = signed.header("authorization").replace(amz_date()[:8], yesterday)
    refused(server, replaced(signed, "authorization", value))
    for part in ("aws3_request", "aws4_request/more", ""):
        signed = sign(lookup(server), keys)
        value = signed.header("authorization").replace("aws4_request", part)
        refused(server, replaced(signed, "authorization", value))


# Proves: A2
def test_dates(server):
    keys = server.credentials
    for minutes in (-5.1, 5.1, -60, 60 * 24 * 365):
        moment = amz_date(datetime.now(timezone.utc) + timedelta(minutes=minutes))
        refused(server, sign(lookup(server), keys, date=moment), INVALID, "RequestExpired")
    for date in ("", "now", "20261301T000000Z", "2026-11-21T00:00:00Z", amz_date()[:-1], "0" * 16):
        request = lookup(server)
        request.headers.append(("X-Amz-Date", date))
        refused(server, sign(request, keys, date=date or "20260101T000000Z"))


# Proves: A2
def test_lifetimes_of_presigned_requests(server):
    for expires in ("0", "-1", "604801", "99999999999999999999", "", "1e3", "five"):
        refused(server, presign(lookup(server), server.credentials, Scope(), expires=expires))
    past = amz_date(datetime.now(timezone.utc) - timedelta(minutes=10))
    refused(server, presign(lookup(server), server.credentials, Scope(), expires="60", date=past))


# Proves: A2
def test_payload_hashes(server):
    keys = server.credentials
    signed = sign(lookup(server), keys)
    signed.body = b'{"MaxResults":1}'
    refused(server, signed, INVALID)
    for claimed in (
        sha256_hex(b"other"),
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        sha256_hex(b"{}").upper(),
        "",
    ):
        request = lookup(server, x_amz_content_sha256=claimed)
        signed = sign(request, keys, payload_hash=claimed or None)
        refused(server, signed)


# Proves: A2
def test_a_compressed_body_is_signed_as_it_is_sent(server):
    host, port = address(server.endpoint)
    plain = b"\n".join(EventMaker(5).batch(2))
    headers = [
        ("Host", f"{host}:{port}"),
        ("Content-Type", "application/x-ndjson"),
        ("Content-Encoding", "gzip"),
    ]
    scope = Scope(service="cloudtrail-data")
    request = Request("POST", "/events", "", headers, gzip.compress(plain))
    decoded = sign(request, server.credentials, scope, payload_hash=sha256_hex(plain))
    refused(server, decoded, INVALID)


# Proves: A2
def test_paths_and_queries(server):
    keys = server.credentials
    for path in ("//", "/./", "/%2f", "/+", "/a/../"):
        request = lookup(server)
        request.path = path
        signed = sign(request, keys)
        signed.path = "/"
        if path in ("/./", "//", "/a/../"):
            continue  # normalized to "/" by the signing rules
        refused(server, signed, INVALID)
    for signed_query, sent in (
        ("a=1&b=2", "a=1&b=3"),
        ("a=1", "a=1&a=1"),
        ("a=%2B", "a=+"),
        ("a", "a=b"),
        ("", "a="),
    ):
        request = lookup(server)
        request.query = signed_query
        signed = sign(request, keys)
        signed.query = sent
        refused(server, signed, INVALID)
    reordered = lookup(server)
    reordered.query = "b=2&a=1"
    answer = send(server.endpoint, sign(reordered, keys))
    assert answer.error_code not in REFUSALS, "the order of parameters is not signed"


def flipped(value: str, place: int) -> str:
    """The signature with one digit wrong."""
    digit = "0" if value[place] != "0" else "1"
    return value[:place] + digit + value[place:][1:]


# Proves: A2
def test_one_wrong_digit_anywhere_in_a_signature(server):
    good = sign(lookup(server), server.credentials).header("authorization")
    prefix, _, value = good.rpartition("Signature=")
    for place in range(len(value)):
        bad = sign(lookup(server), server.credentials)
        text = f"{prefix}Signature={flipped(value, place)}"
        refused(server, replaced(bad, "authorization", text), INVALID)


# Proves: A2
def test_signature_texts(server):
    keys = server.credentials
    good = sign(lookup(server), keys).header("authorization")
    prefix, _, value = good.rpartition("Signature=")
    for text in (value.upper(), value[:-1], value + "0", "", value[:32], "g" * 64, "0" * 64):
        if text == value:
            continue
        bad = sign(lookup(server), keys)
        refused(server, replaced(bad, "authorization", f"{prefix}Signature={text}"))
    for damaged in (
        good.replace("SignedHeaders=", "SignedHeader="),
        good.replace("Credential=", "Credentials="),
        good.replace(", ", ",").replace("Signature=", "Signature=a, Signature="),
        good.replace("host;", ""),
        good.replace("host;", "HOST;"),
        good.replace("host;", "host;host;"),
        good.replace("host;", "x-absent;host;"),
        good.replace(keys.access_key_id, ""),
        good.replace(keys.access_key_id, keys.access_key_id + "/x"),
    ):
        bad = sign(lookup(server), keys)
        refused(server, replaced(bad, "authorization", damaged))


# Proves: A2
def test_keys_of_others_and_disabled_keys(server):
    iam = server.client("iam")
    name = f"a2-{uuid.uuid4().hex[:6]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    swapped = Credentials(key["AccessKeyId"], server.credentials.secret_access_key)
    refused(server, sign(lookup(server), swapped), INVALID)
    iam.update_access_key(UserName=name, AccessKeyId=own.access_key_id, Status="Inactive")
    refused(server, sign(lookup(server), own), UNKNOWN, "InvalidClientTokenId")
    iam.delete_access_key(UserName=name, AccessKeyId=own.access_key_id)
    refused(server, sign(lookup(server), own), UNKNOWN, "InvalidClientTokenId")


# Proves: A2
def test_every_signed_byte_counts(server):
    """Flip a bit of each signed byte in turn: head values, target, date and body."""
    agent = "one-of-many-mutants"
    template = sign(
        lookup(server, b'{"MaxResults":1}', user_agent=agent), server.credentials
    )
    flipped = 0
    for index, (name, value) in enumerate(template.headers):
        if name == "Authorization":
            continue
        for position in range(0, len(value), 3):
            changed = chr(ord(value[position]) ^ 1)
            if not changed.isprintable() or changed == " ":
                continue
            headers = list(template.headers)
            headers[index] = (name, value[:position] + changed + value[position + 1 :])
            mutant = Request("POST", "/", "", headers, template.body)
            answer = exchange(server.endpoint, wire_form(mutant))
            assert answer is None or 400 <= answer.status < 500, (name, position, answer)
            if answer is not None and "x-amzn-requestid" in answer.headers:
                refusals.add(answer.headers["x-amzn-requestid"])
            flipped += 1
    for position in range(len(template.body)):
        body = bytearray(template.body)
        body[position] ^= 1
        mutant = Request("POST", "/", "", list(template.headers), bytes(body))
        refused(server, mutant, INVALID)
        flipped += 1
    counted["refused"] += flipped
    assert flipped > 50


# Proves: A2
def test_no_handler_was_reached(server):
    """Of all the refused requests none was recorded; one that passed after them was."""
    passed = accepted(server, sign(lookup(server), server.credentials))

    def recorded() -> set[str]:
        events = (json.loads(stored.json) for stored in Oracle(server.data_dir).events())
        return {event.get("requestID") for event in events}

    eventually(lambda: passed.headers["x-amzn-requestid"] in recorded(), 10, "the good call")
    assert not recorded() & refusals
    assert len(refusals) > 100
    record("A2", runs=counted["refused"], figures={"wrong ones accepted": 0})
