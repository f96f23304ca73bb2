//! What becomes of KMS keys when their time has come.

use std::time::Duration;

use cairn_platform::{Clock, ManualClock};
use cairn_testkit::{TestApp, TestAppBuilder};
use serde_json::{Value, json};

use crate::keys::{base64, does, new_key, refused, state};

const DAY: Duration = Duration::from_hours(24);

/// The one event of that name. Days go by in a moment here, so a lookup may lose what it reads and come again.
async fn told(app: &TestApp, name: &str) -> Value {
    let client = app.client();
    let mut found = Vec::new();
    app.eventually(name, async || {
        let answer = client.lookup(("EventName", name)).await;
        if answer.status == 200 {
            let text = |event: &Value| event["CloudTrailEvent"].as_str().map(str::to_owned);
            let events = answer.json()["Events"].clone();
            found = events
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(text)
                .collect();
        }
        !found.is_empty()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    serde_json::from_str(&found[0]).expect("records are JSON")
}

// Proves: S8, R21
#[tokio::test]
async fn a_key_is_deleted_when_its_time_has_come_by_both_clocks() {
    let clock = ManualClock::at(1_780_272_000_000);
    let app = TestAppBuilder::default().at(clock.clone()).start().await;
    let admin = app.client();
    let (key, kept) = (new_key(&admin).await, new_key(&admin).await);
    let alias = json!({"AliasName": "alias/gone", "TargetKeyId": key});
    does(&admin, "CreateAlias", alias).await;
    for key in [&key, &kept] {
        let schedule = json!({"KeyId": key, "PendingWindowInDays": 7});
        does(&admin, "ScheduleKeyDeletion", schedule).await;
    }
    does(&admin, "CancelKeyDeletion", json!({"KeyId": kept})).await;
    // A clock that jumps is not believed at once: nothing is lost by it.
    clock.jump_to(clock.now_ms() + 30 * 24 * 3_600_000);
    for _ in 0..60 {
        clock.advance(Duration::from_mins(1));
        assert_eq!(state(&admin, &key).await, "PendingDeletion");
    }
    app.eventually("the key is deleted", async || {
        clock.advance(DAY / 2);
        let answer = admin.kms("DescribeKey", &json!({"KeyId": key})).await;
        answer.status == 400 && answer.error() == "NotFoundException"
    })
    .await;
    let gone = refused(&admin, "DescribeKey", json!({"KeyId": "alias/gone"})).await;
    assert_eq!(gone.0, "NotFoundException");
    assert_eq!(state(&admin, &kept).await, "Disabled");
    let event = told(&app, "DeleteKey").await;
    assert_eq!(event["eventType"], "AwsServiceEvent");
    assert_eq!(event["userIdentity"]["invokedBy"], "AWS Internal");
    assert_eq!(event["resources"][0]["ARN"], key.as_str());
}

#[tokio::test]
async fn new_material_encrypts_and_old_material_goes_on_to_decrypt() {
    let clock = ManualClock::at(1_780_272_000_000);
    let app = TestAppBuilder::default().at(clock.clone()).start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let this = || json!({"KeyId": key});
    let encrypt = json!({"KeyId": key, "Plaintext": base64(b"old")});
    let old = does(&admin, "Encrypt", encrypt).await["CiphertextBlob"].clone();
    let status = does(&admin, "GetKeyRotationStatus", this()).await;
    assert_eq!(status["KeyRotationEnabled"], false);
    let period = json!({"KeyId": key, "RotationPeriodInDays": 90});
    does(&admin, "EnableKeyRotation", period).await;
    let status = does(&admin, "GetKeyRotationStatus", this()).await;
    assert_eq!(status["RotationPeriodInDays"], 90);
    does(&admin, "RotateKeyOnDemand", this()).await;
    app.eventually("the calendar rotates the key", async || {
        clock.advance(DAY);
        let rotations = does(&admin, "ListKeyRotations", this()).await;
        rotations["Rotations"].as_array().expect("a list").len() == 2
    })
    .await;
    let rotations = does(&admin, "ListKeyRotations", this()).await["Rotations"].clone();
    assert_eq!(rotations[0]["RotationType"], "ON_DEMAND");
    assert_eq!(rotations[1]["RotationType"], "AUTOMATIC");
    let opened = does(&admin, "Decrypt", json!({"CiphertextBlob": old})).await;
    assert_eq!(opened["Plaintext"], base64(b"old").as_str());
    does(&admin, "DisableKeyRotation", this()).await;
    let status = does(&admin, "GetKeyRotationStatus", this()).await;
    assert_eq!(status["KeyRotationEnabled"], false);
}

// Proves: S8
#[tokio::test]
async fn a_clock_that_is_put_right_shortens_no_key_s_last_days() {
    let clock = ManualClock::at(1_780_272_000_000);
    let app = TestAppBuilder::default().at(clock.clone()).start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let right_ms = clock.now_ms();
    clock.jump_to(right_ms - 60 * 24 * 3_600_000);
    let schedule = json!({"KeyId": key, "PendingWindowInDays": 7});
    does(&admin, "ScheduleKeyDeletion", schedule).await;
    clock.jump_to(right_ms);
    app.eventually("the key is deleted", async || {
        clock.advance(DAY / 2);
        let answer = admin.kms("DescribeKey", &json!({"KeyId": key})).await;
        answer.status == 400 && answer.error() == "NotFoundException"
    })
    .await;
    let waited_ms = clock.now_ms() - right_ms;
    assert!(waited_ms >= 7 * 24 * 3_600_000, "after {waited_ms} ms only");
}
