"""Trails as boto3 and the AWS CLI make, change, read and delete them.

Where trails deliver to is not asked here: the server is the one that takes every destination for
granted. What it says of destinations that are not there is tested with the server as shipped.
"""

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from conftest import ServerFactory
from harness.selectors import FIXTURES, field, of
from harness.server import ACCOUNT
from harness.signature import Credentials
from harness.waiting import eventually

REGION = "us-east-1"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:CloudTrail/logs:*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudTrailToLogs"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
DEFAULT = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
]


@pytest.fixture(scope="module")
def trusting(sabotaged_binary, tmp_path_factory):
    """A server for which every bucket, key, topic and log group is there."""
    factory = ServerFactory(sabotaged_binary, tmp_path_factory.mktemp("trails"))
    server = factory.start(environment={"CAIRN_SABOTAGE": "destinations-unasked"})
    yield server
    factory.close()


@pytest.fixture
def cloudtrail(trusting):
    """A client in the first Region; whatever trails a test leaves are deleted."""
    client = trusting.client("cloudtrail")
    yield client
    for trail in client.list_trails()["Trails"]:
        if trail["HomeRegion"] == REGION:
            client.delete_trail(Name=trail["TrailARN"])


def arn(name: str, region: str = REGION) -> str:
    """A trail's ARN."""
    return f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}"


def refused(call, **arguments) -> dict:
    """Code and message of a call that fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def without_metadata(answer: dict) -> dict:
    """The answer alone."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# Proves: TRL-048, TRL-061, TRL-062, TRL-065, TRL-070, TRL-077
def test_the_life_of_a_trail_by_the_aws_cli(trusting):
    def aws(*arguments: str) -> dict:
        finished = trusting.aws("cloudtrail", *arguments)
        return json.loads(finished.stdout) if finished.stdout.strip() else {}

    made = aws(
        "create-trail", "--name", "by-cli", "--s3-bucket-name", "a-bucket",
        "--is-multi-region-trail", "--tags-list", "Key=Group,Value=Marketing",
    )
    assert made == {
        "Name": "by-cli",
        "S3BucketName": "a-bucket",
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "IsOrganizationTrail": False,
        "LogFileValidationEnabled": False,
        "TrailARN": arn("by-cli"),
    }
    # SEC-361, SEC-366: an alias comes back as a key, and an empty text takes it away.
    updated = aws("update-trail", "--name", "by-cli", "--kms-key-id", "alias/MyKmsKey")
    assert updated == made | {"KmsKeyId": KEY}
    assert aws("update-trail", "--name", "by-cli", "--kms-key-id", "") == made
    updated = aws("update-trail", "--name", "by-cli", "--no-is-multi-region-trail")
    assert updated == made | {"IsMultiRegionTrail": False}
    status = aws("get-trail-status", "--name", "by-cli")
    assert (status["IsLogging"], status["TimeLoggingStarted"]) == (False, "")
    assert aws("start-logging", "--name", arn("by-cli")) == {}
    status = aws("get-trail-status", "--name", "by-cli")
    assert status["IsLogging"] is True
    started = datetime.strptime(status["TimeLoggingStarted"], "%Y-%m-%dT%H:%M:%SZ")
    age = datetime.now(timezone.utc) - started.replace(tzinfo=timezone.utc)
    assert timedelta() <= age < timedelta(minutes=5)
    assert aws("stop-logging", "--name", "by-cli") == {}
    assert aws("get-trail-status", "--name", "by-cli")["IsLogging"] is False
    described = aws("get-trail", "--name", "by-cli")["Trail"]
    assert described == made | {
        "IsMultiRegionTrail": False,
        "HomeRegion": REGION,
        "HasCustomEventSelectors": False,
        "HasInsightSelectors": False,
    }
    assert aws("describe-trails", "--trail-name-list", "by-cli") == {"trailList": [described]}
    listed = aws("list-tags", "--resource-id-list", arn("by-cli"))
    tags = [{"Key": "Group", "Value": "Marketing"}]
    assert listed == {"ResourceTagList": [{"ResourceId": arn("by-cli"), "TagsList": tags}]}
    assert aws("add-tags", "--resource-id", arn("by-cli"), "--tags-list", "Key=a,Value=b") == {}
    assert aws("remove-tags", "--resource-id", arn("by-cli"), "--tags-list", "Key=Group") == {}
    listed = aws("list-tags", "--resource-id-list", arn("by-cli"))
    assert listed["ResourceTagList"][0]["TagsList"] == [{"Key": "a", "Value": "b"}]
    assert aws("list-public-keys") == {"PublicKeyList": []}
    assert aws("delete-trail", "--name", "by-cli") == {}
    assert aws("list-trails") == {"Trails": []}
    gone = trusting.aws("cloudtrail", "get-trail", "--name", "by-cli", check=False)
    assert "(TrailNotFoundException) when calling the GetTrail operation" in gone.stderr
    assert f"Unknown trail: {arn('by-cli')} for the user: {ACCOUNT}" in gone.stderr


