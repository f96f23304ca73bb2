"""Small cases of trails that tests of other CloudTrails look at, one by one, against the server as
shipped with buckets that are there."""

import json
import uuid
from datetime import datetime

import pytest
from botocore.exceptions import ClientError

from harness.server import ACCOUNT
from harness.trails import bucket_policy

HOME, AWAY = "eu-west-3", "ap-southeast-1"
TEXTS = (
    "LatestDeliveryAttemptTime",
    "LatestDeliveryAttemptSucceeded",
    "LatestNotificationAttemptTime",
    "LatestNotificationAttemptSucceeded",
    "TimeLoggingStarted",
    "TimeLoggingStopped",
)


@pytest.fixture
def home(server):
    """A client of the Region in which trails are made here; what is left of them is deleted."""
    client = server.client("cloudtrail", region=HOME)
    yield client
    for trail in client.list_trails()["Trails"]:
        client.delete_trail(Name=trail["TrailARN"])


@pytest.fixture
def make(server, home):
    """Makes a trail with a bucket of its own; gives back what CreateTrail answered."""

    def made(**values) -> dict:
        name = f"trail-{uuid.uuid4().hex[:8]}"
        store = server.client("s3")
        store.create_bucket(Bucket=f"{name}-logs")
        policy = bucket_policy(f"{name}-logs", arn(name))
        store.put_bucket_policy(Bucket=f"{name}-logs", Policy=policy)
        return home.create_trail(Name=name, S3BucketName=f"{name}-logs", **values)

    return made


def arn(name: str) -> str:
    """Of a trail made here."""
    return f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/{name}"


def settings(answer: dict) -> dict:
    """The answer without what boto3 adds."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def refused(call, **arguments) -> tuple[str, str]:
    """Code and message of a call that must fail."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


# Proves: TRL-274, TRL-275
@pytest.mark.parametrize(
    "name,words",
    [
        ("aa", "too short"),
        ("a" * 129, "too long"),
        ("my#trail", "can only contain"),
        ("-trail", "letter or number"),
        ("trail-", "letter or number"),
        ("a..b", "adjacent"),
        ("192.168.5.4", "IP address"),
    ],
)
def test_a_bad_name_is_refused_before_the_bucket_is_looked_for(home, name, words):
    code, message = refused(home.create_trail, Name=name, S3BucketName="no-such-bucket")
    assert code == "InvalidTrailNameException"
    assert words in message


def test_a_bad_name_is_refused_by_every_call_that_takes_one(home):
    calls = (home.get_trail, home.get_trail_status, home.start_logging, home.stop_logging)
    for call in (*calls, home.update_trail, home.delete_trail):
        code, message = refused(call, Name="?")
        assert (code, "too short" in message) == ("InvalidTrailNameException", True)


def test_settings_that_do_not_fit_together_are_refused_before_the_bucket_is_looked_for(home):
    wanted = {"Name": "whole", "S3BucketName": "no-such-bucket", "IsMultiRegionTrail": True}
    code, message = refused(home.create_trail, IncludeGlobalServiceEvents=False, **wanted)
    assert code == "InvalidParameterCombinationException"
    assert "must include global service events" in message
    assert refused(home.create_trail, **wanted)[0] == "S3BucketDoesNotExistException"


# Proves: TRL-150
def test_a_topic_that_is_not_there_is_refused(home, make):
    code, _ = refused(make, SnsTopicName="no-such-topic")
    assert code == "InsufficientSnsTopicPolicyException"
    assert home.list_trails()["Trails"] == []


# Proves: TRL-071, TRL-076
def test_the_status_of_a_trail_that_never_logged_is_empty(home, make):
    made = make()
    for name in (made["Name"], made["TrailARN"]):
        status = settings(home.get_trail_status(Name=name))
        assert status == {"IsLogging": False} | dict.fromkeys(TEXTS, "")


