"""Regions that the configuration enables and disables while a trail covers every Region."""

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
    # Disabled again: the trail shows there no more, the door is shut, all that came is delivered.
    stand.send(prober.events("at the end", "describe"))
    server.kill()
    server.settings.environment |= FEW
    server.restart()
    assert codes(stand, prober) == ["RegionNotEnabled"]
    stand.settle()
    seen = prober.seen(stand.records("all-logs"))
    assert seen == {"enabled": {"describe", "terminate"}, "at the end": {"describe"}}
