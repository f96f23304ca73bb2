//! Condition keys: tags, and the global keys of every kind of caller.

use std::net::IpAddr;

use cairn_access::policy::{ContextKeys, Decision, RequestFacts};

use crate::principals::{alice, role_session_of, root, service, session};
use crate::question::may;

// Proves: SEC-145
#[test]
fn a_store_may_be_made_only_with_a_stage_that_is_known() {
    let statements = r#"
        {"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"},
        {"Effect":"Deny","Action":"cloudtrail:CreateEventDataStore","Resource":"*",
         "Condition":{"Null":{"aws:RequestTag/stage":"true"}}},
        {"Effect":"Deny","Action":"cloudtrail:CreateEventDataStore","Resource":"*",
         "Condition":{"ForAnyValue:StringNotEquals":
            {"aws:RequestTag/stage":["alpha","beta","gamma","prod"]}}}"#;
    let create = |tags: &[(&'static str, &'static str)]| {
        let mut question = may("cloudtrail:CreateEventDataStore", "*").policy(statements);
        question.keys.set_request_tags(tags.iter().copied());
        question.answer() == Decision::Allow
    };
    assert!(create(&[("stage", "alpha")]));
    assert!(create(&[("Stage", "prod"), ("team", "x")]));
    assert!(!create(&[("stage", "delta")]));
    assert!(!create(&[("team", "x")]));
    assert!(!create(&[]));
}

// Proves: SEC-132, SEC-146
#[test]
fn tags_of_request_resource_and_principal() {
    let delete = |stage: &str| {
        may("cloudtrail:DeleteEventDataStore", "*")
            .policy(
                r#"{"Effect":"Allow","Action":"*","Resource":"*"},
                   {"Effect":"Deny","Action":"cloudtrail:DeleteEventDataStore","Resource":"*",
                    "Condition":{"StringEquals":{"aws:ResourceTag/stage":"prod"}}}"#,
            )
            .key("aws:ResourceTag/stage", stage)
            .answer()
    };
    assert!(delete("test").is_allowed());
    assert!(!delete("prod").is_allowed());

    let team = r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":
        {"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"},
         "ForAllValues:StringEquals":{"aws:TagKeys":["team","stage"]}}}"#;
    let with = |principal: &str, tags: &[(&'static str, &'static str)]| {
        let mut question = may("cloudtrail:AddTags", "*").policy(team);
        question.keys.set_tags("aws:ResourceTag", [("team", "red")]);
        question
            .keys
            .set_tags("aws:PrincipalTag", [("team", principal)]);
        question.keys.set_request_tags(tags.iter().copied());
        question.answer().is_allowed()
    };
    assert!(with("red", &[("team", "red")]));
    assert!(with("red", &[]));
    assert!(!with("blue", &[("team", "red")]));
    assert!(!with("red", &[("team", "red"), ("owner", "me")]));
}

fn facts() -> RequestFacts<'static> {
    RequestFacts {
        now_ms: 1_440_938_760_500,
        source_ip: Some("::ffff:203.0.113.9".parse::<IpAddr>().expect("an address")),
        secure_transport: true,
        user_agent: Some("aws-cli/2"),
        referer: None,
        requested_region: "eu-west-1",
    }
}

// Proves: SEC-148
#[test]
fn global_keys_of_every_kind_of_caller() {
    let keys = ContextKeys::of_call(&session(), &facts());
    for (name, value) in [
        ("aws:CurrentTime", "2015-08-30T12:46:00Z"),
        ("aws:EpochTime", "1440938760"),
        ("aws:SourceIp", "203.0.113.9"),
        ("aws:SecureTransport", "true"),
        ("aws:UserAgent", "aws-cli/2"),
        ("aws:RequestedRegion", "eu-west-1"),
        ("aws:ViaAWSService", "false"),
        (
            "aws:PrincipalArn",
            "arn:aws:iam::123456789012:role/team/Auditor",
        ),
        ("aws:PrincipalAccount", "123456789012"),
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:PrincipalIsAWSService", "false"),
        ("aws:userid", "AROAAUDITOR:night"),
        ("aws:SourceIdentity", "alice"),
        ("aws:TokenIssueTime", "2015-08-30T12:36:00Z"),
        ("aws:MultiFactorAuthPresent", "true"),
        ("aws:MultiFactorAuthAge", "600"),
    ] {
        assert_eq!(keys.get(name), [value], "{name}");
    }
    assert!(keys.get("aws:Referer").is_empty() && keys.get("aws:username").is_empty());

    let user = ContextKeys::of_call(&alice(), &facts());
    assert_eq!(user.get("aws:username"), ["alice"]);
    assert_eq!(user.get("aws:PrincipalType"), ["User"]);
    for absent in [
        "aws:MultiFactorAuthPresent",
        "aws:MultiFactorAuthAge",
        "aws:TokenIssueTime",
    ] {
        assert!(user.get(absent).is_empty(), "{absent}");
    }
    assert_eq!(
        ContextKeys::of_call(&root(), &facts()).get("aws:PrincipalType"),
        ["Account"]
    );

    let cloudtrail = ContextKeys::of_call(&service("cloudtrail.amazonaws.com"), &facts());
    assert_eq!(
        cloudtrail.get("aws:PrincipalServiceName"),
        ["cloudtrail.amazonaws.com"]
    );
    assert_eq!(cloudtrail.get("aws:PrincipalIsAWSService"), ["true"]);
    assert!(cloudtrail.get("aws:PrincipalArn").is_empty());
}

#[test]
fn a_session_without_a_second_factor_says_so() {
    let mut session = role_session_of("123456789012");
    session.mfa = false;
    let principal = cairn_access::Principal::RoleSession(session);
    let keys = ContextKeys::of_call(&principal, &facts());
    assert_eq!(keys.get("aws:MultiFactorAuthPresent"), ["false"]);
    assert!(keys.get("aws:MultiFactorAuthAge").is_empty());
}
