//! What telling topics, log groups and buses has done, and what it still has to do.

use cairn_catalog::trails::{LaneUse, Outlet};
use cairn_trails::OutletCounts;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::signed;

/// Gauges about outlets.
#[derive(Debug, Default)]
pub(crate) struct OutletGauges {
    failures: Gauge,
    notified_files: Gauge,
    lost_notifications: Gauge,
    logs_events: Gauge,
    lost_logs_events: Gauge,
    bus_events: Gauge,
    lost_bus_events: Gauge,
    waiting_notifications: Gauge,
    waiting_feeds: Gauge,
    feed_bytes: Gauge,
    oldest_waiting_seconds: Gauge,
}

impl OutletGauges {
    /// Takes over what was counted.
    pub(crate) fn set_counts(&self, counts: &OutletCounts) {
        for (gauge, value) in [
            (&self.failures, counts.failures),
            (&self.notified_files, counts.notified_files),
            (&self.lost_notifications, counts.lost_notifications),
            (&self.logs_events, counts.logs_events),
            (&self.lost_logs_events, counts.lost_logs_events),
            (&self.bus_events, counts.bus_events),
            (&self.lost_bus_events, counts.lost_bus_events),
        ] {
            gauge.set(signed(value));
        }
    }

    /// Takes over what waits.
    pub(crate) fn set_waiting(&self, used: &[LaneUse], now_ms: i64) {
        let (topics, feeds): (Vec<&LaneUse>, Vec<&LaneUse>) = used
            .iter()
            .partition(|one| one.lane.outlet == Outlet::Topic);
        let waiting = |lanes: &[&LaneUse]| signed(lanes.iter().map(|one| one.waiting).sum::<u64>());
        self.waiting_notifications.set(waiting(&topics));
        self.waiting_feeds.set(waiting(&feeds));
        let bytes: u64 = feeds.iter().map(|one| one.own_bytes).sum();
        self.feed_bytes.set(signed(bytes));
        let oldest = used.iter().map(|one| one.oldest_ms).min();
        let age_ms = oldest.map_or(0, |oldest| now_ms.saturating_sub(oldest));
        self.oldest_waiting_seconds.set(age_ms.max(0) / 1_000);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "outlets_failures",
                "Attempts to tell a topic, log group or bus that failed and are made again",
                &self.failures,
            ),
            (
                "outlets_notified_files",
                "Log files of which topics were told",
                &self.notified_files,
            ),
            (
                "outlets_notifications_lost",
                "Log files of which no topic will be told",
                &self.lost_notifications,
            ),
            (
                "outlets_logs_events",
                "Events that log groups have taken",
                &self.logs_events,
            ),
            (
                "outlets_logs_events_lost",
                "Events that no log group will get: too large, too old, or given up",
                &self.lost_logs_events,
            ),
            (
                "outlets_bus_events",
                "Events that buses have taken",
                &self.bus_events,
            ),
            (
                "outlets_bus_events_lost",
                "Events that no bus will get: too large, or given up",
                &self.lost_bus_events,
            ),
            (
                "outlets_waiting_notifications",
                "Log files of which topics are still to be told",
                &self.waiting_notifications,
            ),
            (
                "outlets_waiting_feeds",
                "Files whose events are still to be sent to log groups and buses",
                &self.waiting_feeds,
            ),
            (
                "outlets_spool_bytes",
                "Bytes of the spool that are kept for log groups and buses alone",
                &self.feed_bytes,
            ),
            (
                "outlets_oldest_waiting_seconds",
                "Age of the oldest that waits for a topic, log group or bus, 0 if nothing does",
                &self.oldest_waiting_seconds,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}
