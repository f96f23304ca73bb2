//! Groups, inline policies, attached policies, managed policies and their versions.

use cairn_catalog::identity::SnapshotPolicy;
use serde_json::json;

use super::POLICY;
use crate::query_protocol::tests::Fixture;
use crate::query_protocol::{QueryErrorCode, QueryService};

const FULL: &str = "arn:aws:iam::aws:policy/AWSCloudTrail_FullAccess";

async fn policies_of_mary(aws: &Fixture) -> Vec<SnapshotPolicy> {
    let id = aws.mary.principal.principal_id();
    let snapshot = aws
        .world
        .catalog
        .identity_snapshot(aws.mary.account, &id)
        .await;
    snapshot.expect("reads").expect("exists").policies.clone()
}

// Proves: SEC-025, SEC-096
#[tokio::test]
async fn a_group_gives_its_policies_to_its_members() {
    let aws = Fixture::new().await;
    aws.does(&[("Action", "CreateGroup"), ("GroupName", "auditors")])
        .await;
    let attach = [
        ("Action", "AttachGroupPolicy"),
        ("GroupName", "auditors"),
        ("PolicyArn", FULL),
    ];
    aws.does(&attach).await;
    assert_eq!(policies_of_mary(&aws).await, []);
    let add = [
        ("Action", "AddUserToGroup"),
        ("GroupName", "auditors"),
        ("UserName", "Mary"),
    ];
    let added = aws.does(&add).await;
    assert_eq!(
        added.request_parameters,
        json!({"groupName": "auditors", "userName": "Mary"})
    );
    assert_eq!(added.response_elements, json!(null));
    assert_eq!(
        policies_of_mary(&aws).await,
        [SnapshotPolicy::AwsManaged {
            arn: FULL.to_owned()
        }]
    );
    let group = aws
        .does(&[("Action", "GetGroup"), ("GroupName", "auditors")])
        .await;
    assert_eq!(
        (group.text("GroupName"), group.text("UserName")),
        ("auditors", "Mary")
    );
    let groups = aws
        .does(&[("Action", "ListGroupsForUser"), ("UserName", "Mary")])
        .await;
    assert_eq!(groups.texts("GroupName"), ["auditors"]);
    let delete = [("Action", "DeleteGroup"), ("GroupName", "auditors")];
    aws.refuses(&delete, QueryErrorCode::DeleteConflict).await;
    let remove = [
        ("Action", "RemoveUserFromGroup"),
        ("GroupName", "auditors"),
        ("UserName", "Mary"),
    ];
    aws.does(&remove).await;
    assert_eq!(policies_of_mary(&aws).await, []);
}

// Proves: SEC-026, SEC-104
#[tokio::test]
async fn inline_policies_are_stored_for_each_kind_and_come_back_encoded() {
    let aws = Fixture::new().await;
    aws.does(&[("Action", "CreateGroup"), ("GroupName", "g")])
        .await;
    let role = [
        ("Action", "CreateRole"),
        ("RoleName", "r"),
        ("AssumeRolePolicyDocument", super::TRUST),
    ];
    aws.does(&role).await;
    for (kind, name) in [("User", "Mary"), ("Group", "g"), ("Role", "r")] {
        let parameter = format!("{kind}Name");
        let (put, get) = (format!("Put{kind}Policy"), format!("Get{kind}Policy"));
        let who = (parameter.as_str(), name);
        let pairs = [
            ("Action", put.as_str()),
            who,
            ("PolicyName", "p"),
            ("PolicyDocument", POLICY),
        ];
        let stored = aws.does(&pairs).await;
        assert_eq!(stored.request_parameters["policyDocument"], POLICY);
        let got = aws
            .does(&[("Action", &get), who, ("PolicyName", "p")])
            .await;
        assert!(
            got.text("PolicyDocument")
                .starts_with("%7B%22Version%22%3A%222012-10-17%22")
        );
        assert_eq!(got.text(&parameter), name);
        let list = format!("List{kind}Policies");
        let listed = aws.does(&[("Action", &list), who]).await;
        assert_eq!(listed.texts("member"), ["p"]);
        let delete = format!("Delete{kind}Policy");
        aws.does(&[("Action", &delete), who, ("PolicyName", "p")])
            .await;
        let gone = [("Action", get.as_str()), who, ("PolicyName", "p")];
        let message = aws.refuses(&gone, QueryErrorCode::NoSuchEntity).await;
        let kind = kind.to_lowercase();
        assert_eq!(
            message,
            format!("The {kind} policy with name p cannot be found.")
        );
    }
}

