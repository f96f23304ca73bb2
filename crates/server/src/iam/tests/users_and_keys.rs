//! Users, access keys, tags, permissions boundaries, the account.

use cairn_catalog::identity::{CredentialRecord, KeyUse};
use serde_json::json;

use super::POLICY;
use crate::query_protocol::tests::{Fixture, NOW_MS};
use crate::query_protocol::{QueryErrorCode, QueryService};

// Proves: SEC-023, SEC-024
#[tokio::test]
async fn a_created_user_is_answered_recorded_and_found_again() {
    let aws = Fixture::new().await;
    let created = aws
        .does(&[("Action", "CreateUser"), ("UserName", "Richard")])
        .await;
    let id = created.text("UserId").to_owned();
    assert!(id.starts_with("AIDA") && id.len() == 21, "{id}");
    assert_eq!(created.request_parameters, json!({"userName": "Richard"}));
    assert_eq!(
        created.response_elements,
        json!({"user": {
            "path": "/",
            "userName": "Richard",
            "userId": id,
            "arn": "arn:aws:iam::123456789012:user/Richard",
            "createDate": "Jul 19, 2023 9:25:09 PM",
        }})
    );
    let found = aws
        .does(&[("Action", "GetUser"), ("UserName", "Richard")])
        .await;
    assert_eq!(found.text("UserId"), id);
    assert_eq!(found.text("CreateDate"), "2023-07-19T21:25:09Z");
    assert_eq!(found.response_elements, json!(null));
    let own = aws.does(&[("Action", "GetUser")]).await;
    assert_eq!(own.text("UserName"), "Mary");
    assert_eq!(own.request_parameters, json!(null));
}

#[tokio::test]
async fn names_are_unique_without_regard_to_case() {
    let aws = Fixture::new().await;
    aws.does(&[("Action", "CreateUser"), ("UserName", "Ana")])
        .await;
    let again = [("Action", "CreateUser"), ("UserName", "ANA")];
    let message = aws
        .refuses(&again, QueryErrorCode::EntityAlreadyExists)
        .await;
    assert_eq!(message, "User with name ANA already exists.");
    let other = [("Action", "GetUser"), ("UserName", "ana")];
    let message = aws.refuses(&other, QueryErrorCode::NoSuchEntity).await;
    assert_eq!(message, "The user with name ana cannot be found.");
    aws.does(&[("Action", "CreateGroup"), ("GroupName", "ana")])
        .await;
}

#[tokio::test]
async fn pages_hold_every_user_once_in_order_while_users_come_and_go() {
    let aws = Fixture::new().await;
    for name in ["Zoe", "bob", "Carl", "dora", "Eve"] {
        let path = if name == "Eve" { "/hr/" } else { "/" };
        aws.does(&[("Action", "CreateUser"), ("UserName", name), ("Path", path)])
            .await;
    }
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let mut pairs = vec![("Action", "ListUsers"), ("MaxItems", "2")];
        if !marker.is_empty() {
            pairs.push(("Marker", &marker));
        }
        let page = aws.does(&pairs).await;
        seen.extend(page.texts("UserName").into_iter().map(str::to_owned));
        if page.text("IsTruncated") == "false" {
            break;
        }
        marker = page.text("Marker").to_owned();
        if seen.len() == 2 {
            // Before the marker, so the pages to come must not shift.
            aws.does(&[("Action", "CreateUser"), ("UserName", "aaa")])
                .await;
        }
    }
    assert_eq!(seen, ["bob", "Carl", "dora", "Eve", "Mary", "Zoe"]);
    let hr = aws
        .does(&[("Action", "ListUsers"), ("PathPrefix", "/hr/")])
        .await;
    assert_eq!(hr.texts("UserName"), ["Eve"]);
    aws.refuses(
        &[("Action", "ListUsers"), ("Marker", "%%")],
        QueryErrorCode::ValidationError,
    )
    .await;
}

