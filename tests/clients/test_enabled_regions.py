"""Regions that the configuration enables and disables while a trail covers every Region."""

import pytest
from botocore.exceptions import ClientError

from harness.accounts import create_account
from harness.events import EventMaker
from harness.probes import Prober
from harness.server import ACCOUNT, REGION
from harness.trail_stand import TIMES, TrailStand
from harness.trails import trail_arn
from harness.waiting import eventually

NEW = "af-south-1"
FEW = {"CAIRN_ACCOUNT_REGIONS": f"{REGION},eu-west-1"}
MORE = {"CAIRN_ACCOUNT_REGIONS": f"{REGION},eu-west-1,{NEW}"}


def codes(stand, prober: Prober) -> list[str]:
    """Why the door refuses a probe, if it does."""
    answer = stand.offer(prober.events("asked", "describe"))
    return [entry["code"] for entry in answer.refused]


# Proves: TRL-034, TRL-035, TRL-037, REC-158, REC-160
def test_a_region_that_is_enabled_later_has_every_multi_region_trail(servers):
    server = servers.start(environment=TIMES | FEW | {"CAIRN_TRAILS_DIGEST_INTERVAL": "2s"})
    stand, prober = TrailStand(server), Prober(region=NEW)
    arn = trail_arn("everywhere")
    stand.make_bucket("all-logs", arn, trail_arn("here"))
    stand.make_trail(
        "everywhere", "all-logs", IsMultiRegionTrail=True, EnableLogFileValidation=True
    )
    stand.make_trail("here", "all-logs")
    assert codes(stand, prober) == ["RegionNotEnabled"]
    shown = stand.client("eu-west-1").describe_trails()["trailList"]
    assert [trail["Name"] for trail in shown] == ["everywhere"]
    assert server.stop() == 0
    server.settings.environment |= MORE
    server.restart()
    assert stand.client(NEW).describe_trails()["trailList"] == shown
    assert stand.client(NEW).get_trail_status(Name=arn)["IsLogging"] is True
    stand.send(prober.events("enabled", "describe", "terminate"))
    # Event history needs no trail there.
    events = eventually(lambda: stand.client(NEW).lookup_events()["Events"])
    assert {"DescribeInstances", "TerminateInstances"} <= {one["EventName"] for one in events}
    stand.settle()
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{NEW}/"
    assert all(key.startswith(folder) for key in stand.keys("all-logs", NEW))
    assert prober.seen(stand.records("all-logs")) == {"enabled": {"describe", "terminate"}}
    eventually(lambda: stand.keys("all-logs", f"/CloudTrail-Digest/{NEW}/"), 30, "its digests")


# Proves: TRL-038, REC-161
def test_a_region_that_is_disabled_goes_on_being_recorded(servers):
    server = servers.start(environment=TIMES | MORE | {"CAIRN_TRAILS_DIGEST_INTERVAL": "2s"})
    stand, prober = TrailStand(server), Prober(region=NEW)
    arn = trail_arn("everywhere")
    stand.make_bucket("all-logs", arn)
    stand.make_trail(
        "everywhere", "all-logs", IsMultiRegionTrail=True, EnableLogFileValidation=True
    )
    objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::far-bucket/"]}
    selectors = [{"ReadWriteType": "All", "DataResources": [objects]}]
    stand.trails.put_event_selectors(TrailName="everywhere", EventSelectors=selectors)
    place = {"LocationConstraint": NEW}
    stand.store.create_bucket(Bucket="far-bucket", CreateBucketConfiguration=place)
    assert stand.client(NEW).describe_trails()["trailList"]
    # What waits for the bucket when the Region ends comes all the same.
    policy = stand.store.get_bucket_policy(Bucket="all-logs")["Policy"]
    stand.store.delete_bucket_policy(Bucket="all-logs")
    stand.send(prober.events("before", "describe"))
    status = lambda: stand.trails.get_trail_status(Name="everywhere")  # noqa: E731
    eventually(lambda: "LatestDeliveryError" in status(), 30, "a failed delivery")
    assert server.stop() == 0
    server.settings.environment |= FEW
    server.restart()
    stand.store.put_object(Bucket="far-bucket", Key="after", Body=b"1")
    stand.store.put_bucket_policy(Bucket="all-logs", Policy=policy)
    stand.settle()
    records = stand.records("all-logs")
    assert prober.seen(records) == {"before": {"describe"}}
    puts = [one for one in records if one["eventName"] == "PutObject"]
    assert [(one["awsRegion"], one["requestParameters"]["key"]) for one in puts] == [(NEW, "after")]
    # The Region has no API any more, and producers cannot write for it.
    with pytest.raises(ClientError, match="Credential should be scoped to a valid region"):
        stand.client(NEW).describe_trails()
    assert codes(stand, prober) == ["RegionNotEnabled"]
    files = stand.keys("all-logs", f"/CloudTrail/{NEW}/")
    eventually(lambda: set(stand.journey.listed("all-logs")) >= set(files), 30, "their digests")


# Proves: TRL-034, TRL-004
def test_a_trail_of_an_account_that_has_other_regions_delivers(servers):
    account = "222233334444"
    few = {"CAIRN_ACCOUNT_REGIONS_BY_ACCOUNT": f"{account}=eu-west-1"}
    server = servers.start(environment=TIMES | few)
    stand, keys = TrailStand(server), create_account(server, account)
    assert REGION == "us-east-1", "where the first account's endpoints are"
    with pytest.raises(ClientError, match="Credential should be scoped to a valid region"):
        server.client("cloudtrail", keys).describe_trails()
    stand.make_bucket("far-logs", trail_arn("far", "eu-west-1", account), accounts=(account,))
    trails = server.client("cloudtrail", keys, "eu-west-1")
    trails.create_trail(Name="far", S3BucketName="far-logs", IsMultiRegionTrail=True)
    trails.start_logging(Name="far")
    event = EventMaker(980, account=account, region="eu-west-1").event()
    stand.send([event])
    stand.settle()
    assert event["eventID"] in stand.ids("far-logs")
