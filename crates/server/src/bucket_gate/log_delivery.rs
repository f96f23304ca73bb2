//! May S3's log delivery put a log into a bucket? The bucket's policy says so, evaluated for the service that S3
//! delivers as, on behalf of the bucket whose requests are logged.

use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicySets, RequestContext, RequestFacts,
    evaluate,
};
use cairn_bucket::LogDelivery;

/// Who delivers.
const SERVICE: &str = "logging.s3.amazonaws.com";
const ACTION: &str = "s3:PutObject";

/// What the target's policy says of a delivery at this time.
pub(super) fn lets_in(delivery: &LogDelivery<'_>, now_ms: i64) -> bool {
    let target = delivery.target;
    let policy = target.policy.as_deref();
    let policy = policy.and_then(|text| PolicyDocument::parse(text, PolicyKind::Resource).ok());
    let Some(policy) = policy else {
        return false;
    };
    let principal = Principal::Service {
        name: SERVICE.to_owned(),
    };
    let mut keys = ContextKeys::of_call(
        &principal,
        &RequestFacts {
            now_ms,
            source_ip: None,
            // It does not leave the process.
            secure_transport: true,
            user_agent: None,
            referer: None,
            requested_region: target.region.as_str(),
        },
    );
    let source_arn = format!("arn:aws:s3:::{}", delivery.source_bucket);
    keys.set("aws:SourceArn", source_arn);
    keys.set("aws:SourceAccount", delivery.source_account.as_str());
    let request = RequestContext {
        action: ACTION,
        resource: &format!("arn:aws:s3:::{}/{}", target.name, delivery.key),
        principal: &principal,
        keys: &keys,
    };
    let sets = PolicySets {
        identity: &[],
        boundary: None,
        session: None,
        resource: Some(&policy),
        same_account: true,
    };
    evaluate(&request, &sets) == Decision::Allow
}

#[cfg(test)]
mod tests {
    use cairn_bucket::BucketFacts;
    use serde_json::{Value, json};

    use super::*;

    fn check(statements: &Value, expected: bool) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let target = BucketFacts {
            name: "logs".into(),
            owner: "123456789012".parse().expect("an account"),
            region: "us-east-1".parse().expect("a Region"),
            policy: Some(policy.to_string()),
        };
        let delivery = LogDelivery {
            source_bucket: "data",
            source_account: target.owner,
            target: &target,
            key: "access/2026-03-01-12-00-00-0000000000000000",
        };
        assert_eq!(lets_in(&delivery, 0), expected, "{statements}");
    }

    fn statement(effect: &str, resource: &str, condition: &Value) -> Value {
        json!({
            "Effect": effect,
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": resource,
            "Condition": condition,
        })
    }

    #[test]
    fn the_policy_decides_by_service_place_and_source() {
        let any = json!({});
        let there = "arn:aws:s3:::logs/access/*";
        check(&json!([statement("Allow", there, &any)]), true);
        check(
            &json!([statement("Allow", "arn:aws:s3:::logs/other/*", &any)]),
            false,
        );
        let mut other_service = statement("Allow", there, &any);
        other_service["Principal"] = json!({"Service": "cloudtrail.amazonaws.com"});
        check(&json!([other_service]), false);
        check(&json!([]), false);
        for (arn, account, expected) in [
            ("arn:aws:s3:::data", "123456789012", true),
            ("arn:aws:s3:::other", "123456789012", false),
            ("arn:aws:s3:::data", "210987654321", false),
        ] {
            let condition = json!({
                "ArnLike": {"aws:SourceArn": arn},
                "StringEquals": {"aws:SourceAccount": account},
            });
            check(&json!([statement("Allow", there, &condition)]), expected);
        }
        let both = [
            statement("Allow", there, &any),
            statement("Deny", "arn:aws:s3:::logs/*", &any),
        ];
        check(&json!(both), false);
    }
}
