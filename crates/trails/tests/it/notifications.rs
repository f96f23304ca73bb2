//! What topics are told, and when they are not.

use std::time::Duration;

use cairn_model::{SnsTopic, Trail};
use cairn_platform::{S3Failure, ServiceFailure};
use serde_json::Value;

use crate::stage::{BUCKET, START_MS, Stage, next, trail, validated};

const DAY: Duration = Duration::from_hours(24);
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:told";
pub(crate) const OTHER: &str = "arn:aws:sns:eu-west-1:444455556666:other";

pub(crate) fn telling(name: &str, topic_arn: &str) -> Trail {
    let mut trail = trail(name);
    trail.settings.sns_topic = Some(topic(topic_arn));
    trail
}

pub(crate) fn topic(arn: &str) -> SnsTopic {
    SnsTopic {
        given: arn.to_owned(),
        arn: arn.to_owned(),
    }
}

pub(crate) fn denied() -> ServiceFailure {
    ServiceFailure::new("AuthorizationError", "scripted")
}

impl Stage {
    pub(crate) async fn deliver_and_tell(&self) {
        self.deliver().await;
        self.trails.tell_now().await;
    }

    /// Bucket and keys of each message of a topic.
    pub(crate) fn told_of(&self, topic_arn: &str) -> Vec<(String, Vec<String>)> {
        let messages = self.told.topics.messages();
        let of_topic = messages.iter().filter(|one| one.topic_arn == topic_arn);
        let read = of_topic.map(|one| {
            let message: Value = serde_json::from_str(&one.message).expect("JSON");
            assert_eq!(message.as_object().map(serde_json::Map::len), Some(2));
            let keys = message["s3ObjectKey"].as_array().expect("a list").iter();
            let keys = keys.map(|key| key.as_str().expect("a key").to_owned());
            let bucket = message["s3Bucket"].as_str().expect("a bucket").to_owned();
            (bucket, keys.collect())
        });
        read.collect()
    }

    pub(crate) fn keys_told(&self, topic_arn: &str) -> Vec<String> {
        let told = self.told_of(topic_arn).into_iter();
        let mut keys: Vec<String> = told.flat_map(|(_, keys)| keys).collect();
        keys.sort_unstable();
        keys
    }
}

// Proves: TRL-147, TRL-153, TRL-156
#[tokio::test]
async fn a_topic_is_told_of_each_delivered_log_file_and_of_nothing_else() {
    let mut stage = Stage::new().await;
    let mut made = telling("all", TOPIC);
    made.settings.is_multi_region = true;
    made.settings.validates_log_files = true;
    stage.create(&made).await;
    stage.create(&trail("untold")).await;
    stage.event("us-east-1", "A").await;
    stage.event("eu-west-1", "B").await;
    stage.deliver_and_tell().await;
    stage.pass(Duration::from_hours(1)).await;
    stage.trails.tell_now().await;
    let digests = stage.keys(BUCKET, "CloudTrail-Digest");
    assert!(!digests.is_empty(), "digests are delivered, and not told");
    let mut keys = stage.keys(BUCKET, "/CloudTrail/");
    assert_eq!(keys.len(), 3, "two of one trail, one of the other");
    // The trail without a topic has a file of us-east-1 alone; which one it is, only its topic could tell.
    let told = stage.keys_told(TOPIC);
    assert_eq!(told.len(), 2);
    keys.retain(|key| told.contains(key));
    assert_eq!(keys, told);
    assert!(
        stage
            .told_of(TOPIC)
            .iter()
            .all(|(bucket, _)| bucket == BUCKET)
    );
    let arns = stage.told.topics.messages();
    assert!(arns.iter().all(|one| one.trail_arn == made.arn()));
    let status = stage.status(&made).await;
    assert_eq!(status.notification_ms, Some(START_MS));
    assert_eq!(status.notification_attempt_ms, Some(START_MS));
    assert_eq!(status.notification_error, None);
    assert_eq!(stage.trails.outlet_counts().notified_files, 2);
}

// Proves: TRL-147, R15, S6
#[tokio::test]
async fn what_a_bucket_does_not_have_is_not_told() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver_and_tell().await;
    assert!(stage.told.topics.messages().is_empty());
    stage.puts.create_bucket(BUCKET);
    stage.clock.advance(Duration::from_mins(6));
    stage.deliver_and_tell().await;
    assert_eq!(stage.keys_told(TOPIC), stage.keys(BUCKET, "/CloudTrail/"));
}

// Proves: TRL-078, TRL-081, SEC-252, TRL-154, R15, S6
#[tokio::test]
async fn a_topic_that_refuses_holds_up_nothing_and_is_told_of_everything_later() {
    let mut stage = Stage::new().await;
    let (broken, sound) = (telling("broken", TOPIC), telling("sound", OTHER));
    stage.create(&broken).await;
    stage.create(&sound).await;
    stage.told.topics.break_topic(TOPIC, denied());
    for _ in 0..3 {
        stage.event("us-east-1", "A").await;
        stage.deliver_and_tell().await;
        stage.clock.advance(Duration::from_mins(6));
    }
    assert_eq!(
        stage.keys(BUCKET, "/CloudTrail/").len(),
        6,
        "buckets have all"
    );
    assert_eq!(
        stage.keys_told(OTHER).len(),
        3,
        "and the other topic is told"
    );
    assert!(stage.keys_told(TOPIC).is_empty());
    let status = stage.status(&broken).await;
    assert_eq!(
        status.notification_error.as_deref(),
        Some("AuthorizationError")
    );
    assert!(status.notification_attempt_ms.is_some() && status.notification_ms.is_none());
    assert!(status.delivery_error.is_none() && status.delivery_ms.is_some());
    assert_eq!(stage.status(&sound).await.notification_error, None);
    stage.told.topics.mend_topic(TOPIC);
    stage.trails.tell_now().await;
    let told = stage.told_of(TOPIC);
    assert_eq!(told.len(), 1, "files that waited share a message");
    assert_eq!(told[0].1.len(), 3);
    let status = stage.status(&broken).await;
    assert_eq!(status.notification_error, None);
    assert!(status.notification_ms.is_some());
}

