"""Records of every kind through the door: what history shows of them, and what it never shows."""

from datetime import timedelta

import pytest

from harness import examples
from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.producer import Producer
from harness.waiting import eventually

HISTORY = ("identities", "sign_ins", "members")


@pytest.fixture(scope="module")
def sent(server):
    """All examples, sent in one batch and visible as far as they ever will be."""
    known = {
        "history": examples.load(*HISTORY),
        "unselected": examples.load("data", "network_activity"),
        "trails": examples.load("insights_of_trails"),
        "stores": examples.load("insights_of_stores"),
    }
    everything = [example for group in known.values() for example in group]
    producer = Producer(server.endpoint, server.credentials, Ledger())
    answer = producer.send([example.raw for example in everything]).document
    # What comes last in the log is visible last.
    last = EventMaker(77).event()
    producer.send([encode(last)])
    producer.close()
    eventually(lambda: find(server, last["eventID"]))
    known["answer"] = answer
    return known


def lookup(server, **parameters) -> list[dict]:
    """All pages of a lookup."""
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(
        **parameters, PaginationConfig={"PageSize": 50}
    )
    return [event for page in pages for event in page["Events"]]


def by(key: str, value: str) -> dict:
    """The parameters of a lookup by one attribute."""
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def find(server, event_id: str) -> list[dict]:
    """What the history knows under an event ID."""
    return lookup(server, **by("EventId", event_id))


# Proves: REC-029, REC-124
def test_every_kind_of_record_is_accepted(sent):
    answer = sent["answer"]
    groups = [group for name, group in sent.items() if name != "answer"]
    assert answer["refused"] == []
    assert answer["accepted"] == sum(map(len, groups))


# Proves: REC-091, REC-097, OVR-016, OVR-079, OVR-086, OVR-089, SEL-013, SEC-388
def test_the_history_shows_every_management_record_as_it_was_sent(server, sent):
    found = {event["EventId"]: event for event in lookup(server)}
    for example in sent["history"]:
        event = found[example.event_id]
        assert event["CloudTrailEvent"].encode() == example.raw, example.name
        assert event["EventName"] == example.record["eventName"]
        assert event["EventSource"] == example.record["eventSource"]
        assert event.get("Username") == example.user_name, example.name
        assert event.get("AccessKeyId") == example.access_key_id, example.name
        listed = {(entry["ResourceType"], entry["ResourceName"]) for entry in event["Resources"]}
        assert example.resources <= listed, example.name
        for kind, resource in example.resources:
            ids = {one["EventId"] for one in lookup(server, **by("ResourceName", resource))}
            assert example.event_id in ids, (example.name, kind, resource)


# Proves: OVR-035
def test_the_history_shows_management_events_only(server, sent):
    unselected = [*sent["unselected"], *sent["stores"]]
    assert sent["answer"]["unselected"] == len(unselected)
    hidden = {example.event_id for example in [*unselected, *sent["trails"]]}
    assert hidden.isdisjoint(event["EventId"] for event in lookup(server))
    for example in [*unselected, *sent["trails"]]:
        assert find(server, example.event_id) == [], example.name


# Proves: OVR-243, OVR-248, OVR-252
def test_insights_events_of_trails_have_a_lookup_of_their_own(server, sent):
    found = lookup(server, EventCategory="insight")
    newest_first = sorted(sent["trails"], key=lambda example: example.record["eventTime"])[::-1]
    assert [event["EventId"] for event in found] == [one.event_id for one in newest_first]
    for event, example in zip(found, newest_first, strict=True):
        details = example.record["insightDetails"]
        assert event["CloudTrailEvent"].encode() == example.raw
        assert event["EventName"] == details["eventName"]
        assert event["EventSource"] == details["eventSource"]
        assert "Username" not in event and event["Resources"] == []
    client = server.client("cloudtrail")
    page = client.lookup_events(EventCategory="insight", MaxResults=1)
    assert len(page["Events"]) == 1
    following = client.lookup_events(EventCategory="insight", NextToken=page["NextToken"])
    assert [event["EventId"] for event in following["Events"]] == [
        one.event_id for one in newest_first[1:]
    ]
    with pytest.raises(client.exceptions.InvalidNextTokenException):
        client.lookup_events(NextToken=page["NextToken"])


# Proves: REC-048, SEL-215
def test_the_history_shows_no_context(server):
    event = EventMaker(78).event()
    context = {"requestContext": {"aws:MultiFactorAuthPresent": "true"}, "tagContext": {}}
    producer = Producer(server.endpoint, server.credentials, Ledger())
    answer = producer.send([encode(event | {"eventContext": context})])
    producer.close()
    assert answer.document["accepted"] == 1
    found = eventually(lambda: find(server, event["eventID"]))
    assert found[0]["CloudTrailEvent"].encode() == encode(event)


def test_a_member_in_another_case_speaks_for_nobody(server):
    event = EventMaker(79).event()
    forged = {
        "EventName": "Harmless",
        "EVENTID": "another",
        "eventsource": "harmless.amazonaws.com",
        "ReadOnly": not event["readOnly"],
        "UserIdentity": {"type": "Root"},
    }
    producer = Producer(server.endpoint, server.credentials, Ledger())
    assert producer.send([encode(forged | event)]).document["accepted"] == 1
    producer.close()
    (found,) = eventually(lambda: find(server, event["eventID"]))
    assert found["CloudTrailEvent"].encode() == encode(forged | event)
    assert found["EventName"] == event["eventName"]
    assert found["EventSource"] == event["eventSource"]
    assert found["ReadOnly"] == ("true" if event["readOnly"] else "false")
    assert found["Username"] == event["userIdentity"]["userName"]
    for key, value in (("EventName", "Harmless"), ("EventId", "another"),
                       ("EventSource", "harmless.amazonaws.com")):
        assert lookup(server, **by(key, value)) == []


def test_insights_events_are_found_by_attribute_and_time(server, sent):
    name = "DeleteInstanceProfile"
    wanted = [e for e in sent["trails"] if e.record["insightDetails"]["eventName"] == name]
    found = lookup(server, EventCategory="insight", **by("EventName", name))
    assert {event["EventId"] for event in found} == {one.event_id for one in wanted}
    newest = lookup(server, EventCategory="insight")[0]["EventTime"]
    later = newest + timedelta(seconds=1)
    assert lookup(server, EventCategory="insight", StartTime=later) == []
