"""What each operation needs, written a second time from the manual and the service reference.

The server has a table of its own; neither knows the other, so that a slip in one shows.
"""

import fnmatch
from dataclasses import dataclass, field

from harness.server import ACCOUNT, REGION

ID = "11112222-3333-4444-5555-666677778888"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/federation"


def arn(kind: str, name: str) -> str:
    """A CloudTrail resource of the default account."""
    return f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:{kind}/{name}"


TRAIL = arn("trail", "payroll")
STORE = arn("eventdatastore", ID)
CHANNEL = arn("channel", ID)
DASHBOARD = arn("dashboard", "overview")


@dataclass(frozen=True)
class Need:
    """One operation: a valid request, the resource of its action, and what else it needs."""

    parameters: dict
    resource: str = "*"
    also: tuple[tuple[str, str], ...] = ()
    service: str = "cloudtrail"


SELECTORS = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
POLICY = '{"Version":"2012-10-17","Statement":[]}'

OPERATIONS: dict[str, Need] = {
    "AddTags": Need({"ResourceId": TRAIL, "TagsList": [{"Key": "a", "Value": "b"}]}, TRAIL),
    "CancelQuery": Need({"EventDataStore": STORE, "QueryId": ID}, STORE),
    "CreateChannel": Need(
        {
            "Name": "partner",
            "Source": "Custom",
            "Destinations": [{"Type": "EVENT_DATA_STORE", "Location": STORE}],
        }
    ),
    "CreateDashboard": Need({"Name": "overview"}),
    "CreateEventDataStore": Need({"Name": "archive"}),
    "CreateTrail": Need({"Name": "payroll", "S3BucketName": "payroll-logs"}),
    "DeleteChannel": Need({"Channel": CHANNEL}, CHANNEL),
    "DeleteDashboard": Need({"DashboardId": DASHBOARD}, DASHBOARD),
    "DeleteEventDataStore": Need({"EventDataStore": STORE}, STORE),
    "DeleteResourcePolicy": Need({"ResourceArn": CHANNEL}, CHANNEL),
    "DeleteTrail": Need({"Name": "payroll"}, TRAIL),
    "DeregisterOrganizationDelegatedAdmin": Need(
        {"DelegatedAdminAccountId": "111122223333"}, also=(("organizations:*", "*"),)
    ),
    "DescribeQuery": Need({"EventDataStore": STORE, "QueryId": ID}, STORE),
    "DescribeTrails": Need({}),
    "DisableFederation": Need({"EventDataStore": STORE}, STORE),
    "EnableFederation": Need(
        {"EventDataStore": STORE, "FederationRoleArn": ROLE},
        STORE,
        also=(("iam:PassRole", ROLE), ("iam:GetRole", ROLE)),
    ),
    "GenerateQuery": Need({"EventDataStores": [STORE], "Prompt": "who did it"}, STORE),
    "GetChannel": Need({"Channel": CHANNEL}, CHANNEL),
    "GetDashboard": Need({"DashboardId": DASHBOARD}, DASHBOARD),
    "GetEventConfiguration": Need({"EventDataStore": STORE}, STORE),
    "GetEventDataStore": Need({"EventDataStore": STORE}, STORE),
    "GetEventSelectors": Need({"TrailName": "payroll"}, TRAIL),
    "GetImport": Need({"ImportId": ID}),
    "GetInsightSelectors": Need({"TrailName": "payroll"}, TRAIL),
    "GetQueryResults": Need({"EventDataStore": STORE, "QueryId": ID}, STORE),
    "GetResourcePolicy": Need({"ResourceArn": CHANNEL}, CHANNEL),
    "GetTrail": Need({"Name": "payroll"}, TRAIL),
    "GetTrailStatus": Need({"Name": "payroll"}, TRAIL),
    "ListChannels": Need({}),
    "ListDashboards": Need({}),
    "ListEventDataStores": Need({}),
    "ListImportFailures": Need({"ImportId": ID}),
    "ListImports": Need({}),
    "ListInsightsData": Need({"InsightSource": TRAIL, "DataType": "InsightsEvents"}, TRAIL),
    "ListInsightsMetricData": Need(
        {
            "EventSource": "ec2.amazonaws.com",
            "EventName": "RunInstances",
            "InsightType": "ApiCallRateInsight",
        }
    ),
    "ListPublicKeys": Need({}),
    "ListQueries": Need({"EventDataStore": STORE}, STORE),
    "ListTags": Need({"ResourceIdList": [TRAIL]}, TRAIL),
    "ListTrails": Need({}),
    "LookupEvents": Need({}),
    "PutEventConfiguration": Need(
        {"EventDataStore": STORE, "MaxEventSize": "Large", "ContextKeySelectors": []}, STORE
    ),
    "PutEventSelectors": Need(
        {"TrailName": "payroll", "AdvancedEventSelectors": SELECTORS}, TRAIL
    ),
    "PutInsightSelectors": Need(
        {"TrailName": "payroll", "InsightSelectors": [{"InsightType": "ApiCallRateInsight"}]},
        TRAIL,
    ),
    "PutResourcePolicy": Need({"ResourceArn": CHANNEL, "ResourcePolicy": POLICY}, CHANNEL),
    "RegisterOrganizationDelegatedAdmin": Need(
        {"MemberAccountId": "111122223333"}, also=(("organizations:*", "*"), ("iam:GetRole", "*"))
    ),
    "RemoveTags": Need(
        {"ResourceId": TRAIL, "TagsList": [{"Key": "a", "Value": "b"}]}, TRAIL
    ),
    "RestoreEventDataStore": Need({"EventDataStore": STORE}, STORE),
    "SearchSampleQueries": Need({"SearchPhrase": "who did it"}),
    "StartDashboardRefresh": Need({"DashboardId": DASHBOARD}, DASHBOARD),
    "StartEventDataStoreIngestion": Need({"EventDataStore": STORE}, STORE),
    "StartImport": Need({"ImportId": ID}),
    "StartLogging": Need({"Name": "payroll"}, TRAIL),
    "StartQuery": Need({"QueryStatement": f"SELECT eventName FROM {ID}"}, STORE),
    "StopEventDataStoreIngestion": Need({"EventDataStore": STORE}, STORE),
    "StopImport": Need({"ImportId": ID}),
    "StopLogging": Need({"Name": "payroll"}, TRAIL),
    "UpdateChannel": Need({"Channel": CHANNEL, "Name": "other"}, CHANNEL),
    "UpdateDashboard": Need({"DashboardId": DASHBOARD}, DASHBOARD),
    "UpdateEventDataStore": Need({"EventDataStore": STORE, "Name": "other"}, STORE),
    "UpdateTrail": Need({"Name": "payroll"}, TRAIL),
    "PutAuditEvents": Need(
        {"auditEvents": [{"id": "1", "eventData": "{}"}]}, CHANNEL, service="cloudtrail-data"
    ),
}

