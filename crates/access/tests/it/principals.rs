//! Callers' names, as policies and records know them.

use cairn_access::{Principal, RoleSession, User, UserSession};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const OTHER_ACCOUNT: &str = "210987654321";

pub(crate) fn user_of(account: &str, name: &str) -> User {
    User {
        account: account.parse().expect("an account"),
        name: name.to_owned(),
        path: "/".to_owned(),
        id: format!("AIDA{}", name.to_uppercase()),
    }
}

pub(crate) fn alice() -> Principal {
    Principal::User(user_of(ACCOUNT, "alice"))
}

pub(crate) fn root() -> Principal {
    Principal::Root {
        account: ACCOUNT.parse().expect("an account"),
    }
}

pub(crate) fn service(name: &str) -> Principal {
    Principal::Service {
        name: name.to_owned(),
    }
}

pub(crate) fn role_session_of(account: &str) -> RoleSession {
    RoleSession {
        account: account.parse().expect("an account"),
        role_name: "Auditor".to_owned(),
        role_path: "/team/".to_owned(),
        role_id: "AROAAUDITOR".to_owned(),
        session_name: "night".to_owned(),
        source_identity: Some("alice".to_owned()),
        issued_ms: 1_440_938_160_000,
        mfa: true,
    }
}

pub(crate) fn session() -> Principal {
    Principal::RoleSession(role_session_of(ACCOUNT))
}

// Proves: SEC-093
#[test]
fn every_kind_of_caller_has_its_names() {
    let alice_path = User {
        path: "/team/".to_owned(),
        ..user_of(ACCOUNT, "alice")
    };
    let user_session = UserSession {
        user: user_of(ACCOUNT, "alice"),
        issued_ms: 0,
        mfa: false,
    };
    let rows = [
        (
            root(),
            "arn:aws:iam::123456789012:root",
            "123456789012",
            "Root",
        ),
        (
            alice(),
            "arn:aws:iam::123456789012:user/alice",
            "AIDAALICE",
            "IAMUser",
        ),
        (
            Principal::User(alice_path),
            "arn:aws:iam::123456789012:user/team/alice",
            "AIDAALICE",
            "IAMUser",
        ),
        (
            session(),
            "arn:aws:sts::123456789012:assumed-role/Auditor/night",
            "AROAAUDITOR:night",
            "AssumedRole",
        ),
        (
            Principal::UserSession(user_session),
            "arn:aws:iam::123456789012:user/alice",
            "AIDAALICE",
            "IAMUser",
        ),
        (
            service("cloudtrail.amazonaws.com"),
            "cloudtrail.amazonaws.com",
            "cloudtrail.amazonaws.com",
            "AWSService",
        ),
    ];
    for (principal, arn, id, kind) in rows {
        let names = (
            principal.arn(),
            principal.principal_id(),
            principal.identity_type(),
        );
        assert_eq!(names, (arn.to_owned(), id.to_owned(), kind));
    }
    assert_eq!(
        session().policy_arn(),
        "arn:aws:iam::123456789012:role/team/Auditor"
    );
    assert_eq!(alice().policy_arn(), alice().arn());
    assert_eq!(
        (alice().user_name(), session().user_name()),
        (Some("alice"), None)
    );
    assert_eq!(
        root().account().map(|account| account.to_string()),
        Some(ACCOUNT.to_owned())
    );
    assert_eq!(service("s3.amazonaws.com").account(), None);
}

#[test]
fn principals_survive_being_sealed_into_a_session_token() {
    for principal in [root(), alice(), session(), service("s3.amazonaws.com")] {
        let json = serde_json::to_string(&principal).expect("serializes");
        let read: Principal = serde_json::from_str(&json).expect("reads back");
        assert_eq!(read, principal);
    }
    let unknown = r#"{"Root":{"account":"123456789012","extra":1}}"#;
    assert!(serde_json::from_str::<Principal>(unknown).is_err());
}
