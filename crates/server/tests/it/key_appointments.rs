//! What becomes of KMS keys when their time has come.

use std::time::Duration;

use cairn_platform::{Clock, ManualClock};
use cairn_testkit::TestAppBuilder;
use serde_json::json;

use crate::keys::{base64, does, event, new_key, refused, state};

const DAY: Duration = Duration::from_hours(24);

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
    for _ in 0..5 {
        let sleepers = clock.sleepers();
        clock.advance(Duration::from_mins(1));
        app.eventually("the loop has looked", async || clock.sleepers() >= sleepers)
            .await;
    }
    assert_eq!(state(&admin, &key).await, "PendingDeletion");
    app.eventually("the key is deleted", async || {
        clock.advance(DAY / 2);
        let answer = admin.kms("DescribeKey", &json!({"KeyId": key})).await;
        answer.status == 400 && answer.error() == "NotFoundException"
    })
    .await;
    let gone = refused(&admin, "DescribeKey", json!({"KeyId": "alias/gone"})).await;
    assert_eq!(gone.0, "NotFoundException");
    assert_eq!(state(&admin, &kept).await, "Disabled");
    let event = event(&app, "DeleteKey", 1).await;
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
    let event = event(&app, "RotateKey", 1).await;
    assert_eq!(
        event["serviceEventDetails"]["keyId"],
        key.rsplit('/').next().expect("an ID")
    );
    does(&admin, "DisableKeyRotation", this()).await;
    let status = does(&admin, "GetKeyRotationStatus", this()).await;
    assert_eq!(status["KeyRotationEnabled"], false);
}