#[tokio::test]
async fn a_renamed_user_keeps_its_id_and_its_keys() {
    let aws = Fixture::new().await;
    let created = aws
        .does(&[("Action", "CreateUser"), ("UserName", "Old")])
        .await;
    let id = created.text("UserId").to_owned();
    let key = aws
        .does(&[("Action", "CreateAccessKey"), ("UserName", "Old")])
        .await;
    let rename = [
        ("Action", "UpdateUser"),
        ("UserName", "Old"),
        ("NewUserName", "New"),
        ("NewPath", "/x/"),
    ];
    let renamed = aws.does(&rename).await;
    assert_eq!(renamed.response_elements, json!(null));
    let found = aws
        .does(&[("Action", "GetUser"), ("UserName", "New")])
        .await;
    assert_eq!(found.text("UserId"), id);
    assert_eq!(found.text("Arn"), "arn:aws:iam::123456789012:user/x/New");
    let keys = aws
        .does(&[("Action", "ListAccessKeys"), ("UserName", "New")])
        .await;
    assert_eq!(keys.texts("AccessKeyId"), [key.text("AccessKeyId")]);
}

// Proves: SEC-022, SEC-096
#[tokio::test]
async fn a_secret_is_shown_once_sealed_in_the_catalog_and_never_recorded() {
    let aws = Fixture::new().await;
    let made = aws.does(&[("Action", "CreateAccessKey")]).await;
    let (key_id, secret) = (made.text("AccessKeyId"), made.text("SecretAccessKey"));
    assert_eq!((key_id.len(), secret.len()), (20, 40));
    assert_eq!(made.text("UserName"), "Mary");
    assert_eq!(
        made.response_elements,
        json!({"accessKey": {
            "userName": "Mary",
            "accessKeyId": key_id,
            "status": "Active",
            "createDate": "Jul 19, 2023 9:25:09 PM",
        }})
    );
    let record = aws.world.catalog.resolve_access_key(key_id).await;
    let record = record.expect("reads").expect("exists");
    assert!(
        !record
            .secret_sealed
            .windows(8)
            .any(|part| part == &secret.as_bytes()[..8])
    );
    let context = CredentialRecord::secret_context(record.account.account, key_id);
    let opened = aws
        .world
        .master_key
        .open(&context, &record.secret_sealed)
        .expect("opens");
    assert_eq!(opened.as_slice(), secret.as_bytes());
    let listed = aws.does(&[("Action", "ListAccessKeys")]).await;
    assert!(!listed.xml.contains(secret));
}

// Proves: SEC-096
#[tokio::test]
async fn keys_are_rotated_two_at_most_switched_off_and_deleted() {
    let aws = Fixture::new().await;
    let first = aws.does(&[("Action", "CreateAccessKey")]).await;
    aws.does(&[("Action", "CreateAccessKey")]).await;
    let third = [("Action", "CreateAccessKey")];
    let message = aws.refuses(&third, QueryErrorCode::LimitExceeded).await;
    assert_eq!(message, "Cannot exceed quota for AccessKeysPerUser: 2");
    let key_id = first.text("AccessKeyId");
    let is_active = async || {
        let record = aws
            .world
            .catalog
            .resolve_access_key(key_id)
            .await
            .expect("reads");
        record.map(|record| record.active)
    };
    assert_eq!(is_active().await, Some(true));
    let off = [
        ("Action", "UpdateAccessKey"),
        ("AccessKeyId", key_id),
        ("Status", "Inactive"),
    ];
    aws.does(&off).await;
    assert_eq!(is_active().await, Some(false));
    aws.does(&[("Action", "DeleteAccessKey"), ("AccessKeyId", key_id)])
        .await;
    assert_eq!(is_active().await, None);
    let gone = [("Action", "DeleteAccessKey"), ("AccessKeyId", key_id)];
    aws.refuses(&gone, QueryErrorCode::NoSuchEntity).await;
}

