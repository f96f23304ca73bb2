//! Where a trail delivers to, as far as an operation that sets it must know: whether the bucket, the key, the topic and
//! the log group are there and let CloudTrail in. Asking happens outside of the catalog's transactions; the answers
//! become AWS's exceptions, with AWS's messages, in this one place.

mod key_reference;

pub(crate) use key_reference::{KeyReference, KeyReferenceKind, is_key_id, is_reserved_alias};

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_api::{ApiError, ErrorCode};
use cairn_model::{LogGroup, SnsTopic, Trail};
use cairn_platform::Clock;

/// How long all destinations of one call may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the destinations of trails. Implementations bound what they wait for; callers do as well.
#[async_trait]
pub(crate) trait Destinations: Send + Sync + fmt::Debug {
    /// The ARN of the key that is meant for the trail: aliases are looked up, and the key must be there and enabled
    /// (SEC-361, SEC-323).
    async fn resolve_key(
        &self,
        trail: &Trail,
        key: &KeyReference,
    ) -> Result<String, DestinationProblem>;

    /// Whether the trail's bucket is there and takes what the trail delivers, encrypted as the trail wants it
    /// (TRL-049, SEC-369).
    async fn check_bucket(&self, trail: &Trail) -> Result<(), DestinationProblem>;

    /// Whether the topic is there and takes the trail's notifications (TRL-150).
    async fn check_topic(&self, trail: &Trail, topic: &SnsTopic) -> Result<(), DestinationProblem>;

    /// Whether the log group is there and the role may write to it.
    async fn check_log_group(
        &self,
        trail: &Trail,
        group: &LogGroup,
    ) -> Result<(), DestinationProblem>;
}

/// Why a destination cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DestinationProblem {
    /// There is no such bucket.
    NoSuchBucket { bucket: String },
    /// The bucket does not let CloudTrail in.
    BucketPolicy { bucket: String },
    /// The bucket lets CloudTrail in, the key does not.
    KeyPolicy { bucket: String, key: String },
    /// There is no such key, or not in the bucket's Region (SEC-313).
    NoSuchKey { key: String },
    /// The key cannot be used: disabled, pending deletion, asymmetric (SEC-312, SEC-323).
    UnusableKey { key: String },
    /// There is no such topic, or it does not let CloudTrail in.
    Topic,
    /// There is no such log group.
    NoSuchLogGroup,
    /// The role may not write to the log group.
    LogGroupDenied,
    /// There is no such role, or CloudTrail may not take it.
    RoleDenied,
    /// No service for log groups is configured.
    LogsUnavailable,
    /// The destination gave no answer that says anything.
    NoAnswer,
}

impl From<DestinationProblem> for ApiError {
    fn from(problem: DestinationProblem) -> Self {
        use DestinationProblem as P;
        use ErrorCode as E;
        // Terraform repeats CreateTrail while the messages about role and log group say "Access denied.", so only what
        // may pass once a new role is known everywhere says so.
        let denied = "Access denied. Verify in IAM that the role has adequate permissions.";
        let (code, message) = match problem {
            P::NoSuchBucket { bucket } => (
                E::S3BucketDoesNotExistException,
                format!("S3 bucket {bucket} does not exist!"),
            ),
            P::BucketPolicy { bucket } => (
                E::InsufficientS3BucketPolicyException,
                format!("Incorrect S3 bucket policy is detected for bucket: {bucket}"),
            ),
            P::KeyPolicy { bucket, key } => (
                E::InsufficientEncryptionPolicyException,
                format!("Insufficient permissions to access S3 bucket {bucket} or KMS key {key}."),
            ),
            P::NoSuchKey { key } => (
                E::KmsKeyNotFoundException,
                format!("The KMS key {key} does not exist or is not in the Region of the bucket."),
            ),
            P::UnusableKey { key } => (
                E::KmsException,
                format!("The KMS key {key} is disabled, pending deletion or not symmetric."),
            ),
            P::Topic => (
                E::InsufficientSnsTopicPolicyException,
                "SNS Topic does not exist or the topic policy is incorrect!".to_owned(),
            ),
            P::NoSuchLogGroup => (
                E::InvalidCloudWatchLogsLogGroupArnException,
                "CloudTrail cannot validate the specified log group ARN.".to_owned(),
            ),
            P::LogGroupDenied => (
                E::InvalidCloudWatchLogsLogGroupArnException,
                denied.to_owned(),
            ),
            P::RoleDenied => (E::InvalidCloudWatchLogsRoleArnException, denied.to_owned()),
            P::LogsUnavailable => (
                E::CloudWatchLogsDeliveryUnavailableException,
                "Cannot set a CloudWatch Logs delivery for this Region.".to_owned(),
            ),
            P::NoAnswer => (
                E::ServiceUnavailable,
                "A destination of the trail does not answer. Try again later.".to_owned(),
            ),
        };
        Self::new(code, message)
    }
}

/// Which destinations of a trail an operation sets, and so must check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetDestinations {
    /// The bucket, the prefix or the key.
    pub(crate) bucket: bool,
    pub(crate) topic: bool,
    pub(crate) log_group: bool,
}

impl SetDestinations {
    /// Whether anything has to be asked.
    pub(crate) fn any(self) -> bool {
        self.bucket || self.topic || self.log_group
    }
}

/// Asks in a fixed order (bucket with key, topic, log group) and ends with the first problem.
pub(crate) async fn check(
    destinations: &dyn Destinations,
    clock: &Arc<dyn Clock>,
    trail: &Trail,
    set: SetDestinations,
) -> Result<(), ApiError> {
    let checks = async {
        if set.bucket {
            destinations.check_bucket(trail).await?;
        }
        if let Some(topic) = trail.settings.sns_topic.as_ref().filter(|_| set.topic) {
            destinations.check_topic(trail, topic).await?;
        }
        if let Some(group) = trail.settings.log_group.as_ref().filter(|_| set.log_group) {
            destinations.check_log_group(trail, group).await?;
        }
        Ok(())
    };
    within(clock, checks).await
}

/// The ARN of a key, in bounded time.
pub(crate) async fn resolve_key(
    destinations: &dyn Destinations,
    clock: &Arc<dyn Clock>,
    trail: &Trail,
    key: &KeyReference,
) -> Result<String, ApiError> {
    within(clock, destinations.resolve_key(trail, key)).await
}

async fn within<T>(
    clock: &Arc<dyn Clock>,
    asked: impl Future<Output = Result<T, DestinationProblem>>,
) -> Result<T, ApiError> {
    tokio::select! {
        answer = asked => Ok(answer?),
        () = clock.sleep(PATIENCE) => Err(DestinationProblem::NoAnswer.into()),
    }
}
