//! What delivery to trails has done, and what it still has to do.

use cairn_catalog::trails::SpoolUse;
use cairn_trails::TrailsCounts;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::signed;

/// Gauges about trails.
#[derive(Debug, Default)]
pub(crate) struct TrailGauges {
    cuts: Gauge,
    files: Gauge,
    events: Gauge,
    delivered: Gauge,
    failures: Gauge,
    digests: Gauge,
    lost_events: Gauge,
    lost_records: Gauge,
    unlisted: Gauge,
    already_there: Gauge,
    conflicts: Gauge,
    quarantined: Gauge,
    waiting_files: Gauge,
    waiting_events: Gauge,
    spool_bytes: Gauge,
    oldest_waiting_seconds: Gauge,
}

impl TrailGauges {
    /// Takes over what delivery counts.
    pub(crate) fn set_counts(&self, counts: &TrailsCounts) {
        for (gauge, value) in [
            (&self.cuts, counts.cuts),
            (&self.files, counts.files),
            (&self.events, counts.events),
            (&self.delivered, counts.delivered),
            (&self.failures, counts.failures),
            (&self.digests, counts.digests),
            (&self.lost_events, counts.lost_events),
            (&self.lost_records, counts.lost_records),
            (&self.unlisted, counts.unlisted),
            (&self.already_there, counts.already_there),
            (&self.conflicts, counts.conflicts),
            (&self.quarantined, counts.quarantined),
        ] {
            gauge.set(signed(value));
        }
    }

    /// Takes over what trails hold of the spool.
    pub(crate) fn set_spool(&self, used: &[SpoolUse], now_ms: i64) {
        let sum = |of: fn(&SpoolUse) -> u64| signed(used.iter().map(of).sum::<u64>());
        self.waiting_files.set(sum(|one| one.files));
        self.waiting_events.set(sum(|one| one.events));
        self.spool_bytes.set(sum(|one| one.bytes));
        let oldest = used.iter().filter_map(|one| one.oldest_waiting_ms).min();
        let age_ms = oldest.map_or(0, |oldest| now_ms.saturating_sub(oldest));
        self.oldest_waiting_seconds.set(age_ms.max(0) / 1_000);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_counts(registry);
        for (name, help, gauge) in [
            (
                "trails_waiting_files",
                "Files that wait for their buckets",
                &self.waiting_files,
            ),
            (
                "trails_waiting_events",
                "Events in these files",
                &self.waiting_events,
            ),
            (
                "trails_spool_bytes",
                "Bytes of the spool",
                &self.spool_bytes,
            ),
            (
                "trails_oldest_waiting_seconds",
                "Age of the oldest file that waits for its bucket, 0 if none does",
                &self.oldest_waiting_seconds,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_counts(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "trails_cuts",
                "Ranges of the event log that were cut into log files",
                &self.cuts,
            ),
            (
                "trails_files",
                "Log files made since the start",
                &self.files,
            ),
            ("trails_events", "Events in these files", &self.events),
            (
                "trails_delivered",
                "Log files and digests that buckets have taken",
                &self.delivered,
            ),
            (
                "trails_failures",
                "Steps of delivery that failed and are tried again",
                &self.failures,
            ),
            (
                "trails_digests",
                "Digests signed since the start",
                &self.digests,
            ),
            (
                "trails_events_lost",
                "Events given up: no bucket will get them",
                &self.lost_events,
            ),
            (
                "trails_records_lost",
                "Records lost to damage of the log that trails go on without",
                &self.lost_records,
            ),
            (
                "trails_unlisted",
                "Delivered log files that no digest lists, for their spooled bytes were damaged",
                &self.unlisted,
            ),
            (
                "trails_already_there",
                "Puts that found an object under their key: earlier attempts, or somebody else's",
                &self.already_there,
            ),
            (
                "trails_conflicts",
                "Puts that found other bytes under their key, where these may be read",
                &self.conflicts,
            ),
            (
                "trails_quarantined",
                "Records that no trail can read, kept in the spool's folder",
                &self.quarantined,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}
