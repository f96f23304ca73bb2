"""Log file validation switched on and off, the windows of digests, and a validator that knows only
what the manual says."""

import gzip
import json
from datetime import datetime, timedelta, timezone

import pytest

from conftest import ServerFactory
from harness.digest_reader import DigestReader, unzip
from harness.events import EventMaker, timestamp
from harness.server import REGION
from harness.trail_stand import DELIVERED_SECONDS, TIMES, TrailStand
from harness.trails import trail_arn
from harness.waiting import eventually

DIGEST_SECONDS = 2
AWAY = "eu-west-1"
DIGESTS = "/CloudTrail-Digest/"


@pytest.fixture(scope="module")
def stand(binary, tmp_path_factory):
    """One server for all tests here."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("validation"))
    times = TIMES | {"CAIRN_TRAILS_DIGEST_INTERVAL": f"{DIGEST_SECONDS}s"}
    yield TrailStand(factory.start(environment=times))
    factory.close()


def digests(stand, bucket: str, region: str = REGION) -> list[dict]:
    """The digests of a Region by their time."""
    keys = stand.keys(bucket, f"{DIGESTS}{region}/")
    found = [json.loads(unzip(stand.store.get_object(Bucket=bucket, Key=key))) for key in keys]
    return sorted(found, key=lambda digest: digest["digestEndTime"])


def listed(stand, bucket: str) -> list[str]:
    """The log files that digests name."""
    return [entry["s3Object"] for one in digests(stand, bucket) for entry in one["logFiles"]]


def deliver(stand, bucket: str) -> set[str]:
    """Have one event delivered; its log file, and those of calls that came with it."""
    # What came before may belong to another time of the trail.
    stand.settle()
    before = set(stand.keys(bucket))
    stand.send([stand.maker.event()])
    stand.settle()
    return set(stand.keys(bucket)) - before


def moment(text: str) -> datetime:
    """A time as digests write it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


# Proves: REC-228, REC-230, REC-231, REC-232, REC-247, TRL-144
def test_validation_is_switched_on_and_off_and_on(stand):
    def aws(command: str, *options: str) -> bool:
        arguments = ("cloudtrail", f"{command}-trail", "--name", "switched", *options)
        answer = stand.journey.aws(*arguments)
        shown = stand.trails.get_trail(Name="switched")["Trail"]
        assert shown["LogFileValidationEnabled"] is answer["LogFileValidationEnabled"]
        return answer["LogFileValidationEnabled"]

    def chains() -> int:
        found = digests(stand, "switched-logs")
        return len([one for one in found if one["previousDigestS3Object"] is None])

    bucket = ("--s3-bucket-name", "switched-logs")
    stand.make_bucket("switched-logs", trail_arn("switched"))
    assert aws("create", *bucket, "--enable-log-file-validation") is True
    stand.trails.delete_trail(Name="switched")
    assert aws("create", *bucket) is False
    stand.trails.start_logging(Name="switched")
    unlisted = deliver(stand, "switched-logs")
    began = datetime.now(timezone.utc)
    assert aws("update", "--enable-log-file-validation") is True
    enabled = datetime.now(timezone.utc)
    inside = deliver(stand, "switched-logs")
    eventually(lambda: digests(stand, "switched-logs"), DELIVERED_SECONDS, "the first digest")
    first = digests(stand, "switched-logs")[0]
    span = moment(first["digestEndTime"]) - moment(first["digestStartTime"])
    assert abs(span - timedelta(seconds=DIGEST_SECONDS)) <= timedelta(seconds=1)
    assert began - timedelta(seconds=1) <= moment(first["digestStartTime"]) <= enabled
    assert first["previousDigestS3Object"] is None
    # Nothing looks at the files by itself: what was changed shows when somebody validates.
    key = min(inside)
    kept = stand.store.get_object(Bucket="switched-logs", Key=key)["Body"].read()
    stand.store.put_object(Bucket="switched-logs", Key=key, Body=gzip.compress(b"{}"))
    count = len(digests(stand, "switched-logs"))
    eventually(lambda: len(digests(stand, "switched-logs")) > count, DELIVERED_SECONDS, "another")
    status = stand.trails.get_trail_status(Name="switched")
    assert "LatestDigestDeliveryTime" in status
    assert not {name for name in status if "Error" in name}
    code, _, errors = stand.journey.validate("switched", began - timedelta(minutes=1))
    assert code == 1 and "INVALID: hash value doesn't match" in errors
    stand.store.put_object(Bucket="switched-logs", Key=key, Body=kept)
    assert aws("update", "--no-enable-log-file-validation") is False
    between = deliver(stand, "switched-logs")
    assert aws("update", "--enable-log-file-validation") is True
    inside |= deliver(stand, "switched-logs")
    eventually(
        lambda: set(listed(stand, "switched-logs")) >= inside, DELIVERED_SECONDS, "all in digests"
    )
    assert chains() == 2
    assert unlisted and between
    assert not (unlisted | between) & set(listed(stand, "switched-logs"))
    code, lines, errors = stand.journey.validate("switched", began - timedelta(minutes=1))
    assert code == 0, (lines, errors)
    stand.trails.delete_trail(Name="switched")


