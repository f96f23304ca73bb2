//! Planted faults, for proving that the harnesses under `tests/` catch them. They exist only with the
//! feature `sabotage`, which no shipped binary has; there `CAIRN_SABOTAGE` names one. Without the
//! feature every question here is a constant.

use std::sync::Arc;

use cairn_catalog::CatalogError;
use cairn_catalog::lake::LakeCatalog;
use cairn_catalog::trails::{OutletsCatalog, TrailsCatalog};
use cairn_eventlog::{EventLog, OpenError, SegmentedLog, SegmentedLogConfig};
use cairn_platform::{Clock, Disk};

use crate::trail_destinations::Destinations;

#[cfg(feature = "sabotage")]
mod forgetful_log;
#[cfg(feature = "sabotage")]
mod loose_catalog;
#[cfg(feature = "sabotage")]
mod loose_outlets;
#[cfg(feature = "sabotage")]
mod loose_trails;
#[cfg(feature = "sabotage")]
mod poisoning_log;
#[cfg(feature = "sabotage")]
mod stop_at;
#[cfg(feature = "sabotage")]
mod unasked_destinations;

/// Makes the process end at a point of its own code if that fault is planted: `stop-at:NAME:N` ends it as
/// `kill -9` does when the point is reached for the N-th time.
#[cfg(feature = "sabotage")]
pub(crate) fn arm_stop() {
    if let Some(wanted) = planted().strip_prefix("stop-at:") {
        stop_at::arm(wanted);
    }
}

/// Makes the process end at a point of its own code if that fault is planted.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn arm_stop() {}

/// Opens the event log, with a fault in it if one is planted there.
pub(crate) fn open_log(
    config: SegmentedLogConfig,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<SegmentedLog>, OpenError> {
    #[cfg(feature = "sabotage")]
    {
        use cairn_eventlog::Sabotage;
        let bug = match planted().as_str() {
            "ack-before-sync" => Some(Sabotage::AckBeforeSync),
            "no-directory-sync" => Some(Sabotage::NoDirectorySync),
            "retry-fsync" => Some(Sabotage::RetryFsync),
            "crc-unchecked" => Some(Sabotage::CrcUnchecked),
            _ => None,
        };
        if let Some(bug) = bug {
            return SegmentedLog::open_sabotaged(config, disk, clock, bug);
        }
    }
    SegmentedLog::open(config, disk, clock)
}

/// What the doors append to.
pub(crate) fn contract(log: &Arc<SegmentedLog>) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::clone(log) as Arc<dyn EventLog>;
    #[cfg(feature = "sabotage")]
    if planted() == "forget-batches" {
        return Arc::new(forgetful_log::ForgetfulLog::over(log));
    }
    #[cfg(feature = "sabotage")]
    if planted() == "poison" {
        return Arc::new(poisoning_log::PoisoningLog { log });
    }
    log
}

/// What the lake commits to.
pub(crate) fn lake_catalog(catalog: Arc<dyn LakeCatalog>) -> Arc<dyn LakeCatalog> {
    #[cfg(feature = "sabotage")]
    if planted() == "offset-outside-snapshot" {
        return Arc::new(loose_catalog::LooseCatalog { catalog });
    }
    catalog
}

/// Where delivery keeps what it has done, with a fault in it if one is planted there.
pub(crate) fn trails_catalog(catalog: Arc<dyn TrailsCatalog>) -> Arc<dyn TrailsCatalog> {
    #[cfg(feature = "sabotage")]
    if let Some(bug) = loose_trails::Bug::named(&planted()) {
        return Arc::new(loose_trails::LooseTrails { catalog, bug });
    }
    catalog
}

/// Where it is kept what topics, log groups and buses are still to be told, with a fault in it if one is planted.
pub(crate) fn outlets_catalog(catalog: Arc<dyn OutletsCatalog>) -> Arc<dyn OutletsCatalog> {
    #[cfg(feature = "sabotage")]
    if planted() == "outlets-tried-once" {
        return Arc::new(loose_outlets::LooseOutlets { catalog });
    }
    catalog
}

/// What trails deliver to; taken for granted, whatever it is, if that fault is planted.
pub(crate) fn destinations(destinations: Arc<dyn Destinations>) -> Arc<dyn Destinations> {
    #[cfg(feature = "sabotage")]
    if planted() == "destinations-unasked" {
        return Arc::new(unasked_destinations::UnaskedDestinations);
    }
    destinations
}

/// Whether the lake's writer stands still, as a reader that has broken down.
#[cfg(feature = "sabotage")]
pub(crate) fn stops_the_lake() -> bool {
    planted() == "lake-stopped"
}

/// Whether the lake's writer stands still, as a reader that has broken down.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn stops_the_lake() -> bool {
    false
}

/// Whether this action is let through without authorization.
#[cfg(feature = "sabotage")]
pub(crate) fn skips_authorization(action: &str) -> bool {
    action == "cloudtrail:StopLogging" && planted() == "skip-authorization"
}

/// Whether this action is let through without authorization.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn skips_authorization(_action: &str) -> bool {
    false
}

/// Whether the beginning of a signature is taken for the whole.
#[cfg(feature = "sabotage")]
pub(crate) fn compares_prefix_only() -> bool {
    planted() == "signature-prefix"
}

/// Panics in the operation if that fault is planted.
#[cfg(feature = "sabotage")]
pub(crate) fn panic_in(operation: &str) {
    assert!(
        planted() != "panic-in-operation" || !matches!(operation, "DescribeTrails" | "TagUser"),
        "a planted panic"
    );
}

/// Panics in the operation if that fault is planted.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn panic_in(_operation: &str) {}

/// The answer of a commit, lost on its way although the commit was made if that fault is planted.
#[cfg(feature = "sabotage")]
pub(crate) fn loses_commit_answer(committed: Result<(), CatalogError>) -> Result<(), CatalogError> {
    if planted() == "lost-commit-answer" {
        committed.and(Err(CatalogError::Failed {
            during: "committing a mutation",
            reason: "the answer was lost".to_owned(),
        }))
    } else {
        committed
    }
}

/// The answer of a commit.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn loses_commit_answer(
    committed: Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    committed
}

#[cfg(feature = "sabotage")]
#[expect(clippy::disallowed_methods, reason = "a fault is no setting")]
fn planted() -> String {
    std::env::var("CAIRN_SABOTAGE").unwrap_or_default()
}