// Proves: SEC-104, SEC-113
#[tokio::test]
async fn a_document_that_is_no_policy_is_refused() {
    let aws = Fixture::new().await;
    for document in [
        "{",
        "[]",
        r#"{"Version":"2012-10-17","Statement":[]"#,
        super::TRUST,
    ] {
        let put = [
            ("Action", "PutUserPolicy"),
            ("UserName", "Mary"),
            ("PolicyName", "p"),
            ("PolicyDocument", document),
        ];
        aws.refuses(&put, QueryErrorCode::MalformedPolicyDocument)
            .await;
        let create = [
            ("Action", "CreatePolicy"),
            ("PolicyName", "p"),
            ("PolicyDocument", document),
        ];
        aws.refuses(&create, QueryErrorCode::MalformedPolicyDocument)
            .await;
    }
    assert_eq!(policies_of_mary(&aws).await, []);
}

#[tokio::test]
async fn inline_policies_share_one_quota_and_a_refusal_leaves_no_trace() {
    let aws = Fixture::new().await;
    let long = POLICY.replace("cloudtrail:*", &format!("cloudtrail:{}", "x".repeat(1_000)));
    let put = |name: &'static str| {
        let long = long.clone();
        let aws = &aws;
        async move {
            let pairs = [
                ("Action", "PutUserPolicy"),
                ("UserName", "Mary"),
                ("PolicyName", name),
                ("PolicyDocument", long.as_str()),
            ];
            aws.iam(&pairs).await
        }
    };
    put("one").await.expect("fits");
    let error = put("two").await.expect_err("is too much");
    assert_eq!(error.code, QueryErrorCode::LimitExceeded);
    assert_eq!(policies_of_mary(&aws).await.len(), 1);
}

// Proves: SEC-163
#[tokio::test]
async fn managed_policies_are_attached_by_arn_and_those_of_services_are_not() {
    let aws = Fixture::new().await;
    let attach = |arn: &'static str| {
        [
            ("Action", "AttachUserPolicy"),
            ("UserName", "Mary"),
            ("PolicyArn", arn),
        ]
    };
    aws.does(&attach(FULL)).await;
    aws.does(&attach(FULL)).await;
    let list = [("Action", "ListAttachedUserPolicies"), ("UserName", "Mary")];
    let listed = aws.does(&list).await;
    assert_eq!(listed.texts("PolicyArn"), [FULL]);
    assert_eq!(listed.texts("PolicyName"), ["AWSCloudTrail_FullAccess"]);
    let none = "arn:aws:iam::aws:policy/NoSuchPolicy";
    let message = aws
        .refuses(&attach(none), QueryErrorCode::NoSuchEntity)
        .await;
    assert_eq!(
        message,
        format!("Policy {none} does not exist or is not attachable.")
    );
    let service = "arn:aws:iam::aws:policy/aws-service-role/CloudTrailServiceRolePolicy";
    aws.refuses(&attach(service), QueryErrorCode::PolicyNotAttachable)
        .await;
    let detach = [
        ("Action", "DetachUserPolicy"),
        ("UserName", "Mary"),
        ("PolicyArn", FULL),
    ];
    aws.does(&detach).await;
    aws.refuses(&detach, QueryErrorCode::NoSuchEntity).await;
}