# Proves: TRL-089, TRL-109, TRL-110, TRL-111, SEL-067, SEL-073, SEL-139, SEL-140, SEL-141, SEL-143
# Proves: SEL-144, SEL-145
def test_the_manuals_selectors_come_back_as_they_were_put(cloudtrail):
    cloudtrail.create_trail(Name="selecting", S3BucketName="a-bucket")
    for what, selectors in FIXTURES.items():
        expected = {"TrailARN": arn("selecting"), "AdvancedEventSelectors": selectors}
        put = cloudtrail.put_event_selectors(
            TrailName="selecting", AdvancedEventSelectors=selectors
        )
        assert without_metadata(put) == expected, what
        got = cloudtrail.get_event_selectors(TrailName="selecting")
        assert without_metadata(got) == expected, what


# Proves: TRL-020, TRL-021, TRL-101, TRL-105, TRL-108, TRL-116, SEL-055, SEL-056, SEL-057, SEL-072
def test_selectors_beyond_the_rules_are_refused_and_change_nothing(cloudtrail):
    cloudtrail.create_trail(Name="selecting", S3BucketName="a-bucket")
    values = [f"arn:aws:s3:::bucket-{n}/" for n in range(251)]
    names = [f"Name{n}" for n in range(500)]

    def data(count: int) -> list[dict]:
        return [{"DataResources": [{"Type": "AWS::S3::Object", "Values": values[:count]}]}]

    good = {
        "five selectors": {"EventSelectors": DEFAULT * 5},
        "250 resources": {"EventSelectors": data(250)},
        "500 values": {
            "AdvancedEventSelectors": [
                of("many", "Management", field("eventName", Equals=names[:499]))
            ]
        },
    }
    for what, selectors in good.items():
        assert cloudtrail.put_event_selectors(TrailName="selecting", **selectors), what
    bad = {
        "six selectors": {"EventSelectors": DEFAULT * 6},
        "251 resources": {"EventSelectors": data(251)},
        "501 values": {
            "AdvancedEventSelectors": [of("many", "Management", field("eventName", Equals=names))]
        },
        "another type": {
            "EventSelectors": [{"DataResources": [{"Type": "AWS::SNS::Topic", "Values": ["arn"]}]}]
        },
        "another source": {
            "EventSelectors": [{"ExcludeManagementEventSources": ["ec2.amazonaws.com"]}]
        },
        "no category": {
            "AdvancedEventSelectors": [{"FieldSelectors": [field("eventName", Equals=["a"])]}]
        },
        "an unknown field": {
            "AdvancedEventSelectors": [of("", "Management", field("sourceIP", Equals=["a"]))]
        },
        "readOnly by another operator": {
            "AdvancedEventSelectors": [of("", "Management", field("readOnly", NotEquals=["true"]))]
        },
        "equal and not equal": {
            "AdvancedEventSelectors": [
                of("", "Management", field("eventName", Equals=["a"], NotEquals=["a"]))
            ]
        },
    }
    before = without_metadata(cloudtrail.get_event_selectors(TrailName="selecting"))
    for what, selectors in bad.items():
        error = refused(cloudtrail.put_event_selectors, TrailName="selecting", **selectors)
        assert error["Code"] == "InvalidEventSelectorsException", what
        assert error["Message"], what
    assert without_metadata(cloudtrail.get_event_selectors(TrailName="selecting")) == before


#: Of the register's table: service, label, type, activity, line of the source.
TYPE_ROW = re.compile(r"^\|[^|]+\|[^|]+\| `(AWS::\w+::\w+)` \|", re.M)
SOURCE = re.compile(r"`([a-z0-9-]+\.amazonaws\.com)`")


