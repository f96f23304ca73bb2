//! Policies of resources at work: buckets, channels, and the roles that are assumed.

use cairn_access::Principal;
use cairn_access::policy::{Decision, PolicyLayer};

use crate::policy_evaluation::{ALL, lookup};
use crate::principals::{OTHER_ACCOUNT, alice, role_session_of, service, session, user_of};
use crate::question::{BY_IDENTITY, Question, TRAIL, denied, may, missing};

// Proves: SEC-204, SEC-206, SEC-207, SEC-227, SEC-277
#[test]
fn a_service_lives_by_the_resource_s_policy_alone() {
    let policy = r#"
        {"Sid":"AWSCloudTrailAclCheck20150319","Effect":"Allow",
         "Principal":{"Service":["cloudtrail.amazonaws.com"]},"Action":"s3:GetBucketAcl",
         "Resource":"arn:aws:s3:::logs",
         "Condition":{"StringEquals":{"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:123456789012:trail/main"}}},
        {"Sid":"AWSCloudTrailWrite20150319","Effect":"Allow",
         "Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject",
         "Resource":"arn:aws:s3:::logs/AWSLogs/123456789012/*",
         "Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control",
            "aws:SourceArn":["arn:aws:cloudtrail:us-east-1:123456789012:trail/main"]}}}"#;
    let put = |name: &str, resource: &str| {
        may("s3:PutObject", resource)
            .by(service(name))
            .across_accounts()
            .key("AWS:sourceArn", TRAIL)
            .key("s3:x-amz-acl", "bucket-owner-full-control")
            .resource_policy(policy)
    };
    let object = "arn:aws:s3:::logs/AWSLogs/123456789012/CloudTrail/x.json.gz";
    let nothing = missing(PolicyLayer::Resource);
    assert_eq!(
        put("cloudtrail.amazonaws.com", object).answer(),
        Decision::Allow
    );
    assert_eq!(put("config.amazonaws.com", object).answer(), nothing);
    assert_eq!(
        put("cloudtrail.amazonaws.com", "arn:aws:s3:::logs/x").answer(),
        nothing
    );
    let other_trail = put("cloudtrail.amazonaws.com", object).key(
        "aws:SourceArn",
        "arn:aws:cloudtrail:us-east-1:123456789012:trail/evil",
    );
    assert_eq!(other_trail.answer(), nothing);
    assert_eq!(
        put("cloudtrail.amazonaws.com", object)
            .policy(ALL)
            .by(alice())
            .answer(),
        nothing
    );
    let acl = may("s3:GetBucketAcl", "arn:aws:s3:::logs").by(service("cloudtrail.amazonaws.com"));
    assert_eq!(acl.clone().resource_policy(policy).answer(), nothing);
    assert_eq!(
        acl.key("aws:SourceArn", TRAIL)
            .resource_policy(policy)
            .answer(),
        Decision::Allow
    );
}

// Proves: SEC-131, SEC-183, SEC-186
#[test]
fn a_channel_policy_may_ask_for_an_external_id() {
    let channel = "arn:aws:cloudtrail:us-east-1:123456789012:channel/1";
    let policy = format!(
        r#"{{"Sid":"ChannelPolicy","Effect":"Allow","Principal":{{"AWS":["arn:aws:iam::210987654321:root"]}},
            "Action":"cloudtrail-data:PutAuditEvents","Resource":"{channel}",
            "Condition":{{"StringEquals":{{"cloudtrail:ExternalId":"uniqueExternalID"}}}}}}"#
    );
    let partner = Principal::RoleSession(role_session_of(OTHER_ACCOUNT));
    let put = || {
        let question = may("cloudtrail-data:PutAuditEvents", channel).by(partner.clone());
        question
            .across_accounts()
            .policy(ALL)
            .resource_policy(&policy)
    };
    assert_eq!(
        put()
            .key("cloudtrail:ExternalId", "uniqueExternalID")
            .answer(),
        Decision::Allow
    );
    assert_eq!(
        put().key("cloudtrail:ExternalId", "other").answer(),
        missing(PolicyLayer::Resource)
    );
    assert_eq!(put().answer(), missing(PolicyLayer::Resource));
    let owner = may("cloudtrail-data:PutAuditEvents", channel)
        .policy(ALL)
        .resource_policy(&policy);
    assert_eq!(owner.answer(), Decision::Allow);
}