@pytest.fixture(scope="module")
def chain(stand) -> str:
    """The bucket of a trail of all Regions that has stopped, whose digests name all its files."""
    bucket = "chain-logs"
    stand.make_bucket(bucket, trail_arn("chained"), prefix="some/prefix/")
    stand.make_trail(
        "chained", bucket, S3KeyPrefix="some/prefix",
        IsMultiRegionTrail=True, EnableLogFileValidation=True,
    )  # fmt: skip
    makers = [EventMaker(70, region=REGION), EventMaker(71, region=AWAY)]
    for turn in range(2):
        # Events of long ago, so that nobody takes their times for those of delivery.
        past = datetime.now(timezone.utc) - timedelta(hours=3 - turn)
        times = [timestamp(past + timedelta(minutes=minute)) for minute in range(5)]
        for maker in makers:
            stand.send([maker.event(eventTime=time) for time in times])
        stand.settle()
        count = len(digests(stand, bucket, AWAY))
        enough = lambda: len(digests(stand, bucket, AWAY)) > count  # noqa: B023, E731
        eventually(enough, DELIVERED_SECONDS, "a digest")
    stand.trails.stop_logging(Name="chained")
    whole = lambda: sorted(stand.journey.listed(bucket)) == sorted(stand.keys(bucket))  # noqa: E731
    eventually(whole, DELIVERED_SECONDS, "the last digests")
    return bucket


def newest(stand, bucket: str, region: str) -> str:
    """The key of the newest digest."""
    return digests(stand, bucket, region)[-1]["digestS3Object"]


# Proves: REC-236, REC-237, REC-239, REC-243, REC-256, REC-257, REC-258, REC-259, REC-289, REC-290
# Proves: REC-291, REC-292, REC-297
def test_anyone_can_write_a_validator(stand, chain):
    files = set()
    for region in (REGION, AWAY):
        reader = DigestReader(stand.store, stand.client(region))
        found = reader.walk(chain, newest(stand, chain, region))
        assert found.problems == []
        assert len(found.digests) == len(digests(stand, chain, region)) >= 2
        assert not files & set(found.files)
        files |= set(found.files)
        folder = f"some/prefix/AWSLogs/123456789012/CloudTrail/{region}/"
        assert found.files and all(key.startswith(folder) for key in found.files)
        for later, earlier in zip(found.digests, found.digests[1:], strict=False):
            assert later["digestStartTime"] == earlier["digestEndTime"]
        # The Region that it comes from, the trail, the trail's home.
        named = f"_CloudTrail-Digest_{region}_chained_{REGION}_"
        assert all(named in digest["digestS3Object"] for digest in found.digests)
    assert files == set(stand.keys(chain))


# Proves: REC-242, REC-244, REC-250, REC-254, REC-255
def test_windows_are_those_of_delivery(stand, chain):
    tolerance = timedelta(seconds=2)
    entries = 0
    for digest in digests(stand, chain, AWAY):
        start, end = moment(digest["digestStartTime"]), moment(digest["digestEndTime"])
        times = []
        for entry in digest["logFiles"]:
            entries += 1
            answer = stand.store.get_object(Bucket=chain, Key=entry["s3Object"])
            assert start - tolerance <= answer["LastModified"] <= end + tolerance
            own = [record["eventTime"] for record in json.loads(unzip(answer))["Records"]]
            assert (entry["oldestEventTime"], entry["newestEventTime"]) == (min(own), max(own))
            assert moment(entry["newestEventTime"]) < start
            times += own
        ends = (min(times), max(times)) if times else (None, None)
        assert (digest["oldestEventTime"], digest["newestEventTime"]) == ends
    assert entries >= 2