# Proves: SEL-119, SEL-037, SEL-103
def test_every_resource_type_and_source_of_the_manual_can_be_selected(cloudtrail):
    register = Path(__file__).parents[2] / "docs/requirements/06-events-selectors-enrichment.md"
    text = register.read_text()
    types = TYPE_ROW.findall(text)
    line = next(line for line in text.splitlines() if "**SEL-037**" in line)
    sources = SOURCE.findall(line)
    assert (len(set(types)), len(set(sources))) == (124, 26)
    cloudtrail.create_trail(Name="selecting", S3BucketName="a-bucket")
    for selectors in (
        [of("", "Data", field("resources.type", Equals=[kind])) for kind in types],
        [of("", "NetworkActivity", field("eventSource", Equals=[name])) for name in sources],
    ):
        cloudtrail.put_event_selectors(TrailName="selecting", AdvancedEventSelectors=selectors)
        got = cloudtrail.get_event_selectors(TrailName="selecting")
        assert got["AdvancedEventSelectors"] == selectors
    # One selector has one type, and one source.
    for two in (
        of("", "Data", field("resources.type", Equals=types[:2])),
        of("", "NetworkActivity", field("eventSource", Equals=sources[:2])),
    ):
        error = refused(
            cloudtrail.put_event_selectors, TrailName="selecting", AdvancedEventSelectors=[two]
        )
        assert error["Code"] == "InvalidEventSelectorsException"


# Proves: TRL-009, TRL-015, TRL-068, TRL-128
def test_trails_of_one_region_have_settings_of_their_own(cloudtrail):
    trails = {
        "encrypted": {"KmsKeyId": KEY},
        "validated": {"EnableLogFileValidation": True, "S3KeyPrefix": "far"},
        "watched": {"CloudWatchLogsLogGroupArn": GROUP, "CloudWatchLogsRoleArn": ROLE},
        "announced": {"SnsTopicName": "news"},
    }
    for name, settings in trails.items():
        cloudtrail.create_trail(Name=name, S3BucketName=f"bucket-of-{name}", **settings)
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
    shown = {
        "encrypted": {"KmsKeyId": KEY},
        "validated": {"LogFileValidationEnabled": True, "S3KeyPrefix": "far"},
        "watched": trails["watched"],
        "announced": {"SnsTopicName": "news", "SnsTopicARN": topic},
    }

    def expected(name: str) -> dict:
        common = {
            "Name": name,
            "TrailARN": arn(name),
            "HomeRegion": REGION,
            "S3BucketName": f"bucket-of-{name}",
            "IncludeGlobalServiceEvents": True,
            "IsMultiRegionTrail": False,
            "IsOrganizationTrail": False,
            "LogFileValidationEnabled": False,
            "HasCustomEventSelectors": False,
            "HasInsightSelectors": False,
        }
        return common | shown[name]

    def described() -> dict[str, dict]:
        return {trail["Name"]: trail for trail in cloudtrail.describe_trails()["trailList"]}

    assert described() == {name: expected(name) for name in trails}
    cloudtrail.update_trail(Name="announced", SnsTopicName="")
    cloudtrail.put_insight_selectors(
        TrailName="watched", InsightSelectors=[{"InsightType": "ApiErrorRateInsight"}]
    )
    cloudtrail.start_logging(Name="validated")
    shown["announced"] = {}
    shown["watched"] = shown["watched"] | {"HasInsightSelectors": True}
    assert described() == {name: expected(name) for name in trails}
    insights = cloudtrail.get_insight_selectors(TrailName="watched")
    assert insights["InsightSelectors"] == [{"InsightType": "ApiErrorRateInsight"}]
    logging = [cloudtrail.get_trail_status(Name=name)["IsLogging"] for name in trails]
    assert logging == [False, True, False, False]


# Proves: TRL-025, TRL-026, TRL-027, TRL-028, TRL-029, TRL-072
def test_trails_in_other_regions(trusting, cloudtrail):
    cloudtrail.create_trail(Name="everywhere", S3BucketName="a-bucket", IsMultiRegionTrail=True)
    cloudtrail.create_trail(Name="local", S3BucketName="a-bucket")
    other = trusting.client("cloudtrail", region="eu-west-1")
    shown = other.describe_trails()["trailList"]
    assert [(trail["Name"], trail["HomeRegion"]) for trail in shown] == [("everywhere", REGION)]
    assert other.describe_trails(includeShadowTrails=False)["trailList"] == []
    assert other.get_trail(Name=arn("everywhere"))["Trail"]["IsMultiRegionTrail"] is True
    assert other.get_trail_status(Name=arn("everywhere"))["IsLogging"] is False
    for call in (other.start_logging, other.stop_logging, other.delete_trail, other.update_trail):
        error = refused(call, Name=arn("everywhere"))
        assert error["Code"] == "InvalidHomeRegionException"
        assert REGION in error["Message"]
    for call in (other.get_trail, other.get_trail_status, other.start_logging):
        error = refused(call, Name="local")
        assert error["Code"] == "TrailNotFoundException"
        assert error["Message"] == (
            f"Unknown trail: {arn('local', 'eu-west-1')} for the user: {ACCOUNT}"
        )
    error = refused(
        other.add_tags, ResourceId=arn("everywhere"), TagsList=[{"Key": "a", "Value": "b"}]
    )
    assert error["Code"] == "ResourceNotFoundException"