#[tokio::test]
async fn a_policy_lives_by_its_versions() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreatePolicy"),
        ("PolicyName", "mine"),
        ("PolicyDocument", POLICY),
    ];
    let created = aws.does(&create).await;
    let arn = created.text("Arn").to_owned();
    assert_eq!(arn, "arn:aws:iam::123456789012:policy/mine");
    assert_eq!(created.text("DefaultVersionId"), "v1");
    let attach = [
        ("Action", "AttachUserPolicy"),
        ("UserName", "Mary"),
        ("PolicyArn", arn.as_str()),
    ];
    aws.does(&attach).await;
    let narrower = POLICY.replace("cloudtrail:*", "cloudtrail:Get*");
    let version = [
        ("Action", "CreatePolicyVersion"),
        ("PolicyArn", arn.as_str()),
        ("PolicyDocument", narrower.as_str()),
    ];
    let mut in_force = version.to_vec();
    in_force.push(("SetAsDefault", "true"));
    let second = aws.does(&in_force).await;
    assert_eq!(
        (second.text("VersionId"), second.text("IsDefaultVersion")),
        ("v2", "true")
    );
    let held = SnapshotPolicy::Document {
        name: arn.clone(),
        document: narrower.clone(),
    };
    assert_eq!(policies_of_mary(&aws).await, [held]);
    for _ in 0..3 {
        aws.does(&version).await;
    }
    aws.refuses(&version, QueryErrorCode::LimitExceeded).await;
    let delete = |id: &'static str| {
        [
            ("Action", "DeletePolicyVersion"),
            ("PolicyArn", arn.as_str()),
            ("VersionId", id),
        ]
    };
    aws.refuses(&delete("v2"), QueryErrorCode::DeleteConflict)
        .await;
    aws.does(&delete("v5")).await;
    let sixth = aws.does(&version).await;
    assert_eq!(sixth.text("VersionId"), "v6", "numbers are not used again");
}

#[tokio::test]
async fn versions_are_listed_read_and_put_in_force_and_a_held_policy_stays() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreatePolicy"),
        ("PolicyName", "mine"),
        ("PolicyDocument", POLICY),
    ];
    let arn = aws.does(&create).await.text("Arn").to_owned();
    let narrower = POLICY.replace("cloudtrail:*", "cloudtrail:Get*");
    let version = [
        ("Action", "CreatePolicyVersion"),
        ("PolicyArn", arn.as_str()),
        ("PolicyDocument", narrower.as_str()),
        ("SetAsDefault", "true"),
    ];
    aws.does(&version).await;
    let attach = [
        ("Action", "AttachUserPolicy"),
        ("UserName", "Mary"),
        ("PolicyArn", arn.as_str()),
    ];
    aws.does(&attach).await;
    let back = [
        ("Action", "SetDefaultPolicyVersion"),
        ("PolicyArn", arn.as_str()),
        ("VersionId", "v1"),
    ];
    aws.does(&back).await;
    let list = aws
        .does(&[("Action", "ListPolicyVersions"), ("PolicyArn", &arn)])
        .await;
    assert_eq!(list.texts("VersionId"), ["v2", "v1"]);
    let got = aws
        .does(&[
            ("Action", "GetPolicyVersion"),
            ("PolicyArn", &arn),
            ("VersionId", "v2"),
        ])
        .await;
    assert!(
        got.text("Document").contains("cloudtrail%3AGet%2A"),
        "{}",
        got.xml
    );
    let drop = [("Action", "DeletePolicy"), ("PolicyArn", arn.as_str())];
    aws.refuses(&drop, QueryErrorCode::DeleteConflict).await;
}

// Proves: SEC-164
#[tokio::test]
async fn the_policies_of_aws_can_be_read_and_not_changed() {
    let aws = Fixture::new().await;
    let got = aws
        .does(&[("Action", "GetPolicy"), ("PolicyArn", FULL)])
        .await;
    assert_eq!(got.text("PolicyName"), "AWSCloudTrail_FullAccess");
    assert!(got.text("PolicyId").starts_with("ANPA") && got.text("PolicyId").len() == 21);
    let version = aws
        .does(&[
            ("Action", "GetPolicyVersion"),
            ("PolicyArn", FULL),
            ("VersionId", "v1"),
        ])
        .await;
    assert!(version.text("Document").contains("cloudtrail%3A%2A"));
    let change = [
        ("Action", "CreatePolicyVersion"),
        ("PolicyArn", FULL),
        ("PolicyDocument", POLICY),
    ];
    aws.refuses(&change, QueryErrorCode::AccessDenied).await;
    aws.refuses(
        &[("Action", "DeletePolicy"), ("PolicyArn", FULL)],
        QueryErrorCode::AccessDenied,
    )
    .await;
}

