//! CloudWatch Logs.

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Builder, Config, Region};
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, RejectedLogEventsInfo};

use super::client::{Addressed, credentials, timeouts};
use super::{LogEvent, LogStream, LogStreams, ServiceConfig, ServiceFailure};
use crate::S3Failure;

/// Pages of DescribeLogGroups that are read in search of one group.
const PAGES_MAX: usize = 20;

/// Log groups at the configured addresses.
#[derive(Debug)]
pub struct CloudWatchLogsClient {
    clients: Addressed<aws_sdk_cloudwatchlogs::Client>,
}

impl CloudWatchLogsClient {
    /// A client. An unreadable certificate file is the one thing that can be wrong.
    pub fn new(config: &ServiceConfig) -> Result<Self, ServiceFailure> {
        let clients = Addressed::new(config, |address, http| {
            let built = Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts(config.timeouts))
                .credentials_provider(credentials(&config.credentials))
                .http_client(http)
                .endpoint_url(&address.url);
            aws_sdk_cloudwatchlogs::Client::from_conf(built.build())
        })?;
        Ok(Self { clients })
    }

    /// The ARN of a group of that name, without the `:*` of its streams; none if there is none.
    pub async fn group_arn(
        &self,
        region: &str,
        group: &str,
    ) -> Result<Option<String>, ServiceFailure> {
        let client = self.clients.of_region(region)?;
        let mut page = None;
        for _ in 0..PAGES_MAX {
            let asked = client
                .describe_log_groups()
                .log_group_name_prefix(group)
                .set_next_token(page.take());
            let sent = asked
                .customize()
                .config_override(signed_for(region))
                .send()
                .await;
            let answer = sent.map_err(|error| S3Failure::of(&error))?;
            let mut groups = answer.log_groups.unwrap_or_default().into_iter();
            if let Some(found) = groups.find(|found| found.log_group_name() == Some(group)) {
                let arn = found.log_group_arn.or(found.arn);
                return Ok(arn.map(|arn| arn.strip_suffix(":*").unwrap_or(&arn).to_owned()));
            }
            page = answer.next_token;
            if page.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl LogStreams for CloudWatchLogsClient {
    async fn put_events(
        &self,
        stream: &LogStream,
        events: &[LogEvent],
    ) -> Result<u64, ServiceFailure> {
        let client = self.clients.of_region(&stream.region)?;
        let mut put = client
            .put_log_events()
            .log_group_name(&stream.group)
            .log_stream_name(&stream.stream);
        for event in events {
            let event = InputLogEvent::builder()
                .timestamp(event.time_ms)
                .message(&event.message)
                .build()
                .expect("time and message are set");
            put = put.log_events(event);
        }
        let sent = put
            .customize()
            .config_override(signed_for(&stream.region))
            .send()
            .await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        Ok(rejected(
            answer.rejected_log_events_info.as_ref(),
            events.len(),
        ))
    }

    async fn create_stream(&self, stream: &LogStream) -> Result<(), ServiceFailure> {
        let client = self.clients.of_region(&stream.region)?;
        let made = client
            .create_log_stream()
            .log_group_name(&stream.group)
            .log_stream_name(&stream.stream);
        let sent = made
            .customize()
            .config_override(signed_for(&stream.region))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match S3Failure::of(&error) {
                failure if failure.code == "ResourceAlreadyExistsException" => Ok(()),
                failure => Err(failure.into()),
            },
        }
    }
}

fn signed_for(region: &str) -> Builder {
    Config::builder().region(Region::new(region.to_owned()))
}

/// Of a batch in order of time the service refuses a beginning, as too old or beyond the group's retention, and an
/// end, as too new.
fn rejected(told: Option<&RejectedLogEventsInfo>, events: usize) -> u64 {
    let Some(told) = told else { return 0 };
    let index = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
    let old = index(told.too_old_log_event_end_index).max(index(told.expired_log_event_end_index));
    let beginning = old.unwrap_or(0).min(events);
    let end = index(told.too_new_log_event_start_index)
        .unwrap_or(events)
        .clamp(beginning, events);
    u64::try_from(beginning + (events - end)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: REC-170
    #[test]
    fn refused_events_are_counted_at_both_ends_of_a_batch() {
        let count = |old, expired, new| {
            let told = RejectedLogEventsInfo::builder()
                .set_too_old_log_event_end_index(old)
                .set_expired_log_event_end_index(expired)
                .set_too_new_log_event_start_index(new)
                .build();
            rejected(Some(&told), 10)
        };
        assert_eq!(rejected(None, 10), 0);
        assert_eq!(count(None, None, None), 0);
        assert_eq!(count(Some(3), None, None), 3);
        assert_eq!(count(Some(3), Some(4), None), 4);
        assert_eq!(count(None, None, Some(8)), 2);
        assert_eq!(count(Some(3), None, Some(8)), 5);
        assert_eq!(count(Some(99), None, Some(0)), 10, "an answer that lies");
        assert_eq!(count(Some(-1), None, None), 0);
    }
}
