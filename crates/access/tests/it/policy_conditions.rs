//! Condition operators: what they compare, and what an absent key, several values and a variable
//! without a value mean to each.

use cairn_access::policy::Decision;

use crate::question::{Question, may};

/// Whether a statement with this condition applies to a request with these keys, as an Allow; a Deny
/// must agree unless `check_effects` says otherwise.
fn applies(condition: &str, keys: &[(&str, &[&str])]) -> bool {
    let (allow, deny) = by_effect(condition, keys);
    assert_eq!(allow, deny, "{condition}");
    allow
}

fn by_effect(condition: &str, keys: &[(&str, &[&str])]) -> (bool, bool) {
    let statement = |effect: &str| {
        format!(
            r#"{{"Effect":"{effect}","Action":"*","Resource":"*","Condition":{{{condition}}}}}"#
        )
    };
    let ask = |question: Question| {
        keys.iter().fold(question, |question, (name, values)| {
            question.values(name, values)
        })
    };
    let question = || ask(may("s3:GetObject", "arn:aws:s3:::b/k"));
    let allow = question().policy(&statement("Allow")).answer() == Decision::Allow;
    let everything = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let deny = question()
        .policy(everything)
        .policy(&statement("Deny"))
        .answer();
    (allow, deny != Decision::Allow)
}

