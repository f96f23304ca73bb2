//! What may be put as a bucket's policy, and what it then decides.

use cairn_access::policy::{
    BUCKET_POLICY_BYTES_MAX, ContextKeys, PolicyError, PolicySets, RequestContext, bucket_policy,
    evaluate,
};

use crate::principals::{alice, service};

/// A statement for everyone with one element changed or added.
fn with(element: &str, value: &str) -> String {
    let mut elements = vec![
        ("Effect", r#""Allow""#.to_owned()),
        ("Principal", r#""*""#.to_owned()),
        ("Action", r#""s3:GetObject""#.to_owned()),
        ("Resource", r#""arn:aws:s3:::logs/*""#.to_owned()),
    ];
    elements.retain(|(name, _)| *name != element.trim_start_matches("Not"));
    elements.push((element, value.to_owned()));
    let written: Vec<String> = elements
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{{}}}}}"#,
        written.join(",")
    )
}

fn check(json: &str, expected: Option<&str>) {
    let refused = bucket_policy("logs", json).err();
    let message = refused.map(|error| error.to_string());
    assert_eq!(message.as_deref(), expected, "{json}");
}

#[test]
fn resources_lie_in_the_bucket() {
    let accepted = [
        r#""arn:aws:s3:::logs""#,
        r#"["arn:aws:s3:::logs","arn:aws:s3:::logs/AWSLogs/123456789012/*"]"#,
        r#""arn:aws:s3:::logs*""#,
        r#""arn:aws:s3:::l?gs/${aws:username}/*""#,
        r#""*""#,
    ];
    for resource in accepted {
        check(&with("Resource", resource), None);
        check(&with("NotResource", resource), None);
    }
    let foreign = [
        r#""arn:aws:s3:::other/*""#,
        r#""arn:aws:s3:::logs2""#,
        r#""arn:aws:s3:::log""#,
        r#"["arn:aws:s3:::logs","arn:aws:s3:::other"]"#,
        r#""arn:aws:s3:us-east-1::logs""#,
        r#""arn:aws:sqs:::logs""#,
        r#""arn:aws:s3:::${aws:username}/*""#,
    ];
    for resource in foreign {
        check(
            &with("Resource", resource),
            Some("Policy has invalid resource"),
        );
        check(
            &with("NotResource", resource),
            Some("Policy has invalid resource"),
        );
    }
}

#[test]
fn actions_are_those_of_s3() {
    for action in [r#""*""#, r#""S3:*""#, r#"["s3:PutObject","s3:Get*"]"#] {
        check(&with("Action", action), None);
        check(&with("NotAction", action), None);
    }
    for action in [
        r#""sqs:*""#,
        r#"["s3:GetObject","iam:PassRole"]"#,
        r#""s3x:Get""#,
    ] {
        check(&with("Action", action), Some("Policy has invalid action"));
        check(
            &with("NotAction", action),
            Some("Policy has invalid action"),
        );
    }
}

#[test]
fn principals_are_there_and_well_formed() {
    let accepted = [
        r#""*""#,
        r#"{"AWS":"*"}"#,
        r#"{"AWS":"123456789012"}"#,
        r#"{"AWS":["arn:aws:iam::123456789012:root","arn:aws:iam::210987654321:user/bob"]}"#,
        r#"{"Service":["cloudtrail.amazonaws.com"]}"#,
        r#"{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#,
    ];
    for principal in accepted {
        check(&with("Principal", principal), None);
    }
    let found = "arn:aws:iam::123456789012:user/*";
    let message = format!("Invalid principal in policy: {found}");
    check(
        &with("Principal", &format!(r#"{{"AWS":"{found}"}}"#)),
        Some(&message),
    );
    let nobody = with("Principal", "{}");
    check(&nobody, Some("Missing required field Principal"));
    // An Allow for all but one would be open to everyone on earth.
    let but_one = with("NotPrincipal", r#"{"AWS":"123456789012"}"#);
    check(&but_one, Some("Has prohibited field NotPrincipal"));
}

#[test]
fn policies_are_bounded_and_json() {
    let mut longest = with("Sid", r#""a""#);
    longest.push_str(&" ".repeat(BUCKET_POLICY_BYTES_MAX - longest.len()));
    check(&longest, None);
    longest.push(' ');
    let limit = BUCKET_POLICY_BYTES_MAX;
    let refused = bucket_policy("logs", &longest).err();
    assert_eq!(refused, Some(PolicyError::TooLong { limit }));
    assert!(bucket_policy("logs", "no json").is_err());
    assert!(bucket_policy("logs", "[]").is_err());
    // A member twice: two readers could take different ones.
    let twice = with("Resource", r#""*""#).replace('}', r#","Resource":"*"}"#);
    assert!(bucket_policy("logs", &twice).is_err());
}

// Proves: SEC-206, SEC-210, SEC-211, SEC-219, REC-203, REC-204
#[test]
fn the_policy_for_trails_asks_for_source_and_acl() {
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"AWSCloudTrailAclCheck20131101","Effect":"Allow",
         "Principal":{"Service":"cloudtrail.amazonaws.com"},
         "Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::logs",
         "Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}},
        {"Sid":"AWSCloudTrailWrite20131101","Effect":"Allow",
         "Principal":{"Service":"cloudtrail.amazonaws.com"},
         "Action":"s3:PutObject",
         "Resource":["arn:aws:s3:::logs/p/AWSLogs/123456789012/*","arn:aws:s3:::logs/p/AWSLogs/000000000012/*"],
         "Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"},
            "ArnLike":{"aws:SourceArn":["arn:aws:cloudtrail:*:123456789012:trail/main","arn:aws:cloudtrail:us-east-1:000000000012:trail/*"]}}}]}"#;
    let policy = bucket_policy("logs", policy).expect("a policy");
    let ask = |action, resource, changed: &[(&str, &str)]| {
        let mut keys = ContextKeys::new();
        let usual = [
            ("aws:SourceAccount", "123456789012"),
            (
                "aws:SourceArn",
                "arn:aws:cloudtrail:eu-west-1:123456789012:trail/main",
            ),
            ("s3:x-amz-acl", "bucket-owner-full-control"),
        ];
        for (name, value) in usual.iter().chain(changed) {
            keys.set(name, *value);
        }
        let answer = |principal| {
            let request = RequestContext {
                action,
                resource,
                principal: &principal,
                keys: &keys,
            };
            let sets = PolicySets {
                identity: &[],
                boundary: None,
                session: None,
                resource: Some(&policy),
                same_account: false,
            };
            evaluate(&request, &sets).is_allowed()
        };
        assert!(!answer(alice()), "no one else may");
        answer(service("cloudtrail.amazonaws.com"))
    };
    let (put, object) = ("s3:PutObject", "arn:aws:s3:::logs/p/AWSLogs/123456789012/x");
    assert!(ask(put, object, &[]));
    let zeros = "arn:aws:s3:::logs/p/AWSLogs/000000000012/x";
    assert!(ask(put, zeros, &[]));
    assert!(!ask(put, "arn:aws:s3:::logs/AWSLogs/123456789012/x", &[]));
    assert!(!ask(put, object, &[("s3:x-amz-acl", "private")]));
    let evil = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/evil";
    assert!(!ask(put, object, &[("aws:SourceArn", evil)]));
    assert!(ask("s3:GetBucketAcl", "arn:aws:s3:::logs", &[]));
    let other = [("aws:SourceAccount", "210987654321")];
    assert!(!ask("s3:GetBucketAcl", "arn:aws:s3:::logs", &other));
    assert!(!ask("s3:GetObject", object, &[]));
}
