//! What is a policy document and what is not, and the sentence that says why.

use cairn_access::policy::{PolicyDocument, PolicyKind, policy_size};

#[track_caller]
fn refused(kind: PolicyKind, json: &str, sentence: &str) {
    let error = PolicyDocument::parse(json, kind).expect_err(json);
    let text = error.to_string();
    assert!(text.contains(sentence), "{json}\n{text}");
}

#[track_caller]
fn accepted(kind: PolicyKind, json: &str) -> PolicyDocument {
    PolicyDocument::parse(json, kind).unwrap_or_else(|error| panic!("{json}\n{error}"))
}

fn statement(members: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{{{members}}}}}"#)
}

const ALLOW: &str = r#""Effect":"Allow","Action":"*","Resource":"*""#;

// Proves: SEC-104, SEC-113, SEC-115
#[test]
fn identity_policies() {
    let kind = PolicyKind::Identity;
    for json in [
        statement(ALLOW),
        r#"{"Statement":[{"Effect":"Deny","NotAction":["iam:*"],"NotResource":["*"]}]}"#.to_owned(),
        r#"{"Version":"2008-10-17","Id":"any","Statement":[{"Sid":"A1","Effect":"Allow",
            "Action":["s3:Get*","s3:?"],"Resource":["arn:aws:s3:::b/*","arn:aws:s3*"]}]}"#
            .to_owned(),
        statement(r#""Effect":"Allow","Action":"a:b","Resource":"*","Condition":{}"#),
        statement(
            r#""Sid":"","Effect":"Allow","Action":"a:b","Resource":"arn:aws:iam::*:user/${aws:username}""#,
        ),
    ] {
        accepted(kind, &json);
    }
    let with_id = accepted(
        kind,
        r#"{"Id":"x","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    );
    assert_eq!((with_id.id(), with_id.kind()), (Some("x"), kind));
    for (json, sentence) in [
        (
            r#"{"Version":"2012-10-17"}"#,
            "Missing required field Statement",
        ),
        (r#"{"Statement":[]}"#, "Missing required field Statement"),
        (
            r#"{"Version":"2012-10-18","Statement":[]}"#,
            "must be version 2012-10-17",
        ),
        (
            r#"{"Version":2012,"Statement":[]}"#,
            "element Version has the wrong type",
        ),
        ("[]", "wrong type"),
        ("", "Syntax errors in policy."),
        ("{", "Syntax errors in policy."),
    ] {
        refused(kind, json, sentence);
    }
    for (members, sentence) in [
        (
            r#""Effect":"Allow","Resource":"*""#,
            "Missing required field Action",
        ),
        (
            r#""Effect":"Allow","Action":"*""#,
            "Missing required field Resource",
        ),
        (
            r#""Action":"*","Resource":"*""#,
            "Missing required field Effect",
        ),
        (
            r#""Effect":"allow","Action":"*","Resource":"*""#,
            "Invalid effect: allow",
        ),
        (
            r#""Effect":"Allow","Action":[],"Resource":"*""#,
            "Missing required field Action",
        ),
        (
            r#""Effect":"Allow","Action":"*","NotAction":"a:b","Resource":"*""#,
            "prohibited field Action",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"*","NotResource":"*""#,
            "prohibited field Resource",
        ),
        (
            r#""Effect":"Allow","Action":"LookupEvents","Resource":"*""#,
            "prefaced by a vendor",
        ),
        (
            r#""Effect":"Allow","Action":"c*:LookupEvents","Resource":"*""#,
            "Vendor c* is not valid",
        ),
        (
            r#""Effect":"Allow","Action":1,"Resource":"*""#,
            "element Action has the wrong type",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"trail/x""#,
            r#"Resource trail/x must be in ARN format or "*"."#,
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::"}, {"#,
            "Syntax errors",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:*x""#,
            "must be in ARN format",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username""#,
            "Invalid policy variable",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${}""#,
            "Invalid policy variable",
        ),
        (
            r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:u, x}""#,
            "Invalid policy variable",
        ),
        (
            r#""Sid":"a-b","Effect":"Allow","Action":"*","Resource":"*""#,
            "[0-9A-Za-z]*",
        ),
    ] {
        refused(kind, &statement(members), sentence);
    }
}

