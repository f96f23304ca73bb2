//! EventBridge.

use async_trait::async_trait;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::{BehaviorVersion, Config, Region};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::client::{Addressed, credentials, timeouts};
use super::{BusEvent, EventBuses, ServiceConfig, ServiceFailure};
use crate::S3Failure;

/// Default buses at the configured addresses.
#[derive(Debug)]
pub struct EventBridgeClient {
    clients: Addressed<aws_sdk_eventbridge::Client>,
}

impl EventBridgeClient {
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
            aws_sdk_eventbridge::Client::from_conf(built.build())
        })?;
        Ok(Self { clients })
    }
}

#[async_trait]
impl EventBuses for EventBridgeClient {
    fn serves(&self, region: &str) -> bool {
        self.clients.of_region(region).is_ok()
    }

    async fn put_events(
        &self,
        region: &str,
        events: &[BusEvent],
    ) -> Result<Vec<Option<String>>, ServiceFailure> {
        let client = self.clients.of_region(region)?;
        let mut put = client.put_events();
        for event in events {
            let entry = PutEventsRequestEntry::builder()
                .time(DateTime::from_millis(event.time_ms))
                .source(&event.source)
                .detail_type(&event.detail_type)
                .detail(&event.detail)
                .set_resources(Some(event.resources.clone()))
                .build();
            put = put.entries(entry);
        }
        let signed_for = Config::builder().region(Region::new(region.to_owned()));
        let sent = put.customize().config_override(signed_for).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        let told = answer.entries.unwrap_or_default();
        if told.len() != events.len() {
            let message = "the answer has not one entry for each event";
            return Err(ServiceFailure::new(S3Failure::INVALID_ANSWER, message));
        }
        let code_of = |entry: aws_sdk_eventbridge::types::PutEventsResultEntry| match entry.event_id
        {
            Some(id) if !id.is_empty() => None,
            _ => Some(
                entry
                    .error_code
                    .unwrap_or_else(|| S3Failure::INVALID_ANSWER.to_owned()),
            ),
        };
        Ok(told.into_iter().map(code_of).collect())
    }
}