# Proves: REC-227, REC-251, REC-290, REC-291, REC-292
def test_ones_own_validator_names_what_was_changed(stand, chain):
    reader = DigestReader(stand.store, stand.client(AWAY))
    last = newest(stand, chain, AWAY)
    file = next(entry for one in digests(stand, chain, AWAY) for entry in one["logFiles"])
    chained = [one["digestS3Object"] for one in digests(stand, chain, AWAY)]

    def problems_with(key: str, body: bytes, **metadata: str) -> list[str]:
        kept = stand.store.get_object(Bucket=chain, Key=key)
        content = kept["Body"].read()
        signed = kept["Metadata"] | metadata
        stand.store.put_object(Bucket=chain, Key=key, Body=body, Metadata=signed)
        found = reader.walk(chain, last).problems
        stand.store.put_object(Bucket=chain, Key=key, Body=content, Metadata=kept["Metadata"])
        return found

    def changed(key: str) -> bytes:
        text = unzip(stand.store.get_object(Bucket=chain, Key=key))
        return gzip.compress(text.replace(b"Time", b"Tlme", 1))

    def same(key: str) -> bytes:
        return stand.store.get_object(Bucket=chain, Key=key)["Body"].read()

    name = file["s3Object"]
    assert problems_with(name, changed(name)) == [f"{name}: another hash than its digest says"]
    first = chained[0]
    rewritten = json.loads(unzip(stand.store.get_object(Bucket=chain, Key=first)))
    rewritten["logFiles"] = [{}]
    body = gzip.compress(json.dumps(rewritten).encode())
    assert problems_with(first, body) == [f"{first}: another hash than the next digest says"]
    forged = problems_with(last, same(last), signature="00" * 256)
    assert forged == [f"{last}: the signature is not the key's"]
    moved = problems_with(last, same(chained[-2]))
    assert moved == [f"{last}: it was moved"]
    assert reader.walk(chain, last).problems == []


# Proves: REC-242, REC-244, REC-245, REC-292
def test_digests_that_could_not_be_delivered_come_later(stand):
    bucket, name = "denied-logs", "denied"
    stand.make_bucket(bucket, trail_arn(name))
    policy = stand.store.get_bucket_policy(Bucket=bucket)["Policy"]
    stand.make_trail(name, bucket, EnableLogFileValidation=True)
    on_time = deliver(stand, bucket)

    def status() -> dict:
        return stand.trails.get_trail_status(Name=name)

    eventually(lambda: len(digests(stand, bucket)) >= 2, DELIVERED_SECONDS, "digests")
    assert "LatestDigestDeliveryTime" in status()
    stand.store.delete_bucket_policy(Bucket=bucket)
    late = stand.maker.event()
    stand.send([late])
    error = lambda: status().get("LatestDigestDeliveryError")  # noqa: E731
    eventually(lambda: error() == "AccessDenied", DELIVERED_SECONDS, "the error")
    count = len(digests(stand, bucket))
    stand.store.put_bucket_policy(Bucket=bucket, Policy=policy)
    stand.settle()
    files = set(stand.keys(bucket))
    whole = lambda: set(listed(stand, bucket)) >= files  # noqa: E731
    eventually(whole, DELIVERED_SECONDS, "all in digests")
    assert error() is None and len(digests(stand, bucket)) > count
    assert late["eventID"] in stand.ids(bucket) and files > on_time
    # The windows follow each other as if nothing had been.
    reader = DigestReader(stand.store, stand.trails)
    found = reader.walk(bucket, newest(stand, bucket, REGION))
    assert found.problems == [] and set(found.files) >= files
    for later, earlier in zip(found.digests, found.digests[1:], strict=False):
        assert later["digestStartTime"] == earlier["digestEndTime"]
    assert found.digests[-1]["previousDigestS3Object"] is None
    stand.trails.delete_trail(Name=name)


# Proves: REC-251, REC-289, REC-292
def test_a_chain_goes_on_in_another_bucket(stand):
    name, old, new = "moved", "old-chain-logs", "new-chain-logs"
    since = datetime.now(timezone.utc) - timedelta(minutes=1)
    stand.make_bucket(old, trail_arn(name))
    stand.make_bucket(new, trail_arn(name), prefix="new/")
    stand.make_trail(name, old, EnableLogFileValidation=True)
    deliver(stand, old)
    eventually(lambda: digests(stand, old), DELIVERED_SECONDS, "a digest")
    stand.trails.update_trail(Name=name, S3BucketName=new, S3KeyPrefix="new")
    deliver(stand, new)
    stand.trails.stop_logging(Name=name)
    stand.settle()
    files = set(stand.keys(old) + stand.keys(new))
    whole = lambda: {*listed(stand, old), *listed(stand, new)} == files  # noqa: E731
    eventually(whole, DELIVERED_SECONDS, "all in digests")
    found = DigestReader(stand.store, stand.trails).walk(new, newest(stand, new, REGION))
    assert found.problems == [] and set(found.files) == files
    count = len(digests(stand, old)) + len(digests(stand, new))
    assert len(found.digests) == count
    for tool in ("aws", "cairn"):
        code, lines, errors = stand.journey.validate(name, since, tool=tool)
        assert (code, errors) == (0, "")
        assert f"{count}/{count} digest files valid" in lines
        assert f"{len(files)}/{len(files)} log files valid" in lines
    stand.trails.delete_trail(Name=name)