# Proves: TRL-061, TRL-062, TRL-075, TRL-077
@pytest.mark.parametrize("by", ["Name", "TrailARN"])
def test_the_status_tells_of_starts_and_stops(home, make, by):
    name = make()[by]
    home.start_logging(Name=name)
    status = home.get_trail_status(Name=name)
    assert status["IsLogging"] is True
    assert isinstance(status["StartLoggingTime"], datetime)
    assert (status["TimeLoggingStopped"], "StopLoggingTime" in status) == ("", False)
    home.stop_logging(Name=name)
    stopped = home.get_trail_status(Name=name)
    assert stopped["IsLogging"] is False
    assert stopped["StartLoggingTime"] == status["StartLoggingTime"]
    assert stopped["TimeLoggingStarted"] == status["TimeLoggingStarted"]
    ended = stopped["StopLoggingTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert stopped["TimeLoggingStopped"] == ended


def test_trails_that_are_not_there_are_named_by_their_arn(home):
    wanted = ("TrailNotFoundException", f"Unknown trail: {arn('none')} for the user: {ACCOUNT}")
    calls = (home.get_trail, home.get_trail_status, home.start_logging, home.stop_logging)
    for call in (*calls, home.update_trail, home.delete_trail):
        for name in ("none", arn("none")):
            assert refused(call, Name=name) == wanted
    for call in (home.get_event_selectors, home.get_insight_selectors):
        assert refused(call, TrailName="none") == wanted


# Proves: TRL-025, TRL-067
def test_other_regions_see_the_trails_that_cover_them(server, home, make):
    everywhere = make(IsMultiRegionTrail=True)
    here = make()
    home.start_logging(Name=everywhere["Name"])
    away = server.client("cloudtrail", region=AWAY)
    listed = {"TrailARN": everywhere["TrailARN"], "Name": everywhere["Name"], "HomeRegion": HOME}
    assert away.list_trails()["Trails"] == [listed]
    seen = {
        shadows: [
            [trail["Name"] for trail in client.describe_trails(**shadows_of)["trailList"]]
            for client in (home, away)
        ]
        for shadows, shadows_of in {
            "default": {},
            "with": {"includeShadowTrails": True},
            "without": {"includeShadowTrails": False},
        }.items()
    }
    both, one = sorted([everywhere["Name"], here["Name"]]), [everywhere["Name"]]
    assert [sorted(seen["default"][0]), seen["default"][1]] == [both, one]
    assert seen["with"] == seen["default"]
    assert [sorted(seen["without"][0]), seen["without"][1]] == [both, []]
    assert away.get_trail_status(Name=everywhere["TrailARN"])["IsLogging"] is True
    home.delete_trail(Name=everywhere["Name"])
    assert away.list_trails()["Trails"] == []


# Proves: TRL-053
def test_an_update_of_nothing_changes_nothing(home, make):
    made = make(EnableLogFileValidation=True)
    assert settings(home.update_trail(Name=made["Name"])) == settings(made)
    got = home.get_trail(Name=made["Name"])["Trail"]
    assert got.items() >= settings(made).items()


# Proves: TRL-085, TRL-088, TRL-122
def test_selectors_of_one_kind_at_a_time(home, make):
    name = make()["Name"]
    default = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    fresh = settings(home.get_event_selectors(TrailName=name))
    default["ExcludeManagementEventSources"] = []
    assert fresh == {"TrailARN": arn(name), "EventSelectors": [default]}
    advanced = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
    both = {"EventSelectors": [default], "AdvancedEventSelectors": advanced}
    code, _ = refused(home.put_event_selectors, TrailName=name, **both)
    assert code == "InvalidEventSelectorsException"
    assert settings(home.get_event_selectors(TrailName=name)) == fresh
    everything = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::"]}]
    put = {"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": everything}
    answer = home.put_event_selectors(TrailName=name, EventSelectors=[put])
    assert answer["EventSelectors"] == [put | {"ExcludeManagementEventSources": []}]


# Proves: SEL-058, TRL-117, TRL-118
@pytest.mark.parametrize(
    "kind,value",
    [
        ("AWS::S3::Object", "arn:aws:s3:::amzn-s3-demo-bucket"),
        ("AWS::S3::Object", "arn:aws:s3:::*"),
        ("AWS::S3::Object", "arn:aws:s3:::*/*"),
        ("AWS::Lambda::Function", "arn:aws:lambda:*"),
    ],
)
def test_resources_that_would_select_too_much_or_nothing(home, make, kind, value):
    name = make()["Name"]
    selector = {"ReadWriteType": "All", "DataResources": [{"Type": kind, "Values": [value]}]}
    code, message = refused(home.put_event_selectors, TrailName=name, EventSelectors=[selector])
    assert code == "InvalidEventSelectorsException"
    assert message == f"Value {value} for DataResources.Values is invalid."
    assert home.get_trail(Name=name)["Trail"]["HasCustomEventSelectors"] is False


# Proves: TRL-126, TRL-128
@pytest.mark.parametrize("by", ["Name", "TrailARN"])
def test_insight_selectors_by_name_and_by_arn(home, make, by):
    made = make()
    code, _ = refused(home.get_insight_selectors, TrailName=made[by])
    assert code == "InsightNotEnabledException"
    wanted = [{"InsightType": "ApiCallRateInsight"}]
    expected = {"TrailARN": made["TrailARN"], "InsightSelectors": wanted}
    put = home.put_insight_selectors(TrailName=made[by], InsightSelectors=wanted)
    assert settings(put) == expected
    assert settings(home.get_insight_selectors(TrailName=made[by])) == expected


# Proves: TRL-082, TRL-083, TRL-084
def test_tags_are_added_taken_away_and_listed(home, make):
    def tags(name: str) -> list[dict]:
        (listed,) = home.list_tags(ResourceIdList=[name])["ResourceTagList"]
        assert listed["ResourceId"] == name
        return sorted(listed["TagsList"], key=lambda tag: tag["Key"])

    one, two, three = ({"Key": f"key{n}", "Value": f"value{n}"} for n in (1, 2, 3))
    assert tags(make()["TrailARN"]) == []
    tagged = make(TagsList=[one, two])["TrailARN"]
    home.add_tags(ResourceId=tagged, TagsList=[three])
    home.remove_tags(ResourceId=tagged, TagsList=[two])
    assert tags(tagged) == [one, three]


# Proves: QRY-360, QRY-362
def test_the_remedy_for_a_trail_without_management_events_keeps_its_data_events(server, home, make):
    """AWS's advice for a trail that the compliance rule finds, command by command."""
    name = make()["Name"]
    resources = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::amzn-s3-demo-bucket/prefix"]}]
    lacking = {"IncludeManagementEvents": False, "DataResources": resources}
    home.put_event_selectors(TrailName=name, EventSelectors=[lacking])

    def aws(*arguments: str) -> dict:
        finished = server.aws("cloudtrail", *arguments, "--trail-name", name, "--region", HOME)
        return json.loads(finished.stdout)

    (found,) = aws("get-event-selectors")["EventSelectors"]
    assert found["IncludeManagementEvents"] is False
    wanted = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": found["DataResources"],
    }
    aws("put-event-selectors", "--event-selectors", json.dumps([wanted]))
    (remedied,) = aws("get-event-selectors")["EventSelectors"]
    assert remedied["IncludeManagementEvents"] is True
    assert remedied["DataResources"] == resources
