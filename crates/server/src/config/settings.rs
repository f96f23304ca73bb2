//! The one table of settings. Reading, checking, `--print-config` and the reference page all use it,
//! so a setting that is not here does not exist.

/// What a setting's value looks like, with its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text, possibly empty.
    Text,
    /// Text that is never printed.
    Secret,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A path; empty means that the default described in the meaning holds.
    Path,
    /// `IP:port`.
    Address,
    /// Twelve digits.
    Account,
    /// The name of a Region.
    Region,
    /// A duration with a unit, limits in milliseconds.
    Duration(u64, u64),
    /// A size in bytes or with a unit, limits in bytes.
    Size(u64, u64),
    /// A whole number with limits.
    Count(u64, u64),
    /// A list of texts: an array in the file, separated by commas elsewhere.
    List,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Section of the file, and middle part of the environment variable.
    pub section: &'static str,
    /// Key within the section.
    pub key: &'static str,
    /// Form and limits of the value.
    pub kind: Kind,
    /// The value if nobody sets one, written as in the file.
    pub default: &'static str,
    /// What it does, one or two sentences.
    pub meaning: &'static str,
}

impl Setting {
    /// `CAIRN_<SECTION>_<KEY>`.
    pub fn variable(&self) -> String {
        format!("CAIRN_{}_{}", self.section, self.key).to_uppercase()
    }

    /// `section.key`, as errors name it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Smallest segment and queue of the event log: the events of any change must fit, or they would wait
/// in the outbox for ever, and so would all behind them.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 4 * MIB;
pub(crate) const QUEUE_BYTES_MIN: u64 = 4 * MIB;

const fn row(
    section: &'static str,
    key: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        section,
        key,
        kind,
        default,
        meaning,
    }
}

