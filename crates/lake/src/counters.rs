//! What the lake has done since the process began, for metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use cairn_platform::UnixMillis;

/// Counts since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows: AtomicU64,
    unselected: AtomicU64,
    too_old: AtomicU64,
    quarantined: AtomicU64,
    lost: AtomicU64,
    rebuilt: AtomicU64,
    damaged: AtomicU64,
    commits: AtomicU64,
    compacted: AtomicU64,
    deleted: AtomicU64,
    failures: AtomicU64,
    scrubbed_objects: AtomicU64,
    scrubbed_bytes: AtomicU64,
    scrub_passed_over: AtomicU64,
    scrub_finished_ms: AtomicI64,
}

/// Counts since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LakeCounts {
    /// Rows made visible.
    pub rows: u64,
    /// Events that no table takes.
    pub unselected: u64,
    /// Events older than the retention of event history.
    pub too_old: u64,
    /// Poison events set aside.
    pub quarantined: u64,
    /// Records that the event log lost to damage, and that the tables go on without.
    pub lost: u64,
    /// Damaged hot objects that were rebuilt from the log.
    pub rebuilt_hot_objects: u64,
    /// Times that a stored object was found damaged; by background work once each.
    pub damaged_objects: u64,
    /// Commits of tables.
    pub commits: u64,
    /// Data files that compaction replaced.
    pub compacted_files: u64,
    /// Objects deleted.
    pub deleted_objects: u64,
    /// Steps that failed and are tried again, background work included.
    pub failures: u64,
    /// Objects that the scrub has read to their end and found as they were written.
    pub scrubbed_objects: u64,
    /// Bytes that the scrub has compared and found as they were written.
    pub scrubbed_bytes: u64,
    /// Objects of earlier builds that the newest pass of the scrub leaves out: they have no checksum.
    pub scrub_passed_over: u64,
    /// When the scrub last finished a pass; 0 before the first.
    pub scrub_finished_ms: UnixMillis,
}

impl Counters {
    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_unselected(&self, events: u64) {
        self.unselected.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn add_too_old(&self, events: u64) {
        self.too_old.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn add_quarantined(&self) {
        self.quarantined.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_lost(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn add_rebuilt(&self) {
        self.rebuilt.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_compacted(&self, files: u64) {
        self.compacted.fetch_add(files, Ordering::Relaxed);
    }

    pub(crate) fn add_deleted(&self, objects: u64) {
        self.deleted.fetch_add(objects, Ordering::Relaxed);
    }

    pub(crate) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_scrubbed_bytes(&self, bytes: u64) {
        self.scrubbed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_scrubbed_object(&self) {
        self.scrubbed_objects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_scrub_passed_over(&self, objects: u64) {
        self.scrub_passed_over.store(objects, Ordering::Relaxed);
    }

    pub(crate) fn set_scrub_finished(&self, now_ms: UnixMillis) {
        self.scrub_finished_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> LakeCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LakeCounts {
            rows: of(&self.rows),
            unselected: of(&self.unselected),
            too_old: of(&self.too_old),
            quarantined: of(&self.quarantined),
            lost: of(&self.lost),
            rebuilt_hot_objects: of(&self.rebuilt),
            damaged_objects: of(&self.damaged),
            commits: of(&self.commits),
            compacted_files: of(&self.compacted),
            deleted_objects: of(&self.deleted),
            failures: of(&self.failures),
            scrubbed_objects: of(&self.scrubbed_objects),
            scrubbed_bytes: of(&self.scrubbed_bytes),
            scrub_passed_over: of(&self.scrub_passed_over),
            scrub_finished_ms: self.scrub_finished_ms.load(Ordering::Relaxed),
        }
    }
}
