//! What requests leave in the log.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{All, Fixture, OTHER, OWNER, TRAIL, account};

const PUT: (&str, &str, &[(&str, &str)]) = (
    "PUT",
    "/logs/AWSLogs/x",
    &[
        ("x-amz-acl", "bucket-owner-full-control"),
        ("user-agent", "aws-cli/2"),
    ],
);
const DENIED: Option<(&str, &str)> = Some(("AccessDenied", "Access Denied"));

async fn watched() -> Fixture {
    Fixture::with_selection(Some(Arc::new(All))).await
}

// Proves: SEC-011, REC-023, REC-026, SEL-022
#[tokio::test]
async fn a_write_is_a_data_event_of_the_buckets_region_and_owner() {
    let aws = watched().await;
    let admin = aws.user(OWNER, "Boss", true).await;
    aws.witness(&admin, PUT, None).await;
    let events = aws.events().await;
    let [event] = events.as_slice() else {
        panic!("one write is one event: {events:?}");
    };
    assert_eq!(event["eventName"], "PutObject");
    assert_eq!(event["awsRegion"], "eu-west-1");
    assert_eq!(event["eventCategory"], "Data");
    assert_eq!(event["readOnly"], false);
    assert_eq!(event["userAgent"], "[aws-cli/2]");
    assert_eq!(event["recipientAccountId"], OWNER);
    assert_eq!(event["sharedEventID"], Value::Null);
    assert_eq!(
        event["requestParameters"],
        json!({
            "bucketName": "logs",
            "Host": "127.0.0.1:4511",
            "key": "AWSLogs/x",
            "x-amz-acl": "bucket-owner-full-control",
        })
    );
    assert_eq!(
        event["additionalEventData"],
        json!({
            "SignatureVersion": "SigV4",
            "bytesTransferredIn": 5,
            "SSEApplied": "Default_SSE_S3",
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": "the-extended-id",
            "bytesTransferredOut": 0,
        })
    );
    assert_eq!(
        event["resources"],
        json!([
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::logs/AWSLogs/x"},
            {"accountId": OWNER, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::logs"},
        ])
    );
}

#[tokio::test]
async fn encryption_is_told_as_it_was_asked_for_and_of_what_was_stored() {
    let aws = watched().await;
    let admin = aws.user(OWNER, "Boss", true).await;
    let asked = [("x-amz-server-side-encryption", "AES256")];
    aws.witness(&admin, ("PUT", "/logs/x", &asked), None).await;
    aws.witness(&admin, ("GET", "/logs/x", &[]), None).await;
    aws.witness(&admin, ("PUT", "/logs/x", &[]), DENIED).await;
    let applied: Vec<Value> = aws
        .events()
        .await
        .iter()
        .map(|event| event["additionalEventData"]["SSEApplied"].clone())
        .collect();
    assert_eq!(applied, [json!("SSE_S3"), Value::Null, Value::Null]);
}

// Proves: SEL-022
#[tokio::test]
async fn settings_are_management_events_and_data_events_need_somebody_who_wants_them() {
    let aws = Fixture::new().await;
    let admin = aws.user(OWNER, "Boss", true).await;
    aws.witness(&admin, PUT, None).await;
    aws.witness(&admin, ("GET", "/logs/x", &[]), DENIED).await;
    assert_eq!(aws.events().await, Vec::<Value>::new());
    aws.witness(&admin, ("PUT", "/logs?policy", &[]), None)
        .await;
    let events = aws.events().await;
    let [event] = events.as_slice() else {
        panic!("one change is one event: {events:?}");
    };
    assert_eq!(event["eventName"], "PutBucketPolicy");
    assert_eq!(event["managementEvent"], true);
    let parameters = json!({"policy": "", "bucketName": "logs", "Host": "127.0.0.1:4511"});
    assert_eq!(event["requestParameters"], parameters);
    let bucket = json!({"accountId": OWNER, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::logs"});
    assert_eq!(event["resources"], json!([bucket]));
}

// Proves: SEL-130, SEL-131, SEL-133, REC-062, REC-063, REC-064, REC-065
#[tokio::test]
async fn callers_and_owners_account_get_a_copy_each() {
    let aws = watched().await;
    let eve = aws.user(OTHER, "Eve", true).await;
    aws.witness(&eve, PUT, None).await;
    let events = aws.events().await;
    let [theirs, ours] = events.as_slice() else {
        panic!("a copy for each account: {events:?}");
    };
    assert_eq!(theirs["recipientAccountId"], OTHER);
    assert_eq!(theirs["userIdentity"]["userName"], "Eve");
    assert_eq!(theirs["resources"][1]["accountId"], OWNER);
    assert_eq!(ours["recipientAccountId"], OWNER);
    assert_eq!(ours["userIdentity"]["type"], "AWSAccount");
    assert_eq!(ours["userIdentity"]["userName"], Value::Null);
    assert!(ours["sharedEventID"].is_string());
    assert_eq!(ours["sharedEventID"], theirs["sharedEventID"]);
    assert_ne!(ours["eventID"], theirs["eventID"]);
}

// Proves: REC-212, REC-213, REC-214
#[tokio::test]
async fn a_denied_stranger_does_not_learn_whose_bucket_it_is() {
    let aws = watched().await;
    let eve = aws.user(OTHER, "Eve", true).await;
    aws.witness(&eve, ("GET", "/logs?list-type=2", &[]), DENIED)
        .await;
    let events = aws.events().await;
    let [theirs, ours] = events.as_slice() else {
        panic!("a copy for each account: {events:?}");
    };
    let object = json!({"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::logs/"});
    let bucket = |account: &str| json!({"accountId": account, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::logs"});
    assert_eq!(theirs["resources"], json!([object, bucket("")]));
    assert_eq!(ours["resources"], json!([object, bucket(OWNER)]));
    let hidden = theirs.to_string().matches(OWNER).count();
    assert_eq!(hidden, 0, "{theirs}");
    // A refusal of another kind hides nothing, and neither does one in the owner's own account.
    let missing = Some(("NoSuchKey", "The specified key does not exist."));
    aws.witness(&eve, ("GET", "/logs/none", &[]), missing).await;
    let nobody = aws.user(OWNER, "Nobody", false).await;
    aws.witness(&nobody, ("GET", "/logs/x", &[]), DENIED).await;
    for event in &aws.events().await[2..] {
        assert_eq!(event["resources"][1]["accountId"], OWNER, "{event}");
    }
}

// Proves: REC-015, REC-017, REC-105
#[tokio::test]
async fn a_service_is_recorded_once_for_the_owner_under_its_name() {
    let aws = watched().await;
    // For whom it acts is another's affair.
    let mut service = aws.service_caller(TRAIL);
    service.account = account(OTHER);
    aws.witness(&service, PUT, None).await;
    let events = aws.events().await;
    let [event] = events.as_slice() else {
        panic!("one copy: {events:?}");
    };
    let service = "cloudtrail.amazonaws.com";
    let identity = json!({"type": "AWSService", "invokedBy": service});
    assert_eq!(event["userIdentity"], identity);
    assert_eq!(event["sourceIPAddress"], service);
    assert_eq!(event["userAgent"], service);
    assert_eq!(event["recipientAccountId"], OWNER);
    assert_eq!(event["sharedEventID"], Value::Null);
}
