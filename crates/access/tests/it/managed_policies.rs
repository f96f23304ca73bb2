//! The managed policies that exist under AWS's ARNs, each asked for what it must and must not allow.

use cairn_access::policy::{
    ContextKeys, MANAGED_SIZE_MAX, PolicySets, RequestContext, evaluate, managed, managed_by_arn,
    policy_size,
};

use crate::principals::alice;
use crate::question::TRAIL;

fn allows(name: &str, action: &str, resource: &str, keys: &ContextKeys) -> bool {
    let policy = managed()
        .iter()
        .find(|policy| policy.name == name)
        .expect("the policy");
    let request = RequestContext {
        action,
        resource,
        principal: &alice(),
        keys,
    };
    let sets = PolicySets {
        identity: &[&policy.document],
        boundary: None,
        session: None,
        resource: None,
        same_account: true,
    };
    evaluate(&request, &sets).is_allowed()
}

#[track_caller]
fn check(name: &str, allowed: &[(&str, &str)], refused: &[(&str, &str)]) {
    for (action, resource) in allowed {
        assert!(
            allows(name, action, resource, &ContextKeys::new()),
            "{name} {action} {resource}"
        );
    }
    for (action, resource) in refused {
        assert!(
            !allows(name, action, resource, &ContextKeys::new()),
            "{name} {action} {resource}"
        );
    }
}

// Proves: SEC-156, SEC-163
#[test]
fn they_exist_under_aws_s_arns_and_those_of_service_linked_roles_cannot_be_attached() {
    for (name, path) in [
        ("AWSCloudTrail_FullAccess", "/"),
        ("AWSCloudTrail_ReadOnlyAccess", "/"),
        ("AWSKeyManagementServicePowerUser", "/"),
        ("AdministratorAccess", "/"),
        ("IAMFullAccess", "/"),
        ("IAMReadOnlyAccess", "/"),
        ("ReadOnlyAccess", "/"),
        ("CloudTrailServiceRolePolicy", "/aws-service-role/"),
        ("CloudTrailEventContext", "/aws-service-role/"),
    ] {
        let policy = managed_by_arn(&format!("arn:aws:iam::aws:policy{path}{name}")).expect(name);
        assert_eq!((policy.name, policy.path), (name, path));
        assert_eq!(policy.attachable, path == "/", "{name}");
    }
    assert!(managed_by_arn("arn:aws:iam::aws:policy/Nothing").is_none());
    assert!(managed().is_sorted_by(|left, right| left.name < right.name));
    for policy in managed() {
        assert!(
            policy_size(policy.json) <= MANAGED_SIZE_MAX,
            "{}",
            policy.name
        );
    }
}

// Proves: SEC-152, SEC-157, SEC-158
#[test]
fn full_access_to_cloudtrail() {
    let all = "*";
    check(
        "AWSCloudTrail_FullAccess",
        &[
            ("cloudtrail:CreateTrail", all),
            ("cloudtrail:StopLogging", TRAIL),
            ("cloudtrail:LookupEvents", all),
            (
                "sns:CreateTopic",
                "arn:aws:sns:us-east-1:123456789012:aws-cloudtrail-logs-1",
            ),
            ("sns:ListTopics", all),
            (
                "s3:CreateBucket",
                "arn:aws:s3:::aws-cloudtrail-logs-123456789012",
            ),
            (
                "s3:PutBucketPolicy",
                "arn:aws:s3:::aws-cloudtrail-logs-123456789012",
            ),
            ("s3:GetBucketPolicy", "arn:aws:s3:::any"),
            (
                "logs:CreateLogGroup",
                "arn:aws:logs:us-east-1:123456789012:log-group:aws-cloudtrail-logs-1",
            ),
            ("iam:ListRoles", all),
            ("kms:CreateKey", all),
            ("lambda:ListFunctions", all),
            ("dynamodb:ListTables", all),
        ],
        &[
            (
                "sns:CreateTopic",
                "arn:aws:sns:us-east-1:123456789012:other",
            ),
            (
                "sns:DeleteTopic",
                "arn:aws:sns:us-east-1:123456789012:aws-cloudtrail-logs-1",
            ),
            ("s3:CreateBucket", "arn:aws:s3:::other"),
            ("s3:DeleteBucket", "arn:aws:s3:::aws-cloudtrail-logs-1"),
            ("s3:GetObject", "arn:aws:s3:::aws-cloudtrail-logs-1/x"),
            (
                "logs:DeleteLogGroup",
                "arn:aws:logs:us-east-1:123456789012:log-group:aws-cloudtrail-logs-1",
            ),
            ("iam:CreateUser", all),
        ],
    );
}

