//! Who may do what, by the policies of callers and buckets.

use cairn_bucket::{Demand, Denied, Gatekeeper};

use super::{BUCKET, Fixture, OBJECT, OTHER, OWNER, TRAIL, call, facts, root};

const GET: (&str, &str) = ("s3:GetObject", OBJECT);
const PUT: (&str, &str) = ("s3:PutObject", OBJECT);

/// A policy of one statement about everything in the bucket.
fn policy(effect: &str, principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Principal":{principal},
        "Action":"s3:*","Resource":["{BUCKET}","{BUCKET}/*"],"Condition":{{{condition}}}}}}}"#
    )
}

/// The refusal of a user, and why.
fn because(found: Result<(), Denied>) -> String {
    let denied = found.expect_err("is refused");
    assert_eq!(denied.code, "AccessDenied");
    let message = denied.message;
    let at = message.find("because").or(message.find("with an"));
    message[at.expect("a reason")..].to_owned()
}

// Proves: SEC-102, SEC-110, SEC-222, R20
#[tokio::test]
async fn in_the_owners_account_either_policy_allows() {
    let aws = Fixture::new().await;
    let admin = aws.user(OWNER, "Boss", true).await;
    let nobody = aws.user(OWNER, "Nobody", false).await;
    assert_eq!(aws.may(&admin, GET, None).await, Ok(()));
    assert_eq!(aws.may(&root(OWNER), GET, None).await, Ok(()));
    assert_eq!(
        because(aws.may(&nobody, GET, None).await),
        "because no identity-based policy allows the s3:GetObject action"
    );
    let named = r#"{"AWS":"arn:aws:iam::123456789012:user/Nobody"}"#;
    let named = policy("Allow", named, "");
    assert_eq!(aws.may(&nobody, GET, Some(&named)).await, Ok(()));
    // The account as a whole only says that its own policies decide.
    let delegated = policy("Allow", r#"{"AWS":"123456789012"}"#, "");
    assert!(aws.may(&nobody, GET, Some(&delegated)).await.is_err());
}

// Proves: SEC-102, R20
#[tokio::test]
async fn across_accounts_both_must_allow() {
    let aws = Fixture::new().await;
    let admin = aws.user(OTHER, "Boss", true).await;
    let nobody = aws.user(OTHER, "Nobody", false).await;
    let nothing = "because no resource-based policy allows the s3:GetObject action";
    for caller in [&admin, &root(OTHER)] {
        assert_eq!(because(aws.may(caller, GET, None).await), nothing);
        let others = policy("Allow", r#"{"AWS":"123456789012"}"#, "");
        assert_eq!(because(aws.may(caller, GET, Some(&others)).await), nothing);
    }
    let account = policy("Allow", r#"{"AWS":"arn:aws:iam::210987654321:root"}"#, "");
    assert_eq!(aws.may(&admin, GET, Some(&account)).await, Ok(()));
    assert_eq!(aws.may(&root(OTHER), GET, Some(&account)).await, Ok(()));
    let users = policy(
        "Allow",
        r#"{"AWS":"arn:aws:iam::210987654321:user/Nobody"}"#,
        "",
    );
    for policy in [account, users, policy("Allow", r#""*""#, "")] {
        assert_eq!(
            because(aws.may(&nobody, GET, Some(&policy)).await),
            "because no identity-based policy allows the s3:GetObject action"
        );
    }
}

// Proves: SEC-102
#[tokio::test]
async fn a_deny_wins_but_never_over_the_owners_root_and_the_policy_itself() {
    let aws = Fixture::new().await;
    let admin = aws.user(OWNER, "Boss", true).await;
    let locked = policy("Deny", r#""*""#, "");
    let denied = "with an explicit deny in a resource-based policy";
    for caller in [&admin, &root(OWNER)] {
        assert_eq!(because(aws.may(caller, GET, Some(&locked)).await), denied);
    }
    for action in [
        "s3:GetBucketPolicy",
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
    ] {
        let about = (action, BUCKET);
        assert_eq!(aws.may(&root(OWNER), about, Some(&locked)).await, Ok(()));
        assert_eq!(because(aws.may(&admin, about, Some(&locked)).await), denied);
        assert_eq!(
            because(aws.may(&root(OTHER), about, Some(&locked)).await),
            denied
        );
        assert!(aws.may(&root(OTHER), about, None).await.is_err());
    }
    let about = ("s3:DeleteBucket", BUCKET);
    assert_eq!(
        because(aws.may(&root(OWNER), about, Some(&locked)).await),
        denied
    );
}

// Proves: SEC-204, SEC-206, SEC-207, SEC-210, SEC-211, SEC-219
#[tokio::test]
async fn a_service_may_do_what_the_buckets_policy_says_of_its_trail() {
    let aws = Fixture::new().await;
    let ours = aws.service_caller(TRAIL);
    let evil = aws.service_caller("arn:aws:cloudtrail:us-east-1:123456789012:trail/evil");
    assert_eq!(
        because(aws.may(&ours, PUT, None).await),
        "because no resource-based policy allows the s3:PutObject action"
    );
    let service = r#"{"Service":"cloudtrail.amazonaws.com"}"#;
    let source = format!(
        r#""StringEquals":{{"aws:SourceArn":"{TRAIL}","s3:x-amz-acl":"bucket-owner-full-control"}}"#
    );
    let by_trail = policy("Allow", service, &source);
    assert_eq!(aws.may(&ours, PUT, Some(&by_trail)).await, Ok(()));
    assert!(aws.may(&evil, PUT, Some(&by_trail)).await.is_err());
    let account = r#""StringEquals":{"aws:SourceAccount":"123456789012"}"#;
    let by_account = policy("Allow", service, account);
    assert_eq!(aws.may(&evil, PUT, Some(&by_account)).await, Ok(()));
    let others = policy("Allow", service, &account.replace(OWNER, OTHER));
    assert!(aws.may(&ours, PUT, Some(&others)).await.is_err());
    let acl = source.replace("bucket-owner-full-control", "private");
    let other_acl = policy("Allow", service, &acl);
    assert!(aws.may(&ours, PUT, Some(&other_acl)).await.is_err());
    let config = policy("Allow", r#"{"Service":"config.amazonaws.com"}"#, "");
    assert!(aws.may(&ours, PUT, Some(&config)).await.is_err());
    let services = policy(
        "Deny",
        r#""*""#,
        r#""Bool":{"aws:PrincipalIsAWSService":"true"}"#,
    );
    let denied = because(aws.may(&ours, PUT, Some(&services)).await);
    assert_eq!(denied, "with an explicit deny in a resource-based policy");
    let named = r#""StringEquals":{"aws:PrincipalServiceName":"cloudtrail.amazonaws.com"}"#;
    let by_name = policy("Allow", r#""*""#, named);
    assert_eq!(aws.may(&ours, PUT, Some(&by_name)).await, Ok(()));
    // Nobody else gets in by a condition that is about services.
    let admin = aws.user(OTHER, "Boss", true).await;
    assert!(aws.may(&admin, PUT, Some(&by_name)).await.is_err());
    assert!(
        aws.may(&admin, PUT, Some(&by_account.replace(service, r#""*""#)))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_is_not_there_yet_is_the_callers_to_make() {
    let aws = Fixture::new().await;
    let admin = aws.user(OTHER, "Boss", true).await;
    let nobody = aws.user(OTHER, "Nobody", false).await;
    let service = aws.service_caller(TRAIL);
    let mut answers = Vec::new();
    for caller in [&admin, &nobody, &service] {
        let visitor = aws.visitor(call("PUT", "/new", &[]), caller).await;
        let demand = Demand {
            action: "s3:CreateBucket",
            resource_arn: "arn:aws:s3:::new",
            bucket: None,
            keys: &[],
        };
        answers.push(aws.gate.authorize(&visitor, demand).await.is_ok());
    }
    assert_eq!(answers, [true, false, false]);
}

#[tokio::test]
async fn policies_see_what_the_endpoint_read_from_the_request() {
    let aws = Fixture::new().await;
    let nobody = aws.user(OWNER, "Nobody", false).await;
    let named = r#"{"AWS":"arn:aws:iam::123456789012:user/Nobody"}"#;
    let logs = policy("Allow", named, r#""StringLike":{"s3:prefix":"AWSLogs/*"}"#);
    let bucket = facts(Some(&logs));
    // What stands in the request's query counts only if the endpoint says that it means something.
    let visitor = aws
        .visitor(call("GET", "/logs?prefix=AWSLogs/a", &[]), &nobody)
        .await;
    let mut answers = Vec::new();
    for prefix in ["AWSLogs/a", "private", ""] {
        let keys = [("s3:prefix", prefix.to_owned())];
        let demand = Demand {
            action: "s3:ListBucket",
            resource_arn: BUCKET,
            bucket: Some(&bucket),
            keys: if prefix.is_empty() { &[] } else { &keys },
        };
        answers.push(aws.gate.authorize(&visitor, demand).await.is_ok());
    }
    assert_eq!(answers, [true, false, false]);
}

#[tokio::test]
async fn a_text_that_is_no_policy_of_the_bucket_is_refused_in_s3s_words() {
    let aws = Fixture::new().await;
    let right = policy("Allow", r#""*""#, "");
    assert_eq!(aws.gate.check_policy("logs", &right), Ok(()));
    let refused = aws.gate.check_policy("other", &right);
    let refused = refused.expect_err("its resources are in another bucket");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        ("MalformedPolicy", "Policy has invalid resource")
    );
    assert!(aws.gate.check_policy("logs", "{}").is_err());
}
