//! A trail as its owner has configured it (register 05, section 1). Which events it takes, where they go and what is
//! said of them follow from these values alone.

use crate::selectors::EventSelectors;
use crate::{AccountId, Region};

/// A trail at one moment: what a configuration version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The Region that it was made in (TRL-023).
    pub home_region: Region,
    /// The name, which never changes (TRL-007).
    pub name: String,
    /// Told apart from every other trail that ever was: one that is made again under an old name has another ID.
    pub id: TrailId,
    /// Counts the changes of this trail, from 1.
    pub version: u64,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// What its owner has chosen.
    pub settings: TrailSettings,
    /// Whether it logs, and since when.
    pub logging: Logging,
}

/// The ID of one trail, unique for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrailId(pub String);

/// What the owner of a trail chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailSettings {
    /// The bucket of log files and digests.
    pub bucket: String,
    /// What comes before `AWSLogs/` in the keys, without a slash at its end.
    pub key_prefix: Option<String>,
    /// The topic that is told of log files.
    pub sns_topic: Option<SnsTopic>,
    /// Whether events of global services belong to it (TRL-041 to TRL-044).
    pub includes_global_service_events: bool,
    /// Whether it covers every enabled Region, or its home Region alone (TRL-002).
    pub is_multi_region: bool,
    /// Whether it covers every account of an organization.
    pub is_organization: bool,
    /// Whether digests are made of its log files.
    pub validates_log_files: bool,
    /// The ARN of the key that its files are encrypted with; SSE-S3 without one (TRL-142).
    pub kms_key_arn: Option<String>,
    /// The log group that its events go to.
    pub log_group: Option<LogGroup>,
    /// Which events it takes.
    pub event_selectors: EventSelectors,
    /// Which unusual activity it is to be told of.
    pub insight_selectors: Vec<InsightSelector>,
}

/// A topic, as it was given and as it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnsTopic {
    /// The name or ARN that the owner gave; `SnsTopicName` of answers.
    pub given: String,
    /// The ARN.
    pub arn: String,
}

/// A CloudWatch Logs log group with the role that delivers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    /// The group's ARN.
    pub arn: String,
    /// The role's ARN.
    pub role_arn: String,
}

/// One kind of unusual activity (TRL-125).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsightSelector {
    /// `ApiCallRateInsight` or `ApiErrorRateInsight`.
    pub insight_type: String,
    /// The categories of events that it is computed from, as given; empty if not given.
    pub event_categories: Vec<String>,
}

/// Whether a trail logs. Times are in milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// True between StartLogging and StopLogging.
    pub is_on: bool,
    /// The last StartLogging.
    pub started_ms: Option<i64>,
    /// The last StopLogging.
    pub stopped_ms: Option<i64>,
}

impl Trail {
    /// `arn:aws:cloudtrail:HOME-REGION:ACCOUNT:trail/NAME` (TRL-008).
    pub fn arn(&self) -> String {
        trail_arn(self.account, &self.home_region, &self.name)
    }

    /// Whether the trail is there, and listed, in `region` (TRL-025).
    pub fn covers(&self, region: &Region) -> bool {
        self.settings.is_multi_region || self.home_region == *region
    }
}

/// The ARN of a trail (TRL-008).
pub fn trail_arn(account: AccountId, home_region: &Region, name: &str) -> String {
    format!("arn:aws:cloudtrail:{home_region}:{account}:trail/{name}")
}
