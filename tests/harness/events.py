"""CloudTrail events as producers send them: made from a seed, about 1.3 KB each, all different."""

import json
import random
import uuid
from datetime import datetime, timedelta, timezone

from .server import ACCOUNT, REGION

ACTIVITIES = [
    ("ec2.amazonaws.com", "DescribeInstances", True),
    ("ec2.amazonaws.com", "RunInstances", False),
    ("s3.amazonaws.com", "ListBuckets", True),
    ("iam.amazonaws.com", "CreateUser", False),
    ("kms.amazonaws.com", "Decrypt", True),
    ("sts.amazonaws.com", "AssumeRole", True),
    ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", False),
]


def timestamp(moment: datetime) -> str:
    """The form of eventTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class EventMaker:
    """A seeded source of events; two makers of one seed make the same events."""

    def __init__(self, seed: int, account: str = ACCOUNT, region: str = REGION):
        self.random = random.Random(seed)
        self.account = account
        self.region = region

    def event(self, **changes) -> dict:
        """One complete management event; `changes` replace members, None removes one."""
        choose = self.random
        source, name, read_only = choose.choice(ACTIVITIES)
        user = f"user-{choose.randrange(40)}"
        moment = datetime.now(timezone.utc) - timedelta(seconds=choose.randrange(3600))
        event = {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": f"AIDA{choose.getrandbits(64):016X}",
                "arn": f"arn:aws:iam::{self.account}:user/{user}",
                "accountId": self.account,
                "accessKeyId": f"AKIA{choose.getrandbits(64):016X}",
                "userName": user,
            },
            "eventTime": timestamp(moment),
            "eventSource": source,
            "eventName": name,
            "awsRegion": self.region,
            "sourceIPAddress": f"198.51.100.{choose.randrange(256)}",
            "userAgent": "aws-cli/2.38.5 md/awscrt#0.27.2 ua/2.1 os/linux",
            "requestParameters": {
                "note": "ü €  \" \\ /" if choose.random() < 0.1 else "plain",
                "payload": f"{choose.getrandbits(2000):0500x}",
            },
            "responseElements": None,
            "requestID": str(uuid.UUID(int=choose.getrandbits(128), version=4)),
            "eventID": str(uuid.UUID(int=choose.getrandbits(128), version=4)),
            "readOnly": read_only,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self.account,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": source,
            },
        }
        for member, value in changes.items():
            if value is None:
                event.pop(member)
            else:
                event[member] = value
        return event

    def batch(self, count: int, **changes) -> list[bytes]:
        """Events as bytes, in the form in which they will be stored."""
        return [encode(self.event(**changes)) for _ in range(count)]


def encode(event: dict) -> bytes:
    """Compact JSON with non-ASCII text as it is."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
