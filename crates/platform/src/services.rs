//! Clients of the services that hear of events (SNS topics, CloudWatch Logs log groups and EventBridge buses), and of
//! a KMS.
//!
//! They go where the configuration says and nowhere else (R22): an ARN gives names and a Region, the address comes
//! from the list of endpoints. No redirect, no proxy, no credentials but those given; one attempt for each call.

mod buses;
mod client;
mod failure;
mod kms;
mod log_streams;
mod memory;
mod topics;

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

pub use buses::EventBridgeClient;
pub use failure::ServiceFailure;
pub use kms::{KmsClient, KmsDataKey, KmsKey};
pub use log_streams::CloudWatchLogsClient;
pub use memory::{MemoryBuses, MemoryLogStreams, MemoryTopics};
pub use topics::SnsClient;

use crate::{S3Credentials, S3Timeouts};

/// One service: where it answers, and who signs.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// What errors call it.
    pub name: String,
    /// Its addresses, those of single Regions first.
    pub addresses: Vec<ServiceAddress>,
    /// Who signs.
    pub credentials: S3Credentials,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeouts: S3Timeouts,
}

/// Where a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// The Region whose resources are there; none for those of every Region.
    pub region: Option<String>,
    /// Its URL.
    pub url: String,
}

/// A message for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMessage {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The trail that sends it.
    pub trail_arn: String,
    /// The text.
    pub message: String,
}

/// Whatever topics are told by.
#[async_trait]
pub trait TopicPublisher: Send + Sync + fmt::Debug {
    /// Publishes a message, in one attempt.
    async fn publish(&self, message: &TopicMessage) -> Result<(), ServiceFailure>;
}

/// A stream of a log group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogStream {
    /// The Region that the group is in.
    pub region: String,
    /// The group's name.
    pub group: String,
    /// The stream's name.
    pub stream: String,
}

/// An event of a log stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When it happened, in milliseconds since the epoch.
    pub time_ms: i64,
    /// The text.
    pub message: String,
}

/// Whatever log events are written to.
#[async_trait]
pub trait LogStreams: Send + Sync + fmt::Debug {
    /// Writes a batch that keeps PutLogEvents' rules, in one attempt. Returns how many events the service did not
    /// take because of their age, and never will.
    async fn put_events(
        &self,
        stream: &LogStream,
        events: &[LogEvent],
    ) -> Result<u64, ServiceFailure>;

    /// Makes the stream. One that is there already is no failure.
    async fn create_stream(&self, stream: &LogStream) -> Result<(), ServiceFailure>;
}

/// An event for a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// When it happened, in milliseconds since the epoch.
    pub time_ms: i64,
    /// Who tells it, such as `aws.ec2`.
    pub source: String,
    /// What kind of event it is.
    pub detail_type: String,
    /// JSON.
    pub detail: String,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
}

/// Whatever buses are told by.
#[async_trait]
pub trait EventBuses: Send + Sync + fmt::Debug {
    /// Whether there is a bus for events of a Region.
    fn serves(&self, region: &str) -> bool;

    /// Puts events on the default bus of a Region, in one attempt. Of each event, in order, whether it was taken:
    /// the code of the refusal if not.
    async fn put_events(
        &self,
        region: &str,
        events: &[BusEvent],
    ) -> Result<Vec<Option<String>>, ServiceFailure>;
}
