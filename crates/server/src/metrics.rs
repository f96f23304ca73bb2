//! What the server counts and measures, in one registry, and how it is written for Prometheus.

mod access_log_gauges;
mod outlet_gauges;
mod trail_gauges;

pub(crate) use access_log_gauges::AccessLogGauges;
pub(crate) use outlet_gauges::OutletGauges;
pub(crate) use trail_gauges::TrailGauges;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use cairn_lake::LakeCounts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Bounds of the latency histograms, in seconds.
const LATENCY_BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

type LatencyFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// Which call a measurement belongs to. Names come from the operations tables, never from callers, so
/// there are only so many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CallLabels {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    service: &'static str,
    operation: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReaderLabel {
    reader: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabel {
    store: String,
}

/// All measurements of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<AnswerLabels, Counter>,
    answer_seconds: LatencyFamily<CallLabels>,
    authentication_failures: Family<ReasonLabel, Counter>,
    not_admitted: Family<ReasonLabel, Counter>,
    events: Family<OutcomeLabel, Counter>,
    events_refused: Family<ReasonLabel, Counter>,
    pub(crate) events_unselected: Counter,
    pub(crate) event_bytes: Counter,
    pub(crate) append_seconds: Histogram,
    pub(crate) panics: Counter,
    pub(crate) calls_not_recorded: Counter,
    pub(crate) bucket_bytes: Counter,
    pub(crate) bucket_received_bytes: Counter,
    gauges: Gauges,
    pub(crate) trails: TrailGauges,
    /// What topics, log groups and buses are told.
    pub(crate) outlets: OutletGauges,
    pub(crate) access_log: AccessLogGauges,
    reader_lag: Family<ReaderLabel, Gauge>,
    store_rows: Family<StoreLabel, Gauge>,
    store_position: Family<StoreLabel, Gauge>,
}

/// Values that are read from the parts of the server at the moment of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) connections: Gauge,
    pub(crate) in_flight_bytes: Gauge,
    pub(crate) deduplication_keys: Gauge,
    pub(crate) outbox_entries: Gauge,
    pub(crate) outbox_quarantined: Gauge,
    pub(crate) records_waiting: Gauge,
    pub(crate) log_bytes: Gauge,
    pub(crate) log_segments: Gauge,
    pub(crate) log_queue_bytes: Gauge,
    pub(crate) log_start: Gauge,
    pub(crate) log_end: Gauge,
    pub(crate) log_poisoned: Gauge,
    pub(crate) log_no_space: Gauge,
    pub(crate) log_damages: Gauge,
    pub(crate) lake_closed: Gauge,
    pub(crate) lake_hot_bytes: Gauge,
    pub(crate) lake_commits: Gauge,
    pub(crate) lake_quarantined: Gauge,
    pub(crate) lake_too_old: Gauge,
    pub(crate) lake_lost: Gauge,
    pub(crate) lake_rebuilt: Gauge,
    pub(crate) lake_failures: Gauge,
    pub(crate) lake_damaged: Gauge,
    pub(crate) lake_scrubbed_objects: Gauge,
    pub(crate) lake_scrubbed_bytes: Gauge,
    pub(crate) lake_scrub_passed_over: Gauge,
    pub(crate) lake_scrub_finished_seconds: Gauge,
    pub(crate) uptime_seconds: Gauge<f64, AtomicU64>,
}

impl Gauges {
    /// What the scrub of the tables has done.
    pub(crate) fn set_scrub(&self, counts: &LakeCounts) {
        self.lake_scrubbed_objects
            .set(signed(counts.scrubbed_objects));
        self.lake_scrubbed_bytes.set(signed(counts.scrubbed_bytes));
        self.lake_scrub_passed_over
            .set(signed(counts.scrub_passed_over));
        self.lake_scrub_finished_seconds
            .set(counts.scrub_finished_ms / 1_000);
    }

    /// Name, help and value of those about the server.
    fn of_server(&self) -> Vec<(&'static str, &'static str, &Gauge)> {
        vec![
            ("connections", "Open connections", &self.connections),
            (
                "in_flight_bytes",
                "Bytes of request heads and bodies held",
                &self.in_flight_bytes,
            ),
            (
                "deduplication_keys",
                "Event IDs remembered",
                &self.deduplication_keys,
            ),
            (
                "outbox_entries",
                "Mutations not in the log yet",
                &self.outbox_entries,
            ),
            (
                "outbox_quarantined",
                "Records of mutations that the log cannot hold",
                &self.outbox_quarantined,
            ),
            (
                "records_waiting",
                "Records of reads that wait for room",
                &self.records_waiting,
            ),
        ]
    }

