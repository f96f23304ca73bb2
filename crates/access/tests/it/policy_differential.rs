//! Our decisions beside those of `scratchstack-aspen`, an independent evaluator, over random policies
//! in the part of the language where that evaluator follows IAM. It does not where a negated operator
//! meets an absent key or several values, where a variable has no value, nor in the case of actions,
//! and it has no set operators: those stand in `policy_conditions` and `policy_evaluation` as tables.
//! Within one policy it takes the first statement that applies, so each statement goes to it as a policy
//! of its own.

use std::str::FromStr;

use cairn_access::policy::Decision;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use scratchstack_arn::Arn;
use scratchstack_aspen::{Context, Decision as AspenDecision, Policy, PolicySet, PolicySource};
use scratchstack_aws_principal::{Principal, SessionData, SessionValue, User};

use crate::question::{Question, may};

/// One request: every name that the policies below speak of.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) keys: Vec<(&'static str, String)>,
}

const ACTIONS: [&str; 6] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:GetBucketAcl",
    "cloudtrail:LookupEvents",
    "cloudtrail:StopLogging",
    "iam:GetUser",
];

const RESOURCES: [&str; 7] = [
    "*",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::bucket/alice/1",
    "arn:aws:s3:::bucket/bob/1",
    "arn:aws:cloudtrail:us-east-1:123456789012:trail/main",
    "arn:aws:cloudtrail:eu-west-1:123456789012:trail/main",
    "arn:aws:iam::123456789012:user/alice",
];

pub(crate) fn arbitrary_request() -> impl Strategy<Value = Asked> {
    let optional =
        |values: &'static [&'static str]| proptest::option::of(proptest::sample::select(values));
    (
        proptest::sample::select(&ACTIONS[..]),
        proptest::sample::select(&RESOURCES[..]),
        proptest::sample::select(&["alice", "bob", "Alice", "a*"][..]),
        proptest::sample::select(&RESOURCES[1..]),
        optional(&["1", "10", "11"]),
        optional(&["2026-11-21T03:00:00Z", "2020-01-01T00:00:00Z"]),
        optional(&["true", "false"]),
        optional(&["203.0.113.9", "2001:db8::1"]),
    )
        .prop_map(
            |(action, resource, user, source, number, date, secure, address)| {
                let mut keys = vec![
                    ("aws:username", user.to_owned()),
                    ("aws:sourcearn", source.to_owned()),
                ];
                let mut add = |name, value: Option<&str>| {
                    keys.extend(value.map(|value| (name, value.to_owned())));
                };
                add("s3:max-keys", number);
                add("aws:currenttime", date);
                add("aws:securetransport", secure);
                add("aws:sourceip", address);
                Asked {
                    action: action.to_owned(),
                    resource: resource.to_owned(),
                    keys,
                }
            },
        )
}

fn listed(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::subsequence(values, 1..=2).prop_map(|chosen| format!("{chosen:?}"))
}

fn one(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(values).prop_map(|value| format!("{value:?}"))
}

/// `"Operator":{"key":values}` of one family.
fn condition() -> impl Strategy<Value = String> {
    const TEXTS: &[&str] = &[
        "alice",
        "ALICE",
        "a*",
        "*",
        "${aws:username}",
        "?lice",
        "bo${*}",
    ];
    const ARNS: &[&str] = &[
        "arn:aws:s3:::bucket/*",
        "arn:aws:cloudtrail:*:123456789012:trail/*",
        "arn:aws:s3:::bucket/${aws:username}/*",
        "arn:*:*:*:*:*",
    ];
    const NUMBERS: &[&str] = &["1", "10", "100"];
    const DATES: &[&str] = &[
        "2026-11-21T03:00:00Z",
        "2026-11-21T05:00:00+02:00",
        "1577836800",
    ];
    const ADDRESSES: &[&str] = &[
        "203.0.113.0/24",
        "203.0.113.9",
        "2001:db8::/32",
        "0.0.0.0/0",
    ];
    let build =
        |operator: &str, key: &str, values: &str| format!(r#""{operator}":{{"{key}":{values}}}"#);
    let family = move |positive: &'static [&'static str],
                       negative: &'static [&'static str],
                       key: &'static str,
                       values: &'static [&'static str]| {
        prop_oneof![
            (proptest::sample::select(positive), listed(values))
                .prop_map(move |(operator, values)| build(operator, key, &values)),
            (proptest::sample::select(negative), one(values))
                .prop_map(move |(operator, value)| build(operator, key, &value)),
        ]
    };
    prop_oneof![
        family(
            &[
                "StringEquals",
                "StringLike",
                "StringEqualsIgnoreCase",
                "StringLikeIfExists"
            ],
            &[
                "StringNotEquals",
                "StringNotLike",
                "StringNotEqualsIgnoreCase"
            ],
            "aws:username",
            TEXTS,
        ),
        family(
            &["ArnLike", "ArnEquals"],
            &["ArnNotLike", "ArnNotEquals"],
            "aws:SourceArn",
            ARNS
        ),
        family(
            &[
                "NumericEquals",
                "NumericLessThan",
                "NumericLessThanEquals",
                "NumericEqualsIfExists"
            ],
            &[
                "NumericGreaterThan",
                "NumericGreaterThanEquals",
                "NumericNotEqualsIfExists"
            ],
            "s3:max-keys",
            NUMBERS,
        ),
        family(
            &["DateEquals", "DateLessThan", "DateLessThanEqualsIfExists"],
            &[
                "DateGreaterThan",
                "DateGreaterThanEquals",
                "DateNotEqualsIfExists"
            ],
            "aws:CurrentTime",
            DATES,
        ),
        family(
            &["Bool", "BoolIfExists"],
            &["Null"],
            "aws:SecureTransport",
            &["true", "false"]
        ),
        family(
            &["IpAddress"],
            &["NotIpAddressIfExists"],
            "aws:SourceIp",
            ADDRESSES
        ),
    ]
}