/// Every setting of the program, by section.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("server", "data_dir", Kind::Path, "./cairn-data",
        "Folder of everything Cairn keeps: event log, catalog, tables, credentials. Flag `--data-dir`."),
    row("server", "listen", Kind::Address, "127.0.0.1:4510",
        "Address of the API listener: CloudTrail, CloudTrail Data, IAM, STS, ingest, health, metrics. Flag `--listen`."),
    row("server", "s3_listen", Kind::Address, "127.0.0.1:4511",
        "Address of the embedded S3 endpoint. Flag `--s3-listen`."),
    row("server", "roles", Kind::List, "all",
        "Parts that this process runs. An embedded node runs `all` of them. Flag `--roles`."),
    row("server", "shutdown_timeout", Kind::Duration(100, 10 * MINUTE), "20s",
        "How long a stop waits, in all, for requests in progress, for readers and for the disk before it goes on without them."),
    row("server", "worker_threads", Kind::Count(0, 1024), "0",
        "Threads that run requests; 0 means one for each processor."),

    row("account", "default_id", Kind::Account, "123456789012",
        "Account that the first start creates, with its administrator. It is the operator's account; later starts keep it whatever this says."),
    row("account", "default_region", Kind::Region, "us-east-1",
        "Region written into DATA_DIR/config for clients. It must be enabled."),
    row("account", "administrator", Kind::Text, "admin",
        "Name of the IAM user that the first start creates with AdministratorAccess."),
    row("account", "regions", Kind::List,
        "us-east-1,us-east-2,us-west-1,us-west-2,ap-south-1,ap-northeast-1,ap-northeast-2,ap-northeast-3,ap-southeast-1,ap-southeast-2,ca-central-1,eu-central-1,eu-west-1,eu-west-2,eu-west-3,eu-north-1,sa-east-1",
        "Regions enabled for every account. The default is the Regions that AWS enables by default; any other name may be added."),
    row("account", "regions_by_account", Kind::List, "",
        "Exceptions, each `ACCOUNT=REGION REGION …`: the Regions enabled for that account instead of `account.regions`."),

    row("identity", "master_key_file", Kind::Path, "",
        "File with the key that encrypts secrets at rest. Default `DATA_DIR/master.key`, which protects nothing from whoever can read DATA_DIR."),

    row("http", "connections_max", Kind::Count(1, 100_000), "4096",
        "Open connections on each listener. At the limit the one that has been idle longest makes room for the next; those that are being answered go on, and further ones wait."),
    row("http", "header_bytes_max", Kind::Size(8 * KIB, MIB), "64KiB",
        "Request line and headers of one request."),
    row("http", "header_count_max", Kind::Count(10, 1_000), "100",
        "Headers of one request; more are answered with status 431."),
    row("http", "header_read_timeout", Kind::Duration(100, 10 * MINUTE), "20s",
        "Time to receive the headers of a request over HTTP/1.1, counted from the end of the one before."),
    row("http", "body_read_timeout", Kind::Duration(100, 10 * MINUTE), "30s",
        "Time to receive the body of a request."),
    row("http", "idle_timeout", Kind::Duration(100, HOUR), "60s",
        "A connection on which no request is in progress and of whose answers the client takes nothing is closed after this time."),
    row("http", "api_body_bytes_max", Kind::Size(KIB, 64 * MIB), "1MiB",
        "Body of one API request (ingest has its own limit)."),
    row("http", "in_flight_bytes_max", Kind::Size(MIB, 64 * GIB), "256MiB",
        "Bytes of request heads and bodies, decompressed ones included, held at one time; beyond it requests are answered with a retryable error. One peer address may hold half of it if a request of it was authenticated in the last ten minutes, else an eighth, and all those others half together; a single request of the largest size is always let in."),
    row("http", "h2_streams_max", Kind::Count(1, 10_000), "64",
        "Concurrent streams of one HTTP/2 connection."),
    row("http", "h2_resets_max", Kind::Count(1, 10_000), "32",
        "Streams of one HTTP/2 connection that the client reset before they were taken up; one more closes the connection."),
    row("http", "h2_error_resets_max", Kind::Count(1, 10_000), "256",
        "Streams of one HTTP/2 connection that the server reset for the client's errors before it closes the connection."),
    row("http", "h2_stream_window_bytes", Kind::Size(64 * KIB, 16 * MIB), "1MiB",
        "Bytes of one request's body that an HTTP/2 client may send ahead of their being read."),
    row("http", "h2_connection_window_bytes", Kind::Size(64 * KIB, 64 * MIB), "4MiB",
        "The same for all requests of one HTTP/2 connection together."),
    row("http", "h2_send_buffer_bytes_max", Kind::Size(16 * KIB, 16 * MIB), "256KiB",
        "Bytes of one answer that wait for an HTTP/2 client to take them."),
    row("http", "trusted_proxies", Kind::List, "",
        "Addresses or networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For is believed. Empty: only the peer's own address counts."),
    row("http", "metrics_token", Kind::Secret, "",
        "Bearer token for `GET /metrics`. Without one, metrics are served to loopback peers of a loopback listener only."),

    row("tls", "certificate_file", Kind::Path, "",
        "PEM file with the certificate chain of the listener. Empty: plain HTTP."),
    row("tls", "private_key_file", Kind::Path, "",
        "PEM file with the certificate's private key."),
    row("tls", "handshake_timeout", Kind::Duration(100, 5 * MINUTE), "10s",
        "Time for a client to finish the TLS handshake."),

    row("log", "level", Kind::Text, "info",
        "Lowest level written: error, warn, info, debug or trace; or directives such as `cairn=debug,info`."),
    row("log", "format", Kind::Word(&["text", "json"]), "text",
        "Form of the log on standard error."),

    row("api", "requests_per_second", Kind::Count(1, 1_000_000), "500",
        "API requests that one principal, a role with all of its sessions, may send in a second, on average; beyond it ThrottlingException."),
    row("api", "requests_burst", Kind::Count(1, 1_000_000), "1000",
        "API requests that one principal, a role with all of its sessions, may send at once after a pause."),

    row("s3", "requests_per_second", Kind::Count(1, 1_000_000), "2000",
        "Requests to the S3 endpoint that one principal, a role with all of its sessions, may send in a second, on average; beyond it SlowDown."),
    row("s3", "requests_burst", Kind::Count(1, 1_000_000), "4000",
        "Requests to the S3 endpoint that one principal, a role with all of its sessions, may send at once after a pause."),
    row("s3", "access_log_interval", Kind::Duration(SECOND, DAY), "5m",
        "How long lines of buckets' access logs are gathered before they are delivered; sooner once there is a megabyte."),

    row("ingest", "requests_per_second", Kind::Count(1, 1_000_000), "2000",
        "Calls to `POST /events` that one principal, a role with all of its sessions, may send in a second, on average; beyond it ThrottlingException."),
    row("ingest", "requests_burst", Kind::Count(1, 1_000_000), "4000",
        "Calls to `POST /events` that one principal, a role with all of its sessions, may send at once after a pause."),
    row("ingest", "body_bytes_max", Kind::Size(KIB, 64 * MIB), "10MB",
        "Body of one call to `POST /events`, as sent and as decompressed. Batches that the event log cannot take at once (`eventlog.segment_bytes`, `eventlog.queue_bytes_max`) are refused alike, with HTTP 413; `cairn ingest` then sends smaller ones."),
    row("ingest", "events_max", Kind::Count(1, 100_000), "10000",
        "Events in one call to `POST /events`."),
    row("ingest", "gzip_ratio_max", Kind::Count(2, 1_100), "200",
        "How many times larger than its compressed form a body may grow before it is refused (counted beyond the first MiB)."),
    row("ingest", "parallel_batches_max", Kind::Count(1, 1_024), "4",
        "Batches that are parsed at one time; others wait."),
    row("ingest", "producer_accounts", Kind::List, "",
        "Accounts whose principals may, if their policies allow it, write events of other accounts as well. Empty: the operator's account alone."),

    row("deduplication", "window", Kind::Duration(SECOND, 7 * DAY), "1h",
        "How long an event ID is remembered, so that a producer's retry is stored once."),
    row("deduplication", "keys_max", Kind::Count(1_000, 100_000_000), "5000000",
        "How many event IDs are remembered; about 36 bytes each. The oldest is forgotten when there are more."),

    row("lookup", "requests_per_second", Kind::Count(1, 1_000_000), "2",
        "LookupEvents calls per account and Region in a second; beyond it ThrottlingException (OVR-092)."),
    row("lookup", "token_lifetime", Kind::Duration(SECOND, 7 * DAY), "1h",
        "How long a NextToken of LookupEvents can be used."),

    row("eventlog", "segment_bytes", Kind::Size(SEGMENT_BYTES_MIN, 4 * GIB), "64MiB",
        "Size at which a segment file of the event log is sealed."),
    row("eventlog", "queue_bytes_max", Kind::Size(QUEUE_BYTES_MIN, 4 * GIB), "64MiB",
        "Bytes of events that may wait for the disk; beyond it calls are answered with ThrottlingException."),
    row("eventlog", "cache_bytes_max", Kind::Size(MIB, 4 * GIB), "64MiB",
        "Recent events kept in memory for readers that keep up."),
    row("eventlog", "free_bytes_min", Kind::Size(0, 1_024 * GIB), "256MiB",
        "Events are refused while the log's disk has less room than this; they are taken again once it has more."),
    row("eventlog", "preallocate_bytes", Kind::Size(0, GIB), "8MiB",
        "Room that is reserved in the log's newest segment at a time."),
    row("eventlog", "reserve_bytes", Kind::Size(0, GIB), "64MiB",
        "Size of a file that is given up when recovery or sealing a segment needs room; 0 for none (R18)."),

    row("lake", "hot_interval", Kind::Duration(1, 500), "250ms",
        "Longest wait of an acknowledged event before it is made visible."),
    row("lake", "read_bytes_max", Kind::Size(64 * KIB, GIB), "32MiB",
        "Bytes of events read from the log at once; more than that waiting means that the lake lags."),
    row("lake", "lag_events_max", Kind::Count(0, 1_000_000_000_000), "10000000",
        "Acknowledged events that may wait for the tables while requests keep the processors busy; beyond it the tables take an equal share. While fewer wait, requests come first."),
    row("lake", "commit_interval", Kind::Duration(100, HOUR), "60s",
        "How often visible events are committed to the tables as Parquet files."),
    row("lake", "commit_rows_max", Kind::Count(1, 10_000_000), "500000",
        "Events after which a commit is made earlier."),
    row("lake", "commit_bytes_max", Kind::Size(MIB, 4 * GIB), "96MiB",
        "Bytes of uncommitted events in memory that bring a commit forward; at most twice as many are held."),
    row("lake", "history_retention", Kind::Duration(DAY, 3_650 * DAY), "90d",
        "How long event history keeps an event, by its time, in whole days (OVR-036)."),
    row("lake", "maintenance_interval", Kind::Duration(100, 7 * DAY), "60s",
        "How often files are merged and expired events, snapshots and garbage removed."),
    row("lake", "compaction_file_bytes", Kind::Size(KIB, GIB), "64MiB",
        "A data file below this size is merged with others of its day. Merging takes up to twice as much memory, and some 140 MiB."),
    row("lake", "compaction_files_min", Kind::Count(2, 1_000), "8",
        "Small files of one day that are left alone."),
    row("lake", "compaction_files_max", Kind::Count(2, 1_000), "16",
        "Files that one compaction merges at most."),
    row("lake", "snapshot_retention", Kind::Duration(SECOND, 90 * DAY), "24h",
        "How long an outdated snapshot of a table can still be read by outside engines."),
    row("lake", "snapshots_max", Kind::Count(1, 100_000), "300",
        "Outdated snapshots kept at most, unless they are very young."),
    row("lake", "orphan_age_min", Kind::Duration(24 * HOUR, 90 * DAY), "24h",
        "Age at which an unreferenced file is removed (R13)."),
    row("lake", "orphan_interval", Kind::Duration(SECOND, 7 * DAY), "1h",
        "How often unreferenced files are looked for."),
    row("lake", "scrub_interval", Kind::Duration(0, 365 * DAY), "7d",
        "How often every file of the tables is read and compared with its checksums; 0s for never (C5)."),
    row("lake", "scrub_bytes_max", Kind::Size(MIB, 64 * GIB), "256MiB",
        "Bytes compared in one round, of which there is one every lake.maintenance_interval. A round also ends after two seconds."),
    row("lake", "lookups_max", Kind::Count(1, 400), "64",
        "LookupEvents calls that read at once, of all accounts; beyond it ThrottlingException (R18)."),
    row("lake", "free_bytes_min", Kind::Size(0, 1_024 * GIB), "64MiB",
        "Tables are not written while their disk has less room than this. Keep it below eventlog.free_bytes_min."),

    row("trails", "delivery_interval", Kind::Duration(SECOND, DAY), "5m",
        "How often events are put into log files of trails: on whole multiples by the wall clock, after an idle time at once (TRL-131)."),
    row("trails", "digest_interval", Kind::Duration(SECOND, 7 * DAY), "1h",
        "How much time one digest covers (REC-234). AWS's own tools expect an hour; shorter ones are for tests."),
    row("trails", "file_bytes_max", Kind::Size(64 * KIB, GIB), "50MB",
        "Largest log file, uncompressed."),
    row("trails", "buffer_bytes_max", Kind::Size(MIB, 4 * GIB), "64MiB",
        "Events of trails held in memory before they are compressed into the spool (R18)."),
    row("trails", "cut_bytes_max", Kind::Size(MIB, 64 * GIB), "2GiB",
        "Uncompressed events after which log files are closed before they are due: as much may be made again after a crash."),
    row("trails", "spool_bytes_max", Kind::Size(MIB, 64 * 1_024 * GIB), "10GiB",
        "Files of all trails that wait for buckets, log groups and event buses. Beyond it new ones are given up, counted and reported."),
    row("trails", "spool_trail_bytes_max", Kind::Size(MIB, 64 * 1_024 * GIB), "5GiB",
        "The same for one trail, for the log groups of one trail, and for one event bus, each."),
    row("trails", "retry_period", Kind::Duration(SECOND, 365 * DAY), "30d",
        "How long a file is tried before it is given up (TRL-133)."),
    row("trails", "retry_pause_max", Kind::Duration(100, DAY), "5m",
        "Longest pause between two attempts at a bucket, topic, log group or event bus that has failed (R15)."),
    row("trails", "puts_max", Kind::Count(1, 1_000), "32",
        "Files sent at once, of all trails."),
    row("trails", "puts_trail_max", Kind::Count(1, 100), "4",
        "Files sent at once, of one trail."),
    row("trails", "puts_bytes_max", Kind::Size(MIB, 64 * GIB), "256MiB",
        "Bytes of files sent at once (R18); a larger file is sent alone."),
    row("trails", "key_period", Kind::Duration(MINUTE, 3_650 * DAY), "30d",
        "How long a key signs digests before a new one does (REC-268)."),
    row("trails", "put_timeout", Kind::Duration(100, HOUR), "60s",
        "Time to put one file."),

    row("endpoints", "s3", Kind::List, "",
        "S3 endpoints other than the embedded one, each `NAME=URL REGION PATTERN …` with patterns of the bucket names that lie there (`*` stands for anything; the first match counts). `path` before the first pattern asks for buckets in the path instead of the host name."),
    row("endpoints", "kms", Kind::List, "",
        "Where a KMS answers that is asked for keys which this node does not have: a URL for keys of every Region, or `REGION=URL` for those of one."),
    row("endpoints", "sns", Kind::List, "",
        "Where SNS answers: a URL for topics of every Region, or `REGION=URL` for those of one. Without it, trails cannot have topics. Requests are signed for the Region of the topic's ARN."),
    row("endpoints", "logs", Kind::List, "",
        "Where CloudWatch Logs answers, in the same form. Without it, trails cannot have log groups."),
    row("endpoints", "eventbridge", Kind::List, "",
        "Where EventBridge answers, in the same form. With it, each event that any trail takes goes once to the default bus of its Region."),
    row("endpoints", "eventbridge_source_prefix", Kind::Text, "aws.",
        "What stands before the service's name in the `source` of events on a bus. AWS's own EventBridge keeps `aws.` to itself and refuses it from others; give another there, such as `cairn.`."),
    row("endpoints", "credentials_file", Kind::Path, "",
        "File in the form of AWS's credentials file, with a section for each NAME of `endpoints.s3`, and sections `kms`, `sns`, `logs` and `eventbridge` for these services. Needed as soon as one of them is given."),
    row("endpoints", "ca_file", Kind::Path, "",
        "PEM file of certificates to trust for endpoints, beside those of the system."),
];
