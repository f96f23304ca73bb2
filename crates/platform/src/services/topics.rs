//! SNS.

use async_trait::async_trait;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::{BehaviorVersion, Config, Region};

use super::client::{Addressed, credentials, timeouts};
use super::{ServiceConfig, ServiceFailure, TopicMessage, TopicPublisher};
use crate::S3Failure;

/// Topics at the configured addresses.
#[derive(Debug)]
pub struct SnsClient {
    clients: Addressed<aws_sdk_sns::Client>,
}

impl SnsClient {
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
            aws_sdk_sns::Client::from_conf(built.build())
        })?;
        Ok(Self { clients })
    }

    /// The policy of a topic; none if it has none.
    pub async fn policy(&self, topic_arn: &str) -> Result<Option<String>, ServiceFailure> {
        let region = region_of(topic_arn);
        let client = self.clients.of_region(region)?;
        let signed_for = Config::builder().region(Region::new(region.to_owned()));
        let asked = client.get_topic_attributes().topic_arn(topic_arn);
        let sent = asked.customize().config_override(signed_for).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        Ok(answer
            .attributes
            .and_then(|mut attributes| attributes.remove("Policy")))
    }
}

#[async_trait]
impl TopicPublisher for SnsClient {
    async fn publish(&self, message: &TopicMessage) -> Result<(), ServiceFailure> {
        let region = region_of(&message.topic_arn);
        let client = self.clients.of_region(region)?;
        let signed_for = Config::builder().region(Region::new(region.to_owned()));
        let published = client
            .publish()
            .topic_arn(&message.topic_arn)
            .message(&message.message);
        let sent = published
            .customize()
            .config_override(signed_for)
            .send()
            .await;
        sent.map(drop).map_err(|error| S3Failure::of(&error).into())
    }
}

/// The Region that an ARN names; it is signed for, and chooses among the configured addresses.
fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
