"""The delivery oracle's own checks, on records and digests that are known to be right or wrong."""

import pytest

from harness.deliveries import DeliveryVerdict, chain_problems, judge_events, listing_problems
from harness.events import EventMaker, encode
from harness.ledger import Ledger, Outcome


def digest(start: int, end: int, previous: str | None, *files: str) -> dict:
    """A digest of some seconds of one minute."""
    return {
        "digestStartTime": f"2026-01-01T00:00:{start:02}Z",
        "digestEndTime": f"2026-01-01T00:00:{end:02}Z",
        "previousDigestS3Object": previous,
        "logFiles": [{"s3Object": file} for file in files],
    }


@pytest.mark.parametrize(
    ("second", "signs"),
    [
        (digest(6, 12, "one"), []),
        (digest(5, 12, "one"), ["signed twice"]),
        (digest(0, 6, None), ["signed twice", "does not follow"]),
        (digest(7, 12, "one"), ["not signed"]),
        (digest(6, 12, "other"), ["does not follow"]),
    ],
)
def test_gaps_and_overlaps_of_windows_are_found(second, signs):
    problems = chain_problems({"one": digest(0, 6, None), "two": second})
    assert len(problems) == len(signs)
    assert all(sign in problem for sign, problem in zip(signs, problems, strict=True))


def test_a_chain_without_its_beginning_is_found():
    assert chain_problems({}) and chain_problems({"two": digest(6, 12, "one")})


def test_what_is_listed_never_or_twice_or_is_not_there_is_found():
    digests = {"one": digest(0, 6, None, "a", "b"), "two": digest(6, 12, "one", "b", "c")}
    assert listing_problems(digests, ["a", "b", "d"]) == [
        "2 times listed: b",
        "the bucket lacks c",
        "no digest lists d",
    ]


def test_lost_doubled_changed_and_invented_events_are_found():
    maker, ledger, verdict = EventMaker(1), Ledger(), DeliveryVerdict()
    kept, lost, doubled, unanswered = (maker.event() for _ in range(4))
    events = [encode(event) for event in (kept, lost, doubled, unanswered)]
    names = ledger.sent(events)
    ledger.settle(names[:3], Outcome.ACKNOWLEDGED)
    invented = maker.event(eventSource="ec2.amazonaws.com")
    own = maker.event(eventSource="cloudtrail.amazonaws.com")
    changed = kept | {"eventName": "Other"}
    judge_events(verdict, [changed, doubled, doubled, invented, own], ledger)
    assert verdict.lost == [lost["eventID"]]
    assert verdict.duplicates == [doubled["eventID"]]
    assert verdict.altered == [kept["eventID"]]
    assert verdict.unsent == [invented["eventID"]]
    assert not verdict.holds
