//! What telling topics, log groups and buses has done since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use cairn_catalog::trails::{LaneLoss, Outlet};

/// Numbers that grow.
#[derive(Debug, Default)]
pub(crate) struct OutletCounters {
    failures: AtomicU64,
    notified_files: AtomicU64,
    lost_notifications: AtomicU64,
    logs_events: AtomicU64,
    lost_logs_events: AtomicU64,
    bus_events: AtomicU64,
    lost_bus_events: AtomicU64,
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutletCounts {
    /// Steps that failed and are tried again.
    pub failures: u64,
    /// Delivered log files of which topics were told.
    pub notified_files: u64,
    /// Delivered log files of which no topic will be told.
    pub lost_notifications: u64,
    /// Events that log groups have taken.
    pub logs_events: u64,
    /// Events that no log group will get: too large, too old, or given up.
    pub lost_logs_events: u64,
    /// Events that buses have taken.
    pub bus_events: u64,
    /// Events that no bus will get: too large, refused for what they are, or given up.
    pub lost_bus_events: u64,
}

impl OutletCounters {
    pub(crate) fn counts(&self) -> OutletCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutletCounts {
            failures: get(&self.failures),
            notified_files: get(&self.notified_files),
            lost_notifications: get(&self.lost_notifications),
            logs_events: get(&self.logs_events),
            lost_logs_events: get(&self.lost_logs_events),
            bus_events: get(&self.bus_events),
            lost_bus_events: get(&self.lost_bus_events),
        }
    }

    pub(crate) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_notified(&self, files: u64) {
        self.notified_files.fetch_add(files, Ordering::Relaxed);
    }

    /// Events that a target has, and events that it never will have.
    pub(crate) fn add_events(&self, outlet: Outlet, taken: u64, lost: u64) {
        let (all_taken, all_lost) = match outlet {
            Outlet::Logs => (&self.logs_events, &self.lost_logs_events),
            Outlet::Bus => (&self.bus_events, &self.lost_bus_events),
            Outlet::Topic => return,
        };
        all_taken.fetch_add(taken, Ordering::Relaxed);
        all_lost.fetch_add(lost, Ordering::Relaxed);
    }

    pub(crate) fn add_lost_notification(&self) {
        self.lost_notifications.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_lost(&self, outlet: Outlet, loss: &LaneLoss) {
        self.lost_notifications
            .fetch_add(loss.notifications, Ordering::Relaxed);
        self.add_events(outlet, 0, loss.events);
    }
}
