//! STS as its callers see it.

use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicyLayer, PolicySets, RequestContext,
    evaluate,
};
use cairn_catalog::identity::access_key_account;
use serde_json::json;

use super::{SessionFacts, open_token, session_policy_documents};
use crate::query_protocol::tests::{Fixture, NOW_MS, Outcome, account};
use crate::query_protocol::{Caller, QueryError, QueryErrorCode, QueryService};

const ROLE: &str = "arn:aws:iam::123456789012:role/ops/Auditor";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}"#;

async fn with_role() -> Fixture {
    let aws = Fixture::new().await;
    let create = [
        ("Action", "CreateRole"),
        ("RoleName", "Auditor"),
        ("Path", "/ops/"),
        ("AssumeRolePolicyDocument", TRUST),
        ("MaxSessionDuration", "7200"),
    ];
    aws.does(&create).await;
    aws
}

async fn assume(
    aws: &Fixture,
    caller: &Caller,
    more: &[(&str, &str)],
) -> Result<Outcome, QueryError> {
    let mut pairs = vec![
        ("Action", "AssumeRole"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "shift-1"),
    ];
    pairs.extend_from_slice(more);
    aws.call(QueryService::Sts, caller, &pairs).await
}

/// The caller that the credentials of an answer make.
fn session_of(aws: &Fixture, outcome: &Outcome) -> Caller {
    let facts = open_token(&aws.world.master_key, outcome.text("SessionToken")).expect("opens");
    assert_eq!(facts.access_key_id, outcome.text("AccessKeyId"));
    assert_eq!(facts.secret.expose(), outcome.text("SecretAccessKey"));
    Caller {
        principal: facts.principal.clone(),
        account: facts.principal.account().expect("has an account"),
        account_alias: None,
        access_key_id: facts.access_key_id.clone(),
        session: Some(std::sync::Arc::new(facts)),
    }
}

async fn who(aws: &Fixture, caller: &Caller) -> [String; 3] {
    let pairs = [("Action", "GetCallerIdentity")];
    let outcome = aws
        .call(QueryService::Sts, caller, &pairs)
        .await
        .expect("is never refused");
    assert_eq!(outcome.response_elements, json!(null));
    ["Arn", "UserId", "Account"].map(|name| outcome.text(name).to_owned())
}

#[tokio::test]
async fn everyone_learns_who_they_are() {
    let aws = with_role().await;
    let id = aws.mary.principal.principal_id();
    assert_eq!(
        who(&aws, &aws.mary).await,
        ["arn:aws:iam::123456789012:user/Mary", &id, "123456789012"]
    );
    let session = session_of(
        &aws,
        &assume(&aws, &aws.mary, &[]).await.expect("is allowed"),
    );
    let [arn, id, _] = who(&aws, &session).await;
    assert_eq!(
        arn,
        "arn:aws:sts::123456789012:assumed-role/Auditor/shift-1"
    );
    assert!(id.starts_with("AROA") && id.ends_with(":shift-1"), "{id}");
    let root = Caller {
        principal: Principal::Root {
            account: account("123456789012"),
        },
        ..aws.mary.clone()
    };
    let [arn, id, _] = who(&aws, &root).await;
    assert_eq!(
        (arn.as_str(), id.as_str()),
        ("arn:aws:iam::123456789012:root", "123456789012")
    );
}

// Proves: REC-110, REC-119, REC-121, SEC-097
#[tokio::test]
async fn an_assumed_role_is_answered_and_recorded_without_its_secret() {
    let aws = with_role().await;
    let more = [
        ("SourceIdentity", "mary@example.com"),
        ("ExternalId", "x-1"),
    ];
    let outcome = assume(&aws, &aws.mary, &more).await.expect("is allowed");
    assert_eq!(
        outcome.request_parameters,
        json!({
            "roleArn": ROLE,
            "roleSessionName": "shift-1",
            "externalId": "x-1",
            "sourceIdentity": "mary@example.com",
        })
    );
    assert_eq!(
        outcome.response_elements,
        json!({
            "credentials": {
                "accessKeyId": outcome.text("AccessKeyId"),
                "sessionToken": outcome.text("SessionToken"),
                "expiration": "Jul 19, 2023, 10:25:09 PM",
            },
            "assumedRoleUser": {
                "assumedRoleId": outcome.text("AssumedRoleId"),
                "arn": "arn:aws:sts::123456789012:assumed-role/Auditor/shift-1",
            },
            "sourceIdentity": "mary@example.com",
        })
    );
    assert!(outcome.text("AccessKeyId").starts_with("ASIA"));
    assert_eq!(
        access_key_account(outcome.text("AccessKeyId")),
        Some(account("123456789012"))
    );
    assert_eq!(outcome.answer.resources[0].arn, ROLE);
    assert_eq!(outcome.answer.cross_account, None);
}

