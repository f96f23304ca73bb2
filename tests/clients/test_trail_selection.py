"""What trails take: the manual's selectors, put by the AWS CLI one after the other, and after each
an event of every kind. What the bucket holds at last is compared with what the selectors say."""

import json

import pytest

from conftest import ServerFactory
from harness.probes import ANOTHER, DATA, DEMO, MANAGEMENT, NETWORK, TABLE, Prober
from harness.selectors import FIXTURES, S3_TYPE, field, of
from harness.trail_stand import TIMES, TrailStand
from harness.trails import trail_arn

NAME, BUCKET = "selecting", "selected-events"
KEY_USE = {"encrypt", "disable key"}
OF_DEMO = {"get", "get by role", "put", "delete", "delete many", "part of delete many"}
OBJECTS = OF_DEMO | {"put in a bucket of a longer name", "put elsewhere"}
READS = {"describe", "encrypt"}
#: What each of the manual's advanced sets takes.
ADVANCED = {
    "all management": MANAGEMENT,
    "all but KMS": MANAGEMENT - KEY_USE,
    "all but the RDS Data API": MANAGEMENT - {"query"},
    "worked example": MANAGEMENT
    | {"put", "delete", "part of delete many", "put in a bucket of a longer name"}
    | {"invoke", "kms denied"},
    "one bucket": OF_DEMO,
    "Outposts": {"outposts"},
    "Cognito": {"cognito"},
    "three names": OBJECTS - {"delete many"},
    "without a role": OF_DEMO - {"get by role"},
    "deletions": {"delete", "delete many", "part of delete many"},
    "network": {
        "cloudtrail through an endpoint",
        "kms denied",
        "s3 denied",
        "ec2 denied at the example",
    },
    "everything": MANAGEMENT | NETWORK,
}
#: More of what the manual says of fields and operators, with what it takes.
FIELDS = {
    "wildcards are letters": (
        [of("", "Data", S3_TYPE, field("resources.ARN", Equals=[f"{DEMO}/*", "arn:aws:s3:::*"]))],
        set(),
    ),
    "a bucket without its slash": (
        [of("", "Data", S3_TYPE, field("resources.ARN", StartsWith=[DEMO]))],
        OF_DEMO | {"put in a bucket of a longer name"},
    ),
    "an object by its whole name": (
        [of("", "Data", S3_TYPE, field("resources.ARN", Equals=[f"{DEMO}/object1", DEMO]))],
        {"get"},
    ),
    "all but one object": (
        [of("", "Data", S3_TYPE, field("resources.ARN", NotEquals=[f"{DEMO}/object1"]))],
        OBJECTS - {"get"},
    ),
    "by the end of a name": (
        [of("", "Data", S3_TYPE, field("eventName", EndsWith=["Objects"]))],
        {"delete many"},
    ),
    "not by the beginning of a name": (
        [of("", "Data", S3_TYPE, field("eventName", NotStartsWith=["Delete", "Get"]))],
        {"put", "put in a bucket of a longer name", "put elsewhere"},
    ),
    "without service events": (
        [
            of("", "Data", S3_TYPE, field("eventType", NotEquals=["AwsServiceEvent"])),
            of("", "Management", field("eventType", NotEquals=["AwsServiceEvent"])),
        ],
        MANAGEMENT - {"service"} | OBJECTS - {"part of delete many"},
    ),
    "service events alone": (
        [of("", "Management", field("eventType", StartsWith=["AwsService"]))],
        {"service"},
    ),
    "sources by their beginnings and ends": (
        [
            of("", "Management", field("eventSource", StartsWith=["e"], NotEndsWith=["x"])),
            of("", "Data", S3_TYPE, field("eventSource", NotEquals=["s3.amazonaws.com"])),
        ],
        {"describe", "terminate", "console"},
    ),
    "names of management events": (
        [of("", "Management", field("eventName", Equals=["Encrypt"], EndsWith=["Instances"]))],
        {"describe", "terminate", "encrypt", "console"},
    ),
    "nobody at the console": (
        [of("", "Management", field("sessionCredentialFromConsole", NotEquals=["true"]))],
        MANAGEMENT - {"console"},
    ),
    "reads of two types": (
        [
            of("", "Data", S3_TYPE, field("readOnly", Equals=["true"])),
            of("", "Data", field("resources.type", Equals=["AWS::DynamoDB::Table"]),
               field("readOnly", Equals=["true"])),
        ],
        {"get", "get by role", "get records"},
    ),
    "a table without its stream": (
        [
            of("", "Data", field("resources.type", Equals=["AWS::DynamoDB::Table"]),
               field("eventName", NotEquals=["GetRecords"])),
        ],
        {"put item"},
    ),
    "network activity by name and endpoint": (
        [
            of("", "NetworkActivity", field("eventSource", Equals=["kms.amazonaws.com"]),
               field("eventName", Equals=["CreateKey", "ListKeys"], NotEndsWith=["Keys"])),
            of("", "NetworkActivity", field("eventSource", Equals=["ec2.amazonaws.com"]),
               field("vpcEndpointId", NotStartsWith=["vpce-example"])),
        ],
        {"kms denied", "ec2 denied"},
    ),
}


