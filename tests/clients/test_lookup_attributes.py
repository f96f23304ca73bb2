"""Every lookup attribute over real CloudTrail files, against truth computed from the same bytes."""

import subprocess
from collections import Counter
from datetime import timedelta

import botocore.exceptions
import pytest

from conftest import ServerFactory
from harness import corpus
from harness.corpus import TrueEvent
from harness.waiting import eventually


@pytest.fixture(scope="module")
def history(binary, tmp_path_factory):
    """A server whose account owns the corpus, with the corpus ingested by `cairn ingest`."""
    folder = tmp_path_factory.mktemp("corpus")
    truth = corpus.moved_corpus(folder / "files")
    factory = ServerFactory(binary, folder)
    server = factory.start(environment={"CAIRN_ACCOUNT_DEFAULT_ID": corpus.ACCOUNT})
    finished = subprocess.run(
        [binary, "ingest", "--endpoint", server.endpoint, folder / "files"],
        env=server.aws_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    client = server.client("cloudtrail")
    newest = max(event.time for event in truth)
    eventually(
        lambda: len(lookup(client, StartTime=newest, EndTime=newest))
        == sum(event.time == newest for event in truth)
    )
    yield client, truth
    assert server.stop() == 0
    assert server.error_lines() == []


def lookup(client, attribute: tuple[str, str] | None = None, **parameters) -> list[dict]:
    """All pages of a lookup."""
    if attribute is not None:
        key, value = attribute
        parameters["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
    pages = client.get_paginator("lookup_events").paginate(
        **parameters, PaginationConfig={"PageSize": 50}
    )
    return [event for page in pages for event in page["Events"]]


def of_corpus(events: list[dict], truth: list[TrueEvent]) -> list[dict]:
    """Leaves out the events that the test's own calls cause."""
    known = {event.event_id for event in truth}
    return [event for event in events if event["EventId"] in known]


def check(history, attribute: tuple[str, str], wanted) -> int:
    """The lookup finds exactly the events that are wanted, each once; returns how many."""
    client, truth = history
    found = of_corpus(lookup(client, attribute), truth)
    expected = {event.event_id for event in truth if wanted(event)}
    assert Counter(event["EventId"] for event in found) == Counter(expected)
    return len(expected)


def values_of(truth, value_of) -> list[str]:
    """The distinct values of an attribute, the most frequent and the rarest first."""
    counts = [value for value, _ in Counter(filter(None, map(value_of, truth))).most_common()]
    return counts[:4] + counts[-4:]


# Proves: OVR-085, OVR-086, OVR-089, OVR-090
def test_everything_comes_once_newest_first_and_byte_for_byte(history):
    client, truth = history
    found = of_corpus(lookup(client), truth)
    assert Counter(event["EventId"] for event in found) == Counter(
        event.event_id for event in truth
    )
    times = [event["EventTime"] for event in found]
    assert times == sorted(times, reverse=True)
    by_id = {event.event_id: event for event in truth}
    for event in found:
        true = by_id[event["EventId"]]
        assert event["CloudTrailEvent"].encode() == true.raw
        assert event["EventName"] == true.record["eventName"]
        assert event["EventSource"] == true.record["eventSource"]
        assert event["EventTime"] == true.time
        assert event["ReadOnly"] == ("true" if true.record["readOnly"] else "false")
        assert event.get("Username") == true.user_name
        assert event.get("AccessKeyId") == true.access_key_id
        listed = {
            (entry.get("ResourceType"), entry["ResourceName"]) for entry in event["Resources"]
        }
        assert true.resources <= listed


# Proves: OVR-076, OVR-079
def test_event_id(history):
    for event in history[1][::300]:
        assert check(history, ("EventId", event.event_id), lambda e, w=event: e is w) == 1


# Proves: OVR-076, OVR-079
def test_event_name(history):
    for name in values_of(history[1], lambda event: event.record["eventName"]):
        assert check(history, ("EventName", name), lambda e, n=name: e.record["eventName"] == n)


# Proves: OVR-076, OVR-079
def test_event_source(history):
    for name in values_of(history[1], lambda event: event.record["eventSource"]):
        wanted = ("EventSource", name)
        assert check(history, wanted, lambda e, n=name: e.record["eventSource"] == n)


# Proves: OVR-078
def test_read_only(history):
    reads = check(history, ("ReadOnly", "true"), lambda event: event.record["readOnly"])
    writes = check(history, ("ReadOnly", "false"), lambda event: not event.record["readOnly"])
    assert reads + writes == len(history[1])


# Proves: OVR-076, OVR-079
def test_user_name(history):
    for name in values_of(history[1], lambda event: event.user_name):
        assert check(history, ("Username", name), lambda e, n=name: e.user_name == n)


# Proves: OVR-076, OVR-079
def test_access_key(history):
    for key in values_of(history[1], lambda event: event.access_key_id):
        assert check(history, ("AccessKeyId", key), lambda e, k=key: e.access_key_id == k)


# Proves: OVR-076, OVR-079
def test_resource_name_that_the_record_lists(history):
    names = Counter(name for event in history[1] for _, name in event.resources)
    for name in [*list(names)[:3], names.most_common(1)[0][0]]:
        wanted = {
            event.event_id
            for event in history[1]
            if any(listed == name for _, listed in event.resources)
        }
        found = {event["EventId"] for event in lookup(history[0], ("ResourceName", name))}
        assert wanted and wanted <= found
        for event in history[1]:
            if event.event_id in found - wanted:
                assert name in event.raw.decode(), "found without naming the resource"


# Proves: OVR-079
def test_bucket_named_in_the_request(history):
    def bucket(event: TrueEvent) -> str | None:
        parameters = event.record["requestParameters"] or {}
        is_s3 = event.record["eventSource"] == "s3.amazonaws.com"
        return parameters.get("bucketName") if is_s3 else None

    for name in values_of(history[1], bucket)[:3]:
        found = {event["EventId"] for event in lookup(history[0], ("ResourceName", name))}
        expected = {event.event_id for event in history[1] if bucket(event) == name}
        assert expected and expected <= found
    found = {event["EventId"] for event in lookup(history[0], ("ResourceType", "AWS::S3::Bucket"))}
    assert {event.event_id for event in history[1] if bucket(event)} <= found


# Proves: OVR-076
def test_resource_type_that_the_record_lists(history):
    types = Counter(kind for event in history[1] for kind, _ in event.resources if kind)
    for kind in types:
        listed = {
            event.event_id
            for event in history[1]
            if any(listed == kind for listed, _ in event.resources)
        }
        found = {event["EventId"] for event in lookup(history[0], ("ResourceType", kind))}
        assert listed <= found


# Proves: OVR-080
def test_both_ends_of_the_time_range_belong_to_it(history):
    client, truth = history
    times = sorted({event.time for event in truth})
    start, end = times[len(times) // 3], times[len(times) // 2]
    found = of_corpus(lookup(client, StartTime=start, EndTime=end), truth)
    expected = {event.event_id for event in truth if start <= event.time <= end}
    assert {event["EventId"] for event in found} == expected
    found = of_corpus(lookup(client, StartTime=start, EndTime=start), truth)
    assert {event["EventId"] for event in found} == {
        event.event_id for event in truth if event.time == start
    }


# Proves: OVR-076, OVR-080
def test_an_attribute_and_a_time_range_hold_together(history):
    client, truth = history
    times = sorted({event.time for event in truth})
    start, end = times[len(times) // 4], times[3 * len(times) // 4]
    attribute = ("EventSource", "ec2.amazonaws.com")
    found = of_corpus(lookup(client, attribute, StartTime=start, EndTime=end), truth)
    assert {event["EventId"] for event in found} == {
        event.event_id
        for event in truth
        if start <= event.time <= end and event.record["eventSource"] == attribute[1]
    }


# Proves: OVR-081
def test_a_range_the_wrong_way_round_is_an_error(history):
    client, truth = history
    moment = truth[0].time
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client.lookup_events(StartTime=moment, EndTime=moment - timedelta(seconds=1))
    assert refused.value.response["Error"]["Code"] == "InvalidTimeRangeException"


def test_values_match_whole_and_by_case(history):
    for value in ("RunInstance", "runinstances", "RunInstances ", "%", "*"):
        assert of_corpus(lookup(history[0], ("EventName", value)), history[1]) == []


def test_what_happened_in_another_region_is_not_here(history, server):
    assert [
        event
        for event in lookup(server.client("cloudtrail", region="eu-west-1"))
        if event["EventSource"] != "cloudtrail.amazonaws.com"
    ] == []


# Proves: OVR-084, OVR-090
def test_pages_are_as_large_as_asked_and_stay_stable(history):
    client, truth = history
    end = max(event.time for event in truth)
    seen, token, pages = [], None, 0
    while pages == 0 or token:
        parameters = {"MaxResults": 7, "EndTime": end, "StartTime": end - timedelta(minutes=2)}
        if token:
            parameters["NextToken"] = token
        page = client.lookup_events(**parameters)
        assert len(page["Events"]) <= 7
        seen += [event["EventId"] for event in page["Events"]]
        token = page.get("NextToken")
        pages += 1
    expected = [event for event in truth if event.time >= end - timedelta(minutes=2)]
    assert Counter(seen) == Counter(event.event_id for event in expected)
    assert pages >= len(expected) // 7


def test_fifty_events_a_page_unless_asked_otherwise(history):
    assert len(history[0].lookup_events()["Events"]) == 50