// Proves: REC-064, REC-065
#[tokio::test]
async fn a_role_of_another_account_makes_a_copy_for_that_account() {
    let aws = with_role().await;
    let eve = aws.add_account("999999999999", "Eve").await;
    let outcome = assume(&aws, &eve, &[]).await.expect("is run");
    let copy = outcome
        .answer
        .cross_account
        .expect("two accounts are concerned");
    assert_eq!(copy.account, account("123456789012"));
}

// Proves: REC-118, REC-123
#[tokio::test]
async fn a_source_identity_stays_through_a_chain() {
    let aws = with_role().await;
    let first = assume(&aws, &aws.mary, &[("SourceIdentity", "mary")])
        .await
        .expect("is allowed");
    let session = session_of(&aws, &first);
    let second = assume(&aws, &session, &[]).await.expect("is allowed");
    assert_eq!(second.text("SourceIdentity"), "mary");
    let asked = aws
        .targets(QueryService::Sts, &session, &pairs_of_role())
        .await;
    let actions: Vec<&str> = asked.iter().map(|target| target.action.as_str()).collect();
    assert_eq!(actions, ["sts:AssumeRole", "sts:SetSourceIdentity"]);
    let other = assume(&aws, &session, &[("SourceIdentity", "eve")]).await;
    assert_eq!(
        other.expect_err("is refused").code,
        QueryErrorCode::AccessDenied
    );
}

fn pairs_of_role() -> [(&'static str, &'static str); 3] {
    [
        ("Action", "AssumeRole"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "shift-1"),
    ]
}

// Proves: SEC-106
#[tokio::test]
async fn the_trust_policy_is_asked_and_a_missing_role_trusts_nobody() {
    let aws = with_role().await;
    let mut pairs = pairs_of_role().to_vec();
    pairs.push(("ExternalId", "x-1"));
    let asked = aws.targets(QueryService::Sts, &aws.mary, &pairs).await;
    assert_eq!(asked[0].trust_policy.as_deref(), Some(TRUST));
    assert_eq!(asked[0].resource, ROLE);
    assert!(
        asked[0]
            .keys
            .contains(&("sts:ExternalId".to_owned(), vec!["x-1".to_owned()]))
    );
    // The same name under another path is another role.
    for arn in [
        "arn:aws:iam::123456789012:role/Auditor",
        "arn:aws:iam::123456789012:role/ops/Nobody",
        "arn:aws:iam::555555555555:role/ops/Auditor",
    ] {
        pairs[1] = ("RoleArn", arn);
        let asked = aws.targets(QueryService::Sts, &aws.mary, &pairs).await;
        let trust = asked[0].trust_policy.as_deref().expect("is never absent");
        let trust = PolicyDocument::parse(trust, PolicyKind::Trust).expect("is a trust policy");
        let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        let all = PolicyDocument::parse(document, PolicyKind::Identity).expect("is a policy");
        let request = RequestContext {
            action: "sts:AssumeRole",
            resource: arn,
            principal: &aws.mary.principal,
            keys: &ContextKeys::new(),
        };
        let sets = PolicySets {
            identity: &[&all],
            boundary: None,
            session: None,
            resource: Some(&trust),
            same_account: true,
        };
        let missing = PolicyLayer::Trust;
        assert_eq!(
            evaluate(&request, &sets),
            Decision::ImplicitDeny { missing }
        );
    }
}

#[tokio::test]
async fn sessions_last_as_long_as_the_role_and_the_chain_allow() {
    let aws = with_role().await;
    let longest = assume(&aws, &aws.mary, &[("DurationSeconds", "7200")])
        .await
        .expect("fits");
    let facts = open_token(&aws.world.master_key, longest.text("SessionToken")).expect("opens");
    assert_eq!(facts.expires_ms, NOW_MS + 7_200_000);
    let longer = assume(&aws, &aws.mary, &[("DurationSeconds", "7201")]).await;
    assert_eq!(
        longer.expect_err("is refused").code,
        QueryErrorCode::ValidationError
    );
    let session = session_of(&aws, &longest);
    let chained = assume(&aws, &session, &[("DurationSeconds", "3601")]).await;
    let message = chained.expect_err("is refused").message;
    assert!(message.contains("role chaining"), "{message}");
    let root = Caller {
        principal: Principal::Root {
            account: account("123456789012"),
        },
        ..aws.mary.clone()
    };
    let refused = assume(&aws, &root, &[]).await.expect_err("is refused");
    assert_eq!(
        refused.message,
        "Roles may not be assumed by root accounts."
    );
}

async fn policies_of(aws: &Fixture, facts: &SessionFacts) -> Option<Vec<String>> {
    let mut read = aws.world.catalog.read().await.expect("begins");
    let documents = session_policy_documents(&mut read, facts).await;
    documents.expect("reads")
}