/// One statement of an identity policy.
pub(crate) fn arbitrary_statement() -> impl Strategy<Value = String> {
    const ACTION_PATTERNS: &[&str] = &[
        "*",
        "s3:*",
        "s3:Get*",
        "s3:GetObject",
        "cloudtrail:*Logging",
        "iam:Get????",
        "cloudtrail:LookupEvents",
    ];
    const RESOURCE_PATTERNS: &[&str] = &[
        "*",
        "arn:aws:s3:::bucket",
        "arn:aws:s3:::bucket/*",
        "arn:aws:s3:::bucket/${aws:username}/*",
        "arn:aws:cloudtrail:us-*:123456789012:trail/m?in",
        "arn:*:iam::*:user/${aws:username}",
        "arn:aws:*:*:*:*",
    ];
    (
        prop_oneof![3 => Just("Allow"), 1 => Just("Deny")],
        prop_oneof![4 => Just("Action"), 1 => Just("NotAction")],
        listed(ACTION_PATTERNS),
        prop_oneof![4 => Just("Resource"), 1 => Just("NotResource")],
        listed(RESOURCE_PATTERNS),
        proptest::option::weighted(0.6, condition()),
    )
        .prop_map(|(effect, action, actions, resource, resources, condition)| {
            let condition = condition.unwrap_or_default();
            format!(
                r#"{{"Effect":"{effect}","{action}":{actions},"{resource}":{resources},"Condition":{{{condition}}}}}"#
            )
        })
}

fn aspen(statements: &[String], boundary: Option<&String>, asked: &Asked) -> AspenDecision {
    let mut policies = PolicySet::new();
    let policy = |statement: &String| {
        let json = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        Policy::from_str(&json).unwrap_or_else(|error| panic!("{json}\n{error}"))
    };
    for statement in statements {
        policies.add_policy(
            PolicySource::new_entity_inline("arn", "id", "name"),
            policy(statement),
        );
    }
    if let Some(boundary) = boundary {
        policies.add_policy(PolicySource::new_session(), policy(boundary));
    }
    policies
        .evaluate(&aspen_context(asked))
        .expect("a decision")
        .0
}

fn aspen_context(asked: &Asked) -> Context {
    let mut session = SessionData::new();
    for (name, value) in &asked.keys {
        let value = match *name {
            "aws:securetransport" => SessionValue::Bool(value == "true"),
            "aws:sourceip" => SessionValue::IpAddr(value.parse().expect("an address")),
            _ => SessionValue::from(value.as_str()),
        };
        session.insert(name, value);
    }
    let user = User::new("aws", "123456789012", "/", "alice").expect("a user");
    let (service, api) = asked.action.split_once(':').expect("a service");
    let resources = match asked.resource.as_str() {
        "*" => Vec::new(),
        arn => vec![Arn::from_str(arn).expect("an ARN")],
    };
    Context::builder()
        .service(service)
        .api(api)
        .actor(Principal::from(vec![user.into()]))
        .resources(resources)
        .session_data(session)
        .build()
        .expect("a context")
}

fn ours(statements: &[String], asked: &Asked) -> Question {
    let question = may(&asked.action, &asked.resource).policy(&statements.join(","));
    asked.keys.iter().fold(question, |question, (name, value)| {
        question.key(name, value)
    })
}

fn in_aspen_s_words(decision: Decision) -> AspenDecision {
    match decision {
        Decision::Allow => AspenDecision::Allow,
        Decision::ExplicitDeny { .. } => AspenDecision::Deny,
        Decision::ImplicitDeny { .. } => AspenDecision::DefaultDeny,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    // Proves: SEC-102, SEC-111, SEC-113, SEC-114, SEC-115
    #[test]
    fn two_evaluators_decide_alike(
        asked in arbitrary_request(),
        statements in proptest::collection::vec(arbitrary_statement(), 1..4),
    ) {
        let decision = in_aspen_s_words(ours(&statements, &asked).answer());
        prop_assert_eq!(decision, aspen(&statements, None, &asked));
    }

    // Proves: SEC-107, SEC-110
    #[test]
    fn two_evaluators_limit_alike(
        asked in arbitrary_request(),
        statements in proptest::collection::vec(arbitrary_statement(), 1..3),
        limit in arbitrary_statement(),
    ) {
        let expected = aspen(&statements, Some(&limit), &asked) == AspenDecision::Allow;
        let question = ours(&statements, &asked);
        prop_assert_eq!(question.clone().boundary(&limit).answer().is_allowed(), expected);
        prop_assert_eq!(question.session(&limit).answer().is_allowed(), expected);
    }
}

/// The comparison above is worth something only if its inputs reach every outcome.
#[test]
fn the_comparison_reaches_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut reached = [0_u32; 3];
    for _ in 0..2_000 {
        let asked = arbitrary_request()
            .new_tree(&mut runner)
            .expect("a request")
            .current();
        let statement = arbitrary_statement()
            .new_tree(&mut runner)
            .expect("a statement")
            .current();
        let outcome = match ours(&[statement], &asked).answer() {
            Decision::Allow => 0,
            Decision::ExplicitDeny { .. } => 1,
            Decision::ImplicitDeny { .. } => 2,
        };
        reached[outcome] += 1;
    }
    assert!(reached.iter().all(|count| *count > 50), "{reached:?}");
}
