"""Prowler's checks of CloudTrail, over a trail that is set up by the book and one that is not."""

import csv
import json

import pytest

from conftest import ServerFactory
from harness.server import ACCOUNT, REGION
from harness.tools import program, run
from harness.trails import bucket_policy, trail_arn

BOOK, PLAIN = "by-the-book", "plain"
LOGS, ACCESS_LOGS, PLAIN_LOGS = "book-logs", "book-access-logs", "plain-logs"
#: Checks that a trail by the book does not pass here, and why; docs/clients.md names the same.
SHORTFALLS = {
    "cloudtrail_bucket_requires_mfa_delete": "MFA Delete is refused as not implemented",
    "cloudtrail_cloudwatch_logging_enabled": "log groups are refused until they are delivered to",
    "cloudtrail_kms_encryption_enabled": "keys are refused until there is a key service",
}
PASSED = {
    "cloudtrail_bedrock_logging_enabled",
    "cloudtrail_insights_exist",
    "cloudtrail_log_file_validation_enabled",
    "cloudtrail_logs_s3_bucket_access_logging_enabled",
    "cloudtrail_logs_s3_bucket_is_not_publicly_accessible",
    "cloudtrail_multi_region_enabled",
    "cloudtrail_multi_region_enabled_logging_management_events",
    "cloudtrail_s3_dataevents_read_enabled",
    "cloudtrail_s3_dataevents_write_enabled",
}
#: Checks that look at each trail alone: the plain one must fail them, or nobody looked.
FAILED_BY_PLAIN = set(SHORTFALLS) | {
    "cloudtrail_insights_exist",
    "cloudtrail_log_file_validation_enabled",
    "cloudtrail_logs_s3_bucket_access_logging_enabled",
}


def access_logs_policy() -> str:
    """Lets S3 deliver the access logs of the trail's bucket."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{ACCESS_LOGS}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{LOGS}"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_buckets(store) -> None:
    """The trail's bucket: private, versioned, encrypted, with an access log of its own."""
    for bucket in (LOGS, ACCESS_LOGS):
        store.create_bucket(Bucket=bucket)
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
        store.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration=dict.fromkeys(
                (*blocked, "RestrictPublicBuckets"), True
            ),
        )
    store.put_bucket_versioning(Bucket=LOGS, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    store.put_bucket_encryption(
        Bucket=LOGS, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    store.put_bucket_policy(Bucket=ACCESS_LOGS, Policy=access_logs_policy())
    logging = {"TargetBucket": ACCESS_LOGS, "TargetPrefix": "access/"}
    store.put_bucket_logging(Bucket=LOGS, BucketLoggingStatus={"LoggingEnabled": logging})
    store.put_bucket_policy(Bucket=LOGS, Policy=bucket_policy(LOGS, trail_arn(BOOK)))


def make_trails(server) -> None:
    """One trail by the book, one with a bucket and nothing else."""
    store, trails = server.client("s3"), server.client("cloudtrail")
    make_buckets(store)
    trails.create_trail(
        Name=BOOK, S3BucketName=LOGS, IsMultiRegionTrail=True, EnableLogFileValidation=True
    )
    selector = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}],
    }
    trails.put_event_selectors(TrailName=BOOK, EventSelectors=[selector])
    insights = [{"InsightType": name} for name in ("ApiCallRateInsight", "ApiErrorRateInsight")]
    trails.put_insight_selectors(TrailName=BOOK, InsightSelectors=insights)
    store.create_bucket(Bucket=PLAIN_LOGS)
    policy = bucket_policy(PLAIN_LOGS, trail_arn(PLAIN))
    store.put_bucket_policy(Bucket=PLAIN_LOGS, Policy=policy)
    trails.create_trail(Name=PLAIN, S3BucketName=PLAIN_LOGS)
    for name in (BOOK, PLAIN):
        trails.start_logging(Name=name)


@pytest.fixture(scope="module")
def scanned(binary, tmp_path_factory):
    """Prowler's findings of one scan: status by check and trail."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("prowler"))
    server = factory.start()
    make_trails(server)
    home = tmp_path_factory.mktemp("prowler-home")
    command = [str(program("prowler", "prowler")), "aws", "--service", "cloudtrail"]
    command += ["--region", REGION, "--output-formats", "csv", "--output-directory", str(home)]
    done = run(server, home, [*command, "--no-banner", "--ignore-exit-code-3"])
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = home.glob("*.csv")
    with report.open(newline="") as lines:
        found = list(csv.DictReader(lines, delimiter=";"))
    yield {(row["CHECK_ID"], row["RESOURCE_UID"]): row["STATUS"] for row in found}
    factory.close()


# Proves: QRY-360, QRY-364
def test_a_trail_by_the_book_passes_every_check_but_the_named_ones(scanned):
    ours = {check: status for (check, trail), status in scanned.items() if trail == trail_arn(BOOK)}
    assert ours == dict.fromkeys(PASSED, "PASS") | dict.fromkeys(SHORTFALLS, "FAIL")
    assert len(ours) == 12


def test_a_plain_trail_fails_what_it_lacks(scanned):
    theirs = {check for (check, trail), status in scanned.items()
              if trail == trail_arn(PLAIN) and status == "FAIL"}  # fmt: skip
    assert theirs == FAILED_BY_PLAIN
