//! Trails: what their owners chose, version by version; their tags; and how far delivery and signing have come.
//!
//! Every change is a new version, which never changes, and leaves its control record with the mutation.

mod configuration;
mod delivery;
mod delivery_rows;
mod delivery_sqlite;
mod delivery_statements;
mod outlets;
mod outlets_sqlite;
mod status;
mod stored;
mod tags;

pub use configuration::{ReadTrails, TrailView};
pub use delivery::{
    AppliedTrail, ChainChange, ChainId, CurrentTrails, Cut, Delivered, DigestChain, FailedAttempt,
    FileId, FileKind, LostFeed, LostFile, NewDigest, NotificationMade, PlannedFile, PreviousDigest,
    ReaderState, RecordedFile, SigningKey, SpoolUse, TrailsCatalog,
};
pub use outlets::{
    FeedId, FeedProgress, GivenUp, Lane, LaneFailure, LaneLoss, LaneUse, NOTIFICATIONS_MAX, Outlet,
    OutletsCatalog, PlannedFeed, RecordedFeed, WaitingNotification,
};
pub use status::{PublicSigningKey, TrailStatus};
pub use tags::RESOURCE_TAGS_MAX;
