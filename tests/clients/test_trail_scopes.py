"""Several trails beside each other, the Regions that they cover, the buckets that they share."""

import gzip
import json
from datetime import datetime, timedelta, timezone

import pytest

from conftest import ServerFactory
from harness.events import timestamp
from harness.probes import MANAGEMENT, PROBES, Prober
from harness.server import ACCOUNT, REGION
from harness.trail_stand import TIMES, TrailStand
from harness.trails import bucket_policy, trail_arn
from harness.waiting import eventually

AWAY, THIRD = "eu-west-1", "ap-south-1"
ALL_DATA = [
    {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::"]},
    {"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]},
]
OF_BASIC = {
    name
    for name, event in PROBES.items()
    if event["eventSource"] in ("s3.amazonaws.com", "lambda.amazonaws.com")
    and event.get("eventCategory") == "Data"
} | MANAGEMENT
READS = {name for name in OF_BASIC if PROBES[name]["readOnly"]}


@pytest.fixture(scope="module")
def stand(binary, tmp_path_factory):
    """One server for all tests here."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("scopes"))
    yield TrailStand(factory.start(environment=TIMES))
    factory.close()


@pytest.fixture
def probers():
    """One for each of three Regions."""
    return {region: Prober(region=region) for region in (REGION, AWAY, THIRD)}


def send(stand, probers: dict[str, Prober], round_name: str, *names: str) -> None:
    """The same probes in every Region."""
    for prober in probers.values():
        stand.send(prober.events(round_name, *names))


def delivered(stand, probers: dict[str, Prober], bucket: str) -> dict[tuple[str, str], set[str]]:
    """Which probes lie in a bucket, by round and Region. Their keys name the Region."""
    records = stand.records(bucket)
    found = {}
    for region, prober in probers.items():
        in_region = [record for record in records if record["awsRegion"] == region]
        for round_name, names in prober.seen(in_region).items():
            found[round_name, region] = names
            assert stand.keys(bucket, f"AWSLogs/{ACCOUNT}/CloudTrail/{region}/")
    return found


# Proves: TRL-004, TRL-005, TRL-009, TRL-090, TRL-091, SEL-015, SEL-124, SEL-136, SEL-137, REC-149
# Proves: REC-158, REC-159, TRL-031
def test_trails_have_selections_regions_and_buckets_of_their_own(stand, probers):
    settings = {"IsMultiRegionTrail": True, "S3KeyPrefix": "reads"}
    stand.make_bucket("read-logs", trail_arn("reads"), region="eu-central-1", prefix="reads/")
    stand.make_bucket("write-logs", trail_arn("writes"))
    both = trail_arn("here"), trail_arn("there", AWAY)
    stand.make_bucket("shared-logs", *both)
    made = {
        "reads": (REGION, "read-logs", "ReadOnly", settings),
        "writes": (REGION, "write-logs", "WriteOnly", {"IsMultiRegionTrail": True}),
        "here": (REGION, "shared-logs", "All", {}),
        "there": (AWAY, "shared-logs", "All", {}),
    }
    for name, (region, bucket, kind, others) in made.items():
        stand.make_trail(name, bucket, region, **others)
        selectors = [{"ReadWriteType": kind, "IncludeManagementEvents": True}]
        selectors[0]["DataResources"] = ALL_DATA
        stand.client(region).put_event_selectors(TrailName=name, EventSelectors=selectors)
    send(stand, probers, "one")
    stand.settle()
    regions = [("one", region) for region in (REGION, AWAY, THIRD)]
    found = {bucket: delivered(stand, probers, bucket) for _, bucket, _, _ in made.values()}
    assert found == {
        "read-logs": dict.fromkeys(regions, READS),
        "write-logs": dict.fromkeys(regions, OF_BASIC - READS),
        "shared-logs": dict.fromkeys(regions[:2], OF_BASIC),
    }
    prefixed = stand.keys("read-logs")
    assert all(key.startswith(f"reads/AWSLogs/{ACCOUNT}/CloudTrail/") for key in prefixed)
    # What one is told changes no other.
    stand.trails.stop_logging(Name="writes")
    stand.trails.update_trail(Name="reads", S3BucketName="read-logs", S3KeyPrefix="reads")
    stand.trails.delete_trail(Name="here")
    send(stand, probers, "two", "describe", "terminate")
    stand.settle()
    again = {bucket: delivered(stand, probers, bucket) for bucket in found}
    second = {
        bucket: {place[1]: names for place, names in places.items() if place[0] == "two"}
        for bucket, places in again.items()
    }
    assert second == {
        "read-logs": dict.fromkeys((REGION, AWAY, THIRD), {"describe"}),
        "write-logs": {},
        "shared-logs": {AWAY: {"describe", "terminate"}},
    }
    stand.trails.delete_trail(Name="reads")
    stand.trails.delete_trail(Name="writes")
    stand.client(AWAY).delete_trail(Name="there")


# Proves: TRL-003, TRL-033, TRL-039, TRL-041, SEL-138, REC-162, REC-163, REC-209, REC-210
def test_a_trail_covers_every_region_and_then_its_own_again(stand, probers):
    def aws(*arguments: str, region: str = REGION) -> dict:
        return stand.journey.aws("cloudtrail", *arguments, "--region", region)

    stand.make_bucket("converted-logs", trail_arn("converted"))
    made = aws("create-trail", "--name", "converted", "--s3-bucket-name", "converted-logs")
    assert made == {
        "IncludeGlobalServiceEvents": True,
        "Name": "converted",
        "TrailARN": trail_arn("converted"),
        "LogFileValidationEnabled": False,
        "IsMultiRegionTrail": False,
        "IsOrganizationTrail": False,
        "S3BucketName": "converted-logs",
    }
    aws("start-logging", "--name", "converted")
    send(stand, probers, "single", "describe")
    assert aws("update-trail", "--name", "converted", "--is-multi-region-trail") == (
        made | {"IsMultiRegionTrail": True}
    )
    send(stand, probers, "multi", "describe")
    # It is one trail: every Region shows the same.
    shown = [
        stand.client(region).describe_trails(trailNameList=[trail_arn("converted")])["trailList"]
        for region in (REGION, AWAY, THIRD)
    ]
    assert shown[0][0]["IsMultiRegionTrail"] is True and shown == [shown[0]] * 3
    assert aws("update-trail", "--name", "converted", "--no-is-multi-region-trail") == made
    send(stand, probers, "single again", "describe")
    without = aws("update-trail", "--name", "converted", "--no-include-global-service-events")
    assert without == made | {"IncludeGlobalServiceEvents": False}
    aws("update-trail", "--name", "converted", "--include-global-service-events")
    assert aws("get-trail", "--name", "converted")["Trail"]["IncludeGlobalServiceEvents"] is True
    stand.settle()
    assert delivered(stand, probers, "converted-logs") == {
        ("single", REGION): {"describe"},
        ("multi", REGION): {"describe"},
        ("multi", AWAY): {"describe"},
        ("multi", THIRD): {"describe"},
        ("single again", REGION): {"describe"},
    }
    aws("delete-trail", "--name", "converted")
    created = aws(
        "create-trail", "--name", "converted", "--s3-bucket-name", "converted-logs",
        "--no-include-global-service-events",
    )  # fmt: skip
    assert created == without
    aws("delete-trail", "--name", "converted")


# Proves: TRL-007
def test_a_trail_gets_another_name_only_as_another_trail(stand):
    stand.make_bucket("named-logs", trail_arn("named"), trail_arn("renamed"))
    made = stand.make_trail("named", "named-logs")
    changed = stand.trails.update_trail(
        Name="named", IsMultiRegionTrail=True, EnableLogFileValidation=True
    )
    assert (changed["Name"], changed["TrailARN"]) == (made["Name"], made["TrailARN"])
    with pytest.raises(stand.trails.exceptions.TrailAlreadyExistsException):
        stand.trails.create_trail(Name="named", S3BucketName="named-logs")
    with pytest.raises(stand.trails.exceptions.TrailNotFoundException):
        stand.trails.update_trail(Name="renamed", IsMultiRegionTrail=True)
    stand.trails.delete_trail(Name="named")
    stand.make_trail("renamed", "named-logs")
    assert stand.trails.get_trail(Name="renamed")["Trail"]["TrailARN"] == trail_arn("renamed")
    with pytest.raises(stand.trails.exceptions.TrailNotFoundException):
        stand.trails.get_trail(Name="named")
    stand.trails.delete_trail(Name="renamed")


# Proves: TRL-064
def test_a_bucket_that_was_deleted_gets_the_files_when_it_is_there_again(stand, probers):
    stand.make_bucket("gone-logs", trail_arn("gone"))
    stand.make_trail("gone", "gone-logs", IsMultiRegionTrail=True)
    stand.store.delete_bucket(Bucket="gone-logs")
    send(stand, probers, "while it is gone", "describe")

    def error() -> str | None:
        return stand.trails.get_trail_status(Name="gone").get("LatestDeliveryError")

    eventually(lambda: error() == "NoSuchBucket", what="the error")
    stand.store.create_bucket(Bucket="gone-logs")
    eventually(lambda: error() == "AccessDenied", 30, "a bucket that does not let trails in")
    stand.store.delete_bucket(Bucket="gone-logs")
    stand.make_bucket("gone-logs", trail_arn("gone"))
    stand.settle()
    assert delivered(stand, probers, "gone-logs") == {
        ("while it is gone", region): {"describe"} for region in (REGION, AWAY, THIRD)
    }
    stand.trails.delete_trail(Name="gone")


# Proves: TRL-012, TRL-146
def test_log_files_keep_what_event_history_does_not(stand, tmp_path):
    stand.make_bucket("old-logs", trail_arn("old"))
    stand.make_trail("old", "old-logs")
    long_ago = datetime.now(timezone.utc) - timedelta(days=100)
    old, new = stand.maker.event(eventTime=timestamp(long_ago)), stand.maker.event()
    assert stand.send([old, new])["tooOld"] == 1
    stand.settle()
    stand.server.aws("s3", "sync", "s3://old-logs", str(tmp_path))
    files = [gzip.decompress(path.read_bytes()) for path in tmp_path.rglob("*.json.gz")]
    ids = {record["eventID"] for file in files for record in json.loads(file)["Records"]}
    assert {old["eventID"], new["eventID"]} <= ids

    def history(event: dict) -> list[dict]:
        wanted = {"AttributeKey": "EventId", "AttributeValue": event["eventID"]}
        return stand.trails.lookup_events(LookupAttributes=[wanted])["Events"]

    assert eventually(lambda: history(new)) and not history(old)
    stand.trails.delete_trail(Name="old")


def deliveries(stand, bucket: str) -> list[dict]:
    """Events of log files that were put into a bucket."""
    return [
        record
        for record in stand.records(bucket)
        if record["eventName"] == "PutObject"
        and record["userIdentity"].get("invokedBy") == "cloudtrail.amazonaws.com"
        and record["requestParameters"]["bucketName"] == bucket
    ]


# Proves: SEL-127, SEL-128, SEL-135
def test_a_bucket_that_watches_all_buckets_hears_of_its_own_files(stand):
    stand.make_bucket("loop-logs", trail_arn("loop"))
    stand.make_trail("loop", "loop-logs")
    objects = {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}
    category = {"Field": "eventCategory", "Equals": ["Data"]}
    every = [{"FieldSelectors": [category, objects]}]
    stand.trails.put_event_selectors(TrailName="loop", AdvancedEventSelectors=every)
    stand.settle()
    stand.store.create_bucket(Bucket="made-later")
    stand.store.put_object(Bucket="made-later", Key="one", Body=b"1")
    # Its put makes the first file, whose put is in a second one, and so on.
    eventually(lambda: len(deliveries(stand, "loop-logs")) >= 2, 30, "events of its own files")
    told = {record["requestParameters"]["key"] for record in deliveries(stand, "loop-logs")}
    assert told <= set(stand.keys("loop-logs"))
    own = {"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3:::loop-logs/"]}
    others = [{"FieldSelectors": [category, objects, own]}]
    stand.trails.put_event_selectors(TrailName="loop", AdvancedEventSelectors=others)
    stand.settle()
    before = len(deliveries(stand, "loop-logs"))
    stand.store.put_object(Bucket="made-later", Key="two", Body=b"2")
    stand.settle()
    stand.settle()
    assert len(deliveries(stand, "loop-logs")) == before
    keys = {
        record["requestParameters"]["key"]
        for record in stand.records("loop-logs")
        if record["requestParameters"].get("bucketName") == "made-later"
        and record["eventName"] == "PutObject"
    }
    assert keys == {"one", "two"}
    stand.trails.delete_trail(Name="loop")


# Proves: TRL-044, TRL-045
def test_calls_of_global_services_belong_to_the_first_region(stand):
    others = {"IncludeGlobalServiceEvents": False}
    for name, region, settings in (
        ("with-global", REGION, {}),
        ("without-global", REGION, others),
        ("far-global", AWAY, {}),
        ("all-global", REGION, {"IsMultiRegionTrail": True}),
    ):
        stand.make_bucket(f"{name}-logs", trail_arn(name, region))
        stand.make_trail(name, f"{name}-logs", region, **settings)
    made = {
        "iam": stand.server.client("iam", region=AWAY).list_users(),
        "sts": stand.server.client("sts").get_caller_identity(),
        "sts far": stand.server.client("sts", region=AWAY).get_caller_identity(),
    }
    calls = {answer["ResponseMetadata"]["RequestId"]: name for name, answer in made.items()}
    stand.settle()

    def taken(name: str) -> set[tuple[str, str]]:
        records = stand.records(f"{name}-logs")
        own = [record for record in records if record.get("requestID") in calls]
        return {(calls[record["requestID"]], record["awsRegion"]) for record in own}

    here = {("iam", REGION), ("sts", REGION)}
    assert taken("with-global") == here
    assert taken("without-global") == set()
    # A call to STS of another Region is that Region's, as AWS's own records have it.
    assert taken("far-global") == {("sts far", AWAY)}
    assert taken("all-global") == here | {("sts far", AWAY)}

    def history(region: str) -> set[str]:
        events = stand.client(region).lookup_events(MaxResults=50)["Events"]
        ids = {json.loads(event["CloudTrailEvent"]).get("requestID") for event in events}
        return {calls[one] for one in ids & set(calls)}

    eventually(lambda: (history(REGION), history(AWAY)) == ({"iam", "sts"}, {"sts far"}))
    for name in ("with-global", "without-global", "all-global"):
        stand.trails.delete_trail(Name=name)
    stand.client(AWAY).delete_trail(Name="far-global")


# Proves: TRL-361, TRL-364, SEL-013
def test_sign_ins_and_the_services_own_calls_are_management_events(stand):
    stand.make_bucket("own-logs", trail_arn("own-calls"))
    stand.make_trail("own-calls", "own-logs")
    sign_in = stand.maker.event(
        eventSource="signin.amazonaws.com",
        eventName="ConsoleLogin",
        eventType="AwsConsoleSignIn",
        readOnly=False,
        responseElements={"ConsoleLogin": "Success"},
        # What it does not say of its class is made of its type.
        eventCategory=None,
        managementEvent=None,
    )
    stand.send([sign_in])
    for name in ("own-calls", trail_arn("own-calls")):
        stand.trails.start_logging(Name=name)
    stand.settle()
    records = stand.records("own-logs")
    (login,) = [record for record in records if record["eventID"] == sign_in["eventID"]]
    assert (login["eventCategory"], login["managementEvent"]) == ("Management", True)
    starts = [record for record in records if record["eventName"] == "StartLogging"]
    assert {"own-calls", trail_arn("own-calls")} <= {
        record["requestParameters"]["name"] for record in starts
    }
    for record in starts:
        assert record["responseElements"] is None
        assert (record["readOnly"], record["managementEvent"]) == (False, True)
        assert record["eventSource"] == "cloudtrail.amazonaws.com"
    stand.trails.delete_trail(Name="own-calls")


# Proves: TRL-059, TRL-060
def test_a_trail_moves_to_a_bucket_that_lets_it_in(stand, probers):
    stand.make_bucket("first-logs", trail_arn("moving"))
    stand.make_trail("moving", "first-logs", IsMultiRegionTrail=True)
    send(stand, probers, "first", "describe")
    stand.store.create_bucket(Bucket="second-logs")
    full = bucket_policy("second-logs", trail_arn("moving"))
    # The name of CloudTrail in one Region would let in what that Region delivers, and no other.
    of_region = full.replace("cloudtrail.amazonaws.com", f"cloudtrail.{REGION}.amazonaws.com")
    of_another = full.replace(trail_arn("moving"), trail_arn("another"))
    for policy in (None, of_region, of_another):
        if policy:
            stand.store.put_bucket_policy(Bucket="second-logs", Policy=policy)
        with pytest.raises(stand.trails.exceptions.InsufficientS3BucketPolicyException):
            stand.trails.update_trail(Name="moving", S3BucketName="second-logs")
    assert stand.trails.get_trail(Name="moving")["Trail"]["S3BucketName"] == "first-logs"
    send(stand, probers, "still first", "describe")
    stand.store.put_bucket_policy(Bucket="second-logs", Policy=full)
    moved = stand.trails.update_trail(Name="moving", S3BucketName="second-logs")
    assert moved["S3BucketName"] == "second-logs"
    send(stand, probers, "second", "describe")
    stand.settle()
    for bucket, rounds in (("first-logs", ("first", "still first")), ("second-logs", ("second",))):
        assert delivered(stand, probers, bucket) == {
            (name, region): {"describe"} for name in rounds for region in probers
        }
    stand.trails.delete_trail(Name="moving")
