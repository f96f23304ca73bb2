//! CreateTrail: what it makes, and everything that it refuses.

use cairn_api::ErrorCode as E;
use serde_json::{Value, json};

use super::*;

fn with(members: Value) -> Value {
    let mut input = json!({"Name": "payroll", "S3BucketName": "payroll-logs"});
    let all = input.as_object_mut().expect("an object");
    let Value::Object(members) = members else {
        panic!("members are an object");
    };
    all.extend(members);
    input
}

// Proves: TRL-006, TRL-008, TRL-023, TRL-047, TRL-048, TRL-050
#[tokio::test]
async fn a_plain_trail_has_the_defaults_and_does_not_log() {
    let fixture = Fixture::new().await;
    let made = fixture.create("payroll").await;
    let flat = json!({
        "Name": "payroll",
        "S3BucketName": "a-bucket",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": false,
        "IsOrganizationTrail": false,
        "LogFileValidationEnabled": false,
        "TrailARN": arn("payroll"),
    });
    assert_eq!(made, flat);
    let got = fixture.call("GetTrail", json!({"Name": "payroll"})).await;
    let mut described = flat;
    described["HomeRegion"] = "us-east-1".into();
    described["HasCustomEventSelectors"] = false.into();
    described["HasInsightSelectors"] = false.into();
    assert_eq!(got, Ok(json!({"Trail": described})));
    let status = fixture
        .call("GetTrailStatus", json!({"Name": "payroll"}))
        .await
        .expect("it is there");
    assert_eq!(status["IsLogging"], false);
    let selectors = fixture
        .call("GetEventSelectors", json!({"TrailName": "payroll"}))
        .await;
    let default = json!({
        "TrailARN": arn("payroll"),
        "EventSelectors": [{
            "ReadWriteType": "All",
            "IncludeManagementEvents": true,
            "DataResources": [],
            "ExcludeManagementEventSources": [],
        }],
    });
    assert_eq!(selectors, Ok(default));
}

// Proves: TRL-046, TRL-051, TRL-052, TRL-143, TRL-148, SEC-361
#[tokio::test]
async fn everything_that_can_be_set_is_set_and_shown() {
    let fixture = Fixture::new().await;
    let group = format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:CloudTrail/logs:*");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/service/logs");
    let made = fixture
        .call(
            "CreateTrail",
            with(json!({
                "S3KeyPrefix": "a/b/",
                "SnsTopicName": "news",
                "IncludeGlobalServiceEvents": true,
                "IsMultiRegionTrail": true,
                "IsOrganizationTrail": false,
                "EnableLogFileValidation": true,
                "KmsKeyId": "alias/logs",
                "CloudWatchLogsLogGroupArn": group,
                "CloudWatchLogsRoleArn": role,
                "TagsList": [{"Key": "Group", "Value": "Marketing"}],
            })),
        )
        .await;
    let topic = format!("arn:aws:sns:us-east-1:{ACCOUNT}:news");
    let expected = json!({
        "Name": "payroll",
        "S3BucketName": "payroll-logs",
        "S3KeyPrefix": "a/b",
        "SnsTopicName": "news",
        "SnsTopicARN": topic,
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": true,
        "IsOrganizationTrail": false,
        "LogFileValidationEnabled": true,
        "KmsKeyId": format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY_ID}"),
        "CloudWatchLogsLogGroupArn": group,
        "CloudWatchLogsRoleArn": role,
        "TrailARN": arn("payroll"),
    });
    assert_eq!(made, Ok(expected));
    let asked = [
        format!("key arn:aws:kms:us-east-1:{ACCOUNT}:alias/logs"),
        format!("bucket payroll-logs/a/b for {}", arn("payroll")),
        format!("topic {topic}"),
        format!("log group {group}"),
    ];
    assert_eq!(fixture.destinations.take_asked(), asked);
    let tags = fixture
        .call("ListTags", json!({"ResourceIdList": [arn("payroll")]}))
        .await
        .expect("it is there");
    let tags = &tags["ResourceTagList"][0]["TagsList"];
    assert_eq!(*tags, json!([{"Key": "Group", "Value": "Marketing"}]));
}

type Case = (Value, E);

/// Names that buckets cannot have.
const BUCKETS_REFUSED: [&str; 13] = [
    "",
    "ab",
    "Upper",
    "under_score",
    "-dash",
    "dash-",
    "a..b",
    "a.-b",
    "a-.b",
    "192.168.5.4",
    ".ab",
    "b\u{fc}cher",
    "x123456789x123456789x123456789x123456789x123456789x123456789x123",
];

fn rules_of_text() -> Vec<Case> {
    let prefix = |text: &str| (json!({"S3KeyPrefix": text}), E::InvalidS3PrefixException);
    let topic = |text: &str| {
        let members = json!({"SnsTopicName": text});
        (members, E::InvalidSnsTopicNameException)
    };
    let key = |text: &str| (json!({"KmsKeyId": text}), E::InvalidKmsKeyIdException);
    vec![
        prefix(&"x".repeat(201)),
        prefix("a/AWSLogs/b"),
        prefix("AWSLogs"),
        prefix("a\nb"),
        topic("a.b"),
        topic(&"x".repeat(257)),
        topic("arn:aws:sqs:us-east-1:123456789012:a"),
        topic("arn:aws:sns:us-east-1:123456789012:a:b"),
        topic("arn:aws:sns::123456789012:a"),
        key("logs"),
        key("alias/aws/s3"),
    ]
}

