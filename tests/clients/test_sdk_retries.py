"""What the SDKs' own retries make of our errors."""

import boto3
from botocore.config import Config

from harness.server import REGION

LOOKUPS = 6


# Proves: OVR-006, OVR-092
def test_an_sdk_waits_and_repeats_what_was_throttled(servers):
    server = servers.start(relaxed=False)
    client = boto3.client(
        "cloudtrail",
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=server.credentials.access_key_id,
        aws_secret_access_key=server.credentials.secret_access_key,
        config=Config(retries={"mode": "standard", "total_max_attempts": 10}),
    )
    answers = [client.lookup_events() for _ in range(LOOKUPS)]
    repeated = [answer["ResponseMetadata"]["RetryAttempts"] for answer in answers]
    assert sum(repeated) > 0, "two a second are not six at once"
    assert server.stop() == 0
    assert server.error_lines() == []
