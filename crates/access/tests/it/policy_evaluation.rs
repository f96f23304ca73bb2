//! Decisions: the twelve policy shapes of TESTING's A4, the layers and their order, trust policies, and
//! the sentences that refused callers read.

use cairn_access::policy::{Decision, PolicyDocument, PolicyKind, PolicyLayer};
use cairn_access::{Principal, UserSession};

use crate::policy_resources::{assume, trusting};
use crate::principals::{ACCOUNT, OTHER_ACCOUNT, alice, root, session, user_of};
use crate::question::{BY_IDENTITY, DENIED_BY_IDENTITY, Question, TRAIL, denied, may, missing};

pub(crate) const ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
const DENY_ALL: &str = r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#;
const LOOKUP: &str = r#"{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}"#;

pub(crate) fn lookup() -> Question {
    may("cloudtrail:LookupEvents", "*")
}

/// A resource policy's statement for one AWS principal.
fn to_aws(effect: &str, principal: &str) -> String {
    format!(
        r#"{{"Effect":"{effect}","Action":"*","Resource":"*","Principal":{{"AWS":"{principal}"}}}}"#
    )
}

// Proves: SEC-102, A4
#[test]
fn shape_1_and_2_allow_and_implicit_deny() {
    assert_eq!(lookup().answer(), BY_IDENTITY);
    assert_eq!(lookup().policy(LOOKUP).answer(), Decision::Allow);
    assert_eq!(
        may("cloudtrail:StopLogging", TRAIL).policy(LOOKUP).answer(),
        BY_IDENTITY
    );
    assert_eq!(
        lookup().policy(LOOKUP).policy(ALL).answer(),
        Decision::Allow
    );
}

// Proves: SEC-107, A4
#[test]
fn shape_3_an_explicit_deny_anywhere_wins_over_every_allow() {
    let everything = || {
        lookup()
            .by(session())
            .policy(ALL)
            .boundary(ALL)
            .session(ALL)
            .resource_policy(&to_aws("Allow", "*"))
    };
    assert_eq!(everything().answer(), Decision::Allow);
    assert_eq!(everything().policy(DENY_ALL).answer(), DENIED_BY_IDENTITY);
    assert_eq!(
        everything().boundary(DENY_ALL).answer(),
        denied(PolicyLayer::Boundary)
    );
    assert_eq!(
        everything().session(DENY_ALL).answer(),
        denied(PolicyLayer::Session)
    );
    let resource = everything().resource_policy(&to_aws("Deny", "*"));
    assert_eq!(resource.answer(), denied(PolicyLayer::Resource));
    let own = lookup()
        .by(root())
        .resource_policy(&to_aws("Deny", ACCOUNT));
    assert_eq!(own.answer(), denied(PolicyLayer::Resource));
}

// Proves: SEC-113, A4
#[test]
fn shape_4_not_action_means_every_other_action_of_every_service() {
    let policy = r#"{"Effect":"Allow","NotAction":["iam:*","cloudtrail:Stop*"],"Resource":"*"}"#;
    let asks = |action: &str| may(action, TRAIL).policy(policy).answer();
    assert_eq!(asks("cloudtrail:StartLogging"), Decision::Allow);
    assert_eq!(asks("s3:GetObject"), Decision::Allow);
    assert_eq!(asks("cloudtrail:StopLogging"), BY_IDENTITY);
    assert_eq!(asks("IAM:CreateUser"), BY_IDENTITY);
}

