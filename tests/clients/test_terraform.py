"""Terraform's aws_cloudtrail, replayed with boto3: the provider's own calls in its own order, and
after each apply a plan, which must find nothing to change.

Destinations are not asked here: the server is the one that takes them for granted, so that key,
topic and log group are part of the plan.
"""

import pytest
from botocore.exceptions import ClientError

from conftest import ServerFactory
from harness.moto import Moto, write_credentials
from harness.outlets import GROUP, GROUP_ARN, ROLE_ARN, make_role
from harness.server import ACCOUNT, REGION
from harness.trails import bucket_policy, trail_arn

NAME = "by-terraform"
ARN = trail_arn(NAME)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
#: What the provider sends when a plan has no selectors any more.
NO_SELECTORS = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}]
#: Settings of UpdateTrail, with what an absent one is in a plan.
SETTINGS = {
    "S3BucketName": "",
    "S3KeyPrefix": "",
    "SnsTopicName": "",
    "IncludeGlobalServiceEvents": True,
    "IsMultiRegionTrail": False,
    "IsOrganizationTrail": False,
    "LogFileValidationEnabled": False,
    "CloudWatchLogsLogGroupArn": "",
    "CloudWatchLogsRoleArn": "",
    "KmsKeyId": "",
}
LOGS = ("CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn")


def plan_of(**values) -> dict:
    """What a configuration asks for, with the provider's defaults."""
    rest = {"logging": True, "basic": [], "advanced": [], "insights": [], "tags": {}}
    return SETTINGS | rest | {"S3BucketName": "a-bucket"} | values


class Terraform:
    """The provider: it knows what it has read, and changes what differs from the plan."""

    def __init__(self, client):
        self.client = client
        self.state: dict | None = None

    def apply(self, plan: dict) -> None:
        """Create or update, then read; a plan made of what was read must be empty."""
        if self.state is None:
            self.create(plan)
        else:
            self.update(plan)
        self.state = self.read()
        assert self.state == plan

    def create(self, plan: dict) -> None:
        given = {name: plan[name] for name in SETTINGS if plan[name] != ""}
        given["EnableLogFileValidation"] = given.pop("LogFileValidationEnabled")
        made = self.client.create_trail(Name=NAME, TagsList=listed(plan["tags"]), **given)
        assert made["TrailARN"] == ARN
        if plan["logging"]:
            self.client.start_logging(Name=ARN)
        for kind in ("basic", "advanced"):
            if plan[kind]:
                self.put_selectors(kind, plan[kind])
        if plan["insights"]:
            self.client.put_insight_selectors(TrailName=ARN, InsightSelectors=plan["insights"])

    def update(self, plan: dict) -> None:
        changed = {name: plan[name] for name in SETTINGS if plan[name] != self.state[name]}
        if any(name in changed for name in LOGS):
            changed |= {name: plan[name] for name in LOGS}
        if "LogFileValidationEnabled" in changed:
            changed["EnableLogFileValidation"] = changed.pop("LogFileValidationEnabled")
        if changed:
            self.client.update_trail(Name=ARN, **changed)
        if plan["logging"] != self.state["logging"]:
            call = self.client.start_logging if plan["logging"] else self.client.stop_logging
            call(Name=ARN)
        for kind in ("basic", "advanced"):
            if plan[kind] != self.state[kind] and (plan[kind] or not plan["basic"]):
                self.put_selectors(kind if plan[kind] else "basic", plan[kind] or NO_SELECTORS)
        if plan["insights"] != self.state["insights"]:
            self.client.put_insight_selectors(TrailName=ARN, InsightSelectors=plan["insights"])
        self.update_tags(plan["tags"])

    def update_tags(self, wanted: dict) -> None:
        had = self.state["tags"]
        removed = [name for name in had if name not in wanted]
        added = {name: value for name, value in wanted.items() if had.get(name) != value}
        if removed:
            tags = [{"Key": name} for name in removed]
            self.client.remove_tags(ResourceId=ARN, TagsList=tags)
        if added:
            self.client.add_tags(ResourceId=ARN, TagsList=listed(added))

    def put_selectors(self, kind: str, selectors: list[dict]) -> None:
        member = {"basic": "EventSelectors", "advanced": "AdvancedEventSelectors"}[kind]
        self.client.put_event_selectors(TrailName=ARN, **{member: selectors})

    def read(self) -> dict | None:
        """What is there, as a plan would say it; None makes the next apply create it."""
        found = self.client.describe_trails(trailNameList=[ARN])["trailList"]
        if not found:
            return None
        (trail,) = found
        assert trail["TrailARN"] == ARN and trail["HomeRegion"] == REGION
        state = {name: trail.get(name, absent) for name, absent in SETTINGS.items()}
        state["logging"] = self.client.get_trail_status(Name=ARN)["IsLogging"]
        state |= {"basic": [], "advanced": [], "insights": []}
        if trail["HasCustomEventSelectors"]:
            answer = self.client.get_event_selectors(TrailName=ARN)
            state["basic"] = answer.get("EventSelectors", [])
            state["advanced"] = answer.get("AdvancedEventSelectors", [])
        if trail["HasInsightSelectors"]:
            answer = self.client.get_insight_selectors(TrailName=ARN)
            state["insights"] = answer["InsightSelectors"]
        (tags,) = self.client.list_tags(ResourceIdList=[ARN])["ResourceTagList"]
        state["tags"] = {tag["Key"]: tag["Value"] for tag in tags["TagsList"]}
        return state

    def destroy(self) -> None:
        try:
            self.client.delete_trail(Name=ARN)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "TrailNotFoundException"
        self.state = self.read()
        assert self.state is None