// Proves: TRL-147, R15
#[tokio::test]
async fn after_a_crash_a_message_whose_answer_was_lost_comes_twice_and_none_is_missing() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.restart().await;
    stage.trails.tell_now().await;
    assert_eq!(stage.keys_told(TOPIC), stage.keys(BUCKET, "/CloudTrail/"));
    stage.restart().await;
    stage.trails.tell_now().await;
    assert_eq!(
        stage.keys_told(TOPIC).len(),
        1,
        "what is recorded is not told again"
    );
    stage.told.topics.lose_answer_after(0);
    stage.event("us-east-1", "B").await;
    stage.deliver_and_tell().await;
    stage.restart().await;
    stage.trails.tell_now().await;
    let told = stage.told_of(TOPIC);
    assert_eq!((told.len(), &told[1]), (3, &told[2]));
    let mut keys = stage.keys_told(TOPIC);
    keys.dedup();
    assert_eq!(keys, stage.keys(BUCKET, "/CloudTrail/"));
}

// Proves: TRL-133, R15, S8
#[tokio::test]
async fn after_thirty_days_notifications_are_given_up_and_counted() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.told.topics.break_topic(TOPIC, denied());
    stage.event("us-east-1", "A").await;
    stage.deliver_and_tell().await;
    // A clock that jumps by a year ends nothing.
    stage.clock.jump_to(START_MS + 365 * 86_400_000);
    stage.trails.tell_now().await;
    stage.clock.jump_to(START_MS);
    stage.trails.tell_now().await;
    for _ in 0..15 {
        stage.clock.advance(DAY);
        stage.trails.tell_now().await;
    }
    let attempts = stage.told.topics.attempts();
    // What this process has not seen does not count.
    stage.restart().await;
    stage.clock.advance(DAY);
    stage.event("us-east-1", "B").await;
    stage.deliver_and_tell().await;
    for _ in 0..14 {
        stage.clock.advance(DAY);
        stage.trails.tell_now().await;
    }
    assert!(stage.told.topics.attempts() > attempts);
    assert_eq!(stage.status(&made).await.notifications_lost, 0);
    stage.clock.advance(2 * DAY);
    stage.trails.tell_now().await;
    let status = stage.status(&made).await;
    assert_eq!(status.notifications_lost, 1, "the first, not the second");
    assert_eq!(
        status.notification_error.as_deref(),
        Some("AuthorizationError")
    );
    assert_eq!(stage.trails.outlet_counts().lost_notifications, 1);
    stage.told.topics.mend_topic(TOPIC);
    stage.trails.tell_now().await;
    assert_eq!(stage.keys_told(TOPIC).len(), 1);
}

// Proves: TRL-148, TRL-152
#[tokio::test]
async fn the_topic_is_that_of_the_version_that_the_file_was_made_by() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage
        .change(&next(&made, |trail| {
            trail.settings.sns_topic = Some(topic(OTHER));
        }))
        .await;
    stage.event("us-east-1", "B").await;
    // A topic that is broken holds up no other of the same trail.
    stage.told.topics.break_topic(TOPIC, denied());
    stage.deliver_and_tell().await;
    assert_eq!(stage.keys_told(OTHER).len(), 1);
    stage.told.topics.mend_topic(TOPIC);
    stage.trails.tell_now().await;
    assert_eq!(stage.keys_told(TOPIC).len(), 1);
    assert_ne!(stage.keys_told(TOPIC), stage.keys_told(OTHER));
}

// Proves: R15
#[tokio::test]
async fn deleting_a_trail_ends_the_attempts_at_its_topic() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.told.topics.break_topic(TOPIC, denied());
    stage.event("us-east-1", "A").await;
    stage.deliver_and_tell().await;
    stage.delete(&made).await;
    stage.deliver_and_tell().await;
    assert_eq!(stage.trails.outlet_counts().lost_notifications, 1);
    let attempts = stage.told.topics.attempts();
    stage.clock.advance(DAY);
    stage.trails.tell_now().await;
    assert_eq!(stage.told.topics.attempts(), attempts);
}

// Proves: R14, TRL-147
#[tokio::test]
async fn a_put_whose_answer_was_lost_is_told_once() {
    let mut stage = Stage::new().await;
    let mut made = validated("all");
    made.settings.sns_topic = Some(topic(TOPIC));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    let lost = S3Failure::new(S3Failure::TIMEOUT, "scripted");
    stage
        .puts
        .script(BUCKET, [cairn_platform::ScriptedPut::StoreThenFail(lost)]);
    stage.deliver_and_tell().await;
    stage.clock.advance(Duration::from_mins(6));
    stage.deliver_and_tell().await;
    assert_eq!(stage.keys_told(TOPIC), stage.keys(BUCKET, "/CloudTrail/"));
}
