//! What callers must be allowed, request by request.

use cairn_model::Region;
use serde_json::{Value, json};

use super::{Resource, Scope, Stored, Target, condition_keys, targets};
use crate::operations::{Service, find};

fn of(operation: &str, request: &Value) -> Vec<Target> {
    let region: Region = "us-east-2".parse().expect("a Region");
    let account = "111122223333".parse().expect("an account");
    let operation = find(Service::CloudTrail, operation)
        .or_else(|| find(Service::CloudTrailData, operation))
        .expect("an operation");
    targets(
        operation,
        request,
        Scope {
            account,
            region: &region,
        },
    )
}

fn arns(operation: &str, request: &Value) -> Vec<String> {
    of(operation, request)
        .into_iter()
        .map(|target| match target.resource {
            Resource::Any => format!("{} *", target.action),
            Resource::Arn(arn) => format!("{} {arn}", target.action),
            Resource::Stored(stored) => format!("{} {stored:?}", target.action),
        })
        .collect()
}

// Proves: SEC-122, SEC-123, SEC-124, SEC-125, SEC-126, SEC-144
#[test]
fn names_and_ids_become_arns_of_the_callers_account_and_region() {
    for (operation, request, expected) in [
        (
            "GetTrailStatus",
            json!({"Name": "My-First-Trail"}),
            "cloudtrail:GetTrailStatus arn:aws:cloudtrail:us-east-2:111122223333:trail/My-First-Trail",
        ),
        (
            "GetEventDataStore",
            json!({"EventDataStore": "ee54f255-e943-4ae0-a1b9-e1a2d3f7d3a1"}),
            "cloudtrail:GetEventDataStore arn:aws:cloudtrail:us-east-2:111122223333:eventdatastore/ee54f255-e943-4ae0-a1b9-e1a2d3f7d3a1",
        ),
        (
            "GetDashboard",
            json!({"DashboardId": "mine"}),
            "cloudtrail:GetDashboard arn:aws:cloudtrail:us-east-2:111122223333:dashboard/mine",
        ),
        (
            "GetChannel",
            json!({"Channel": "01234567-0123-0123-0123-012345678901"}),
            "cloudtrail:GetChannel arn:aws:cloudtrail:us-east-2:111122223333:channel/01234567-0123-0123-0123-012345678901",
        ),
    ] {
        assert_eq!(arns(operation, &request), [expected]);
    }
}

#[test]
fn an_arn_is_checked_as_it_stands() {
    let arn = "arn:aws:cloudtrail:eu-west-1:999999999999:channel/c";
    let request = json!({"channelArn": arn, "auditEvents": []});
    let expected = format!("cloudtrail-data:PutAuditEvents {arn}");
    assert_eq!(arns("PutAuditEvents", &request), [expected]);
}

// Proves: SEC-128
#[test]
fn what_names_no_resource_is_checked_on_everything() {
    assert_eq!(
        arns("LookupEvents", &json!({})),
        ["cloudtrail:LookupEvents *"]
    );
    // A member that names the resource but is not there must not become "no check".
    assert_eq!(
        arns("GetInsightSelectors", &json!({})),
        ["cloudtrail:GetInsightSelectors *"]
    );
    assert_eq!(
        arns("ListTags", &json!({"ResourceIdList": []})),
        ["cloudtrail:ListTags *"]
    );
}

#[test]
fn every_resource_of_a_list_is_checked() {
    let request = json!({"ResourceIdList": [
        "arn:aws:cloudtrail:us-east-2:111122223333:trail/a",
        "arn:aws:cloudtrail:us-east-2:111122223333:channel/b",
    ]});
    let expected = [
        "cloudtrail:ListTags arn:aws:cloudtrail:us-east-2:111122223333:trail/a",
        "cloudtrail:ListTags arn:aws:cloudtrail:us-east-2:111122223333:channel/b",
    ];
    assert_eq!(arns("ListTags", &request), expected);
}

#[test]
fn a_querys_store_is_looked_up_unless_it_is_given() {
    let query = "11111111-2222-3333-4444-555555555555";
    let found = of("GetQueryResults", &json!({"QueryId": query}));
    let stored = Resource::Stored(Stored::StoreOfQuery(query.to_owned()));
    assert_eq!(
        found,
        [Target {
            action: "cloudtrail:GetQueryResults",
            resource: stored
        }]
    );
    let given = arns(
        "GetQueryResults",
        &json!({"QueryId": query, "EventDataStore": "e"}),
    );
    let expected =
        "cloudtrail:GetQueryResults arn:aws:cloudtrail:us-east-2:111122223333:eventdatastore/e";
    assert_eq!(given, [expected]);
}

// Proves: SEC-119, SEC-133
#[test]
fn tags_in_a_creating_request_need_the_tagging_action_too() {
    let without = json!({"Name": "abc", "S3BucketName": "bucket"});
    assert_eq!(arns("CreateTrail", &without), ["cloudtrail:CreateTrail *"]);
    let with = json!({"Name": "abc", "S3BucketName": "bucket", "TagsList": [{"Key": "k"}]});
    let expected = ["cloudtrail:CreateTrail *", "cloudtrail:AddTags *"];
    assert_eq!(arns("CreateTrail", &with), expected);
}

// Proves: EDS-196, DSH-034, TRL-223
#[test]
fn roles_are_passed_on_and_service_linked_roles_made() {
    let role = "arn:aws:iam::111122223333:role/federation";
    let request = json!({"EventDataStore": "e", "FederationRoleArn": role});
    let found = arns("EnableFederation", &request);
    assert!(found.contains(&format!("iam:PassRole {role}")));
    assert!(found.contains(&format!("iam:GetRole {role}")));
    let found = arns(
        "RegisterOrganizationDelegatedAdmin",
        &json!({"MemberAccountId": "123456789012"}),
    );
    assert!(found.contains(&"iam:CreateServiceLinkedRole *".to_owned()));
    assert!(found.contains(&"organizations:RegisterDelegatedAdministrator *".to_owned()));
}

fn keys(operation: &str, request: &Value) -> Vec<(String, Vec<String>)> {
    let operation = find(Service::CloudTrail, operation)
        .or_else(|| find(Service::CloudTrailData, operation))
        .expect("an operation");
    condition_keys(operation, request)
}

// Proves: SEC-131, SEC-132, SEC-133
#[test]
fn tags_and_external_id_of_a_request_are_condition_keys() {
    let key = |name: &str, values: &[&str]| {
        (
            name.to_owned(),
            values
                .iter()
                .map(|value| (*value).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let tags = json!([{"Key": "stage", "Value": "prod"}, {"Key": "bare"}]);
    let expected = [
        key("aws:RequestTag/stage", &["prod"]),
        key("aws:RequestTag/bare", &[""]),
        key("aws:TagKeys", &["stage", "bare"]),
    ];
    assert_eq!(
        keys(
            "CreateEventDataStore",
            &json!({"Name": "abc", "TagsList": tags})
        ),
        expected
    );
    assert_eq!(keys("CreateChannel", &json!({"Tags": tags})), expected);
    let removed = keys(
        "RemoveTags",
        &json!({"ResourceId": "abc", "TagsList": tags}),
    );
    assert_eq!(removed, [key("aws:TagKeys", &["stage", "bare"])]);
    let sent = keys("PutAuditEvents", &json!({"externalId": "e-1"}));
    assert_eq!(sent, [key("cloudtrail:ExternalId", &["e-1"])]);
    assert_eq!(keys("CreateEventDataStore", &json!({"TagsList": []})), []);
}