// Proves: SEC-110
#[tokio::test]
async fn session_policies_travel_in_the_token_and_a_vanished_one_allows_nothing() {
    let aws = with_role().await;
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:Get*","Resource":"*"}]}"#;
    let plain = assume(&aws, &aws.mary, &[]).await.expect("is allowed");
    let plain = session_of(&aws, &plain);
    let facts = plain.session.expect("is a session");
    let none = policies_of(&aws, &facts).await;
    assert_eq!(none, None);
    let create = [
        ("Action", "CreatePolicy"),
        ("PolicyName", "p"),
        ("PolicyDocument", document),
    ];
    let arn = aws.does(&create).await.text("Arn").to_owned();
    let more = [("PolicyArns.member.1.arn", arn.as_str())];
    let limited = assume(&aws, &aws.mary, &more).await.expect("is allowed");
    assert_eq!(limited.text("PackedPolicySize"), "1");
    let facts = session_of(&aws, &limited).session.expect("is a session");
    let held = policies_of(&aws, &facts).await;
    assert_eq!(held, Some(vec![document.to_owned()]));
    aws.does(&[("Action", "DeletePolicy"), ("PolicyArn", &arn)])
        .await;
    let held = policies_of(&aws, &facts).await;
    assert_eq!(held, Some(Vec::new()));
    let broken = assume(&aws, &aws.mary, &[("Policy", "{")]).await;
    assert_eq!(
        broken.expect_err("is refused").code,
        QueryErrorCode::MalformedPolicyDocument
    );
    let large = format!("{document}{}", " ".repeat(2_048));
    let large = assume(&aws, &aws.mary, &[("Policy", &large)]).await;
    assert_eq!(
        large.expect_err("is refused").code,
        QueryErrorCode::PackedPolicyTooLarge
    );
}

#[tokio::test]
async fn transitive_tags_go_on_and_cannot_be_changed() {
    let aws = with_role().await;
    let more = [
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "blue"),
        ("Tags.member.2.Key", "shift"),
        ("Tags.member.2.Value", "night"),
        ("TransitiveTagKeys.member.1", "team"),
    ];
    let mut asked = pairs_of_role().to_vec();
    asked.extend_from_slice(&more);
    let asked = aws.targets(QueryService::Sts, &aws.mary, &asked).await;
    assert!(asked.iter().any(|target| target.action == "sts:TagSession"));
    let session = session_of(
        &aws,
        &assume(&aws, &aws.mary, &more).await.expect("is allowed"),
    );
    let next = session_of(
        &aws,
        &assume(&aws, &session, &[]).await.expect("is allowed"),
    );
    let facts = next.session.expect("is a session");
    assert_eq!(facts.tags, [("team".to_owned(), "blue".to_owned())]);
    let change = [
        ("Tags.member.1.Key", "TEAM"),
        ("Tags.member.1.Value", "red"),
    ];
    assume(&aws, &session, &change)
        .await
        .expect_err("is refused");
}

#[tokio::test]
async fn a_user_gets_a_session_token_and_a_session_does_not() {
    let aws = with_role().await;
    let ask = [("Action", "GetSessionToken")];
    let outcome = aws
        .call(QueryService::Sts, &aws.mary, &ask)
        .await
        .expect("is open");
    let session = session_of(&aws, &outcome);
    assert_eq!(session.principal.arn(), aws.mary.principal.arn());
    assert_eq!(outcome.text("Expiration"), "2023-07-20T09:25:09Z");
    let again = aws
        .call(QueryService::Sts, &session, &ask)
        .await
        .expect_err("is refused");
    assert_eq!(
        again.message,
        "Cannot call GetSessionToken with session credentials"
    );
    let device = [("Action", "GetSessionToken"), ("TokenCode", "123456")];
    aws.call(QueryService::Sts, &aws.mary, &device)
        .await
        .expect_err("nobody has a device");
}

#[tokio::test]
async fn tokens_that_were_altered_or_made_elsewhere_do_not_open() {
    let aws = with_role().await;
    let outcome = assume(&aws, &aws.mary, &[]).await.expect("is allowed");
    let token = outcome.text("SessionToken");
    for at in (0..token.len()).step_by(7) {
        let mut altered = token.as_bytes().to_vec();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("is ASCII");
        assert!(
            open_token(&aws.world.master_key, &altered).is_err(),
            "position {at}"
        );
    }
    let elsewhere = Fixture::new().await;
    let key = cairn_platform::MasterKey::generate(&cairn_platform::SeededEntropy::new(1));
    assert!(open_token(&key, token).is_err());
    assert!(open_token(&elsewhere.world.master_key, "").is_err());
    assert!(open_token(&elsewhere.world.master_key, &"A".repeat(40_000)).is_err());
}

#[tokio::test]
async fn an_access_key_tells_its_account() {
    let aws = Fixture::new().await;
    let key = aws.does(&[("Action", "CreateAccessKey")]).await;
    let ask = [
        ("Action", "GetAccessKeyInfo"),
        ("AccessKeyId", key.text("AccessKeyId")),
    ];
    let told = aws
        .call(QueryService::Sts, &aws.mary, &ask)
        .await
        .expect("is allowed");
    assert_eq!(told.text("Account"), "123456789012");
    let nonsense = [
        ("Action", "GetAccessKeyInfo"),
        ("AccessKeyId", "AKIA111111111111"),
    ];
    aws.call(QueryService::Sts, &aws.mary, &nonsense)
        .await
        .expect_err("is refused");
}