def listed(tags: dict[str, str]) -> list[dict]:
    """Tags as the API has them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


@pytest.fixture(scope="module")
def trusting(sabotaged_binary, tmp_path_factory):
    """A server for which every bucket, key, topic and log group is there."""
    factory = ServerFactory(sabotaged_binary, tmp_path_factory.mktemp("terraform"))
    server = factory.start(environment={"CAIRN_SABOTAGE": "destinations-unasked"})
    yield server
    factory.close()


@pytest.fixture
def terraform(trusting):
    """A provider, which begins by asking who it is."""
    assert trusting.client("sts").get_caller_identity()["Account"] == ACCOUNT
    provider = Terraform(trusting.client("cloudtrail"))
    yield provider
    provider.destroy()


BASIC = [
    {
        "ReadWriteType": "WriteOnly",
        "IncludeManagementEvents": True,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::b/"]}],
        "ExcludeManagementEventSources": ["kms.amazonaws.com"],
    }
]
ADVANCED = [
    {
        "Name": "Writes of one bucket",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::b/"]},
            {"Field": "readOnly", "Equals": ["false"]},
        ],
    },
    {"Name": "", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
]
RATE, ERRORS = {"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiErrorRateInsight"}
WHOLE = plan_of(
    S3KeyPrefix="prefix",
    SnsTopicName="news",
    IsMultiRegionTrail=True,
    LogFileValidationEnabled=True,
    CloudWatchLogsLogGroupArn=f"{GROUP_ARN}:*",
    CloudWatchLogsRoleArn=ROLE_ARN,
    KmsKeyId=KEY,
    basic=BASIC,
    insights=[RATE, ERRORS],
    tags={"Team": "audit", "environment": "dev"},
)


# Proves: TRL-010, TRL-053, TRL-069, TRL-125, QRY-364
def test_every_apply_ends_with_an_empty_plan(terraform):
    terraform.apply(plan_of())
    # The example of the compliance rule: management events by a block of their own.
    default = NO_SELECTORS[0] | {"ExcludeManagementEventSources": []}
    terraform.put_selectors("basic", [default])
    assert terraform.read() == terraform.state
    terraform.destroy()
    for plan in (
        WHOLE,
        WHOLE,
        WHOLE | {"basic": [], "advanced": ADVANCED, "insights": [RATE]},
        WHOLE | {"CloudWatchLogsRoleArn": f"{ROLE_ARN}2", "tags": {"Team": "sales", "new": "1"}},
        WHOLE | {"logging": False, "KmsKeyId": "", "SnsTopicName": "", "S3KeyPrefix": ""},
        plan_of(logging=False),
        plan_of(IncludeGlobalServiceEvents=False, S3BucketName="another-bucket"),
        WHOLE,
    ):
        terraform.apply(plan)


def test_a_trail_that_somebody_deleted_is_made_again(terraform):
    terraform.apply(WHOLE)
    terraform.client.delete_trail(Name=ARN)
    terraform.state = terraform.read()
    assert terraform.state is None
    terraform.apply(WHOLE)


def test_what_somebody_changed_is_in_the_next_plan(terraform):
    terraform.apply(WHOLE)
    client = terraform.client
    client.stop_logging(Name=ARN)
    client.put_event_selectors(TrailName=ARN, AdvancedEventSelectors=ADVANCED)
    client.put_insight_selectors(TrailName=ARN, InsightSelectors=[])
    client.update_trail(Name=ARN, EnableLogFileValidation=False)
    terraform.state = terraform.read()
    differing = {name for name in WHOLE if WHOLE[name] != terraform.state[name]}
    assert differing == {
        "logging", "basic", "advanced", "insights", "LogFileValidationEnabled",
    }  # fmt: skip
    terraform.apply(WHOLE)


@pytest.fixture
def moto(tmp_path):
    """CloudWatch Logs, with a log group for the trail."""
    moto = Moto(tmp_path / "moto")
    try:
        moto.start().client("logs").create_log_group(logGroupName=GROUP)
        yield moto
    finally:
        moto.stop()


# Proves: REC-175, REC-184
def test_a_role_that_is_not_known_yet_is_worth_another_try(servers, moto, tmp_path):
    """The provider repeats CreateTrail while the message of either exception says so."""
    credentials = write_credentials(tmp_path / "endpoints", "logs")
    server = servers.start(
        environment={
            "CAIRN_ENDPOINTS_LOGS": moto.endpoint,
            "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials),
        }
    )
    store = server.client("s3")
    store.create_bucket(Bucket="a-bucket")
    store.put_bucket_policy(Bucket="a-bucket", Policy=bucket_policy("a-bucket", ARN))
    provider = Terraform(server.client("cloudtrail"))
    plan = plan_of(CloudWatchLogsLogGroupArn=f"{GROUP_ARN}:*", CloudWatchLogsRoleArn=ROLE_ARN)
    with pytest.raises(ClientError) as refused:
        provider.apply(plan)
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidCloudWatchLogsRoleArnException"
    assert "Access denied." in error["Message"]
    make_role(server.client("iam"))
    provider.apply(plan)