#[tokio::test]
async fn policies_are_listed_by_scope_use_and_holder() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreatePolicy"),
        ("PolicyName", "mine"),
        ("PolicyDocument", POLICY),
    ];
    let arn = aws.does(&create).await.text("Arn").to_owned();
    let local = aws
        .does(&[("Action", "ListPolicies"), ("Scope", "Local")])
        .await;
    assert_eq!(local.texts("PolicyName"), ["mine"]);
    let of_aws = aws
        .does(&[("Action", "ListPolicies"), ("Scope", "AWS")])
        .await;
    assert!(of_aws.texts("PolicyName").contains(&"AdministratorAccess"));
    let used = [("Action", "ListPolicies"), ("OnlyAttached", "true")];
    assert_eq!(
        aws.does(&used).await.texts("PolicyName"),
        Vec::<&str>::new()
    );
    let attach = [
        ("Action", "AttachUserPolicy"),
        ("UserName", "Mary"),
        ("PolicyArn", arn.as_str()),
    ];
    aws.does(&attach).await;
    let listed = aws.does(&used).await;
    assert_eq!(
        (listed.text("PolicyName"), listed.text("AttachmentCount")),
        ("mine", "1")
    );
    let holders = aws
        .does(&[("Action", "ListEntitiesForPolicy"), ("PolicyArn", &arn)])
        .await;
    assert_eq!(holders.texts("UserName"), ["Mary"]);
    let details = aws
        .does(&[("Action", "GetAccountAuthorizationDetails")])
        .await;
    assert_eq!(details.texts("UserName"), ["Mary"]);
    assert!(
        details
            .text("PolicyVersionList")
            .contains("<VersionId>v1</VersionId>")
    );
    let filter = |kind| {
        [
            ("Action", "GetAccountAuthorizationDetails"),
            ("Filter.member.1", "LocalManagedPolicy"),
            ("Filter.member.2", kind),
        ]
    };
    let some = aws.does(&filter("Role")).await;
    assert!(some.texts("UserName").is_empty());
    let message = aws
        .refuses(&filter("Policies"), QueryErrorCode::ValidationError)
        .await;
    assert!(message.contains("'Policies' at 'filter'"), "{message}");
}

// Proves: SEC-132
#[tokio::test]
async fn what_is_authorized_names_the_true_resource_its_tags_and_the_policy() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreateUser"),
        ("UserName", "Bob"),
        ("Path", "/hr/"),
        ("Tags.member.1.Key", "stage"),
        ("Tags.member.1.Value", "prod"),
    ];
    let target = |pairs: Vec<(&'static str, &'static str)>| {
        let aws = &aws;
        async move {
            aws.targets(QueryService::Iam, &aws.mary, &pairs)
                .await
                .remove(0)
        }
    };
    let making = target(create.to_vec()).await;
    assert_eq!(making.action, "iam:CreateUser");
    assert_eq!(making.resource, "arn:aws:iam::123456789012:user/hr/Bob");
    assert_eq!(making.request_tags.len(), 1);
    aws.does(&create).await;
    let attach = vec![
        ("Action", "AttachUserPolicy"),
        ("UserName", "Bob"),
        ("PolicyArn", FULL),
    ];
    let attaching = target(attach).await;
    assert_eq!(attaching.resource, "arn:aws:iam::123456789012:user/hr/Bob");
    assert_eq!(attaching.resource_tags[0].value, "prod");
    assert!(
        attaching
            .keys
            .contains(&("iam:PolicyARN".to_owned(), vec![FULL.to_owned()]))
    );
    let own = target(vec![("Action", "ListAccessKeys")]).await;
    assert_eq!(own.resource, "arn:aws:iam::123456789012:user/Mary");
    let list = target(vec![("Action", "ListUsers"), ("PathPrefix", "/hr/")]).await;
    assert_eq!(list.resource, "arn:aws:iam::123456789012:user/hr/");
    let untag = vec![
        ("Action", "UntagUser"),
        ("UserName", "Bob"),
        ("TagKeys.member.1", "stage"),
    ];
    assert_eq!(target(untag).await.tag_keys, ["stage"]);
}