#[tokio::test]
async fn a_key_of_another_account_or_user_cannot_be_touched() {
    let aws = Fixture::new().await;
    let other = aws.add_account("999999999999", "Eve").await;
    let key = aws.does(&[("Action", "CreateAccessKey")]).await;
    let key_id = key.text("AccessKeyId");
    let delete = [("Action", "DeleteAccessKey"), ("AccessKeyId", key_id)];
    let foreign = aws.call(QueryService::Iam, &other, &delete).await;
    assert_eq!(
        foreign.expect_err("is refused").code,
        QueryErrorCode::NoSuchEntity
    );
    aws.does(&[("Action", "CreateUser"), ("UserName", "Bob")])
        .await;
    let wrong_user = [
        ("Action", "DeleteAccessKey"),
        ("UserName", "Bob"),
        ("AccessKeyId", key_id),
    ];
    aws.refuses(&wrong_user, QueryErrorCode::NoSuchEntity).await;
    assert!(
        aws.world
            .catalog
            .resolve_access_key(key_id)
            .await
            .expect("reads")
            .is_some()
    );
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told_before_and_after_it_is_written_down() {
    let aws = Fixture::new().await;
    let key = aws.does(&[("Action", "CreateAccessKey")]).await;
    let ask = [
        ("Action", "GetAccessKeyLastUsed"),
        ("AccessKeyId", key.text("AccessKeyId")),
    ];
    let never = aws.does(&ask).await;
    assert_eq!(
        (never.text("ServiceName"), never.text("UserName")),
        ("N/A", "Mary")
    );
    let last_use = KeyUse {
        used_ms: NOW_MS,
        service: "cloudtrail".to_owned(),
        region: "eu-west-1".to_owned(),
    };
    aws.world
        .catalog
        .note_key_use(key.text("AccessKeyId"), last_use);
    for _ in 0..2 {
        let used = aws.does(&ask).await;
        assert_eq!(used.text("ServiceName"), "cloudtrail");
        assert_eq!(used.text("LastUsedDate"), "2023-07-19T21:25:09Z");
        aws.world.catalog.write_key_uses().await.expect("writes");
        assert_eq!(
            aws.world.catalog.noted_key_use(key.text("AccessKeyId")),
            None
        );
    }
}

#[tokio::test]
async fn a_user_is_deleted_only_when_nothing_hangs_on_it() {
    let aws = Fixture::new().await;
    aws.does(&[("Action", "CreateUser"), ("UserName", "Bob")])
        .await;
    let key = aws
        .does(&[("Action", "CreateAccessKey"), ("UserName", "Bob")])
        .await;
    let delete = [("Action", "DeleteUser"), ("UserName", "Bob")];
    let message = aws.refuses(&delete, QueryErrorCode::DeleteConflict).await;
    assert_eq!(
        message,
        "Cannot delete entity, must delete access keys first."
    );
    let delete_key = [
        ("Action", "DeleteAccessKey"),
        ("UserName", "Bob"),
        ("AccessKeyId", key.text("AccessKeyId")),
    ];
    aws.does(&delete_key).await;
    let put = [
        ("Action", "PutUserPolicy"),
        ("UserName", "Bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", POLICY),
    ];
    aws.does(&put).await;
    let message = aws.refuses(&delete, QueryErrorCode::DeleteConflict).await;
    assert_eq!(message, "Cannot delete entity, must delete policies first.");
    aws.does(&[
        ("Action", "DeleteUserPolicy"),
        ("UserName", "Bob"),
        ("PolicyName", "p"),
    ])
    .await;
    aws.does(&delete).await;
    aws.refuses(&delete, QueryErrorCode::NoSuchEntity).await;
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreateUser"),
        ("UserName", "Bob"),
        ("Tags.member.1.Key", "stage"),
        ("Tags.member.1.Value", "alpha"),
    ];
    let created = aws.does(&create).await;
    assert_eq!(
        created.request_parameters,
        json!({"userName": "Bob", "tags": [{"key": "stage", "value": "alpha"}]})
    );
    let tag = [
        ("Action", "TagUser"),
        ("UserName", "Bob"),
        ("Tags.member.1.Key", "Stage"),
        ("Tags.member.1.Value", "prod"),
        ("Tags.member.2.Key", "team"),
        ("Tags.member.2.Value", ""),
    ];
    aws.does(&tag).await;
    let listed = aws
        .does(&[("Action", "ListUserTags"), ("UserName", "Bob")])
        .await;
    assert_eq!(listed.texts("Key"), ["Stage", "team"]);
    assert_eq!(listed.texts("Value"), ["prod", ""]);
    let untag = [
        ("Action", "UntagUser"),
        ("UserName", "Bob"),
        ("TagKeys.member.1", "STAGE"),
    ];
    aws.does(&untag).await;
    let found = aws
        .does(&[("Action", "GetUser"), ("UserName", "Bob")])
        .await;
    assert_eq!(found.texts("Key"), ["team"]);
    let reserved = [
        ("Action", "TagUser"),
        ("UserName", "Bob"),
        ("Tags.member.1.Key", "aws:x"),
        ("Tags.member.1.Value", ""),
    ];
    aws.refuses(&reserved, QueryErrorCode::InvalidInput).await;
}

