//! Policies of KMS keys: who is let in by them alone, by them with the account's own policies, and never without them.

use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicyLayer, RequestContext,
    default_key_policy,
};

use crate::policy_evaluation::ALL;
use crate::principals::{ACCOUNT, OTHER_ACCOUNT, alice, role_session_of, root, service, user_of};
use crate::question::{BY_IDENTITY, Question, denied, document, may, missing};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";
/// The one statement of the default policy.
const ROOT: &str = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}"#;

fn decrypt() -> Question {
    may("kms:Decrypt", KEY)
}

// Proves: SEC-340
#[test]
fn a_key_s_policy_lets_a_user_in_by_itself_or_leaves_it_to_the_account() {
    let for_alice = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"kms:Decrypt","Resource":"*"}"#;
    let direct = decrypt().key_policy(for_alice);
    assert_eq!(direct.answer(), Decision::Allow);
    assert_eq!(decrypt().key_policy(ROOT).answer(), BY_IDENTITY);
    let left = decrypt().key_policy(ROOT).policy(ALL);
    assert_eq!(left.answer(), Decision::Allow);
    assert_eq!(
        decrypt().key_policy(ROOT).by(root()).answer(),
        Decision::Allow
    );
}

#[test]
fn identity_policies_count_only_where_the_key_s_policy_says_so() {
    let for_bob = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/bob"},"Action":"kms:*","Resource":"*"}"#;
    let nothing = missing(PolicyLayer::Key);
    let alone = decrypt().key_policy(for_bob).policy(ALL);
    assert_eq!(alone.answer(), nothing);
    assert_eq!(
        alone.refusal().as_deref(),
        Some(
            "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: kms:Decrypt on resource: \
             arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef because no \
             resource-based policy allows the kms:Decrypt action"
        )
    );
    // The root user has no other rights than those that the policy gives to the account.
    assert_eq!(decrypt().key_policy(for_bob).by(root()).answer(), nothing);
}

// Proves: SEC-341
#[test]
fn another_account_needs_both_policies() {
    let for_account = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":"kms:Decrypt","Resource":"*"}"#;
    let stranger = Principal::User(user_of(OTHER_ACCOUNT, "carol"));
    let ask = |policy: &str| {
        let question = decrypt().by(stranger.clone()).across_accounts();
        question.key_policy(policy)
    };
    assert_eq!(ask(for_account).answer(), BY_IDENTITY);
    assert_eq!(ask(for_account).policy(ALL).answer(), Decision::Allow);
    let refused = ask(ROOT).policy(ALL);
    assert_eq!(refused.answer(), missing(PolicyLayer::Key));
    let message = refused.refusal().expect("it is refused");
    assert!(
        message.ends_with(
            "because the resource does not exist in this Region, no resource-based policies allow access, or a \
             resource-based policy explicitly denies access"
        ),
        "{message}"
    );
    let all_but = r#"{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#;
    let refused = ask(&format!("{for_account},{all_but}")).policy(ALL);
    assert_eq!(refused.answer(), denied(PolicyLayer::Key));
    assert_eq!(refused.refusal(), Some(message));
}

// Proves: SEC-332, SEC-333, SEC-335
#[test]
fn cloudtrail_lives_by_the_key_s_policy_and_its_context() {
    let policy = r#"{"Sid":"AllowCloudTrailEncryptLogs","Effect":"Allow",
        "Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"kms:GenerateDataKey*","Resource":"*",
        "Condition":{
            "StringEquals":{"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:123456789012:trail/main"},
            "StringLike":{"kms:EncryptionContext:aws:cloudtrail:arn":"arn:aws:cloudtrail:*:123456789012:trail/*"}}}"#;
    let ask = |name: &str, context: &str, source: &str| {
        let question = may("kms:GenerateDataKey", KEY).by(service(name));
        let question = question.key("kms:EncryptionContext:aws:cloudtrail:arn", context);
        let question = question.key("aws:SourceArn", source).across_accounts();
        question.key_policy(policy).answer()
    };
    let other = "arn:aws:cloudtrail:us-east-1:210987654321:trail/evil";
    let nothing = missing(PolicyLayer::Key);
    assert_eq!(
        ask("cloudtrail.amazonaws.com", TRAIL, TRAIL),
        Decision::Allow
    );
    assert_eq!(ask("cloudtrail.amazonaws.com", other, TRAIL), nothing);
    assert_eq!(ask("cloudtrail.amazonaws.com", TRAIL, other), nothing);
    assert_eq!(ask("config.amazonaws.com", TRAIL, TRAIL), nothing);
}

// Proves: SEC-338, SEC-351
#[test]
fn readers_may_decrypt_what_a_trail_encrypted() {
    let readers = r#"{"Effect":"Allow","Principal":"*","Action":["kms:Decrypt","kms:ReEncryptFrom"],"Resource":"*",
        "Condition":{"StringEquals":{"kms:CallerAccount":"123456789012"},
            "Null":{"kms:EncryptionContext:aws:cloudtrail:arn":"false"}}}"#;
    let ask = || decrypt().key_policy(readers);
    let with_context = || ask().key("kms:EncryptionContext:aws:cloudtrail:arn", TRAIL);
    let nothing = missing(PolicyLayer::Identity);
    assert_eq!(
        with_context().key("kms:CallerAccount", ACCOUNT).answer(),
        Decision::Allow
    );
    assert_eq!(
        with_context()
            .key("kms:CallerAccount", OTHER_ACCOUNT)
            .answer(),
        nothing
    );
    assert_eq!(ask().key("kms:CallerAccount", ACCOUNT).answer(), nothing);
}

#[test]
fn the_default_policy_is_one_and_leaves_everything_to_the_account() {
    let json = default_key_policy(ACCOUNT.parse().expect("an account"));
    let policy = PolicyDocument::parse(&json, PolicyKind::Key).expect("it is a policy");
    assert_eq!(policy.id(), Some("key-default-1"));
    assert_eq!(
        decrypt().key_policy(ROOT).policy(ALL).answer(),
        Decision::Allow
    );
    let lets_in = |policy: &PolicyDocument, principal: &Principal| {
        policy.lets_in(&RequestContext {
            action: "kms:PutKeyPolicy",
            resource: KEY,
            principal,
            keys: &ContextKeys::new(),
        })
    };
    assert!(lets_in(&policy, &alice()));
    assert!(!lets_in(
        &policy,
        &Principal::RoleSession(role_session_of(OTHER_ACCOUNT))
    ));
    let denies = r#"{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/bob"},"Action":"kms:Put*","Resource":"*"}"#;
    let locked = document(&format!("{ROOT},{denies}"), PolicyKind::Key);
    assert!(!lets_in(&locked, &alice()));
}