    /// The same of those about the event log.
    fn of_log(&self) -> Vec<(&'static str, &'static str, &Gauge)> {
        vec![
            ("log_bytes", "Size of the event log", &self.log_bytes),
            (
                "log_segments",
                "Segment files of the event log",
                &self.log_segments,
            ),
            (
                "log_queue_bytes",
                "Bytes waiting for the disk",
                &self.log_queue_bytes,
            ),
            ("log_start", "Oldest sequence in the log", &self.log_start),
            (
                "log_end",
                "Sequence after the last durable one",
                &self.log_end,
            ),
            (
                "log_poisoned",
                "1 once the event log has failed",
                &self.log_poisoned,
            ),
            (
                "log_no_space",
                "1 while the event log refuses events for lack of room",
                &self.log_no_space,
            ),
            (
                "log_damages",
                "Places of the event log that do not read back as written",
                &self.log_damages,
            ),
        ]
    }

    /// The same of those about the lake.
    fn of_lake(&self) -> Vec<(&'static str, &'static str, &Gauge)> {
        vec![
            (
                "lake_closed",
                "1 while the tables cannot be read: lookups are refused, the log keeps all events",
                &self.lake_closed,
            ),
            (
                "lake_hot_bytes",
                "Bytes visible but not committed",
                &self.lake_hot_bytes,
            ),
            (
                "lake_commits",
                "Commits to tables since the start",
                &self.lake_commits,
            ),
            (
                "lake_quarantined",
                "Events that no table could take",
                &self.lake_quarantined,
            ),
            (
                "lake_too_old",
                "Events older than any table keeps",
                &self.lake_too_old,
            ),
            (
                "lake_lost",
                "Records lost to damage of the log that the tables go on without",
                &self.lake_lost,
            ),
            (
                "lake_rebuilt",
                "Damaged hot objects that were made anew from the log",
                &self.lake_rebuilt,
            ),
            (
                "lake_failures",
                "Steps of the lake that failed and are tried again, background work included",
                &self.lake_failures,
            ),
            (
                "lake_damaged",
                "Times that a stored object did not match its checksums, or was not there",
                &self.lake_damaged,
            ),
            (
                "lake_scrubbed_objects",
                "Stored objects that the scrub found as they were written",
                &self.lake_scrubbed_objects,
            ),
            (
                "lake_scrubbed_bytes",
                "Bytes that the scrub found as they were written",
                &self.lake_scrubbed_bytes,
            ),
            (
                "lake_scrub_passed_over",
                "Stored objects of earlier builds, which have no checksum to compare",
                &self.lake_scrub_passed_over,
            ),
            (
                "lake_scrub_finished_seconds",
                "Unix time at which the scrub last finished a pass, 0 before",
                &self.lake_scrub_finished_seconds,
            ),
        ]
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("cairn"),
            answers: Family::default(),
            answer_seconds: Family::new_with_constructor(latencies),
            authentication_failures: Family::default(),
            not_admitted: Family::default(),
            events: Family::default(),
            events_refused: Family::default(),
            events_unselected: Counter::default(),
            event_bytes: Counter::default(),
            append_seconds: latencies(),
            panics: Counter::default(),
            calls_not_recorded: Counter::default(),
            bucket_bytes: Counter::default(),
            bucket_received_bytes: Counter::default(),
            gauges: Gauges::default(),
            trails: TrailGauges::default(),
            outlets: OutletGauges::default(),
            access_log: AccessLogGauges::default(),
            reader_lag: Family::default(),
            store_rows: Family::default(),
            store_position: Family::default(),
        };
        metrics.register_counts();
        metrics.register_gauges();
        metrics
    }
}

impl Metrics {
    /// A call was answered.
    pub(crate) fn answered(&self, call: &CallLabels, code: &'static str, took: Duration) {
        let labels = AnswerLabels {
            service: call.service,
            operation: call.operation,
            code,
        };
        self.answers.get_or_create(&labels).inc();
        self.answer_seconds
            .get_or_create(call)
            .observe(took.as_secs_f64());
    }