#[test]
fn not_principal_denies_everyone_else() {
    let policy = r#"{"Effect":"Deny","Action":"*","Resource":"*",
        "NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/alice"}}"#;
    let ask = || lookup().policy(ALL).resource_policy(policy);
    assert_eq!(ask().answer(), Decision::Allow);
    assert_eq!(ask().by(session()).answer(), denied(PolicyLayer::Resource));
}

pub(crate) fn assume() -> Question {
    may("sts:AssumeRole", "arn:aws:iam::123456789012:role/Auditor")
}

pub(crate) fn trusting(principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal},"Condition":{{{condition}}}}}"#
    )
}

// Proves: SEC-097, SEC-106
#[test]
fn a_role_is_assumed_by_those_it_trusts() {
    let assume_all = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}"#;
    let with = |principal: &str| assume().trust(&trusting(principal, ""));
    let nobody = r#"{"AWS":"arn:aws:iam::123456789012:user/bob"}"#;
    assert_eq!(
        with(nobody).policy(ALL).answer(),
        missing(PolicyLayer::Trust)
    );
    assert_eq!(
        assume()
            .policy(ALL)
            .trust(&trusting(r#"{"Service":"ec2.amazonaws.com"}"#, ""))
            .answer(),
        missing(PolicyLayer::Trust)
    );
    // A user that the role names needs no policy of its own; an account's users do.
    assert_eq!(
        with(r#"{"AWS":"arn:aws:iam::123456789012:user/alice"}"#).answer(),
        Decision::Allow
    );
    for account in [
        r#"{"AWS":"123456789012"}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:root"}"#,
    ] {
        assert_eq!(with(account).answer(), BY_IDENTITY);
        assert_eq!(with(account).policy(assume_all).answer(), Decision::Allow);
    }
    assert_eq!(with(r#""*""#).answer(), Decision::Allow);
    let role = r#"{"AWS":"arn:aws:iam::123456789012:role/team/Auditor"}"#;
    assert_eq!(
        with(role).by(session()).answer(),
        Decision::Allow,
        "role chaining"
    );
    let one_session = r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/Auditor/night"}"#;
    assert_eq!(with(one_session).by(session()).answer(), Decision::Allow);
    let other_session = r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/Auditor/day"}"#;
    assert_eq!(
        with(other_session).by(session()).policy(ALL).answer(),
        missing(PolicyLayer::Trust)
    );
    let ec2 = with(r#"{"Service":"ec2.amazonaws.com"}"#).by(service("ec2.amazonaws.com"));
    assert_eq!(ec2.answer(), Decision::Allow);
    let stranger = || {
        with(r#"{"AWS":"210987654321"}"#)
            .by(Principal::User(user_of(OTHER_ACCOUNT, "eve")))
            .across_accounts()
    };
    assert_eq!(stranger().answer(), BY_IDENTITY);
    assert_eq!(stranger().policy(assume_all).answer(), Decision::Allow);
}

#[test]
fn a_trust_policy_s_conditions() {
    let rows = [
        (
            r#""StringEquals":{"sts:ExternalId":"x1"}"#,
            "sts:ExternalId",
            "x1",
            "x2",
        ),
        (
            r#""StringLike":{"sts:RoleSessionName":"${aws:username}"}"#,
            "sts:RoleSessionName",
            "alice",
            "bob",
        ),
        (
            r#""StringEquals":{"sts:SourceIdentity":"alice"}"#,
            "sts:SourceIdentity",
            "alice",
            "eve",
        ),
        (
            r#""Bool":{"aws:MultiFactorAuthPresent":"true"}"#,
            "aws:MultiFactorAuthPresent",
            "true",
            "false",
        ),
    ];
    for (condition, key, good, bad) in rows {
        let ask = || {
            assume()
                .trust(&trusting(r#"{"AWS":"*"}"#, condition))
                .key("aws:username", "alice")
        };
        assert_eq!(
            ask().key(key, good).answer(),
            Decision::Allow,
            "{condition}"
        );
        assert_eq!(
            ask().key(key, bad).policy(ALL).answer(),
            missing(PolicyLayer::Trust),
            "{condition}"
        );
        assert_eq!(
            ask().policy(ALL).answer(),
            missing(PolicyLayer::Trust),
            "{condition}"
        );
    }
}
