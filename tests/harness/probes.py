"""One event of each kind that selectors tell apart, by name, so that a test says in words what a
trail takes."""

import itertools

from .events import EventMaker
from .server import ACCOUNT

OBJECT = "AWS::S3::Object"
#: The bucket and the function of the manual's examples.
DEMO = "arn:aws:s3:::amzn-s3-demo-bucket"
FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function/MyLambdaFunction"
#: As functions are really named, which the one above is not.
ANOTHER = "arn:aws:lambda:us-east-2:123456789012:function:Another"
ENDPOINT = "vpce-example8c1b6b9b7"
ROLE_SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLEEXAMPLEEX:nightly",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/nightly",
    "accountId": ACCOUNT,
}


def management(service: str, name: str, *, reads: bool, **changes) -> dict:
    """Members of a management event."""
    return {
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "readOnly": reads,
    } | changes


def data(service: str, name: str, *resources: tuple[str, str], reads: bool, **changes) -> dict:
    """Members of a data event; resources are types and ARNs."""
    entries = [{"type": kind, "ARN": arn, "accountId": ACCOUNT} for kind, arn in resources]
    return management(service, name, reads=reads) | {
        "managementEvent": False,
        "eventCategory": "Data",
        "resources": entries,
    } | changes


def s3(name: str, key: str, *, reads: bool = False, bucket: str = DEMO, **changes) -> dict:
    """Members of an object's data event."""
    return data("s3", name, (OBJECT, f"{bucket}/{key}"), reads=reads, **changes)


def network(service: str, name: str, *, denied: str = "", endpoint: str = "vpce-1") -> dict:
    """Members of a network activity event."""
    members = {
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "eventType": "AwsVpceEvent",
        "eventCategory": "NetworkActivity",
        "managementEvent": None,
        "readOnly": None,
        "vpcEndpointId": endpoint,
        "vpcEndpointAccountId": ACCOUNT,
    }
    if denied:
        members |= {"errorCode": denied, "errorMessage": "The endpoint policy denied the request."}
    return members


DENIED = "VpceAccessDenied"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
IDENTITY_POOL = "arn:aws:cognito-identity:us-east-1:123456789012:identitypool/us-east-1:pool"
OUTPOST = "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/object/k"
PROBES = {
    "describe": management("ec2", "DescribeInstances", reads=True),
    "terminate": management("ec2", "TerminateInstances", reads=False),
    "encrypt": management("kms", "Encrypt", reads=True),
    "disable key": management("kms", "DisableKey", reads=False),
    "query": management("rdsdata", "ExecuteStatement", reads=False),
    "service": management("autoscaling", "Scale", reads=False, eventType="AwsServiceEvent"),
    "console": management("ec2", "StopInstances", reads=False, sessionCredentialFromConsole="true"),
    "get": s3("GetObject", "object1", reads=True),
    "get by role": s3("GetObject", "object2", reads=True, userIdentity=ROLE_SESSION),
    "put": s3("PutObject", "my-images/example.jpg"),
    "delete": s3("DeleteObject", "my-images/example.jpg"),
    "delete many": s3("DeleteObjects", ""),
    "part of delete many": s3("DeleteObject", "object3", eventType="AwsServiceEvent"),
    "put in a bucket of a longer name": s3("PutObject", "object3", bucket=f"{DEMO}1"),
    "put elsewhere": s3("PutObject", "object1", bucket="arn:aws:s3:::bucket-name"),
    "outposts": data("s3-outposts", "PutObject", ("AWS::S3Outposts::Object", OUTPOST), reads=False),
    "cognito": data(
        "cognito-identity", "GetId", ("AWS::Cognito::IdentityPool", IDENTITY_POOL), reads=True
    ),
    "invoke": data("lambda", "Invoke", ("AWS::Lambda::Function", FUNCTION), reads=False),
    "invoke another": data("lambda", "Invoke", ("AWS::Lambda::Function", ANOTHER), reads=False),
    "put item": data("dynamodb", "PutItem", ("AWS::DynamoDB::Table", TABLE), reads=False),
    "get records": data(
        "dynamodb",
        "GetRecords",
        ("AWS::DynamoDB::Stream", f"{TABLE}/stream/2026"),
        ("AWS::DynamoDB::Table", TABLE),
        reads=True,
    ),
    "cloudtrail through an endpoint": network("cloudtrail", "LookupEvents"),
    "kms through an endpoint": network("kms", "ListKeys"),
    "kms denied": network("kms", "CreateKey", denied=DENIED),
    "s3 denied": network("s3", "GetObject", denied=DENIED),
    "ec2 denied": network("ec2", "DescribeInstances", denied=DENIED),
    "ec2 denied at the example": network(
        "ec2", "DescribeInstances", denied=DENIED, endpoint=ENDPOINT
    ),
    "secrets through an endpoint": network("secretsmanager", "ListSecrets"),
}

#: Groups by class.
MANAGEMENT = {name for name, event in PROBES.items() if "eventCategory" not in event}
NETWORK = {name for name, event in PROBES.items() if event.get("vpcEndpointId")}
DATA = set(PROBES) - MANAGEMENT - NETWORK


#: No two probers make the same IDs.
SEEDS = itertools.count(100)


class Prober:
    """Makes the probes again and again, each time with IDs of their own, and knows them again."""

    def __init__(self, **where: str):
        #: `where` is the maker's account and Region.
        self.maker = EventMaker(next(SEEDS), **where)
        self.names: dict[str, tuple[str, str]] = {}

    def events(self, round_name: str, *names: str) -> list[dict]:
        """A round of probes, all or the named ones."""
        made = []
        for name in names or PROBES:
            event = self.maker.event(**PROBES[name])
            self.names[event["eventID"]] = (round_name, name)
            made.append(event)
        return made

    def seen(self, records: list[dict]) -> dict[str, set[str]]:
        """Names of probes among records, by round."""
        found: dict[str, set[str]] = {}
        for record in records:
            if record["eventID"] in self.names:
                round_name, name = self.names[record["eventID"]]
                found.setdefault(round_name, set()).add(name)
        return found
