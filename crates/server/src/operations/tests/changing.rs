//! UpdateTrail, StartLogging, StopLogging, DeleteTrail and both kinds of selectors.

use cairn_api::ErrorCode as E;
use serde_json::json;

use super::*;

/// What is given, what the answer then shows (null: no longer), and what is asked.
fn updates() -> [(Value, Value, &'static [&'static str]); 10] {
    let group = format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:logs:*");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/logs");
    let topic = "arn:aws:sns:eu-west-1:111122223333:news";
    [
        (
            json!({"S3BucketName": "another", "S3KeyPrefix": "pre"}),
            json!({"S3BucketName": "another", "S3KeyPrefix": "pre"}),
            &["bucket"],
        ),
        (
            json!({"IsMultiRegionTrail": true}),
            json!({"IsMultiRegionTrail": true}),
            &[],
        ),
        (
            json!({"EnableLogFileValidation": true}),
            json!({"LogFileValidationEnabled": true}),
            &[],
        ),
        (
            json!({"SnsTopicName": topic}),
            json!({"SnsTopicName": topic, "SnsTopicARN": topic}),
            &["topic"],
        ),
        (
            json!({"KmsKeyId": format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/logs")}),
            json!({"KmsKeyId": format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY_ID}")}),
            &["key", "bucket"],
        ),
        (
            json!({"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role}),
            json!({"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role}),
            &["log"],
        ),
        (
            json!({"KmsKeyId": ""}),
            json!({"KmsKeyId": null}),
            &["bucket"],
        ),
        (
            json!({"SnsTopicName": "", "S3KeyPrefix": ""}),
            json!({"SnsTopicName": null, "SnsTopicARN": null, "S3KeyPrefix": null}),
            &["bucket"],
        ),
        (
            json!({"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""}),
            json!({"CloudWatchLogsLogGroupArn": null, "CloudWatchLogsRoleArn": null}),
            &[],
        ),
        (
            json!({"IsMultiRegionTrail": false, "IncludeGlobalServiceEvents": false}),
            json!({"IsMultiRegionTrail": false, "IncludeGlobalServiceEvents": false}),
            &[],
        ),
    ]
}

// Proves: TRL-010, TRL-039, TRL-053, TRL-054, TRL-060, REC-176, SEC-366
#[tokio::test]
async fn an_update_changes_what_is_given_and_asks_for_nothing_else() {
    let fixture = Fixture::new().await;
    let mut expected = fixture.create("payroll").await;
    fixture.destinations.take_asked();
    for (given, shown, asked) in updates() {
        let mut input = given.clone();
        input["Name"] = arn("payroll").into();
        let updated = fixture.call("UpdateTrail", input).await.expect("updates");
        let all = expected.as_object_mut().expect("an object");
        for (name, value) in shown.as_object().expect("an object") {
            if value.is_null() {
                all.remove(name);
            } else {
                all.insert(name.clone(), value.clone());
            }
        }
        assert_eq!(updated, expected, "{given}");
        let words: Vec<String> = fixture.destinations.take_asked();
        let words: Vec<&str> = words
            .iter()
            .filter_map(|one| one.split(' ').next())
            .collect();
        assert_eq!(words, asked, "{given}");
    }
    assert_eq!(fixture.version("payroll").await, 11);
}

// Proves: TRL-055
#[tokio::test]
async fn a_refused_update_changes_nothing() {
    let fixture = Fixture::new().await;
    let made = fixture.create("payroll").await;
    let no_bucket = DestinationProblem::NoSuchBucket {
        bucket: "gone".to_owned(),
    };
    fixture.destinations.refuse(no_bucket);
    for (input, code) in [
        (
            json!({"S3BucketName": "gone"}),
            E::S3BucketDoesNotExistException,
        ),
        (
            json!({"S3BucketName": "UPPER"}),
            E::InvalidS3BucketNameException,
        ),
        (
            json!({"IsOrganizationTrail": true}),
            E::OrganizationsNotInUseException,
        ),
        (
            json!({"IsMultiRegionTrail": true, "IncludeGlobalServiceEvents": false}),
            E::InvalidParameterCombinationException,
        ),
    ] {
        let mut input = input;
        input["Name"] = "payroll".into();
        fixture.refused("UpdateTrail", input, code).await;
    }
    let unchanged = json!({"Name": "payroll"});
    assert_eq!(fixture.call("UpdateTrail", unchanged).await, Ok(made));
}

// Proves: R21
#[tokio::test]
async fn an_update_whose_trail_changed_while_its_bucket_was_asked_is_refused() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let input = json!({"Name": "payroll", "S3KeyPrefix": "new"});
    let operation = find(Service::CloudTrail, "UpdateTrail").expect("it is in the table");
    let region = "us-east-1".parse().expect("a Region");
    let mut request = Request {
        caller: &fixture.caller,
        region: &region,
        input: &input,
        preparation: None,
    };
    let operations = &fixture.server.operations;
    let preparation = operations.prepare(operation, request).await.expect("asks");
    request.preparation = preparation.as_ref();
    // The prefix was asked for in the old bucket.
    let other = json!({"Name": "payroll", "S3BucketName": "another"});
    fixture.call("UpdateTrail", other).await.expect("updates");
    let begun = fixture.server.world.catalog.begin().await;
    let mut transaction = begun.expect("begins");
    let work = Work::Change(&mut transaction);
    let refused = operations.run(operation, request, work).await;
    assert_eq!(refused.expect_err("it is late").code, E::ConflictException);
}

// Proves: TRL-061, TRL-062, TRL-065, TRL-075, TRL-076, TRL-077
#[tokio::test]
async fn logging_starts_stops_and_ends_with_its_trail() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let name = || json!({"Name": "payroll"});
    let times = async || {
        let status = fixture
            .call("GetTrailStatus", name())
            .await
            .expect("is there");
        let get = |member: &str| status.get(member).cloned().unwrap_or(Value::Null);
        assert_eq!(status["LatestDeliveryAttemptTime"], "");
        (
            get("IsLogging"),
            get("TimeLoggingStarted"),
            get("TimeLoggingStopped"),
            get("StartLoggingTime"),
            get("StopLoggingTime"),
        )
    };
    let nothing = || Value::Null;
    // Stopping what never started is no change.
    assert_eq!(fixture.call("StopLogging", name()).await, Ok(json!({})));
    let never = (json!(false), json!(""), json!(""), nothing(), nothing());
    assert_eq!(times().await, never);
    fixture.clock.advance(std::time::Duration::from_millis(250));
    assert_eq!(fixture.call("StartLogging", name()).await, Ok(json!({})));
    let started = (
        json!(true),
        json!("2023-11-14T22:13:20Z"),
        json!(""),
        json!(1_700_000_000.25),
        nothing(),
    );
    assert_eq!(times().await, started);
    fixture.clock.advance(std::time::Duration::from_mins(1));
    assert_eq!(fixture.call("StartLogging", name()).await, Ok(json!({})));
    assert_eq!(times().await, started, "it logs already");
    assert_eq!(fixture.version("payroll").await, 2);
    let by_arn = json!({"Name": arn("payroll")});
    assert_eq!(fixture.call("StopLogging", by_arn).await, Ok(json!({})));
    let stopped = (
        json!(false),
        json!("2023-11-14T22:13:20Z"),
        json!("2023-11-14T22:14:20Z"),
        json!(1_700_000_000.25),
        json!(1_700_000_060.25),
    );
    assert_eq!(times().await, stopped);
    assert_eq!(fixture.call("DeleteTrail", name()).await, Ok(json!({})));
    for operation in [
        "DeleteTrail",
        "StartLogging",
        "StopLogging",
        "GetTrailStatus",
    ] {
        let said = fixture
            .refused(operation, name(), E::TrailNotFoundException)
            .await;
        let expected = format!("Unknown trail: {} for the user: {ACCOUNT}", arn("payroll"));
        assert_eq!(said, expected);
    }
}

// Proves: TRL-026, TRL-027, TRL-028, TRL-029, TRL-030
#[tokio::test]
async fn changes_are_made_in_the_home_region_alone() {
    let fixture = Fixture::new().await;
    fixture.create_everywhere("everywhere").await;
    fixture.create("local").await;
    let management = json!([{
        "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}],
    }]);
    let calls = |reference: &str| {
        [
            ("UpdateTrail", json!({"Name": reference})),
            ("StartLogging", json!({"Name": reference})),
            ("StopLogging", json!({"Name": reference})),
            ("DeleteTrail", json!({"Name": reference})),
            (
                "PutEventSelectors",
                json!({"TrailName": reference, "AdvancedEventSelectors": management}),
            ),
            (
                "PutInsightSelectors",
                json!({"TrailName": reference, "InsightSelectors": []}),
            ),
        ]
    };
    let (everywhere, local) = (arn("everywhere"), arn("local"));
    for (reference, code) in [
        (everywhere.as_str(), E::InvalidHomeRegionException),
        ("everywhere", E::InvalidHomeRegionException),
        (local.as_str(), E::InvalidHomeRegionException),
        ("local", E::TrailNotFoundException),
        (
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/local",
            E::TrailNotFoundException,
        ),
        (
            "arn:aws:cloudtrail:us-east-1:123456789012:channel/local",
            E::CloudTrailARNInvalidException,
        ),
        ("arn:aws:s3:::local", E::CloudTrailARNInvalidException),
        ("no", E::InvalidTrailNameException),
    ] {
        for (operation, input) in calls(reference) {
            fixture
                .refused_in("eu-west-1", operation, input, code)
                .await;
        }
    }
}

// Proves: TRL-085, TRL-086, TRL-087, TRL-088, TRL-122, SEL-063, SEL-074, SEL-075
#[tokio::test]
async fn each_kind_of_selectors_replaces_the_other() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let put = async |members: Value| {
        let mut input = members;
        input["TrailName"] = "payroll".into();
        let put = fixture
            .call("PutEventSelectors", input)
            .await
            .expect("puts");
        let got = json!({"TrailName": arn("payroll")});
        let got = fixture.call("GetEventSelectors", got).await;
        assert_eq!(got, Ok(put.clone()));
        let trail = fixture.call("GetTrail", json!({"Name": "payroll"})).await;
        let is_custom = trail.expect("is there")["Trail"]["HasCustomEventSelectors"].clone();
        (put, is_custom)
    };
    let advanced = json!([{
        "Name": "All but one",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
            {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]},
        ],
    }]);
    let (answer, is_custom) = put(json!({"AdvancedEventSelectors": advanced})).await;
    let expected = json!({"TrailARN": arn("payroll"), "AdvancedEventSelectors": advanced});
    assert_eq!((answer, is_custom), (expected, json!(true)));
    let basic = json!([{"ReadWriteType": "WriteOnly"}]);
    let both = json!({"EventSelectors": basic, "AdvancedEventSelectors": []});
    let (answer, is_custom) = put(both).await;
    let whole = json!([{
        "ReadWriteType": "WriteOnly",
        "IncludeManagementEvents": true,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }]);
    let expected = json!({"TrailARN": arn("payroll"), "EventSelectors": whole});
    assert_eq!((answer, is_custom), (expected, json!(true)));
    // TRL-069: the default, put back by hand, is not custom.
    let (_, is_custom) = put(json!({"EventSelectors": [{"ReadWriteType": "All"}]})).await;
    assert_eq!(is_custom, json!(false));
    let refused = [
        json!({}),
        json!({"EventSelectors": [], "AdvancedEventSelectors": []}),
        json!({"EventSelectors": basic, "AdvancedEventSelectors": advanced}),
        json!({"EventSelectors": [
            {"IncludeManagementEvents": false}
        ]}),
        json!({"EventSelectors": vec![json!({"ReadWriteType": "All"}); 6]}),
        json!({"EventSelectors": [{"DataResources": [{"Values": ["arn:aws:s3"]}]}]}),
        json!({"AdvancedEventSelectors": [
            {"FieldSelectors": [{"Field": "eventName", "Equals": ["a"]}]}
        ]}),
    ];
    for members in refused {
        let mut input = members;
        input["TrailName"] = "payroll".into();
        fixture
            .refused(
                "PutEventSelectors",
                input,
                E::InvalidEventSelectorsException,
            )
            .await;
    }
    assert_eq!(fixture.version("payroll").await, 4);
}

// Proves: TRL-124, TRL-125, TRL-126, TRL-127, TRL-128, TRL-129, OVR-230, OVR-233, SEL-050, SEL-051
#[tokio::test]
async fn insights_need_what_the_trail_logs() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let named = || json!({"TrailName": "payroll"});
    let off = format!(
        "Trail {} does not have Insights enabled. Edit the trail settings to enable Insights, \
         and then try the operation again.",
        arn("payroll")
    );
    let said = fixture
        .refused(
            "GetInsightSelectors",
            named(),
            E::InsightNotEnabledException,
        )
        .await;
    assert_eq!(said, off);
    let put = |selectors: Value| json!({"TrailName": "payroll", "InsightSelectors": selectors});
    let both = json!([
        {"InsightType": "ApiErrorRateInsight", "EventCategories": ["Management"]},
        {"InsightType": "ApiCallRateInsight"},
    ]);
    let expected = json!({"TrailARN": arn("payroll"), "InsightSelectors": both});
    let answer = fixture.call("PutInsightSelectors", put(both.clone())).await;
    assert_eq!(answer, Ok(expected.clone()));
    let got = fixture.call("GetInsightSelectors", named()).await;
    assert_eq!(got, Ok(expected));
    let trail = fixture.call("GetTrail", json!({"Name": "payroll"})).await;
    assert_eq!(
        trail.expect("is there")["Trail"]["HasInsightSelectors"],
        true
    );
    let code = E::InvalidInsightSelectorsException;
    for selectors in [
        json!([{}]),
        json!([{"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiCallRateInsight"}]),
        json!([{"InsightType": "ApiErrorRateInsight", "EventCategories": ["Data"]}]),
    ] {
        fixture
            .refused("PutInsightSelectors", put(selectors), code)
            .await;
    }
    // Reads alone are enough for errors, not for calls.
    let reads = json!({
        "TrailName": "payroll",
        "EventSelectors": [{"ReadWriteType": "ReadOnly"}],
    });
    fixture
        .call("PutEventSelectors", reads)
        .await
        .expect("puts");
    let calls = put(json!([{"InsightType": "ApiCallRateInsight"}]));
    fixture.refused("PutInsightSelectors", calls, code).await;
    let errors = put(json!([{"InsightType": "ApiErrorRateInsight"}]));
    let answer = fixture.call("PutInsightSelectors", errors).await;
    assert!(answer.is_ok(), "{answer:?}");
    let none = fixture.call("PutInsightSelectors", put(json!([]))).await;
    let expected = json!({"TrailARN": arn("payroll"), "InsightSelectors": []});
    assert_eq!(none, Ok(expected));
    fixture
        .refused(
            "GetInsightSelectors",
            named(),
            E::InsightNotEnabledException,
        )
        .await;
}

#[tokio::test]
async fn insight_selectors_are_those_of_a_trail() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let combination = E::InvalidParameterCombinationException;
    let store = "11112222-3333-4444-5555-666677778888";
    for (members, code) in [
        (json!({}), combination),
        (
            json!({"TrailName": "payroll", "EventDataStore": store}),
            combination,
        ),
        (
            json!({"EventDataStore": store}),
            E::UnsupportedOperationException,
        ),
    ] {
        fixture
            .refused("GetInsightSelectors", members.clone(), code)
            .await;
        let mut members = members;
        members["InsightSelectors"] = json!([]);
        fixture.refused("PutInsightSelectors", members, code).await;
    }
}