# Proves: TRL-018, P9
def test_the_quota_holds_when_sixteen_come_at_once(trusting, cloudtrail):
    names = [f"race-{n}" for n in range(16)]
    clients = [trusting.client("cloudtrail") for _ in names]

    def create(client, name: str) -> str | None:
        try:
            client.create_trail(Name=name, S3BucketName="a-bucket")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    with ThreadPoolExecutor(len(names)) as pool:
        codes = list(pool.map(create, clients, names))
    assert codes.count(None) == 5
    assert set(codes) == {None, "MaximumNumberOfTrailsExceededException"}
    made = {name for name, code in zip(names, codes, strict=True) if code is None}
    assert {trail["Name"] for trail in cloudtrail.list_trails()["Trails"]} == made


# Proves: TRL-014, SEC-132, SEC-133, SEC-134, SEC-139
def test_policies_see_the_trail_and_its_tags(trusting, cloudtrail):
    for name, team in (("ours", "audit"), ("theirs", "sales")):
        tags = [{"Key": "Team", "Value": team}]
        cloudtrail.create_trail(Name=name, S3BucketName="a-bucket", TagsList=tags)
    ours = {"StringEquals": {"aws:ResourceTag/Team": "audit"}}
    requested = {"StringEquals": {"aws:RequestTag/Team": "audit"}}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["cloudtrail:StartLogging", "cloudtrail:GetTrailStatus"],
                "Resource": "*",
                "Condition": ours,
            },
            {
                "Effect": "Allow",
                "Action": ["cloudtrail:CreateTrail", "cloudtrail:AddTags"],
                "Resource": "*",
                "Condition": requested,
            },
        ],
    }
    iam = trusting.client("iam")
    user = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    client = trusting.client("cloudtrail", credentials)
    client.start_logging(Name="ours")
    assert client.get_trail_status(Name=arn("ours"))["IsLogging"] is True
    for call in (client.start_logging, client.get_trail_status):
        for name in ("theirs", arn("theirs")):
            assert refused(call, Name=name)["Code"] == "AccessDeniedException"
    new = {"Name": "new", "S3BucketName": "a-bucket"}
    assert refused(client.create_trail, **new)["Code"] == "AccessDeniedException"
    sales = [{"Key": "Team", "Value": "sales"}]
    assert refused(client.create_trail, **new, TagsList=sales)["Code"] == "AccessDeniedException"
    audit = [{"Key": "Team", "Value": "audit"}]
    client.create_trail(**new, TagsList=audit)
    # What is taken from the trail counts at once.
    cloudtrail.remove_tags(ResourceId=arn("ours"), TagsList=[{"Key": "Team"}])
    assert refused(client.start_logging, Name="ours")["Code"] == "AccessDeniedException"


# Proves: R21
def test_trails_outlive_a_kill(servers, sabotaged_binary):
    environment = {"CAIRN_SABOTAGE": "destinations-unasked"}
    server = servers.start(binary=sabotaged_binary, environment=environment)
    client = server.client("cloudtrail")
    client.create_trail(Name="payroll", S3BucketName="a-bucket", SnsTopicName="news")
    client.start_logging(Name="payroll")
    selectors = FIXTURES["worked example"]
    client.put_event_selectors(TrailName="payroll", AdvancedEventSelectors=selectors)
    settings = ("IsLogging", "StartLoggingTime", "TimeLoggingStarted", "TimeLoggingStopped")

    def seen(client) -> list[dict]:
        status = client.get_trail_status(Name="payroll")
        return [
            without_metadata(client.get_trail(Name="payroll")),
            {name: status[name] for name in settings},
            without_metadata(client.get_event_selectors(TrailName="payroll")),
        ]

    before = seen(client)
    server.kill()
    server.start()
    client = server.client("cloudtrail")
    assert seen(client) == before
    wanted = [{"AttributeKey": "EventSource", "AttributeValue": "cloudtrail.amazonaws.com"}]
    events = eventually(
        lambda: [
            event
            for event in client.lookup_events(LookupAttributes=wanted)["Events"]
            if event["ReadOnly"] == "false"
        ]
    )
    assert [event["EventName"] for event in events] == [
        "PutEventSelectors", "StartLogging", "CreateTrail",
    ]


# Proves: TRL-049
def test_what_is_not_there_cannot_be_delivered_to(server):
    client = server.client("cloudtrail")
    error = refused(client.create_trail, Name="payroll", S3BucketName="no-such-bucket")
    assert error["Code"] == "S3BucketDoesNotExistException"
    assert error["Message"] == "S3 bucket no-such-bucket does not exist!"
    assert client.describe_trails()["trailList"] == []
