//! Accounts and declarative identities, called as an operator and as others.

use serde_json::{Value, json};

use crate::first_start::mark_started;
use crate::query_protocol::tests::{Fixture, Outcome, account};
use crate::query_protocol::{Caller, QueryError, QueryErrorCode, QueryService};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"}]}"#;
const READ_ONLY: &str = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess";

async fn operated() -> Fixture {
    let aws = Fixture::new().await;
    let mut transaction = aws.world.catalog.begin().await.expect("begins");
    mark_started(&mut transaction, aws.mary.account)
        .await
        .expect("stores");
    transaction.commit().await.expect("commits");
    aws
}

async fn cairn(
    aws: &Fixture,
    caller: &Caller,
    pairs: &[(&str, &str)],
) -> Result<Outcome, QueryError> {
    aws.call(QueryService::Cairn, caller, pairs).await
}

async fn apply(aws: &Fixture, action: &str, document: &Value) -> Result<Outcome, QueryError> {
    let document = document.to_string();
    cairn(
        aws,
        &aws.mary,
        &[("Action", action), ("Document", &document)],
    )
    .await
}

fn team() -> Value {
    json!({"account": [{
        "id": "222233334444",
        "name": "team",
        "policy": [{"name": "all", "path": "/p/", "document": POLICY}],
        "group": [{"name": "auditors", "policies": [READ_ONLY]}],
        "role": [{"name": "Auditor", "trust_policy": TRUST, "inline": {"own": POLICY}}],
        "user": [{
            "name": "ana",
            "groups": ["auditors"],
            "policies": ["arn:aws:iam::222233334444:policy/p/all"],
            "boundary": READ_ONLY,
            "tags": {"stage": "prod"},
        }],
    }]})
}

// Proves: SEC-102
#[tokio::test]
async fn only_the_operators_account_gets_in() {
    let aws = operated().await;
    let other = aws.add_account("999999999999", "Eve").await;
    let document = team().to_string();
    for operation in QueryService::Cairn.operations() {
        let pairs = [
            ("Action", operation.name),
            ("AccountId", "123456789012"),
            ("Document", document.as_str()),
        ];
        let refused = cairn(&aws, &other, &pairs).await.expect_err(operation.name);
        assert_eq!(
            refused.code,
            QueryErrorCode::AccessDenied,
            "{}",
            operation.name
        );
    }
    assert_eq!(aws.world.catalog.accounts().await.expect("reads").len(), 2);
}

#[tokio::test]
async fn an_account_is_made_with_an_administrator_and_closed_and_opened() {
    let aws = operated().await;
    let create = [
        ("Action", "CreateAccount"),
        ("AccountId", "222233334444"),
        ("Name", "team"),
    ];
    let made = cairn(&aws, &aws.mary, &create).await.expect("is new");
    let key_id = made.text("AccessKeyId").to_owned();
    assert_eq!(made.text("SecretAccessKey").len(), 40);
    assert_eq!(
        made.response_elements,
        json!({"account": {"accountId": "222233334444", "userName": "admin", "accessKeyId": key_id}})
    );
    let again = cairn(&aws, &aws.mary, &create).await.expect_err("is taken");
    assert_eq!(again.code, QueryErrorCode::EntityAlreadyExists);
    let enabled = async || {
        let record = aws
            .world
            .catalog
            .resolve_access_key(&key_id)
            .await
            .expect("reads");
        record.expect("exists").account.enabled
    };
    assert!(enabled().await);
    let disable = [("Action", "DisableAccount"), ("AccountId", "222233334444")];
    cairn(&aws, &aws.mary, &disable).await.expect("is allowed");
    assert!(!enabled().await);
    let enable = [("Action", "EnableAccount"), ("AccountId", "222233334444")];
    cairn(&aws, &aws.mary, &enable).await.expect("is allowed");
    assert!(enabled().await);
    let own = [("Action", "DisableAccount"), ("AccountId", "123456789012")];
    let refused = cairn(&aws, &aws.mary, &own)
        .await
        .expect_err("would lock everyone out");
    assert_eq!(refused.code, QueryErrorCode::InvalidInput);
    let list = cairn(&aws, &aws.mary, &[("Action", "ListAccounts")])
        .await
        .expect("lists");
    assert_eq!(list.texts("AccountId"), ["123456789012", "222233334444"]);
}

