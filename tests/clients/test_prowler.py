"""Prowler's checks of CloudTrail, over a trail that is set up by the book and one that is not."""

import csv
import json

import pytest

from conftest import ServerFactory
from harness.moto import Moto, write_credentials
from harness.outlets import GROUP, GROUP_ARN, ROLE_ARN, make_role
from harness.server import ACCOUNT, REGION
from harness.tools import program, run
from harness.trails import bucket_policy, key_policy, trail_arn
from harness.waiting import eventually

BOOK, PLAIN = "by-the-book", "plain"
LOGS, ACCESS_LOGS, PLAIN_LOGS = "book-logs", "book-access-logs", "plain-logs"
DELIVERED_SECONDS = 60.0
#: Checks that a trail by the book does not pass here, and why; docs/clients.md names the same.
SHORTFALLS = {
    "cloudtrail_bucket_requires_mfa_delete": "MFA Delete is refused as not implemented",
}
PASSED = {
    "cloudtrail_bedrock_logging_enabled",
    "cloudtrail_cloudwatch_logging_enabled",
    "cloudtrail_insights_exist",
    "cloudtrail_kms_encryption_enabled",
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
    "cloudtrail_cloudwatch_logging_enabled",
    "cloudtrail_insights_exist",
    "cloudtrail_kms_encryption_enabled",
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
    key = server.client("kms").create_key(Policy=key_policy(trail_arn(BOOK)))["KeyMetadata"]
    make_role(server.client("iam"))
    book = {
        "IsMultiRegionTrail": True,
        "EnableLogFileValidation": True,
        "CloudWatchLogsLogGroupArn": f"{GROUP_ARN}:*",
        "CloudWatchLogsRoleArn": ROLE_ARN,
        "KmsKeyId": key["Arn"],
    }
    trails.create_trail(Name=BOOK, S3BucketName=LOGS, **book)
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

    def has_logged() -> bool:
        return "LatestCloudWatchLogsDeliveryTime" in trails.get_trail_status(Name=BOOK)

    eventually(has_logged, DELIVERED_SECONDS, "delivery to the log group")


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """CloudWatch Logs, with a log group for the trail."""
    moto = Moto(tmp_path_factory.mktemp("moto"))
    try:
        moto.start().client("logs").create_log_group(logGroupName=GROUP)
        yield moto
    finally:
        moto.stop()


@pytest.fixture(scope="module")
def audited(binary, moto, tmp_path_factory):
    """A server for both trails."""
    folder = tmp_path_factory.mktemp("prowler")
    factory = ServerFactory(binary, folder)
    credentials = write_credentials(folder / "endpoints", "logs")
    environment = {
        "CAIRN_TRAILS_DELIVERY_INTERVAL": "2s",
        "CAIRN_ENDPOINTS_LOGS": moto.endpoint,
        "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials),
    }
    yield factory.start(environment=environment)
    factory.close()


@pytest.fixture(scope="module")
def scanned(audited, tmp_path_factory):
    """Prowler's findings of one scan: status by check and trail."""
    make_trails(audited)
    home = tmp_path_factory.mktemp("prowler-home")
    command = [str(program("prowler", "prowler")), "aws", "--service", "cloudtrail"]
    command += ["--region", REGION, "--output-formats", "csv", "--output-directory", str(home)]
    done = run(audited, home, [*command, "--no-banner", "--ignore-exit-code-3"])
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = home.glob("*.csv")
    with report.open(newline="") as lines:
        found = list(csv.DictReader(lines, delimiter=";"))
    return {(row["CHECK_ID"], row["RESOURCE_UID"]): row["STATUS"] for row in found}


# Proves: QRY-360, QRY-364
def test_a_trail_by_the_book_passes_every_check_but_the_named_ones(scanned):
    ours = {check: status for (check, trail), status in scanned.items() if trail == trail_arn(BOOK)}
    assert ours == dict.fromkeys(PASSED, "PASS") | dict.fromkeys(SHORTFALLS, "FAIL")
    assert len(ours) == 12


def test_a_plain_trail_fails_what_it_lacks(scanned):
    failed = {place for place, status in scanned.items() if status == "FAIL"}
    assert {check for check, trail in failed if trail == trail_arn(PLAIN)} == FAILED_BY_PLAIN
