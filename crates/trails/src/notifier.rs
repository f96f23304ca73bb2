//! Telling a topic of log files that their bucket has (TRL-147): `{"s3Bucket":…,"s3ObjectKey":[…]}`, several files in
//! one message if several wait (TRL-154).

use std::sync::Arc;

use cairn_catalog::trails::{Lane, WaitingNotification};
use cairn_model::json::push_quoted;
use cairn_platform::TopicMessage;

use crate::failpoints;
use crate::outlets::{Step, Trouble};
use crate::trails::Shared;

/// Files of one message.
const FILES_MAX: u32 = 100;
/// Bytes of one message; SNS takes 256 KiB.
const MESSAGE_BYTES_MAX: usize = 200 << 10;

/// Tells the topic of the oldest files that wait.
pub(crate) async fn tell(shared: &Arc<Shared>, lane: &Lane) -> Result<Step, Trouble> {
    let outlets = &shared.outlets;
    let waiting = outlets
        .catalog()
        .waiting_notifications(lane, FILES_MAX)
        .await?;
    let Some(first) = waiting.first() else {
        return Ok(Step::Idle);
    };
    let (message, ids) = message(&waiting);
    let attempted_ms = shared.clock.now_ms();
    let message = TopicMessage {
        topic_arn: lane.target.clone(),
        trail_arn: first.trail_arn.clone(),
        message,
    };
    let publishing = outlets.parts.topics.publish(&message).await;
    publishing.map_err(|failure| Trouble::Target {
        failure,
        tried: ids.len() as u64,
    })?;
    failpoints::reach(failpoints::NOTIFY_SENT);
    let notified_ms = shared.clock.now_ms();
    outlets
        .catalog()
        .record_notified(lane, &ids, attempted_ms, notified_ms)
        .await?;
    outlets.counters.add_notified(ids.len() as u64);
    Ok(Step::Done)
}

/// The message of the first files that share a bucket, and their IDs (TRL-153).
fn message(waiting: &[WaitingNotification]) -> (String, Vec<i64>) {
    let bucket = waiting.first().map_or("", |first| first.bucket.as_str());
    let mut text = String::from("{\"s3Bucket\":");
    push_quoted(&mut text, bucket);
    text.push_str(",\"s3ObjectKey\":[");
    let mut ids = Vec::with_capacity(waiting.len());
    for one in waiting {
        if one.bucket != bucket || text.len() > MESSAGE_BYTES_MAX {
            break;
        }
        if !ids.is_empty() {
            text.push(',');
        }
        push_quoted(&mut text, &one.object_key);
        ids.push(one.id);
    }
    text.push_str("]}");
    (text, ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: i64, bucket: &str, key: &str) -> WaitingNotification {
        WaitingNotification {
            id,
            trail_arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/all".to_owned(),
            bucket: bucket.to_owned(),
            object_key: key.to_owned(),
        }
    }

    // Proves: TRL-153, TRL-154
    #[test]
    fn a_message_names_the_files_of_one_bucket() {
        let all = [
            waiting(1, "audit", "AWSLogs/a.json.gz"),
            waiting(2, "audit", "with\"quote"),
            waiting(3, "other", "b"),
            waiting(4, "audit", "c"),
        ];
        let (text, ids) = message(&all);
        let expected = r#"{"s3Bucket":"audit","s3ObjectKey":["AWSLogs/a.json.gz","with\"quote"]}"#;
        assert_eq!((text.as_str(), ids), (expected, vec![1, 2]));
    }

    #[test]
    fn a_message_stays_below_the_topic_s_limit() {
        let long = "k".repeat(1000);
        let all: Vec<_> = (0..1000).map(|id| waiting(id, "audit", &long)).collect();
        let (text, ids) = message(&all);
        assert!(text.len() < 256 << 10, "{}", text.len());
        assert!(!ids.is_empty() && ids.len() < all.len());
    }
}