#: What AWS's read-only policy allows; searching samples is left to full access (QRY-103).
READ_PREFIXES = ("Get", "List", "Describe", "Lookup")


@dataclass(frozen=True)
class Shape:
    """A policy, and what it allows: written as a plain function, not by an evaluator."""

    document: dict
    #: (action, resource) → allowed by this policy alone
    allows: object = field(compare=False)
    #: (action, resource) → denied explicitly
    denies: object = field(default=lambda action, resource: False, compare=False)


def statement(effect: str, **members) -> dict:
    """One statement."""
    return {"Effect": effect} | members


def document(*statements: dict) -> dict:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def everything(_action: str, _resource: str) -> bool:
    """Allows all."""
    return True


def nothing(_action: str, _resource: str) -> bool:
    """Allows none."""
    return False


ANYTHING = {"Action": "*", "Resource": "*"}
IDENTITY_SHAPES: dict[str, Shape] = {
    "allow": Shape(document(statement("Allow", **ANYTHING)), everything),
    "implicit deny": Shape(
        document(statement("Allow", Action="s3:*", Resource="*")), nothing
    ),
    "explicit deny over allow": Shape(
        document(
            statement("Allow", **ANYTHING),
            statement("Deny", Action=["cloudtrail:*", "cloudtrail-data:*"], Resource="*"),
        ),
        everything,
        lambda action, resource: action.startswith("cloudtrail"),
    ),
    "NotAction": Shape(
        document(statement("Allow", NotAction="cloudtrail:*", Resource="*")),
        lambda action, resource: not action.startswith("cloudtrail:"),
    ),
    "NotResource": Shape(
        document(
            statement("Allow", Action="*", NotResource="arn:aws:cloudtrail:*:*:trail/*")
        ),
        lambda action, resource: ":trail/" not in resource,
    ),
    "wildcard in the middle": Shape(
        document(
            statement(
                "Allow",
                Action=["cloudtrail:l*S", "iam:*", "organizations:*"],
                Resource="*",
            )
        ),
        lambda action, resource: fnmatch.fnmatchcase(action.lower(), "cloudtrail:l*s")
        or not action.startswith("cloudtrail"),
    ),
    "condition key absent": Shape(
        document(
            statement(
                "Allow", **ANYTHING, Condition={"StringEquals": {"aws:PrincipalTag/team": "x"}}
            ),
            statement("Allow", **ANYTHING, Condition={"ArnLike": {"aws:SourceArn": "*"}}),
            statement("Allow", **ANYTHING, Condition={"Bool": {"aws:ViaAWSService": "true"}}),
            statement(
                "Allow", **ANYTHING, Condition={"NumericLessThan": {"aws:RequestTag/n": "9"}}
            ),
            statement(
                "Allow", **ANYTHING, Condition={"ForAnyValue:StringLike": {"aws:CalledVia": "*"}}
            ),
        ),
        nothing,
    ),
    "condition if the key exists": Shape(
        document(
            statement(
                "Allow",
                **ANYTHING,
                Condition={"StringEqualsIfExists": {"aws:PrincipalTag/team": "x"}},
            )
        ),
        everything,
    ),
    "all values of an absent key": Shape(
        document(
            statement(
                "Allow",
                **ANYTHING,
                Condition={"ForAllValues:StringEquals": {"aws:CalledVia": ["x"]}},
            )
        ),
        everything,
    ),
    "variable without a value": Shape(
        document(
            statement(
                "Allow",
                Action="*",
                Resource=["arn:aws:cloudtrail:*:*:*/${aws:PrincipalTag/team}", "arn:${aws:x}:*"],
            )
        ),
        nothing,
    ),
}


def is_read(action: str) -> bool:
    """Whether the action only reads."""
    return action.split(":")[1].startswith(READ_PREFIXES)


def needs(name: str) -> list[tuple[str, str]]:
    """All action and resource pairs that a call needs."""
    need = OPERATIONS[name]
    return [(f"{need.service}:{name}", need.resource), *need.also]


def allowed(name: str, *layers) -> bool:
    """Every needed pair is allowed by at least one policy of each layer, and denied by none."""
    for action, resource in needs(name):
        for layer in layers:
            if any(shape.denies(action, resource) for shape in layer):
                return False
            if not any(shape.allows(action, resource) for shape in layer):
                return False
    return True