// Proves: SEC-159
#[test]
fn roles_are_passed_to_cloudtrail_only() {
    let role = "arn:aws:iam::123456789012:role/delivery";
    for (to, allowed) in [
        ("cloudtrail.amazonaws.com", true),
        ("ec2.amazonaws.com", false),
    ] {
        let mut keys = ContextKeys::new();
        keys.set("iam:PassedToService", to);
        assert_eq!(
            allows("AWSCloudTrail_FullAccess", "iam:PassRole", role, &keys),
            allowed
        );
    }
    assert!(!allows(
        "AWSCloudTrail_FullAccess",
        "iam:PassRole",
        role,
        &ContextKeys::new()
    ));
}

// Proves: SEC-151, SEC-161, SEC-162
#[test]
fn read_only_access_to_cloudtrail() {
    check(
        "AWSCloudTrail_ReadOnlyAccess",
        &[
            ("cloudtrail:LookupEvents", "*"),
            ("cloudtrail:DescribeTrails", "*"),
            ("cloudtrail:GetTrailStatus", TRAIL),
            ("cloudtrail:ListChannels", "*"),
            ("cloudtrail:GetQueryResults", "*"),
        ],
        &[
            ("cloudtrail:CreateTrail", "*"),
            ("cloudtrail:UpdateTrail", TRAIL),
            ("cloudtrail:StartLogging", TRAIL),
            ("cloudtrail:StopLogging", TRAIL),
            ("cloudtrail:StartQuery", "*"),
            ("s3:ListAllMyBuckets", "*"),
            ("lambda:ListFunctions", "*"),
            ("kms:ListAliases", "*"),
        ],
    );
}

// Proves: SEC-255, SEC-268
#[test]
fn policies_of_the_service_linked_roles() {
    check(
        "CloudTrailServiceRolePolicy",
        &[
            ("cloudtrail:UpdateTrail", TRAIL),
            ("organizations:ListAccounts", "*"),
            ("lakeformation:DeregisterResource", "*"),
        ],
        &[
            ("organizations:ListDelegatedAdministrators", "*"),
            ("s3:PutObject", "*"),
        ],
    );
    let mut keys = ContextKeys::new();
    keys.set("organizations:ServicePrincipal", "cloudtrail.amazonaws.com");
    let list = "organizations:ListDelegatedAdministrators";
    assert!(allows("CloudTrailServiceRolePolicy", list, "*", &keys));
    check(
        "CloudTrailEventContext",
        &[("tag:GetResources", "*"), ("events:ListRules", "*")],
        &[
            ("events:PutRule", "*"),
            ("events:PutEvents", "*"),
            ("cloudtrail:StopLogging", TRAIL),
        ],
    );
}

// Proves: SEC-166, SEC-167
#[test]
fn the_general_ones() {
    let user = "arn:aws:iam::123456789012:user/alice";
    check(
        "AdministratorAccess",
        &[("iam:CreateUser", user), ("cairn:PutEvents", "*")],
        &[],
    );
    check(
        "ReadOnlyAccess",
        &[
            ("cloudtrail:LookupEvents", "*"),
            ("iam:GetUser", user),
            ("s3:GetObject", "arn:aws:s3:::b/k"),
        ],
        &[
            ("cloudtrail:StartQuery", "*"),
            ("iam:CreateUser", user),
            ("s3:PutObject", "arn:aws:s3:::b/k"),
            ("kms:Decrypt", "*"),
        ],
    );
    check(
        "IAMFullAccess",
        &[("iam:CreateUser", user)],
        &[("cloudtrail:LookupEvents", "*")],
    );
    check(
        "IAMReadOnlyAccess",
        &[("iam:ListUsers", "*")],
        &[("iam:CreateUser", user)],
    );
    check(
        "PowerUserAccess",
        &[("cloudtrail:CreateTrail", "*")],
        &[("iam:CreateUser", user)],
    );
    check(
        "AWSKeyManagementServicePowerUser",
        &[("kms:CreateKey", "*")],
        &[("kms:Decrypt", "*")],
    );
    check(
        "AmazonS3ReadOnlyAccess",
        &[("s3:GetObject", "*")],
        &[("s3:PutObject", "*")],
    );
    check(
        "AmazonS3FullAccess",
        &[("s3:PutObject", "*")],
        &[("iam:GetUser", user)],
    );
}
