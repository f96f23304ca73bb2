"""Lookups as people type them: the AWS CLI's skeletons, files and totals, and what holds when
nothing is asked for."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from harness.events import EventMaker, encode, timestamp
from harness.ledger import Ledger
from harness.producer import Producer
from harness.waiting import eventually

NAME = "DescribeSpotPriceHistory"
MARK = {"AttributeKey": "EventName", "AttributeValue": NAME}


@pytest.fixture(scope="module")
def events(server) -> list[dict]:
    """Events of one name over the whole of the 90 days, newest first, all visible."""
    maker = EventMaker(31)
    now = datetime.now(timezone.utc)
    days = [0, 1, 45, 89, 91]
    made = [
        maker.event(eventName=NAME, eventTime=timestamp(now - timedelta(days=day, minutes=1)))
        for day in days
    ]
    producer = Producer(server.endpoint, server.credentials, Ledger())
    assert producer.send([encode(event) for event in made[::-1]]).refused == []
    producer.close()
    client = server.client("cloudtrail")
    eventually(lambda: len(client.lookup_events(LookupAttributes=[MARK])["Events"]) >= 4)
    return made


def identifiers(finished) -> list[str]:
    """The events that a command printed."""
    return [event["EventId"] for event in json.loads(finished.stdout)["Events"]]


# Proves: OVR-082
def test_without_times_the_whole_of_the_ninety_days_is_searched(server, events):
    client = server.client("cloudtrail")
    page = client.lookup_events(LookupAttributes=[MARK])
    within = [event["eventID"] for event in events[:-1]]
    assert [event["EventId"] for event in page["Events"]] == within
    long_ago = datetime.now(timezone.utc) - timedelta(days=200)
    page = client.lookup_events(LookupAttributes=[MARK], StartTime=long_ago)
    assert [event["EventId"] for event in page["Events"]] == within


# Proves: OVR-094, OVR-249, OVR-253
def test_a_skeleton_that_was_filled_in(server, events, tmp_path):
    before = server.metrics()
    made = server.aws("cloudtrail", "lookup-events", "--generate-cli-skeleton", "input")
    skeleton = json.loads(made.stdout)
    assert set(skeleton) >= {"LookupAttributes", "StartTime", "EndTime", "MaxResults", "NextToken"}
    counted = 'cairn_requests_total{service="cloudtrail",operation="LookupEvents"'
    answered = [sum(value for name, value in one.items() if name.startswith(counted))
                for one in (before, server.metrics())]
    assert answered[0] == answered[1], "a skeleton sends no request"
    for name in ("StartTime", "EndTime", "NextToken", "EventCategory"):
        skeleton.pop(name, None)
    skeleton |= {"LookupAttributes": [MARK], "MaxResults": 2}
    file = tmp_path / "input.json"
    file.write_text(json.dumps(skeleton))
    filled = ("cloudtrail", "lookup-events", "--cli-input-json", f"file://{file}", "--no-paginate")
    assert identifiers(server.aws(*filled)) == [event["eventID"] for event in events[:2]]
    # What is typed stands above what the file says.
    assert identifiers(server.aws(*filled, "--max-results", "1")) == [events[0]["eventID"]]
    skeleton["EndTime"] = (datetime.now(timezone.utc) - timedelta(days=40)).strftime("%Y-%m-%d")
    file.write_text(json.dumps(skeleton))
    assert identifiers(server.aws(*filled)) == [event["eventID"] for event in events[2:4]]


@pytest.mark.parametrize(("member", "value"), [("MaxResults", 0), ("NextToken", "")])
def test_what_a_skeleton_leaves_behind_is_refused(server, tmp_path, member, value):
    file = tmp_path / "input.json"
    file.write_text(json.dumps({member: value}))
    refused = server.aws(
        "cloudtrail", "lookup-events", "--cli-input-json", f"file://{file}", check=False
    )
    assert refused.returncode != 0
    assert "Invalid" in refused.stderr or "Parameter validation failed" in refused.stderr


# Proves: OVR-091, OVR-093
def test_totals_of_the_command_line(server, events):
    query = ("--lookup-attributes", f"AttributeKey=EventName,AttributeValue={NAME}")
    command = ("cloudtrail", "lookup-events", *query, "--page-size", "2", "--max-items", "3")
    first = server.aws(*command)
    assert identifiers(first) == [event["eventID"] for event in events[:3]]
    token = json.loads(first.stdout)["NextToken"]
    second = server.aws(*command, "--starting-token", token)
    assert identifiers(second) == [events[3]["eventID"]]
    assert "NextToken" not in json.loads(second.stdout)
    # The CLI's token counts within a page; the service knows its own tokens only.
    wrong = server.aws("cloudtrail", "lookup-events", *query, "--no-paginate", "--next-token",
                       token, check=False)
    assert "InvalidNextTokenException" in wrong.stderr
    assert server.aws("cloudtrail", "Lookup-Events", check=False).returncode != 0


# Proves: OVR-249
def test_insights_events_by_command_line(server):
    command = ("cloudtrail", "lookup-events", "--event-category", "insight")
    assert identifiers(server.aws(*command)) == []
    query = ("--lookup-attributes", f"AttributeKey=EventName,AttributeValue={NAME}")
    timed = ("--start-time", "2026-01-01", "--max-results", "50")
    assert identifiers(server.aws(*command, *query, *timed)) == []
    refused = server.aws(*command, "--lookup-attributes",
                         "AttributeKey=Username,AttributeValue=root", check=False)
    assert "InvalidLookupAttributesException" in refused.stderr
