//! Whether a bucket policy is public, as S3 means it: somebody whom it does not name by account,
//! organization, role, address or source may do something. In doubt a policy is public.

use serde_json::Value;

/// Condition keys that, with fixed values, bind a grant to somebody.
const BINDING_KEYS: [&str; 14] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
];
/// Operators that demand what they name.
const BINDING_OPERATORS: [&str; 6] = [
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "arnequals",
    "arnlike",
    "ipaddress",
];
/// The widest network that is somebody, by the length of its prefix.
const IPV4_PREFIX_MIN: u8 = 8;
const IPV6_PREFIX_MIN: u8 = 32;

/// True if the policy, which was checked when it was put, lets everyone in.
pub(super) fn is_public(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return true;
    };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    statements
        .iter()
        .filter(|statement| statement["Effect"] == "Allow")
        .any(|statement| names_everyone(statement) && !is_bound(&statement["Condition"]))
}

fn names_everyone(statement: &Value) -> bool {
    if !statement["NotPrincipal"].is_null() {
        return true;
    }
    match &statement["Principal"] {
        Value::Object(kinds) => kinds.values().any(|named| {
            let mut named = texts(named);
            named.any(|principal| principal.contains('*'))
        }),
        other => texts(other).any(|principal| principal.contains('*')),
    }
}

/// True if some condition holds for those alone whom it names.
fn is_bound(condition: &Value) -> bool {
    let Value::Object(operators) = condition else {
        return false;
    };
    operators.iter().any(|(operator, keys)| {
        let operator = operator.to_ascii_lowercase();
        let Value::Object(keys) = keys else {
            return false;
        };
        BINDING_OPERATORS.contains(&operator.as_str())
            && keys.iter().any(|(key, values)| {
                let key = key.to_ascii_lowercase();
                BINDING_KEYS.contains(&key.as_str())
                    && texts(values).count() > 0
                    && texts(values).all(|value| is_somebody(&key, value))
            })
    })
}

/// A value that names one, or a few: no wildcards, no variables, no half of all addresses.
fn is_somebody(key: &str, value: &str) -> bool {
    if value.is_empty() || value.contains("${") {
        return false;
    }
    match key {
        "aws:sourceip" => is_narrow(value),
        // An ARN may leave its end open, but not its account.
        "aws:sourcearn" | "aws:principalarn" | "s3:dataaccesspointarn" => {
            let account = value.split(':').nth(4).unwrap_or_default();
            let is_bucket = value.starts_with("arn:aws:s3:::") && !value.contains(['*', '?']);
            is_bucket || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
        }
        _ => !value.contains(['*', '?']),
    }
}

fn is_narrow(network: &str) -> bool {
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
        None => (network, Some(u8::MAX)),
    };
    match (address.parse(), prefix) {
        (Ok(std::net::IpAddr::V4(_)), Some(prefix)) => prefix >= IPV4_PREFIX_MIN,
        (Ok(std::net::IpAddr::V6(_)), Some(prefix)) => prefix >= IPV6_PREFIX_MIN,
        _ => false,
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    values.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(principal: &Value, condition: &Value, expected: bool) {
        let statement = json!({
            "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::b/*", "Condition": condition,
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        assert_eq!(is_public(&policy), expected, "{policy}");
    }

    #[test]
    fn everyone_without_a_bond_is_public() {
        let everyone = json!("*");
        check(&everyone, &json!({}), true);
        check(&json!({ "AWS": "*" }), &json!({}), true);
        check(
            &json!({ "AWS": ["arn:aws:iam::123456789012:root", "*"] }),
            &json!({}),
            true,
        );
        check(
            &json!({ "AWS": "arn:aws:iam::123456789012:root" }),
            &json!({}),
            false,
        );
        check(
            &json!({ "Service": "cloudtrail.amazonaws.com" }),
            &json!({}),
            false,
        );
        for (operator, key, value, public) in [
            ("StringEquals", "aws:PrincipalOrgID", "o-abc", false),
            ("StringLike", "aws:PrincipalOrgID", "*", true),
            ("StringNotEquals", "aws:PrincipalOrgID", "o-abc", true),
            ("StringEqualsIfExists", "aws:PrincipalOrgID", "o-abc", true),
            ("StringEquals", "s3:x-amz-acl", "private", true),
            ("IpAddress", "aws:SourceIp", "10.0.0.0/8", false),
            ("IpAddress", "aws:SourceIp", "0.0.0.0/1", true),
            ("IpAddress", "aws:SourceIp", "0.0.0.0/0", true),
            (
                "ArnLike",
                "aws:SourceArn",
                "arn:aws:cloudtrail:*:123456789012:trail/*",
                false,
            ),
            (
                "ArnLike",
                "aws:SourceArn",
                "arn:aws:cloudtrail:*:*:trail/*",
                true,
            ),
            (
                "StringEquals",
                "aws:SourceAccount",
                "${aws:PrincipalAccount}",
                true,
            ),
        ] {
            check(&everyone, &json!({ operator: { key: value } }), public);
        }
    }

    #[test]
    fn what_denies_is_not_public_and_what_excludes_is() {
        let deny = json!({ "Statement": { "Effect": "Deny", "Principal": "*" } });
        assert!(!is_public(&deny.to_string()));
        let others = json!({ "AWS": "arn:aws:iam::123456789012:root" });
        let others = json!({ "Statement": { "Effect": "Allow", "NotPrincipal": others } });
        assert!(is_public(&others.to_string()));
    }
}
