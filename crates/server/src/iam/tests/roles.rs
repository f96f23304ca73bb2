//! Roles.

use serde_json::json;

use super::TRUST;
use crate::query_protocol::QueryErrorCode;
use crate::query_protocol::tests::Fixture;

// Proves: SEC-026
#[tokio::test]
async fn a_created_role_is_recorded_with_its_document_plain_in_the_request_encoded_in_the_answer() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreateRole"),
        ("RoleName", "TestRole"),
        ("Description", "Allows EC2"),
        ("AssumeRolePolicyDocument", TRUST),
    ];
    let created = aws.does(&create).await;
    assert_eq!(
        created.request_parameters,
        json!({"roleName": "TestRole", "description": "Allows EC2", "assumeRolePolicyDocument": TRUST})
    );
    let role = &created.response_elements["role"];
    let members: Vec<&String> = role.as_object().expect("an object").keys().collect();
    let expected = [
        "path",
        "roleName",
        "roleId",
        "arn",
        "createDate",
        "assumeRolePolicyDocument",
    ];
    assert_eq!(members, expected);
    assert_eq!(role["arn"], "arn:aws:iam::123456789012:role/TestRole");
    let document = role["assumeRolePolicyDocument"].as_str().expect("a text");
    assert!(
        document.starts_with("%7B%22Version%22%3A%222012-10-17%22%2C"),
        "{document}"
    );
    let found = aws
        .does(&[("Action", "GetRole"), ("RoleName", "TestRole")])
        .await;
    assert_eq!(found.text("MaxSessionDuration"), "3600");
    assert_eq!(found.text("Description"), "Allows EC2");
}

#[tokio::test]
async fn a_role_changes_its_trust_its_description_and_its_longest_session() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreateRole"),
        ("RoleName", "r"),
        ("AssumeRolePolicyDocument", TRUST),
    ];
    aws.does(&create).await;
    let update = [
        ("Action", "UpdateRole"),
        ("RoleName", "r"),
        ("Description", "d"),
        ("MaxSessionDuration", "7200"),
    ];
    aws.does(&update).await;
    let other = TRUST.replace("123456789012", "999999999999");
    let trust = [
        ("Action", "UpdateAssumeRolePolicy"),
        ("RoleName", "r"),
        ("PolicyDocument", &other),
    ];
    aws.does(&trust).await;
    let found = aws.does(&[("Action", "GetRole"), ("RoleName", "r")]).await;
    assert_eq!(found.text("MaxSessionDuration"), "7200");
    assert!(
        found
            .text("AssumeRolePolicyDocument")
            .contains("999999999999")
    );
    let no_trust = [
        ("Action", "UpdateAssumeRolePolicy"),
        ("RoleName", "r"),
        ("PolicyDocument", super::POLICY),
    ];
    aws.refuses(&no_trust, QueryErrorCode::MalformedPolicyDocument)
        .await;
    let profiles = [("Action", "ListInstanceProfilesForRole"), ("RoleName", "r")];
    assert_eq!(aws.does(&profiles).await.text("IsTruncated"), "false");
    aws.does(&[("Action", "DeleteRole"), ("RoleName", "r")])
        .await;
    aws.refuses(&profiles, QueryErrorCode::NoSuchEntity).await;
}

#[tokio::test]
async fn sixteen_clients_at_once_lose_no_update_and_pass_no_quota() {
    let aws = std::sync::Arc::new(Fixture::new().await);
    let mut clients = Vec::new();
    for client in 0..16 {
        let aws = std::sync::Arc::clone(&aws);
        clients.push(tokio::spawn(async move {
            let name = format!("user{client}");
            let made = aws
                .iam(&[("Action", "CreateUser"), ("UserName", &name)])
                .await;
            let same = aws
                .iam(&[("Action", "CreateUser"), ("UserName", "same")])
                .await;
            let key = aws.iam(&[("Action", "CreateAccessKey")]).await;
            (made.is_ok(), same.is_ok(), key.is_ok())
        }));
    }
    let (mut made, mut same, mut keys) = (0, 0, 0);
    for client in clients {
        let outcome = client.await.expect("does not panic");
        made += u32::from(outcome.0);
        same += u32::from(outcome.1);
        keys += u32::from(outcome.2);
    }
    assert_eq!((made, same, keys), (16, 1, 2));
    let users = aws.does(&[("Action", "ListUsers")]).await;
    assert_eq!(users.texts("UserName").len(), 18);
}