#[tokio::test]
async fn a_document_is_planned_applied_and_then_nothing_is_left_to_do() {
    let aws = operated().await;
    let planned = apply(&aws, "GetIdentitiesPlan", &team())
        .await
        .expect("is right");
    assert!(
        planned
            .texts("member")
            .contains(&"222233334444: create user ana"),
        "{}",
        planned.xml
    );
    assert_eq!(aws.world.catalog.accounts().await.expect("reads").len(), 1);
    let applied = apply(&aws, "ApplyIdentities", &team())
        .await
        .expect("is right");
    assert_eq!(applied.texts("member"), planned.texts("member"));
    let parameters = &applied.request_parameters["document"];
    assert_eq!(parameters["bytes"], team().to_string().len());
    assert_eq!(
        applied.response_elements["changes"][0],
        "222233334444: create account team"
    );
    let again = apply(&aws, "ApplyIdentities", &team())
        .await
        .expect("is right");
    assert_eq!(again.texts("member"), Vec::<&str>::new());
    let export = [("Action", "GetIdentities"), ("AccountId", "222233334444")];
    let exported = cairn(&aws, &aws.mary, &export).await.expect("reads");
    let document = exported.text("Document").replace("&quot;", "\"");
    let document: Value = serde_json::from_str(&document).expect("is JSON");
    let nothing = apply(&aws, "GetIdentitiesPlan", &document)
        .await
        .expect("is right");
    assert_eq!(nothing.texts("member"), Vec::<&str>::new());
}

#[tokio::test]
async fn what_a_document_no_longer_says_of_someone_is_taken_away() {
    let aws = operated().await;
    apply(&aws, "ApplyIdentities", &team())
        .await
        .expect("is right");
    let mut changed = team();
    changed["account"][0]["user"] = json!([{"name": "ana", "path": "/x/"}]);
    changed["account"][0]["role"] = json!([]);
    let applied = apply(&aws, "ApplyIdentities", &changed)
        .await
        .expect("is right");
    let mut lines = applied.texts("member");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "222233334444: detach arn:aws:iam::222233334444:policy/p/all from user ana",
            "222233334444: remove tag stage of user ana",
            "222233334444: remove the boundary of user ana",
            "222233334444: remove user ana from group auditors",
            "222233334444: update user ana",
        ]
    );
    let mut read = aws.world.catalog.read().await.expect("begins");
    let mut view = read.identities(account("222233334444"));
    let kind = cairn_catalog::identity::IdentityKind::Role;
    assert!(
        view.find_identity(kind, "Auditor")
            .await
            .expect("reads")
            .is_some(),
        "not named"
    );
}

#[tokio::test]
async fn a_policy_changes_by_a_new_version_as_often_as_one_likes() {
    let aws = operated().await;
    let mut document = team();
    for round in 0..8 {
        let action = format!("cloudtrail:{}", "x".repeat(round + 1));
        document["account"][0]["policy"][0]["document"] =
            Value::String(POLICY.replace("cloudtrail:*", &action));
        apply(&aws, "ApplyIdentities", &document)
            .await
            .expect("is right");
    }
    let left = apply(&aws, "GetIdentitiesPlan", &document)
        .await
        .expect("is right");
    assert_eq!(left.texts("member"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_document_with_one_mistake_changes_nothing() {
    let aws = operated().await;
    let mistakes: [(&str, Value, QueryErrorCode); 7] = [
        (
            "/account/0/user/0/policies",
            json!(["arn:aws:iam::aws:policy/None"]),
            QueryErrorCode::NoSuchEntity,
        ),
        (
            "/account/0/user/0/groups",
            json!(["nobody"]),
            QueryErrorCode::NoSuchEntity,
        ),
        (
            "/account/0/user/0/name",
            json!("a b"),
            QueryErrorCode::ValidationError,
        ),
        (
            "/account/0/policy/0/document",
            json!("{"),
            QueryErrorCode::MalformedPolicyDocument,
        ),
        (
            "/account/0/role/0/trust_policy",
            json!(null),
            QueryErrorCode::InvalidInput,
        ),
        (
            "/account/0/group/0",
            json!({"name": "g", "groups": ["h"]}),
            QueryErrorCode::InvalidInput,
        ),
        (
            "/account/0",
            json!({"id": "222233334444", "users": []}),
            QueryErrorCode::InvalidInput,
        ),
    ];
    for (place, value, code) in mistakes {
        let mut document = team();
        *document.pointer_mut(place).expect("the place exists") = value;
        let refused = apply(&aws, "ApplyIdentities", &document)
            .await
            .expect_err(place);
        assert_eq!(refused.code, code, "{place}: {refused}");
        assert_eq!(
            aws.world.catalog.accounts().await.expect("reads").len(),
            1,
            "{place}"
        );
    }
}