fn rules_of_log_groups() -> Vec<Case> {
    let group = format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:logs:*");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/logs");
    let bad_group = |group: String| {
        let members = json!({"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role});
        (members, E::InvalidCloudWatchLogsLogGroupArnException)
    };
    let bad_role = |role: &str| {
        let members = json!({"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role});
        (members, E::InvalidCloudWatchLogsRoleArnException)
    };
    vec![
        (
            json!({"CloudWatchLogsLogGroupArn": group}),
            E::InvalidCloudWatchLogsRoleArnException,
        ),
        (
            json!({"CloudWatchLogsRoleArn": role}),
            E::InvalidCloudWatchLogsLogGroupArnException,
        ),
        bad_role(""),
        bad_role("logs"),
        bad_role("arn:aws:iam::111122223333:role/logs"),
        bad_group(String::new()),
        bad_group(group.replace(ACCOUNT, "111122223333")),
        bad_group(group.replace("us-east-1", "us-west-2")),
        bad_group(group.replace("logs:*", "a b:*")),
        bad_group(group.replace("log-group", "destination")),
    ]
}

fn rules_of_the_rest() -> Vec<Case> {
    vec![
        (
            json!({"IsOrganizationTrail": true}),
            E::OrganizationsNotInUseException,
        ),
        (
            json!({"RecursiveLogging": false}),
            E::UnsupportedOperationException,
        ),
        (
            json!({"IsMultiRegionTrail": true, "IncludeGlobalServiceEvents": false}),
            E::InvalidParameterCombinationException,
        ),
        (
            json!({"Name": arn("payroll")}),
            E::InvalidTrailNameException,
        ),
        (json!({"Name": "ab"}), E::InvalidTrailNameException),
        (
            json!({"TagsList": [{"Key": "a", "Value": "b"}, {"Key": "a"}]}),
            E::InvalidTagParameterException,
        ),
    ]
}

// Proves: TRL-149, TRL-159, TRL-279, TRL-280, REC-171, REC-172, REC-178, REC-206, SEC-357
#[tokio::test]
async fn what_breaks_a_rule_is_refused_before_anything_is_asked() {
    let fixture = Fixture::new().await;
    let mut cases = rules_of_text();
    cases.extend(rules_of_log_groups());
    cases.extend(rules_of_the_rest());
    for name in BUCKETS_REFUSED {
        let members = json!({"S3BucketName": name});
        cases.push((members, E::InvalidS3BucketNameException));
    }
    for (members, code) in cases {
        fixture.refused("CreateTrail", with(members), code).await;
    }
    assert_eq!(fixture.destinations.take_asked(), [] as [String; 0]);
    for name in ["abc", "a.b-c.9", &"x".repeat(63)] {
        let members = json!({"S3BucketName": name});
        let made = fixture.call("CreateTrail", with(members)).await;
        assert!(made.is_ok(), "{name}: {made:?}");
        let deleted = fixture
            .call("DeleteTrail", json!({"Name": "payroll"}))
            .await;
        assert_eq!(deleted, Ok(json!({})));
    }
}

fn problems() -> [(DestinationProblem, E, &'static str); 10] {
    use DestinationProblem as P;
    let bucket = || "b".to_owned();
    let key = || "k".to_owned();
    [
        (
            P::NoSuchBucket { bucket: bucket() },
            E::S3BucketDoesNotExistException,
            "S3 bucket b does not exist!",
        ),
        (
            P::BucketPolicy { bucket: bucket() },
            E::InsufficientS3BucketPolicyException,
            "Incorrect S3 bucket policy is detected for bucket: b",
        ),
        (
            P::KeyPolicy {
                bucket: bucket(),
                key: key(),
            },
            E::InsufficientEncryptionPolicyException,
            "Insufficient permissions to access S3 bucket b or KMS key k.",
        ),
        (
            P::NoSuchKey { key: key() },
            E::KmsKeyNotFoundException,
            "does not exist",
        ),
        (
            P::UnusableKey { key: key() },
            E::KmsException,
            "is disabled",
        ),
        (
            P::Topic,
            E::InsufficientSnsTopicPolicyException,
            "SNS Topic does not exist or the topic policy is incorrect!",
        ),
        (
            P::NoSuchLogGroup,
            E::InvalidCloudWatchLogsLogGroupArnException,
            "CloudTrail cannot validate the specified log group ARN.",
        ),
        (
            P::LogGroupDenied,
            E::InvalidCloudWatchLogsLogGroupArnException,
            "Access denied.",
        ),
        (
            P::RoleDenied,
            E::InvalidCloudWatchLogsRoleArnException,
            "Access denied.",
        ),
        (
            P::LogsUnavailable,
            E::CloudWatchLogsDeliveryUnavailableException,
            "Cannot set",
        ),
    ]
}

// Proves: TRL-049, TRL-150, SEC-323
#[tokio::test]
async fn a_destination_that_cannot_be_used_is_refused_in_awss_words() {
    use DestinationProblem as P;
    let fixture = Fixture::new().await;
    let input = with(json!({
        "KmsKeyId": KEY_ID,
        "SnsTopicName": "news",
        "CloudWatchLogsLogGroupArn": format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:l:*"),
        "CloudWatchLogsRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/logs"),
    }));
    for (problem, code, message) in problems() {
        let is_denied = matches!(problem, P::LogGroupDenied | P::RoleDenied);
        fixture.destinations.refuse(problem);
        let said = fixture.refused("CreateTrail", input.clone(), code).await;
        assert!(said.contains(message), "{said}");
        // Terraform tries again while it reads this.
        assert_eq!(said.contains("Access denied."), is_denied, "{said}");
    }
    let listed = fixture.call("ListTrails", json!({})).await;
    assert_eq!(listed, Ok(json!({"Trails": []})));
}

#[tokio::test]
async fn a_destination_that_does_not_answer_holds_up_no_other_change() {
    let fixture = Fixture::new().await;
    *fixture.destinations.silent.lock().expect("not poisoned") = true;
    let silent = fixture.call("CreateTrail", with(json!({})));
    let meanwhile = async {
        while fixture.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        // Another change goes through while the bucket is waited for.
        let begun = fixture.server.world.catalog.begin().await;
        begun.expect("begins").commit().await.expect("commits");
        fixture.clock.advance(std::time::Duration::from_secs(10));
    };
    let (answer, ()) = tokio::join!(silent, meanwhile);
    assert_eq!(
        answer.expect_err("it took too long").code,
        E::ServiceUnavailable
    );
}

#[tokio::test]
async fn a_name_is_taken_where_its_trail_is_there() {
    let fixture = Fixture::new().await;
    fixture.create_everywhere("payroll").await;
    for region in ["us-east-1", "eu-west-1"] {
        let said = fixture
            .refused_in(
                region,
                "CreateTrail",
                with(json!({})),
                E::TrailAlreadyExistsException,
            )
            .await;
        assert_eq!(
            said,
            format!("Trail payroll already exists for customer: {ACCOUNT}")
        );
    }
    let narrowed = json!({"Name": "payroll", "IsMultiRegionTrail": false});
    let narrowed = fixture.call("UpdateTrail", narrowed).await;
    assert!(narrowed.is_ok(), "{narrowed:?}");
    let made = fixture
        .call_in("eu-west-1", "CreateTrail", with(json!({})))
        .await
        .expect("the name is free there");
    assert_eq!(made["TrailARN"], arn_in("eu-west-1", "payroll"));
}

// Proves: TRL-018
#[tokio::test]
async fn a_region_has_five_trails_at_most_and_those_of_every_region_count_in_each() {
    let fixture = Fixture::new().await;
    let plain = |name: &str| json!({"Name": name, "S3BucketName": "a-bucket"});
    fixture.create_everywhere("everywhere").await;
    for name in ["one", "two", "three", "four"] {
        let made = fixture
            .call_in("eu-west-1", "CreateTrail", plain(name))
            .await;
        assert!(made.is_ok(), "{name}: {made:?}");
    }
    let said = fixture
        .refused_in(
            "eu-west-1",
            "CreateTrail",
            plain("five"),
            E::MaximumNumberOfTrailsExceededException,
        )
        .await;
    assert_eq!(
        said,
        format!("User: {ACCOUNT} already has 5 trails in eu-west-1.")
    );
    // There is room in us-east-1, but not for one that would be in eu-west-1 as well.
    fixture.create("local").await;
    let mut everywhere = plain("everywhere-too");
    everywhere["IsMultiRegionTrail"] = true.into();
    let code = E::MaximumNumberOfTrailsExceededException;
    fixture.refused("CreateTrail", everywhere, code).await;
    // UpdateTrail's model has no exception for the quota but this one.
    let wider = json!({"Name": "local", "IsMultiRegionTrail": true});
    let refused = fixture.call("UpdateTrail", wider.clone()).await;
    let error = refused.expect_err("eu-west-1 is full");
    assert_eq!(error.code, E::MaximumNumberOfTrailsExceededException);
    let deleted = fixture.call_in("eu-west-1", "DeleteTrail", json!({"Name": "one"}));
    assert_eq!(deleted.await, Ok(json!({})));
    let updated = fixture.call("UpdateTrail", wider).await;
    assert!(updated.is_ok(), "{updated:?}");
}

// Proves: TRL-018, R21
#[tokio::test]
async fn the_quota_holds_when_many_come_at_once() {
    let fixture = Fixture::new().await;
    let calls = (0..16).map(|n| {
        let input = json!({"Name": format!("trail-{n}"), "S3BucketName": "a-bucket"});
        fixture.call("CreateTrail", input)
    });
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 5, "{answers:?}");
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.code, E::MaximumNumberOfTrailsExceededException);
    }
    // All of them had passed the first look: the last word is the transaction's.
    assert_eq!(fixture.destinations.take_asked().len(), 16);
}