#[track_caller]
fn check(operator: &str, policy: &str, present: &str, expected: bool) {
    let condition = format!(r#""{operator}":{{"x:key":"{policy}"}}"#);
    assert_eq!(
        applies(&condition, &[("x:key", &[present])]),
        expected,
        "{condition} on {present}"
    );
}

/// A positive operator and its negation always disagree on a key that is there.
#[track_caller]
fn check_both(operator: &str, negation: &str, policy: &str, present: &str, expected: bool) {
    check(operator, policy, present, expected);
    check(negation, policy, present, !expected);
    check(&format!("{operator}IfExists"), policy, present, expected);
    check(&format!("{negation}IfExists"), policy, present, !expected);
    check(
        &format!("ForAnyValue:{operator}"),
        policy,
        present,
        expected,
    );
    check(
        &format!("ForAllValues:{negation}"),
        policy,
        present,
        !expected,
    );
}

#[test]
fn texts() {
    for (policy, present, equal) in [
        ("a", "a", true),
        ("a", "A", false),
        ("a*", "ab", false),
        ("", "", true),
    ] {
        check_both("StringEquals", "StringNotEquals", policy, present, equal);
    }
    for (policy, present, equal) in [
        ("aB", "Ab", true),
        ("é", "É", true),
        ("a", "b", false),
        ("a*", "ab", false),
    ] {
        check_both(
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            policy,
            present,
            equal,
        );
    }
    for (policy, present, like) in [
        ("a*", "a", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("*", "", true),
        ("?", "é", true),
        ("?", "", false),
        ("a?c", "abbc", false),
        ("A*", "abc", false),
        ("*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ] {
        check_both("StringLike", "StringNotLike", policy, present, like);
    }
}

#[test]
fn numbers() {
    for (policy, present, equal) in [
        ("10", "10", true),
        ("10", "10.0", true),
        ("10", "1e1", true),
        ("10", "11", false),
        ("9007199254740993", "9007199254740992", false),
        ("10", "ten", false),
        ("-1", "-1", true),
    ] {
        check_both("NumericEquals", "NumericNotEquals", policy, present, equal);
    }
    for (operator, below, same, above) in [
        ("NumericLessThan", true, false, false),
        ("NumericLessThanEquals", true, true, false),
        ("NumericGreaterThan", false, false, true),
        ("NumericGreaterThanEquals", false, true, true),
    ] {
        check(operator, "10", "9.5", below);
        check(operator, "10", "10", same);
        check(operator, "10", "11", above);
        check(operator, "10", "many", false);
    }
}

#[test]
fn dates() {
    let day = "2026-11-21T00:00:00Z";
    for (policy, equal) in [
        ("2026-11-21", true),
        ("2026-11-21T00:00Z", true),
        ("2026-11-21T00:00:00Z", true),
        ("2026-11-21T01:00:00.000+01:00", true),
        ("2026-11-21T01:00+01:00", true),
        ("1795219200", true),
        ("2026-11-21T00:00:01Z", false),
        ("2026-11", false),
        ("2026", false),
    ] {
        check_both("DateEquals", "DateNotEquals", policy, day, equal);
    }
    for (operator, below, same, above) in [
        ("DateLessThan", true, false, false),
        ("DateLessThanEquals", true, true, false),
        ("DateGreaterThan", false, false, true),
        ("DateGreaterThanEquals", false, true, true),
    ] {
        check(operator, day, "2026-11-20T23:59:59Z", below);
        check(operator, day, day, same);
        check(operator, day, "1795219201", above);
    }
    check("DateGreaterThan", "2026", day, true);
}

#[test]
fn booleans_and_bytes() {
    for (policy, present, equal) in [
        ("true", "true", true),
        ("True", "true", true),
        ("false", "true", false),
        ("true", "1", false),
    ] {
        check("Bool", policy, present, equal);
        check("BoolIfExists", policy, present, equal);
    }
    check("BinaryEquals", "QmluYXJ5", "QmluYXJ5", true);
    check("BinaryEquals", "QmluYXJ5", "QmluYXJZ", false);
}

#[test]
fn addresses() {
    for (policy, present, inside) in [
        ("203.0.113.0/24", "203.0.113.255", true),
        ("203.0.113.77/24", "203.0.113.1", true),
        ("203.0.113.0/24", "203.0.114.0", false),
        ("203.0.113.7", "203.0.113.7", true),
        ("203.0.113.7", "203.0.113.8", false),
        ("0.0.0.0/0", "198.51.100.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "198.51.100.1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("203.0.113.0/24", "::ffff:203.0.113.9", true),
        ("203.0.113.0/24", "nowhere", false),
    ] {
        check_both("IpAddress", "NotIpAddress", policy, present, inside);
    }
}

// Proves: SEC-231, SEC-280
#[test]
fn arns_are_compared_part_by_part() {
    let trail = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";
    for (policy, like) in [
        ("arn:aws:cloudtrail:us-east-1:123456789012:trail/main", true),
        ("arn:aws:cloudtrail:*:123456789012:trail/*", true),
        ("arn:*:cloudtrail:us-????-1:*:*", true),
        ("arn:aws:cloudtrail:*", true),
        ("*", true),
        ("arn:aws:cloudtrail:*:123456789012:eventdatastore/*", false),
        ("arn:aws:cloudtrail:*:trail/main:", false),
        ("arn:aws:cloudtrail:us-east-1:*:TRAIL/main", false),
    ] {
        for (operator, negation) in [("ArnLike", "ArnNotLike"), ("ArnEquals", "ArnNotEquals")] {
            check_both(operator, negation, policy, trail, like);
        }
    }
    check("ArnLike", "*", "no-arn", false);
    check("ArnLike", "arn:aws:s3:::*", "no-arn", false);
    check(
        "StringLike",
        "arn:aws:cloudtrail:*:123456789012:trail/*",
        trail,
        true,
    );
    check(
        "StringEquals",
        "arn:aws:cloudtrail:*:123456789012:trail/*",
        trail,
        false,
    );
}

// Proves: A4
#[test]
fn an_absent_key_fails_positive_tests_and_passes_negated_and_if_exists_ones() {
    let rows = [
        ("StringEquals", "a", false),
        ("StringEqualsIfExists", "a", true),
        ("StringNotEquals", "a", true),
        ("StringNotEqualsIfExists", "a", true),
        ("StringLike", "*", false),
        ("NumericLessThan", "1", false),
        ("NumericLessThanIfExists", "1", true),
        ("DateGreaterThan", "2020", false),
        ("Bool", "true", false),
        ("BoolIfExists", "true", true),
        ("BinaryEquals", "QQ==", false),
        ("IpAddress", "0.0.0.0/0", false),
        ("NotIpAddress", "0.0.0.0/0", true),
        ("ArnLike", "*", false),
        ("ArnNotLike", "*", true),
        ("ForAnyValue:StringEquals", "a", false),
        ("ForAnyValue:StringNotEquals", "a", false),
        ("ForAnyValue:StringEqualsIfExists", "a", true),
        ("ForAllValues:StringEquals", "a", true),
        ("ForAllValues:StringNotEquals", "a", true),
        ("Null", "true", true),
        ("Null", "false", false),
    ];
    for (operator, policy, expected) in rows {
        let condition = format!(r#""{operator}":{{"x:key":"{policy}"}}"#);
        assert_eq!(
            applies(&condition, &[]),
            expected,
            "{condition} without the key"
        );
        assert_eq!(
            applies(&condition, &[("x:key", &[])]),
            expected,
            "{condition} without values"
        );
    }
    assert!(applies(
        r#""Null":{"x:key":"false"}"#,
        &[("x:key", &["any"])]
    ));
    assert!(!applies(
        r#""Null":{"x:key":"true"}"#,
        &[("x:key", &["any"])]
    ));
}

// Proves: SEC-111
#[test]
fn several_values() {
    let of = |operator: &str, present: &[&str]| {
        applies(
            &format!(r#""{operator}":{{"x:key":["a","b"]}}"#),
            &[("x:key", present)],
        )
    };
    let rows: [(&str, [bool; 5]); 6] = [
        //                            [a]    [c]    [a,b]  [a,c]  [c,d]
        ("StringEquals", [true, false, true, true, false]),
        ("StringNotEquals", [false, true, false, false, true]),
        ("ForAnyValue:StringEquals", [true, false, true, true, false]),
        (
            "ForAnyValue:StringNotEquals",
            [false, true, false, true, true],
        ),
        (
            "ForAllValues:StringEquals",
            [true, false, true, false, false],
        ),
        (
            "ForAllValues:StringNotEquals",
            [false, true, false, false, true],
        ),
    ];
    let present: [&[&str]; 5] = [&["a"], &["c"], &["a", "b"], &["a", "c"], &["c", "d"]];
    for (operator, expected) in rows {
        assert_eq!(
            present.map(|values| of(operator, values)),
            expected,
            "{operator}"
        );
    }
}

// Proves: SEC-111
#[test]
fn all_tests_of_a_statement_must_hold() {
    let condition = r#""StringEquals":{"x:a":"1","x:b":"2"},"Bool":{"x:c":"true"}"#;
    let with = |a, b, c| applies(condition, &[("x:a", &[a]), ("x:b", &[b]), ("x:c", &[c])]);
    assert!(with("1", "2", "true"));
    assert!(!with("0", "2", "true"));
    assert!(!with("1", "0", "true"));
    assert!(!with("1", "2", "false"));
}

// Proves: SEC-282
#[test]
fn key_names_fold_case_and_values_do_not() {
    let condition = r#""StringEquals":{"AWS:sourceARN":"arn:aws:cloudtrail:r:1:trail/x"}"#;
    assert!(applies(
        condition,
        &[("aws:SourceArn", &["arn:aws:cloudtrail:r:1:trail/x"])]
    ));
    assert!(!applies(
        condition,
        &[("aws:SourceArn", &["arn:aws:cloudtrail:r:1:trail/X"])]
    ));
    let tag = r#""StringEquals":{"aws:ResourceTag/STAGE":"prod"}"#;
    assert!(applies(tag, &[("aws:resourcetag/Stage", &["prod"])]));
}

// Proves: SEC-112
#[test]
fn variables_take_the_request_s_values_letter_for_letter() {
    let equals = r#""StringEquals":{"x:key":"home/${x:Name}"}"#;
    assert!(applies(
        equals,
        &[("x:key", &["home/alice"]), ("x:name", &["alice"])]
    ));
    assert!(!applies(
        equals,
        &[("x:key", &["home/bob"]), ("x:name", &["alice"])]
    ));
    let like = r#""StringLike":{"x:key":"${x:name}/*"}"#;
    assert!(applies(
        like,
        &[("x:key", &["alice/1"]), ("x:name", &["alice"])]
    ));
    assert!(
        !applies(like, &[("x:key", &["alice/1"]), ("x:name", &["*"])]),
        "a value is no pattern"
    );
    let default = r#""StringEquals":{"x:key":"${x:name, 'no body'}"}"#;
    assert!(applies(default, &[("x:key", &["no body"])]));
    assert!(applies(
        default,
        &[("x:key", &["alice"]), ("x:name", &["alice"])]
    ));
    for (written, meant) in [
        ("${*}", "*"),
        ("${?}", "?"),
        ("${$}{x}", "${x}"),
        ("$x", "$x"),
    ] {
        let condition = format!(r#""StringLike":{{"x:key":"{written}"}}"#);
        assert!(applies(&condition, &[("x:key", &[meant])]), "{written}");
        assert!(!applies(&condition, &[("x:key", &["other"])]), "{written}");
    }
}

// Proves: A4
#[test]
fn a_variable_without_a_value_never_widens_an_allow_nor_narrows_a_deny() {
    let keys: [(&str, &[&str]); 1] = [("x:key", &["value"])];
    let rows = [
        (r#""StringEquals":{"x:key":"${x:none}"}"#, (false, false)),
        (
            r#""StringEquals":{"x:key":["value","${x:none}"]}"#,
            (true, true),
        ),
        (r#""StringLike":{"x:key":"*${x:none}"}"#, (false, false)),
        (r#""StringNotEquals":{"x:key":"${x:none}"}"#, (false, true)),
        (
            r#""StringNotEquals":{"x:key":["value","${x:none}"]}"#,
            (false, false),
        ),
        (
            r#""ForAnyValue:StringNotLike":{"x:key":"${x:none}"}"#,
            (false, true),
        ),
        (
            r#""ArnNotLike":{"x:key":"arn:aws:s3:::${x:none}"}"#,
            (true, true),
        ),
    ];
    for (condition, expected) in rows {
        assert_eq!(by_effect(condition, &keys), expected, "{condition}");
    }
    // A key with several values cannot stand in a text either.
    let several: [(&str, &[&str]); 2] = [("x:key", &["a"]), ("x:none", &["a", "b"])];
    assert!(!by_effect(r#""StringEquals":{"x:key":"${x:none}"}"#, &several).0);
}
