//! AddTags, RemoveTags, ListTags.

use cairn_api::ErrorCode as E;
use serde_json::json;

use super::*;

async fn tags(fixture: &Fixture) -> Value {
    let input = json!({"ResourceIdList": [arn("payroll")]});
    let mut answer = fixture.call("ListTags", input).await.expect("is there");
    answer["ResourceTagList"][0]["TagsList"].take()
}

// Proves: TRL-013, TRL-019, TRL-058, TRL-082, TRL-083, TRL-084
#[tokio::test]
async fn tags_are_put_replaced_listed_and_taken_away() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    fixture.create("other").await;
    let put = |tags: Value| json!({"ResourceId": arn("payroll"), "TagsList": tags});
    let first = put(json!([{"Key": "b", "Value": "1"}, {"Key": "a"}, {"Key": "A", "Value": "2"}]));
    assert_eq!(fixture.call("AddTags", first).await, Ok(json!({})));
    let second = put(json!([{"Key": "b", "Value": "3"}]));
    assert_eq!(fixture.call("AddTags", second).await, Ok(json!({})));
    let expected = json!([{"Key": "A", "Value": "2"}, {"Key": "a"}, {"Key": "b", "Value": "3"}]);
    assert_eq!(tags(&fixture).await, expected);
    let both = json!({"ResourceIdList": [arn("other"), arn("payroll")]});
    let listed = fixture.call("ListTags", both).await;
    let both = json!({"ResourceTagList": [
        {"ResourceId": arn("other"), "TagsList": []},
        {"ResourceId": arn("payroll"), "TagsList": expected},
    ]});
    assert_eq!(listed, Ok(both));
    let gone = put(json!([{"Key": "a"}, {"Key": "b", "Value": "not its value"}, {"Key": "no"}]));
    assert_eq!(fixture.call("RemoveTags", gone).await, Ok(json!({})));
    assert_eq!(tags(&fixture).await, json!([{"Key": "A", "Value": "2"}]));
    let many: Vec<Value> = (0..50)
        .map(|n| json!({"Key": format!("k{n}"), "Value": "v"}))
        .collect();
    let message = fixture
        .refused("AddTags", put(json!(many)), E::TagsLimitExceededException)
        .await;
    assert!(message.contains("the limit is 50"), "{message}");
    assert_eq!(tags(&fixture).await, json!([{"Key": "A", "Value": "2"}]));
    let code = E::InvalidTagParameterException;
    for refused in [
        json!([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]),
        json!([{"Key": "AWS:own", "Value": "1"}]),
        json!([{"Key": "a*", "Value": "1"}]),
        json!([{"Key": "a", "Value": ""}]),
        json!([{"Key": "x".repeat(129), "Value": "1"}]),
    ] {
        fixture.refused("AddTags", put(refused), code).await;
    }
}

// Proves: TRL-029
#[tokio::test]
async fn tags_are_those_of_trails_whose_home_is_here() {
    let fixture = Fixture::new().await;
    fixture.create_everywhere("payroll").await;
    let of = |kind: &str| format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:{kind}/x");
    for (resource, region, code) in [
        (arn("payroll"), "eu-west-1", E::ResourceNotFoundException),
        (arn("missing"), "us-east-1", E::ResourceNotFoundException),
        (
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/payroll".to_owned(),
            "us-east-1",
            E::ResourceNotFoundException,
        ),
        (
            of("eventdatastore"),
            "us-east-1",
            E::EventDataStoreNotFoundException,
        ),
        (of("channel"), "us-east-1", E::ResourceNotFoundException),
        (of("dashboard"), "us-east-1", E::ResourceNotFoundException),
        (
            of("query"),
            "us-east-1",
            E::ResourceTypeNotSupportedException,
        ),
        (
            "payroll".to_owned(),
            "us-east-1",
            E::CloudTrailARNInvalidException,
        ),
        (
            "arn:aws:s3:::payroll".to_owned(),
            "us-east-1",
            E::CloudTrailARNInvalidException,
        ),
    ] {
        let one = json!({"ResourceId": resource, "TagsList": [{"Key": "a", "Value": "b"}]});
        for operation in ["AddTags", "RemoveTags"] {
            fixture
                .refused_in(region, operation, one.clone(), code)
                .await;
        }
        let list = json!({"ResourceIdList": [resource]});
        fixture.refused_in(region, "ListTags", list, code).await;
    }
    let many = json!({"ResourceIdList": vec![arn("payroll"); 21]});
    fixture
        .refused("ListTags", many, E::ValidationException)
        .await;
    let token = json!({"ResourceIdList": [arn("payroll")], "NextToken": "x"});
    fixture
        .refused("ListTags", token, E::InvalidTokenException)
        .await;
}

#[tokio::test]
async fn a_new_trail_under_an_old_name_has_none_of_its_tags() {
    let fixture = Fixture::new().await;
    fixture.create("payroll").await;
    let put = json!({"ResourceId": arn("payroll"), "TagsList": [{"Key": "a", "Value": "b"}]});
    fixture.call("AddTags", put).await.expect("puts");
    let deleted = fixture
        .call("DeleteTrail", json!({"Name": "payroll"}))
        .await;
    assert_eq!(deleted, Ok(json!({})));
    fixture.create("payroll").await;
    assert_eq!(tags(&fixture).await, json!([]));
}