#[tokio::test]
async fn a_boundary_is_set_shown_in_the_snapshot_and_removed() {
    let aws = Fixture::new().await;
    let arn = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess";
    let put = [
        ("Action", "PutUserPermissionsBoundary"),
        ("UserName", "Mary"),
        ("PermissionsBoundary", arn),
    ];
    aws.does(&put).await;
    let id = aws.mary.principal.principal_id();
    let snapshot = aws
        .world
        .catalog
        .identity_snapshot(aws.mary.account, &id)
        .await;
    let boundary = snapshot.expect("reads").expect("exists").boundary.clone();
    assert!(format!("{boundary:?}").contains(arn), "{boundary:?}");
    let found = aws.does(&[("Action", "GetUser")]).await;
    assert_eq!(found.text("PermissionsBoundaryArn"), arn);
    let delete = [
        ("Action", "DeleteUserPermissionsBoundary"),
        ("UserName", "Mary"),
    ];
    aws.does(&delete).await;
    let snapshot = aws
        .world
        .catalog
        .identity_snapshot(aws.mary.account, &id)
        .await;
    assert_eq!(snapshot.expect("reads").expect("exists").boundary, None);
    aws.refuses(&delete, QueryErrorCode::NoSuchEntity).await;
    let unknown = [
        ("Action", "PutUserPermissionsBoundary"),
        ("UserName", "Mary"),
        (
            "PermissionsBoundary",
            "arn:aws:iam::123456789012:policy/none",
        ),
    ];
    aws.refuses(&unknown, QueryErrorCode::NoSuchEntity).await;
}

#[tokio::test]
async fn an_alias_belongs_to_one_account_at_a_time() {
    let aws = Fixture::new().await;
    let other = aws.add_account("999999999999", "Eve").await;
    let create = [
        ("Action", "CreateAccountAlias"),
        ("AccountAlias", "trail-makers"),
    ];
    aws.does(&create).await;
    let listed = aws.does(&[("Action", "ListAccountAliases")]).await;
    assert_eq!(listed.texts("member"), ["trail-makers"]);
    let foreign = aws.call(QueryService::Iam, &other, &create).await;
    assert_eq!(
        foreign.expect_err("is refused").code,
        QueryErrorCode::EntityAlreadyExists
    );
    aws.does(&[
        ("Action", "DeleteAccountAlias"),
        ("AccountAlias", "trail-makers"),
    ])
    .await;
    aws.call(QueryService::Iam, &other, &create)
        .await
        .expect("is free");
}

#[tokio::test]
async fn the_summary_counts() {
    let aws = Fixture::new().await;
    aws.does(&[("Action", "CreateUser"), ("UserName", "Bob")])
        .await;
    let summary = aws.does(&[("Action", "GetAccountSummary")]).await;
    assert!(
        summary
            .xml
            .contains("<entry><key>Users</key><value>2</value></entry>")
    );
    assert!(
        summary
            .xml
            .contains("<entry><key>AccessKeysPerUserQuota</key><value>2</value></entry>")
    );
}
