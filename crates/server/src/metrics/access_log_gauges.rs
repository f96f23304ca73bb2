//! What access logs of buckets have delivered, and what of them is lost.

use std::sync::atomic::Ordering;

use cairn_bucket::AccessLog;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::signed;

/// Gauges about access logs.
#[derive(Debug, Default)]
pub(crate) struct AccessLogGauges {
    bytes: Gauge,
    lines: Gauge,
    objects: Gauge,
    failures: Gauge,
    dropped: Gauge,
}

impl AccessLogGauges {
    /// Takes over what the log counts.
    pub(crate) fn set(&self, log: &AccessLog) {
        self.bytes.set(signed(log.held_bytes()));
        let counters = &log.counters;
        for (gauge, counter) in [
            (&self.lines, &counters.delivered_lines),
            (&self.objects, &counters.delivered_objects),
            (&self.failures, &counters.failures),
            (&self.dropped, &counters.dropped_lines),
        ] {
            gauge.set(signed(counter.load(Ordering::Relaxed)));
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "access_log_bytes",
                "Bytes of access logs that wait in memory",
                &self.bytes,
            ),
            (
                "access_log_lines",
                "Lines of access logs that buckets have taken",
                &self.lines,
            ),
            (
                "access_log_objects",
                "Objects with these lines",
                &self.objects,
            ),
            (
                "access_log_failures",
                "Deliveries of access logs that failed",
                &self.failures,
            ),
            (
                "access_log_lines_dropped",
                "Lines of access logs that no bucket will get",
                &self.dropped,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}