// Proves: SEC-104, SEC-105
#[test]
fn principals_stand_in_resource_policies_and_only_there() {
    let with = |principal: &str| statement(&format!(r#"{ALLOW},"Principal":{principal}"#));
    refused(
        PolicyKind::Identity,
        &with(r#""*""#),
        "should not specify a principal",
    );
    refused(
        PolicyKind::Resource,
        &statement(ALLOW),
        "Missing required field Principal",
    );
    for principal in [
        r#""*""#,
        r#"{"AWS":"*"}"#,
        r#"{"AWS":["123456789012","arn:aws:iam::123456789012:root"]}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:user/team/alice"}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:role/Auditor"}"#,
        r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/Auditor/night"}"#,
        r#"{"AWS":"AROAAUDITOR"}"#,
        r#"{"Service":"cloudtrail.amazonaws.com"}"#,
        r#"{"Service":["cloudtrail.amazonaws.com"],"AWS":"123456789012"}"#,
        r#"{"Federated":"cognito-identity.amazonaws.com"}"#,
        r#"{"CanonicalUser":"79a59df900b949e5"}"#,
    ] {
        accepted(PolicyKind::Resource, &with(principal));
    }
    for principal in [
        r#""123456789012""#,
        r#"{"AWS":"alice"}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:user/*"}"#,
        r#"{"AWS":"arn:aws:iam::1234:root"}"#,
        r#"{"AWS":"arn:aws:s3:::bucket"}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:user/"}"#,
        r#"{"Service":"cloudtrail"}"#,
        r#"{"Robot":"x"}"#,
    ] {
        refused(
            PolicyKind::Resource,
            &with(principal),
            "Invalid principal in policy",
        );
    }
    for principal in ["{}", r#"{"AWS":[]}"#] {
        refused(
            PolicyKind::Resource,
            &with(principal),
            "Missing required field Principal",
        );
    }
}

#[test]
fn not_principal_may_only_deny() {
    let with = |effect: &str| {
        statement(&format!(
            r#""Effect":"{effect}","Action":"*","Resource":"*","NotPrincipal":{{"AWS":"123456789012"}}"#
        ))
    };
    accepted(PolicyKind::Resource, &with("Deny"));
    refused(
        PolicyKind::Resource,
        &with("Allow"),
        "prohibited field NotPrincipal",
    );
}

// Proves: SEC-097
#[test]
fn trust_policies_have_no_resource() {
    let trust = r#""Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"123456789012"}"#;
    accepted(PolicyKind::Trust, &statement(trust));
    let with = statement(&format!(r#"{trust},"Resource":"*""#));
    refused(PolicyKind::Trust, &with, "Has prohibited field Resource");
    refused(
        PolicyKind::Identity,
        &statement(trust),
        "Missing required field Resource",
    );
}

// Proves: R24, A4
#[test]
fn every_element_once_and_none_that_the_language_does_not_have() {
    let kind = PolicyKind::Identity;
    for json in [
        r#"{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","\u0045ffect":"Allow"}}"#,
        r#"{"Version":"2012-10-17","Version":"2008-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"true"},"Bool":{}}}}"#,
        r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"true","a:b":"false"}}}}"#,
    ] {
        refused(kind, json, "appears twice");
    }
    refused(
        kind,
        r#"{"Statement":[],"Comment":"x"}"#,
        "unknown element Comment",
    );
    refused(
        kind,
        &statement(&format!(r#"{ALLOW},"Actions":"*""#)),
        "unknown element Actions",
    );
    refused(
        kind,
        &statement(&format!(r#"{ALLOW},"resource":"*""#)),
        "unknown element resource",
    );
    let twice = format!(r#"{{"Statement":[{{"Sid":"A",{ALLOW}}},{{"Sid":"A",{ALLOW}}}]}}"#);
    refused(
        kind,
        &twice,
        "Statement IDs (SID) in a single policy must be unique.",
    );
    let nested = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    refused(kind, &nested, "Syntax errors");
    let long = statement(&format!("{ALLOW}{}", " ".repeat(131_073)));
    refused(kind, &long, "longer than 131072 characters");
}

#[test]
fn conditions_name_operators_keys_and_values_that_exist() {
    let with = |conditions: &str| statement(&format!(r#"{ALLOW},"Condition":{conditions}"#));
    for conditions in [
        r#"{"ForAnyValue:StringNotEqualsIfExists":{"aws:TagKeys":["a","b"]}}"#,
        r#"{"numericlessthanequals":{"s3:max-keys":10}}"#,
        r#"{"Bool":{"aws:SecureTransport":false}}"#,
        r#"{"Null":{"aws:RequestTag/stage":"true"}}"#,
        r#"{"DateLessThan":{"aws:CurrentTime":"2026-11-21T03:00Z"}}"#,
        r#"{"ArnLike":{"aws:SourceArn":["arn:aws:cloudtrail:*:123456789012:trail/*","*"]}}"#,
        r#"{"ArnEquals":{"aws:SourceArn":"${aws:PrincipalArn}"}}"#,
    ] {
        accepted(PolicyKind::Identity, &with(conditions));
    }
    for (conditions, sentence) in [
        (
            r#"{"StringEqual":{"a:b":"c"}}"#,
            "Invalid Condition type : StringEqual.",
        ),
        (
            r#"{"NullIfExists":{"a:b":"true"}}"#,
            "Invalid Condition type : NullIfExists.",
        ),
        (
            r#"{"ForSomeValues:StringEquals":{"a:b":"c"}}"#,
            "Invalid Condition type",
        ),
        (
            r#"{"StringEquals":{"username":"c"}}"#,
            "prefaced by a vendor",
        ),
        (r#"{"StringEquals":{"a:b":{}}}"#, "wrong type"),
        (r#"{"StringEquals":{"a:b":null}}"#, "wrong type"),
        (r#"{"StringEquals":"a:b"}"#, "wrong type"),
        (
            r#"{"NumericEquals":{"a:b":"ten"}}"#,
            "Invalid value ten for condition type NumericEquals",
        ),
        (r#"{"NumericEquals":{"a:b":"nan"}}"#, "Invalid value nan"),
        (
            r#"{"DateEquals":{"a:b":"tomorrow"}}"#,
            "Invalid value tomorrow",
        ),
        (r#"{"Bool":{"a:b":"yes"}}"#, "Invalid value yes"),
        (
            r#"{"IpAddress":{"a:b":"10.0.0.0/33"}}"#,
            "Invalid value 10.0.0.0/33",
        ),
        (
            r#"{"IpAddress":{"a:b":"10.0.0/8"}}"#,
            "Invalid value 10.0.0/8",
        ),
        (r#"{"BinaryEquals":{"a:b":"%%"}}"#, "Invalid value %%"),
        (r#"{"ArnLike":{"a:b":"trail/x"}}"#, "Invalid value trail/x"),
        (
            r#"{"StringLike":{"a:b":"${open"}}"#,
            "Invalid policy variable",
        ),
    ] {
        refused(PolicyKind::Identity, &with(conditions), sentence);
    }
}

#[test]
fn white_space_does_not_count_towards_the_size() {
    assert_eq!(policy_size("{ \"a\":\n\t\"é é\" }"), 10);
}
