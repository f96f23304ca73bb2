//! What trails tell beside putting files: topics of delivered log files, log groups and event buses of events. Which
//! of it waits, how far each has come, and for how long a target has refused.

use std::fmt;

use async_trait::async_trait;
use cairn_model::{AccountId, Region};

use crate::CatalogError;

/// Notifications that may wait for one topic: those of a trail in all Regions for thirty days. Beyond it they
/// are not kept, and counted as lost.
pub const NOTIFICATIONS_MAX: u64 = 200_000;

type Result<T> = std::result::Result<T, CatalogError>;

/// What kind of target is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outlet {
    /// An SNS topic, of log files that a bucket has.
    Topic,
    /// A CloudWatch Logs log group, of a trail's events.
    Logs,
    /// The default event bus of an account and Region, of events that any trail takes.
    Bus,
}

impl Outlet {
    /// The word that rows have.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Logs => "logs",
            Self::Bus => "bus",
        }
    }
}

/// What goes one way, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The kind of target.
    pub outlet: Outlet,
    /// The ID of the trail; of a bus, the account.
    pub owner: String,
    /// The ARN of the topic or log group; of a bus, the Region.
    pub target: String,
}

/// A file of a cut whose events go to a log group or a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFeed {
    /// Where they go.
    pub lane: Lane,
    /// Whose events it holds.
    pub account: AccountId,
    /// Of which Region.
    pub region: Region,
    /// Its name in the spool.
    pub spooled: String,
    /// Its size there, in bytes.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub object_sha256: [u8; 32],
    /// How many events it holds.
    pub events: u64,
    /// When it was decided, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// A feed among all feeds, by the order in which they were decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub i64);

/// A feed that the catalog holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFeed {
    /// Its place among all feeds.
    pub id: FeedId,
    /// What was decided.
    pub feed: PlannedFeed,
    /// How many events, from the first on, need not be sent again.
    pub sent_events: u64,
    /// How many batches of those that follow need not be sent again.
    pub sent_batches: u64,
}

/// How far a feed has come.
#[derive(Clone, Debug)]
pub struct FeedProgress {
    /// The feed.
    pub id: FeedId,
    /// See [`RecordedFeed::sent_events`].
    pub sent_events: u64,
    /// See [`RecordedFeed::sent_batches`].
    pub sent_batches: u64,
    /// Events that the target did not take and never will, since the last progress.
    pub refused_events: u64,
    /// When the target took something, if it did.
    pub delivered_ms: Option<i64>,
    /// True if nothing is left.
    pub is_done: bool,
}

/// A delivered log file of which a topic is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingNotification {
    /// Its place among all notifications.
    pub id: i64,
    /// The trail.
    pub trail_arn: String,
    /// Where the file is.
    pub bucket: String,
    /// Its key there.
    pub object_key: String,
}

/// An attempt in vain.
#[derive(Clone, Debug)]
pub struct LaneFailure {
    /// Where.
    pub lane: Lane,
    /// When the attempt began, in milliseconds since the epoch.
    pub attempted_ms: i64,
    /// How long the lane has failed since the attempt before, as far as two clocks agree.
    pub failing_ms: i64,
    /// What ends with it.
    pub given_up: GivenUp,
    /// What the owner is told.
    pub error: String,
}

/// What an attempt in vain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// Everything that was tried in vain for so many milliseconds.
    TriedFor(i64),
    /// So many of the oldest notifications, or the oldest feed: what was just tried, and will not be again.
    Oldest(u64),
}

/// What was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneLoss {
    /// Log files of which a topic is not told.
    pub notifications: u64,
    /// Events that a log group or bus does not get.
    pub events: u64,
    /// Names in the spool of the files that held them.
    pub spooled: Vec<String>,
}

/// What waits for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneUse {
    /// The lane.
    pub lane: Lane,
    /// Notifications or feeds.
    pub waiting: u64,
    /// Bytes of feeds in the spool.
    pub bytes: u64,
    /// Of these, bytes of files that wait for nothing else.
    pub own_bytes: u64,
    /// When the oldest was decided, in milliseconds since the epoch.
    pub oldest_ms: i64,
}

/// Everything that outlets keep.
#[async_trait]
pub trait OutletsCatalog: Send + Sync + fmt::Debug {
    /// The lanes on which something waits.
    async fn waiting_lanes(&self) -> Result<Vec<Lane>>;

    /// The oldest notifications of a lane, at most `count_max`.
    async fn waiting_notifications(
        &self,
        lane: &Lane,
        count_max: u32,
    ) -> Result<Vec<WaitingNotification>>;

    /// The oldest feed of a lane.
    async fn next_feed(&self, lane: &Lane) -> Result<Option<RecordedFeed>>;

    /// The topic was told of these.
    async fn record_notified(
        &self,
        lane: &Lane,
        ids: &[i64],
        attempted_ms: i64,
        notified_ms: i64,
    ) -> Result<()>;

    /// The target has more of a feed, or all of it.
    async fn record_fed(&self, lane: &Lane, progress: &FeedProgress) -> Result<()>;

    /// The target has refused, or not answered.
    async fn record_lane_failure(&self, failure: &LaneFailure) -> Result<LaneLoss>;

    /// A feed cannot be read from the spool any more, and is given up.
    async fn record_feed_lost(
        &self,
        lane: &Lane,
        feed: FeedId,
        events: u64,
        error: &str,
    ) -> Result<()>;

    /// What waits on each lane.
    async fn lane_use(&self) -> Result<Vec<LaneUse>>;

    /// Whether a file of the spool is needed, by whomever.
    async fn is_spooled(&self, name: &str) -> Result<bool>;
}
