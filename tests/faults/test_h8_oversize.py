"""H8: evidence over the limits. A producer's event is refused by name; the record of a call to the
server itself loses its largest members, with a mark and a hash, and never itself."""

import hashlib
import json
import urllib.parse

from harness.calls import AGENT, Caller, CallLedger
from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.oracle import Oracle
from harness.producer import Producer
from harness.raw_http import address, send
from harness.results import record
from harness.signature import Request, Scope, sign

EVENT_BYTES_MAX = 1 << 20
TEXT_BYTES_MAX = 1024
JSON_KIND = "application/x-amz-json-1.1"
FORM_KIND = "application/x-www-form-urlencoded"


def trail(size: int, letter: str = "x") -> bytes:
    """CreateTrail with a name of this size."""
    return json.dumps({"Name": letter * size, "S3BucketName": "b"}, ensure_ascii=False).encode()


def policy(size: int) -> bytes:
    """PutUserPolicy with a document of this size."""
    form = {"Action": "PutUserPolicy", "Version": "2010-05-08", "UserName": "admin"}
    form |= {"PolicyName": "p", "PolicyDocument": "x" * size}
    return urllib.parse.urlencode(form).encode()


#: Service, operation, body, kind: refused by validation, each after the caller was authenticated.
CASES = {
    "name of 1 kB": ("cloudtrail", "CreateTrail", trail(1_000), JSON_KIND),
    "name of 100 kB": ("cloudtrail", "CreateTrail", trail(100_000), JSON_KIND),
    "name of 1,000 kB": ("cloudtrail", "CreateTrail", trail(1_000_000), JSON_KIND),
    "name just within the body": ("cloudtrail", "CreateTrail", trail(1_048_530), JSON_KIND),
    "name of letters of two bytes": ("cloudtrail", "CreateTrail", trail(500_000, "é"), JSON_KIND),
    "policy of 100 kB": ("iam", "PutUserPolicy", policy(100_000), FORM_KIND),
    "policy of 1,000 kB": ("iam", "PutUserPolicy", policy(1_000_000), FORM_KIND),
}


def events_of(server) -> list[dict]:
    """Everything in the history."""
    return [json.loads(stored.json) for stored in Oracle(server.data_dir).events()]


def large_texts(server) -> None:
    """Calls whose user agent and error text are longer than the members that take them."""
    host, port = address(server.endpoint)
    for agent in ("long-agent-" + "x" * 3_000, "long-agent-" + "é" * 3_000):
        headers = [
            ("Host", f"{host}:{port}"),
            ("Content-Type", JSON_KIND),
            ("X-Amz-Target", "CloudTrail_20131101.ListTrails"),
            ("User-Agent", agent.encode().decode("latin-1")),
        ]
        request = Request("POST", "/", "", headers, b"{}")
        unsigned = frozenset({"user-agent"})
        send(server.endpoint, sign(request, server.credentials, Scope(), unsigned=unsigned))


# Proves: H8, REC-016, REC-020, R21
def test_no_record_is_missing_however_large_the_call(servers):
    server = servers.start()
    calls = CallLedger()
    caller = Caller(server.endpoint, server.credentials, calls)
    marks = {}
    for name, case in CASES.items():
        before = set(calls.entries)
        assert caller.call(*case) is not None, name
        (marks[name],) = set(calls.entries) - before
        assert 400 <= calls.entries[marks[name]].status < 500, (name, calls.entries[marks[name]])
    caller.close()
    large_texts(server)
    assert server.stop() == 0
    events = events_of(server)
    by_mark = {event.get("userAgent"): event for event in events}
    omitted = 0
    for name, mark in marks.items():
        event = by_mark.get(mark)
        assert event is not None, f"{name}: no record"
        assert event["requestID"] == calls.entries[mark].request_id
        assert event["errorCode"], name
        assert len(event["errorMessage"].encode()) <= TEXT_BYTES_MAX, name
        given = event["requestParameters"]
        if given and given.get("omitted"):
            omitted += 1
            assert given["originalSize"] > EVENT_BYTES_MAX // 8 and len(given["sha256"]) == 64, name
    assert omitted > 0, "no case is too large for its record"
    agents = [agent for agent in by_mark if agent and agent.startswith("long-agent-")]
    assert len(agents) == 2, "a call with a long user agent has no record"
    assert all(len(agent.encode()) <= TEXT_BYTES_MAX for agent in agents)
    assert not [agent for agent in by_mark if agent and agent.startswith(AGENT) and
                agent not in calls.entries]
    figures = {"missing": 0, "with a mark and a hash": omitted}
    record("H8", runs=len(CASES) + 2, figures=figures)


# Proves: H8, R24
def test_what_a_producer_sends_is_kept_whole_or_refused_by_name(servers):
    server = servers.start()
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(8)
    kept = {}
    for size in (99_999, 100_000, 100_001, 600_000, EVENT_BYTES_MAX - 3_000):
        event = encode(maker.event(requestParameters={"field": "y" * size}))
        answer = producer.send([event])
        assert answer.document["accepted"] == 1, (size, answer)
        kept[json.loads(event)["eventID"]] = hashlib.sha256(event).hexdigest()
    large = encode(maker.event(requestParameters={"field": "y" * EVENT_BYTES_MAX}))
    small = maker.batch(1)[0]
    answer = producer.send([large, small])
    assert answer.document["accepted"] == 1, answer
    (refusal,) = answer.refused
    assert refusal["index"] == 0 and refusal["code"] and refusal["message"], refusal
    producer.close()
    assert server.stop() == 0
    stored = {
        event.event_id: hashlib.sha256(event.json).hexdigest()
        for event in Oracle(server.data_dir).events()
    }
    assert kept.items() <= stored.items()
    assert Oracle(server.data_dir).verdict(ledger).holds
