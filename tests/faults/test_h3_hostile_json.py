"""H3: hostile JSON at the doors. Limits are named, accepted numbers are kept, time stays linear."""

import json
import time

import pytest

from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.producer import Producer, batch_request
from harness.results import record
from harness.waiting import eventually

EVENT_BYTES_MAX = 1 << 20


def with_member(value: bytes, seed: int = 1) -> bytes:
    """An otherwise good event whose requestParameters are the given bytes."""
    raw = encode(EventMaker(seed).event(requestParameters=None))
    return raw[:-1] + b',"requestParameters":' + value + b"}"


def sized(total: int, seed: int) -> bytes:
    """A good event of exactly this many bytes."""
    base = with_member(b'{"filler":""}', seed)
    filler = b'{"filler":"' + b"x" * (total - len(base)) + b'"}'
    return with_member(filler, seed)


REFUSED = {
    "depth 129": with_member(b'{"a":' * 128 + b"1" + b"}" * 128),
    "depth 100,000": with_member(b"[" * 100_000 + b"]" * 100_000),
    "duplicate member": with_member(b'{"a":1,"a":2}'),
    "duplicate member by escape": with_member(b'{"a":1,"\\u0061":2}'),
    "lone surrogate": with_member(b'"\\ud800"'),
    "invalid UTF-8": with_member(b'"\xff\xfe"'),
    "byte order mark": b"\xef\xbb\xbf" + with_member(b"1"),
    "raw NUL": with_member(b'"\x00"'),
    "raw control character": with_member(b'"\x01"'),
    "leading zero": with_member(b"01"),
    "plus sign": with_member(b"+1"),
    "NaN": with_member(b"NaN"),
    "trailing comma": with_member(b'{"a":1,}'),
    "single quotes": with_member(b"{'a':1}"),
    "comment": with_member(b"{/* */}"),
    "bytes behind the end": with_member(b"1") + b"}",
    "one byte too large": sized(EVENT_BYTES_MAX + 1, 5),
}
ACCEPTED = {
    "depth 127": with_member(b'{"a":' * 126 + b"1" + b"}" * 126, 11),
    "400 digits": with_member(b"9" * 400, 12),
    "1e400": with_member(b'{"a":1e400,"b":-0,"c":1.0e+2}', 13),
    "escaped NUL": with_member(b'"\\u0000"', 14),
    "pair of surrogates": with_member(b'"\\ud83d\\ude00"', 15),
    "exactly the limit": sized(EVENT_BYTES_MAX, 16),
}


@pytest.fixture
def producer(server):
    """A producer with the administrator's key."""
    made = Producer(server.endpoint, server.credentials, Ledger())
    yield made
    made.close()


def send(server, producer: Producer, raw: bytes):
    """One event in a Records document, so that line ends inside it do not split it."""
    request = batch_request(server.endpoint, server.credentials, [b'{"Records":[' + raw + b"]}"])
    return producer.exchange(request)


# Proves: H3, R24
@pytest.mark.parametrize("name", REFUSED)
def test_hostile_events_are_refused_with_a_reason(server, producer, name):
    answer = send(server, producer, REFUSED[name])
    assert answer.status in (400, 413), (name, answer)
    assert answer.document.get("accepted", 0) == 0
    text = json.dumps(answer.document)
    assert "essage" in text, f"{name} is refused without words: {text}"
    assert server.is_running


# Proves: H3
@pytest.mark.parametrize("name", ACCEPTED)
def test_unusual_events_are_kept_exactly(server, producer, name):
    raw = ACCEPTED[name]
    answer = send(server, producer, raw)
    assert answer.document.get("accepted") == 1, (name, answer)
    event_id = json.loads(raw)["eventID"]
    client = server.client("cloudtrail")
    found = eventually(
        lambda: client.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventId", "AttributeValue": event_id}]
        )["Events"]
    )
    assert found[0]["CloudTrailEvent"].encode() == raw


# Proves: H3
def test_a_million_keys_take_linear_time(server, producer):
    def seconds(keys: int) -> float:
        members = b",".join(b'"k%d":1' % index for index in range(keys))
        began = time.monotonic()
        answer = send(server, producer, with_member(b"{" + members + b"}", keys))
        assert answer.status in (200, 400)
        return time.monotonic() - began

    small, large = seconds(50_000), seconds(700_000)
    assert large < 14 * max(small, 0.05) * 3, f"{small} s for 50,000 keys, {large} s for 700,000"


def test_too_many_events_and_too_large_bodies(server, producer):
    tiny = b"\n".join([b"{}"] * 10_001)
    answer = producer.exchange(batch_request(server.endpoint, server.credentials, [tiny]))
    assert answer.status in (400, 413)
    huge = b"x" * (11 << 20)
    answer = producer.exchange(batch_request(server.endpoint, server.credentials, [huge]))
    assert answer.status in (400, 413)


def test_every_case_left_the_server_in_peace(server):
    assert server.is_running
    record("H3", runs=len(REFUSED) + len(ACCEPTED) + 1, figures={"panics": 0})
