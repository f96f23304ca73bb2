"""Trails as their owners see them: a bucket that lets the trail in, its log files and digests, and
what validators say of them."""

import gzip
import json
import subprocess
from datetime import datetime

from .server import ACCOUNT

HOME = "us-east-1"


def bucket_policy(
    bucket: str, arn: str | list[str], prefix: str = "", accounts: tuple[str, ...] = (ACCOUNT,)
) -> str:
    """The policy that the manual gives for a trail's bucket (SEC-206, SEC-207), or for one that
    trails of several accounts share (REC-203, REC-204)."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": arn}
    folders = [f"arn:aws:s3:::{bucket}/{prefix}AWSLogs/{account}/*" for account in accounts]
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AWSCloudTrailAclCheck20150319",
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:GetBucketAcl",
                    "Resource": f"arn:aws:s3:::{bucket}",
                    "Condition": {"StringEquals": source},
                },
                {
                    "Sid": "AWSCloudTrailWrite20150319",
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:PutObject",
                    "Resource": folders,
                    "Condition": {
                        "StringEquals": source | {"s3:x-amz-acl": "bucket-owner-full-control"}
                    },
                },
            ],
        }
    )


def key_policy(arn: str) -> str:
    """The policy that the manual gives for a trail's key (SEC-332, SEC-333, SEC-346, SEC-348)."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    source = {"StringEquals": {"aws:SourceArn": arn}}
    trails = f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"
    context = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trails}}
    statements = [
        {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"},
        {
            "Principal": service,
            "Action": "kms:GenerateDataKey*",
            "Condition": source | context,
        },
        {"Principal": service, "Action": "kms:DescribeKey", "Condition": source},
    ]
    allowed = [{"Effect": "Allow", "Resource": "*"} | statement for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def trail_arn(name: str, region: str = HOME, account: str = ACCOUNT) -> str:
    """Of a trail, if nothing else is said of the first account in the home Region."""
    return f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"


class Journey:
    """A server with a place for log files, and what its owner sees."""

    def __init__(self, server, store, environment: dict[str, str]):
        self.server = server
        #: A boto3 client of the S3 endpoint that the bucket lies in.
        self.store = store
        #: What the AWS CLI needs to reach that endpoint.
        self.environment = environment

    def aws(self, *arguments: str, **values) -> dict:
        """A command of the AWS CLI; its answer."""
        finished = self.server.aws(*arguments, **values)
        return json.loads(finished.stdout) if finished.stdout.strip() else {}

    def objects(self, bucket: str, part: str) -> list[str]:
        """Keys that hold a text."""
        pages = self.store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        entries = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return [key for key in entries if part in key and key.endswith(".json.gz")]

    def records(self, bucket: str) -> list[dict]:
        """Every record of every log file, with the key that it came from."""
        found = []
        for key in self.objects(bucket, "/CloudTrail/"):
            body = self.store.get_object(Bucket=bucket, Key=key)["Body"].read()
            document = json.loads(gzip.decompress(body))
            assert list(document) == ["Records"] and document["Records"]
            found += document["Records"]
        return found

    def listed(self, bucket: str) -> list[str]:
        """Keys of log files that the digests list, by digest."""
        found = []
        for key in self.objects(bucket, "/CloudTrail-Digest/"):
            answer = self.store.get_object(Bucket=bucket, Key=key)
            assert answer["Metadata"]["signature-algorithm"] == "SHA256withRSA"
            digest = json.loads(gzip.decompress(answer["Body"].read()))
            found += [entry["s3Object"] for entry in digest["logFiles"]]
        return found

    def validate(self, name: str, since: datetime, *, region: str = HOME, tool: str = "aws"):
        """What a validator prints, and its exit code."""
        arguments = (
            "--trail-arn", trail_arn(name),
            "--start-time", since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "--region", region,
            "--verbose",
        )  # fmt: skip
        if tool == "aws":
            done = self.server.aws(
                "cloudtrail", "validate-logs", *arguments, check=False, **self.environment
            )
        else:
            done = subprocess.run(
                [str(self.server.settings.binary), "validate-logs", *arguments],
                env=self.server.aws_environment() | self.environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        return done.returncode, done.stdout.splitlines(), done.stderr