// Proves: SEC-113, SEC-140, A4
#[test]
fn shape_5_not_resource_means_every_other_resource() {
    let policy = r#"{"Effect":"Deny","Action":"cloudtrail:*",
        "NotResource":"arn:aws:cloudtrail:us-east-2:123456789012:trail/My-First-Trail"}"#;
    let asks = |resource: &str| {
        may("cloudtrail:StopLogging", resource)
            .policy(ALL)
            .policy(policy)
            .answer()
    };
    assert_eq!(
        asks("arn:aws:cloudtrail:us-east-2:123456789012:trail/My-First-Trail"),
        Decision::Allow
    );
    assert_eq!(
        asks("arn:aws:cloudtrail:us-east-2:123456789012:trail/Other"),
        DENIED_BY_IDENTITY
    );
    assert_eq!(asks("*"), DENIED_BY_IDENTITY);
}

// Proves: SEC-114, A4
#[test]
fn shape_6_wildcards_in_actions() {
    let rows = [
        ("cloudtrail:*Logging", "cloudtrail:StartLogging", true),
        ("cloudtrail:*Logging", "cloudtrail:StopLogging", true),
        ("cloudtrail:*Logging", "cloudtrail:DescribeTrails", false),
        ("cloudtrail:Get*", "cloudtrail:GetTrail", true),
        ("cloudtrail:*", "cloudtrail:LookupEvents", true),
        ("cloudtrail:*", "cloudtrail-data:PutAuditEvents", false),
        ("cloudtrail:Get?rail", "cloudtrail:GetTrail", true),
        ("CLOUDTRAIL:getTRAIL", "cloudtrail:GetTrail", true),
        ("cloudtrail:L*p*s", "cloudtrail:LookupEvents", true),
        ("cloudtrail:L*p*x", "cloudtrail:LookupEvents", false),
        ("SNS:Publish", "sns:Publish", true),
        ("**", "cloudtrail:GetTrail", true),
    ];
    for (pattern, action, expected) in rows {
        let policy = format!(r#"{{"Effect":"Allow","Action":["a:b","{pattern}"],"Resource":"*"}}"#);
        let answer = may(action, TRAIL).policy(&policy).answer();
        assert_eq!(answer.is_allowed(), expected, "{pattern} {action}");
    }
}

// Proves: SEC-114, SEC-127, SEC-128, A4
#[test]
fn shape_6_wildcards_in_resources() {
    let rows = [
        (
            "arn:aws:cloudtrail:us-east-1:123456789012:trail/*",
            TRAIL,
            true,
        ),
        ("arn:aws:cloudtrail:*:*:trail/m?in", TRAIL, true),
        (
            "arn:aws:cloudtrail:us-east-1:123456789012:trail/M*",
            TRAIL,
            false,
        ),
        ("arn:aws:cloudtrail:us-*-1:123456789012:*", TRAIL, true),
        (
            "arn:aws:cloudtrail:us-east-2:123456789012:trail/*",
            TRAIL,
            false,
        ),
        (
            "arn:aws:cloudtrail:us-east-1:*:eventdatastore/*",
            TRAIL,
            false,
        ),
        ("arn:aws:cloudtrail*", TRAIL, true),
        ("arn:*", TRAIL, true),
        (
            "arn:aws:s3:::bucket/*/key",
            "arn:aws:s3:::bucket/a/b/key",
            true,
        ),
        (
            "arn:aws:s3:::bucket/*/key",
            "arn:aws:s3:::bucket/key",
            false,
        ),
        (
            "arn:aws:logs:*:*:log-group:aws-*",
            "arn:aws:logs:r:1:log-group:aws-x:log-stream:y",
            true,
        ),
        ("arn:aws:*:*:1:x", "arn:aws:s3:r:2:1:x", false),
        ("arn:*", "*", false),
        ("arn:aws:cloudtrail:us-east-1:123456789012:*", "*", false),
        ("*", "*", true),
    ];
    for (pattern, resource, expected) in rows {
        let policy = format!(r#"{{"Effect":"Allow","Action":"*","Resource":["{pattern}"]}}"#);
        let answer = may("cloudtrail:StopLogging", resource)
            .policy(&policy)
            .answer();
        assert_eq!(answer.is_allowed(), expected, "{pattern} {resource}");
    }
}

// Proves: SEC-112, SEC-147, A4
#[test]
fn shape_8_variables_in_resources() {
    let own = r#"{"Effect":"Allow","Action":"iam:Get*","Resource":"arn:aws:iam::*:user/${aws:username}"}"#;
    let asks = |user: &str| {
        may(
            "iam:GetUser",
            &format!("arn:aws:iam::123456789012:user/{user}"),
        )
        .policy(own)
        .key("aws:username", "alice")
        .answer()
    };
    assert_eq!((asks("alice"), asks("bob")), (Decision::Allow, BY_IDENTITY));
    let unresolved = |policy: &str| {
        may("iam:GetUser", "arn:aws:iam::123456789012:user/x")
            .policy(ALL)
            .policy(policy)
    };
    let nobody = may("iam:GetUser", "arn:aws:iam::123456789012:user/").policy(own);
    assert_eq!(nobody.answer(), BY_IDENTITY);
    let all_but = |effect: &str| {
        format!(
            r#"{{"Effect":"{effect}","Action":"*","NotResource":"arn:aws:iam::*:user/${{aws:username}}"}}"#
        )
    };
    let allow = may("iam:GetUser", "arn:aws:iam::123456789012:user/x").policy(&all_but("Allow"));
    assert_eq!(allow.answer(), BY_IDENTITY);
    assert_eq!(unresolved(&all_but("Deny")).answer(), DENIED_BY_IDENTITY);
    // A value cannot reach over a colon into another part of the ARN.
    let part = r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:${x:v}::bucket"}"#;
    let reaching = may("s3:GetObject", "arn:aws:s3:::bucket")
        .key("x:v", ":")
        .policy(part);
    assert_eq!(reaching.answer(), BY_IDENTITY);
}

#[test]
fn the_first_version_has_no_variables() {
    let json = r#"{"Version":"2008-10-17","Statement":
        {"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}/*"}}"#;
    let policy = PolicyDocument::parse(json, PolicyKind::Identity).expect("a policy");
    let asks = |resource: &str| {
        let question = may("s3:GetObject", resource).key("aws:username", "alice");
        let request = cairn_access::policy::RequestContext {
            action: &question.action,
            resource: &question.resource,
            principal: &question.principal,
            keys: &question.keys,
        };
        let sets = cairn_access::policy::PolicySets {
            identity: &[&policy],
            boundary: None,
            session: None,
            resource: None,
            same_account: true,
        };
        cairn_access::policy::evaluate(&request, &sets).is_allowed()
    };
    assert!(!asks("arn:aws:s3:::alice/1"));
    assert!(asks("arn:aws:s3:::${aws:username}/1"));
}

// Proves: SEC-106, SEC-188, A4
#[test]
fn shape_9_resource_policy_in_the_same_account() {
    let with = |principal: &str| lookup().resource_policy(&to_aws("Allow", principal));
    assert_eq!(with(&alice().arn()).answer(), Decision::Allow);
    assert_eq!(with("AIDAALICE").answer(), Decision::Allow);
    assert_eq!(with("*").answer(), Decision::Allow);
    assert_eq!(
        with("arn:aws:iam::123456789012:user/bob").answer(),
        BY_IDENTITY
    );
    // Naming the account hands the decision to the account's own policies.
    for account in [ACCOUNT, "arn:aws:iam::123456789012:root"] {
        assert_eq!(with(account).answer(), BY_IDENTITY);
        assert_eq!(with(account).policy(LOOKUP).answer(), Decision::Allow);
        assert_eq!(with(account).by(root()).answer(), Decision::Allow);
    }
}

// Proves: SEC-106, A4
#[test]
fn shape_10_resource_policy_of_another_account_needs_both_sides() {
    let stranger = Principal::User(user_of(OTHER_ACCOUNT, "eve"));
    let ask = || lookup().by(stranger.clone()).across_accounts();
    let granted = |principal: &str| ask().resource_policy(&to_aws("Allow", principal));
    let sides = [
        &stranger.arn(),
        OTHER_ACCOUNT,
        "arn:aws:iam::210987654321:root",
        "*",
    ];
    for principal in sides {
        assert_eq!(granted(principal).answer(), BY_IDENTITY, "{principal}");
        assert_eq!(
            granted(principal).policy(LOOKUP).answer(),
            Decision::Allow,
            "{principal}"
        );
    }
    assert_eq!(ask().policy(ALL).answer(), missing(PolicyLayer::Resource));
    assert_eq!(
        granted(ACCOUNT).policy(ALL).answer(),
        missing(PolicyLayer::Resource)
    );
    let account: Principal = Principal::Root {
        account: OTHER_ACCOUNT.parse().expect("an account"),
    };
    assert_eq!(
        granted(OTHER_ACCOUNT).by(account.clone()).answer(),
        Decision::Allow
    );
    assert_eq!(ask().by(account).answer(), missing(PolicyLayer::Resource));
    let limited = granted("*")
        .policy(ALL)
        .boundary(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#);
    assert_eq!(limited.answer(), missing(PolicyLayer::Boundary));
}

// Proves: SEC-107, A4
#[test]
fn shape_11_a_permissions_boundary_limits_identity_policies_and_not_grants_to_the_user() {
    let s3_only = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let bounded = || lookup().policy(ALL).boundary(s3_only);
    assert_eq!(bounded().answer(), missing(PolicyLayer::Boundary));
    assert_eq!(
        may("s3:GetObject", TRAIL)
            .policy(ALL)
            .boundary(s3_only)
            .answer(),
        Decision::Allow
    );
    assert_eq!(
        lookup().boundary(ALL).answer(),
        BY_IDENTITY,
        "a boundary grants nothing"
    );
    let granted = bounded().resource_policy(&to_aws("Allow", &alice().arn()));
    assert_eq!(granted.answer(), Decision::Allow);
    let role = bounded().by(session());
    let by_role = role
        .clone()
        .resource_policy(&to_aws("Allow", &session().policy_arn()));
    assert_eq!(by_role.answer(), missing(PolicyLayer::Boundary));
    let by_session = role.resource_policy(&to_aws("Allow", &session().arn()));
    assert_eq!(by_session.answer(), Decision::Allow);
}

// Proves: SEC-110, A4
#[test]
fn shape_12_session_policies_limit_a_session_and_not_grants_to_it() {
    let ask = || lookup().by(session());
    assert_eq!(ask().policy(ALL).session(LOOKUP).answer(), Decision::Allow);
    let other = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    assert_eq!(
        ask().policy(ALL).session(other).answer(),
        missing(PolicyLayer::Session)
    );
    assert_eq!(
        ask().policy(ALL).session(other).session(LOOKUP).answer(),
        Decision::Allow
    );
    assert_eq!(
        ask().session(ALL).answer(),
        BY_IDENTITY,
        "a session policy grants nothing"
    );
    let granted = |principal: &str| {
        ask()
            .session(other)
            .resource_policy(&to_aws("Allow", principal))
    };
    assert_eq!(granted(&session().arn()).answer(), Decision::Allow);
    assert_eq!(
        granted(&session().policy_arn()).answer(),
        missing(PolicyLayer::Session)
    );
    assert_eq!(
        granted("AROAAUDITOR").answer(),
        missing(PolicyLayer::Session)
    );
    let by_role = ask()
        .session(LOOKUP)
        .resource_policy(&to_aws("Allow", &session().policy_arn()));
    assert_eq!(
        by_role.answer(),
        Decision::Allow,
        "the role's own policies are not needed"
    );
}

// Proves: SEC-095
#[test]
fn root_needs_no_policy_in_its_own_account() {
    assert_eq!(lookup().by(root()).answer(), Decision::Allow);
    assert_eq!(
        lookup().by(root()).policy(DENY_ALL).answer(),
        DENIED_BY_IDENTITY
    );
}

#[test]
fn a_user_s_session_is_the_user() {
    let user = user_of(ACCOUNT, "alice");
    let session = Principal::UserSession(UserSession {
        user,
        issued_ms: 0,
        mfa: true,
    });
    let ask = || lookup().by(session.clone());
    assert_eq!(ask().answer(), BY_IDENTITY);
    assert_eq!(ask().policy(LOOKUP).answer(), Decision::Allow);
    assert_eq!(
        ask()
            .resource_policy(&to_aws("Allow", &alice().arn()))
            .answer(),
        Decision::Allow
    );
}

// Proves: SEC-139, SEC-141
#[test]
fn the_manual_s_deny_of_logging_on_one_trail() {
    let policy = r#"
        {"Effect":"Allow","Action":["cloudtrail:DescribeTrails","cloudtrail:GetTrailStatus"],"Resource":"*"},
        {"Effect":"Deny","Action":["cloudtrail:StartLogging","cloudtrail:StopLogging"],
         "Resource":"arn:aws:cloudtrail:us-east-1:123456789012:trail/main"}"#;
    let full = r#"{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"}"#;
    let ask =
        |action: &str, resource: &str| may(action, resource).policy(full).policy(policy).answer();
    assert_eq!(ask("cloudtrail:StopLogging", TRAIL), DENIED_BY_IDENTITY);
    let other = "arn:aws:cloudtrail:us-east-1:123456789012:trail/other";
    assert_eq!(ask("cloudtrail:StopLogging", other), Decision::Allow);
    assert_eq!(ask("cloudtrail:GetTrailStatus", TRAIL), Decision::Allow);
}

// Proves: SEC-176, SEC-177
#[test]
fn the_sentences_that_refused_callers_read() {
    let stop = || may("cloudtrail:StopLogging", TRAIL);
    let start = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: ";
    let rows = [
        (
            lookup(),
            "cloudtrail:LookupEvents because no identity-based policy allows the cloudtrail:LookupEvents action",
        ),
        (
            stop(),
            "cloudtrail:StopLogging on resource: arn:aws:cloudtrail:us-east-1:123456789012:trail/main \
             because no identity-based policy allows the cloudtrail:StopLogging action",
        ),
        (
            stop().policy(DENY_ALL),
            "cloudtrail:StopLogging on resource: arn:aws:cloudtrail:us-east-1:123456789012:trail/main \
             with an explicit deny in an identity-based policy",
        ),
        (
            lookup().policy(ALL).boundary(DENY_ALL),
            "cloudtrail:LookupEvents with an explicit deny in a permissions boundary",
        ),
        (
            assume()
                .trust(&trusting(r#"{"AWS":"210987654321"}"#, ""))
                .policy(ALL),
            "sts:AssumeRole on resource: arn:aws:iam::123456789012:role/Auditor \
             because no role trust policy allows the sts:AssumeRole action",
        ),
        (
            may("iam:PassRole", "arn:aws:iam::123456789012:role/x"),
            "iam:PassRole because no identity-based policy allows the iam:PassRole action",
        ),
    ];
    for (question, rest) in rows {
        assert_eq!(
            question.refusal().as_deref(),
            Some(&*format!("{start}{rest}"))
        );
    }
    assert_eq!(lookup().policy(ALL).refusal(), None);
    let session = lookup()
        .by(session())
        .policy(ALL)
        .session(r#"{"Effect":"Allow","Action":"a:b","Resource":"*"}"#);
    assert_eq!(
        session.refusal().as_deref(),
        Some(
            "User: arn:aws:sts::123456789012:assumed-role/Auditor/night is not authorized to perform: \
             cloudtrail:LookupEvents because no session policy allows the cloudtrail:LookupEvents action"
        )
    );
}