    /// A request could not be authenticated, which is no event (DESIGN 1).
    pub(crate) fn authentication_failed(&self, reason: &'static str) {
        self.authentication_failures
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    /// A request was turned away before it was looked at.
    pub(crate) fn not_admitted(&self, reason: &'static str) {
        self.not_admitted
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    /// Events of a batch were accepted or recognised.
    pub(crate) fn events_answered(&self, accepted: u64, duplicates: u64) {
        self.events
            .get_or_create(&OutcomeLabel {
                outcome: "accepted",
            })
            .inc_by(accepted);
        self.events
            .get_or_create(&OutcomeLabel {
                outcome: "duplicate",
            })
            .inc_by(duplicates);
    }

    /// One event of a batch was refused.
    pub(crate) fn event_refused(&self, reason: &'static str) {
        self.events
            .get_or_create(&OutcomeLabel { outcome: "refused" })
            .inc();
        self.events_refused
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    pub(crate) fn set_reader_lag(&self, reader: &str, records: u64) {
        let label = ReaderLabel {
            reader: reader.to_owned(),
        };
        self.reader_lag.get_or_create(&label).set(signed(records));
    }

    pub(crate) fn set_store(&self, store: &str, rows: u64, position: u64) {
        let label = StoreLabel {
            store: store.to_owned(),
        };
        self.store_rows.get_or_create(&label).set(signed(rows));
        self.store_position
            .get_or_create(&label)
            .set(signed(position));
    }

    /// The text of `GET /metrics`.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into a text does not fail");
        text
    }

    fn register_counts(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Answered calls by outcome",
            self.answers.clone(),
        );
        registry.register(
            "request_seconds",
            "Time from a call's complete head to its answer, in which its body comes",
            self.answer_seconds.clone(),
        );
        registry.register(
            "authentication_failures",
            "Requests that could not be authenticated",
            self.authentication_failures.clone(),
        );
        registry.register(
            "not_admitted",
            "Requests turned away by a rate or memory limit",
            self.not_admitted.clone(),
        );
        registry.register(
            "events",
            "Events that producers sent, by outcome",
            self.events.clone(),
        );
        registry.register(
            "events_refused_by_reason",
            "Events that were refused, by reason",
            self.events_refused.clone(),
        );
        registry.register(
            "events_unselected",
            "Accepted events that no store selects",
            self.events_unselected.clone(),
        );
        registry.register(
            "event_bytes",
            "Bytes of accepted events",
            self.event_bytes.clone(),
        );
        registry.register(
            "append_seconds",
            "Time for the event log to make a batch durable",
            self.append_seconds.clone(),
        );
        registry.register("panics", "Handlers that panicked", self.panics.clone());
        registry.register(
            "calls_not_recorded",
            "Calls whose event the log did not take in time: refused, or recorded later",
            self.calls_not_recorded.clone(),
        );
        registry.register(
            "s3_sent_bytes",
            "Bytes of answers that the S3 endpoint has handed to clients",
            self.bucket_bytes.clone(),
        );
        registry.register(
            "s3_received_bytes",
            "Bytes of bodies that clients have sent to the S3 endpoint, as they came over the wire",
            self.bucket_received_bytes.clone(),
        );
    }

    fn register_gauges(&mut self) {
        let gauges = &self.gauges;
        let all = [gauges.of_server(), gauges.of_log(), gauges.of_lake()];
        for (name, help, gauge) in all.concat() {
            self.registry.register(name, help, gauge.clone());
        }
        let uptime = self.gauges.uptime_seconds.clone();
        self.registry
            .register("uptime_seconds", "Time since the start", uptime);
        self.trails.register(&mut self.registry);
        self.outlets.register(&mut self.registry);
        self.access_log.register(&mut self.registry);
        self.register_families();
    }

    fn register_families(&mut self) {
        for (name, help, family) in [
            ("store_rows", "Events in a store", &self.store_rows),
            (
                "store_position",
                "Log sequence up to which a store shows events",
                &self.store_position,
            ),
        ] {
            self.registry.register(name, help, family.clone());
        }
        let help = "Records between a log reader and the log's end";
        self.registry
            .register("log_reader_lag", help, self.reader_lag.clone());
    }
}

fn latencies() -> Histogram {
    Histogram::new(LATENCY_BOUNDS)
}

/// Gauges are signed; counts of ours do not reach the difference.
pub(crate) fn signed(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