def resources(kind: str, *values: str) -> dict:
    """Data resources of a basic selector."""
    return {"Type": f"AWS::{kind}", "Values": list(values)}


def basic(*data: dict, kind: str = "All", management: bool = True, without: tuple = ()) -> dict:
    """A whole basic selector."""
    return {
        "ReadWriteType": kind,
        "IncludeManagementEvents": management,
        "DataResources": list(data),
        "ExcludeManagementEventSources": list(without),
    }


ALL_OBJECTS = resources("S3::Object", "arn:aws:s3:::")
ALL_FUNCTIONS = resources("Lambda::Function", "arn:aws:lambda")
ALL_TABLES = resources("DynamoDB::Table", "arn:aws:dynamodb")
FUNCTIONS, TABLES = {"invoke", "invoke another"}, {"put item", "get records"}
BASIC = {
    "two prefixes": (
        [basic(resources("S3::Object", f"{DEMO}/my-images", f"{DEMO}1/"))],
        MANAGEMENT | {"put", "delete", "put in a bucket of a longer name"},
    ),
    "one bucket": ([basic(resources("S3::Object", f"{DEMO}/"))], MANAGEMENT | OF_DEMO),
    "one function": (
        [basic(resources("Lambda::Function", ANOTHER))],
        MANAGEMENT | {"invoke another"},
    ),
    "all functions": ([basic(ALL_FUNCTIONS)], MANAGEMENT | FUNCTIONS),
    "one table": ([basic(resources("DynamoDB::Table", TABLE))], MANAGEMENT | TABLES),
    "data alone": ([basic(ALL_OBJECTS, ALL_TABLES, management=False)], OBJECTS | TABLES),
    "without keys": ([basic(without=("kms.amazonaws.com",))], MANAGEMENT - KEY_USE),
    "without queries": ([basic(without=("rdsdata.amazonaws.com",))], MANAGEMENT - {"query"}),
    "with both again": ([basic()], MANAGEMENT),
    "reads": ([basic(kind="ReadOnly")], READS),
    "writes": ([basic(kind="WriteOnly")], MANAGEMENT - READS),
    "reads of one, writes of the other": (
        [basic(kind="ReadOnly"), basic(ALL_OBJECTS, kind="WriteOnly", management=False)],
        READS | OBJECTS - {"get", "get by role"},
    ),
    "all that basic selectors know": (
        [basic(ALL_OBJECTS, ALL_FUNCTIONS, ALL_TABLES)],
        MANAGEMENT | DATA - {"outposts", "cognito"},
    ),
}


@pytest.fixture(scope="module")
def stand(binary, tmp_path_factory):
    """A server with the trail whose selectors change."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("selection"))
    made = TrailStand(factory.start(environment=TIMES))
    made.make_bucket(BUCKET, trail_arn(NAME))
    made.make_trail(NAME, BUCKET)
    yield made
    factory.close()


def put(stand, kind: str, selectors: list[dict]) -> None:
    """Put selectors by the AWS CLI, which prints what is now in force."""
    printed = stand.journey.aws(
        "cloudtrail", "put-event-selectors", "--trail-name", NAME,
        "--event-selectors" if kind == "EventSelectors" else "--advanced-event-selectors",
        json.dumps(selectors),
    )  # fmt: skip
    assert printed == {"TrailARN": trail_arn(NAME), kind: selectors}
    shown = stand.trails.get_event_selectors(TrailName=NAME)
    del shown["ResponseMetadata"]
    assert shown == printed


def put_by_boto3(stand, kind: str, selectors: list[dict]) -> None:
    """The same without starting a process."""
    answer = stand.trails.put_event_selectors(TrailName=NAME, **{kind: selectors})
    assert answer[kind] == selectors


def check(stand, kind: str, cases: dict[str, tuple[list[dict], set[str]]], putting=put) -> None:
    """Each set takes what it should, from its place in the log on."""
    prober = Prober()
    for case, (selectors, _) in cases.items():
        putting(stand, kind, selectors)
        stand.send(prober.events(case))
    stand.settle()
    seen = prober.seen(stand.records(BUCKET))
    assert seen == {case: taken for case, (_, taken) in cases.items() if taken}
    assert history(stand, prober) == dict.fromkeys(cases, MANAGEMENT)


def history(stand, prober: Prober) -> dict[str, set[str]]:
    """Which probes event history has, by round: all management events, whatever trails take."""
    lookup = stand.trails.get_paginator("lookup_events")
    pages = lookup.paginate(PaginationConfig={"PageSize": 50})
    events = [event for page in pages for event in page["Events"]]
    return prober.seen([{"eventID": event["EventId"]} for event in events])


# Proves: TRL-090, TRL-093, TRL-095, TRL-097, TRL-109, TRL-110, TRL-111, SEL-007, SEL-015, SEL-094
# Proves: SEL-009, SEL-101, SEL-112, SEL-143, SEL-144, SEL-145, TRL-365
def test_the_manuals_advanced_selectors_take_what_they_say(stand):
    check(
        stand,
        "AdvancedEventSelectors",
        {case: (FIXTURES[case], taken) for case, taken in ADVANCED.items()},
    )


# Proves: TRL-098, TRL-100, TRL-102, TRL-103, TRL-104, SEL-066, SEL-070, SEL-071, SEL-082, SEL-085
# Proves: SEL-086, SEL-091, SEL-092, SEL-096, SEL-097, SEL-100, SEL-102, SEL-104, SEL-118, TRL-367
def test_fields_and_operators_take_what_they_say(stand):
    check(stand, "AdvancedEventSelectors", FIELDS, put_by_boto3)


# Proves: TRL-090, TRL-112, TRL-114, TRL-120, TRL-121, TRL-123, SEL-008, SEL-019, SEL-053, SEL-054
# Proves: SEL-009, SEL-120, TRL-366
def test_basic_selectors_take_what_they_say(stand):
    check(stand, "EventSelectors", BASIC)


# Proves: TRL-113, SEL-074, SEL-076
def test_a_trail_goes_over_to_advanced_selectors(stand):
    """What it has is read, said again in the other form, and then there is room for more."""
    prober = Prober()
    put(stand, "EventSelectors", [basic(resources("S3::Object", f"{DEMO}/"), kind="WriteOnly")])
    stand.send(prober.events("basic"))
    (read,) = stand.trails.get_event_selectors(TrailName=NAME)["EventSelectors"]
    assert read["ReadWriteType"] == "WriteOnly" and read["IncludeManagementEvents"]
    writes = field("readOnly", Equals=["false"])
    advanced = [of("as before", "Management", writes)]
    for entry in read["DataResources"]:
        kind = field("resources.type", Equals=[entry["Type"]])
        arn = field("resources.ARN", StartsWith=entry["Values"])
        advanced.append(of("as before", "Data", kind, arn, writes))
    put(stand, "AdvancedEventSelectors", advanced)
    stand.send(prober.events("advanced"))
    more = of("more", "Data", field("resources.type", Equals=["AWS::Cognito::IdentityPool"]))
    put(stand, "AdvancedEventSelectors", [*advanced, more])
    stand.send(prober.events("more"))
    stand.settle()
    same = MANAGEMENT - READS | {"put", "delete", "delete many", "part of delete many"}
    seen = prober.seen(stand.records(BUCKET))
    assert seen == {"basic": same, "advanced": same, "more": same | {"cognito"}}
    assert "EventSelectors" not in stand.trails.get_event_selectors(TrailName=NAME)
