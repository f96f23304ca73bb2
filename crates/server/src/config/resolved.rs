//! Configuration that means something: one plain struct per part of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cairn_access::SecretKey;
use cairn_model::{AccountId, Region};

use super::endpoints;
use super::layers::{ConfigError, Layers};
use super::regions::RegionRules;

/// The whole configuration of a process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything that is kept.
    pub data_dir: PathBuf,
    /// Address of the API listener.
    pub listen: SocketAddr,
    /// Address of the embedded S3 endpoint.
    pub s3_listen: SocketAddr,
    /// How long a stop waits.
    pub shutdown_timeout: Duration,
    /// Threads that run requests; `None` for one per processor.
    pub worker_threads: Option<usize>,
    /// Accounts and Regions.
    pub account: AccountConfig,
    /// Where the master key lies, unless in DATA_DIR.
    pub master_key_file: Option<PathBuf>,
    /// Limits of the listener.
    pub http: HttpConfig,
    /// Certificate files, if the listener speaks TLS.
    pub tls: Option<TlsConfig>,
    /// Logging.
    pub log: LogConfig,
    /// Rates of API calls.
    pub api: AdmissionConfig,
    /// Rates of requests to the S3 endpoint.
    pub s3: AdmissionConfig,
    /// How long lines of access logs are gathered.
    pub access_log_interval: Duration,
    /// `POST /events`.
    pub ingest: IngestConfig,
    /// Recognition of producers' retries.
    pub deduplication: DeduplicationConfig,
    /// LookupEvents.
    pub lookup: LookupConfig,
    /// The event log.
    pub eventlog: EventLogSettings,
    /// The lake.
    pub lake: LakeSettings,
    /// Trails.
    pub trails: TrailsSettings,
    /// Services outside.
    pub endpoints: EndpointsConfig,
}

/// Accounts and Regions.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Account of the first start.
    pub default_id: AccountId,
    /// Region that clients are configured for.
    pub default_region: Region,
    /// Name of the first administrator.
    pub administrator: String,
    /// Enabled Regions.
    pub regions: RegionRules,
}

/// Limits of each listener (R18).
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Open connections.
    pub connections_max: usize,
    /// Request line and headers.
    pub header_bytes_max: usize,
    /// Headers of one request.
    pub header_count_max: usize,
    /// Time to receive headers.
    pub header_read_timeout: Duration,
    /// Time to receive a body.
    pub body_read_timeout: Duration,
    /// Time without a request.
    pub idle_timeout: Duration,
    /// Body of an API request.
    pub api_body_bytes_max: usize,
    /// Body bytes held at one time.
    pub in_flight_bytes_max: usize,
    /// Streams of an HTTP/2 connection.
    pub h2_streams_max: u32,
    /// Early resets of an HTTP/2 connection.
    pub h2_resets_max: usize,
    /// Streams of an HTTP/2 connection reset for the client's errors.
    pub h2_error_resets_max: usize,
    /// Flow-control window of an HTTP/2 stream.
    pub h2_stream_window_bytes: u32,
    /// Flow-control window of an HTTP/2 connection.
    pub h2_connection_window_bytes: u32,
    /// Buffered bytes of one answer over HTTP/2.
    pub h2_send_buffer_bytes_max: usize,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: TrustedProxies,
    /// Bearer token for metrics.
    pub metrics_token: Option<SecretKey>,
}

/// Certificate files of the listener.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// PEM chain.
    pub certificate_file: PathBuf,
    /// PEM key.
    pub private_key_file: PathBuf,
    /// Time for a handshake.
    pub handshake_timeout: Duration,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Level or directives.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A token bucket per principal.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionConfig {
    /// Refill.
    pub requests_per_second: usize,
    /// Size.
    pub requests_burst: usize,
}

/// `POST /events`.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Rates of calls.
    pub admission: AdmissionConfig,
    /// Body, as sent and as decompressed.
    pub body_bytes_max: usize,
    /// Events in a call.
    pub events_max: usize,
    /// Growth of a compressed body.
    pub gzip_ratio_max: usize,
    /// Batches parsed at one time.
    pub parallel_batches_max: usize,
    /// Accounts that may write for others.
    pub producer_accounts: BTreeSet<AccountId>,
}

/// Recognition of producers' retries.
#[derive(Clone, Copy, Debug)]
pub struct DeduplicationConfig {
    /// How long an ID is remembered.
    pub window: Duration,
    /// How many IDs are remembered.
    pub keys_max: usize,
}

/// LookupEvents.
#[derive(Clone, Copy, Debug)]
pub struct LookupConfig {
    /// Per account and Region.
    pub requests_per_second: usize,
    /// Of a NextToken.
    pub token_lifetime: Duration,
}

/// The event log.
#[derive(Clone, Copy, Debug)]
pub struct EventLogSettings {
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Waiting bytes.
    pub queue_bytes_max: usize,
    /// Cached bytes.
    pub cache_bytes_max: usize,
    /// Room that must stay free.
    pub free_bytes_min: u64,
    /// Room reserved at a time.
    pub preallocate_bytes: u64,
    /// Room held back.
    pub reserve_bytes: u64,
}

/// The lake.
#[derive(Clone, Copy, Debug)]
pub struct LakeSettings {
    /// Visibility.
    pub hot_interval: Duration,
    /// Reading from the log.
    pub read_bytes_max: usize,
    /// Events that may wait before the tables take their share of the processors.
    pub lag_events_max: u64,
    /// Commits.
    pub commit_interval: Duration,
    /// Rows that force a commit.
    pub commit_rows_max: u64,
    /// Bytes that force a commit.
    pub commit_bytes_max: usize,
    /// Retention of event history, in days.
    pub history_retention_days: u32,
    /// Maintenance.
    pub maintenance_interval: Duration,
    /// Size below which files are merged.
    pub compaction_file_bytes: u64,
    /// Small files left alone.
    pub compaction_files_min: usize,
    /// Files merged at once.
    pub compaction_files_max: usize,
    /// Life of outdated snapshots.
    pub snapshot_retention: Duration,
    /// Number of outdated snapshots.
    pub snapshots_max: usize,
    /// Age of orphans.
    pub orphan_age_min: Duration,
    /// Search for orphans.
    pub orphan_interval: Duration,
    /// Comparison with checksums; zero for never.
    pub scrub_interval: Duration,
    /// Bytes compared at a time.
    pub scrub_bytes_max: u64,
    /// Lookups at once.
    pub lookups_max: usize,
    /// Room that must stay free.
    pub free_bytes_min: u64,
}

/// Trails.
#[derive(Clone, Copy, Debug)]
pub struct TrailsSettings {
    /// Log files.
    pub delivery_interval: Duration,
    /// Digests.
    pub digest_interval: Duration,
    /// Size of a log file, uncompressed.
    pub file_bytes_max: u64,
    /// Events in memory.
    pub buffer_bytes_max: usize,
    /// Events of one cut.
    pub cut_bytes_max: u64,
    /// The spool.
    pub spool_bytes_max: u64,
    /// The spool of one trail.
    pub spool_trail_bytes_max: u64,
    /// How long a file is tried.
    pub retry_period: Duration,
    /// Pause between attempts.
    pub retry_pause_max: Duration,
    /// Files sent at once.
    pub puts_max: usize,
    /// Files of one trail sent at once.
    pub puts_trail_max: usize,
    /// Bytes of files sent at once.
    pub puts_bytes_max: usize,
    /// Life of a signing key.
    pub key_period: Duration,
    /// Time to put one file.
    pub put_timeout: Duration,
}

/// Services outside.
#[derive(Clone, Debug, Default)]
pub struct EndpointsConfig {
    /// S3 endpoints, in the order in which they are asked whether a bucket is theirs.
    pub s3: Vec<S3EndpointSettings>,
    /// Where the KMS answers that is asked for keys which this node does not have.
    pub kms: Vec<ServiceAddressSettings>,
    /// Where SNS answers.
    pub sns: Vec<ServiceAddressSettings>,
    /// Where CloudWatch Logs answers.
    pub logs: Vec<ServiceAddressSettings>,
    /// Where EventBridge answers.
    pub eventbridge: Vec<ServiceAddressSettings>,
    /// What stands before a service's name in an event's `source` on a bus.
    pub eventbridge_source_prefix: String,
    /// Their credentials.
    pub credentials_file: Option<PathBuf>,
    /// Further certificates to trust.
    pub ca_file: Option<PathBuf>,
}

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddressSettings {
    /// The Region whose resources are there; none for those of every Region.
    pub region: Option<Region>,
    /// The address.
    pub url: String,
}

/// One S3 endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3EndpointSettings {
    /// The section of its credentials.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The Region that requests are signed for.
    pub region: String,
    /// Whether buckets stand in the path.
    pub path_style: bool,
    /// The names of its buckets.
    pub patterns: Vec<String>,
}

/// Networks of believed proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<(IpAddr, u32)>);

impl TrustedProxies {
    /// From `ADDRESS` or `ADDRESS/PREFIX` texts; the first that is neither is the error.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        texts
            .iter()
            .map(|text| parse_network(text).ok_or_else(|| text.clone()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// True if `address` lies in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, width) = bits_of(address);
        self.0.iter().any(|(network, prefix)| {
            let (network, network_width) = bits_of(*network);
            // A prefix of 0 would shift by the whole width, which is not defined for integers.
            network_width == width && (*prefix == 0 || (network ^ bits) >> (width - prefix) == 0)
        })
    }
}

impl Config {
    /// The same for the operator's account, which is the one that the first start made, whatever the
    /// settings name now: the lake's tables and other accounts' doors do not pass to another account.
    #[must_use]
    pub(crate) fn of_operator(mut self, operator: AccountId) -> Self {
        self.account.default_id = operator;
        if self.ingest.producer_accounts.is_empty() {
            self.ingest.producer_accounts.insert(operator);
        }
        self
    }

    /// Checks the layers and gives them meaning.
    pub fn resolve(layers: &Layers) -> Result<Self, ConfigError> {
        layers.check()?;
        let roles = layers.list("server", "roles");
        if roles != ["all"] {
            return Err(layers.invalid("server", "roles", "an embedded node runs `all` roles"));
        }
        let account = resolve_account(layers)?;
        let worker_threads = layers.count("server", "worker_threads");
        Ok(Self {
            data_dir: layers
                .path("server", "data_dir")
                .ok_or_else(|| layers.invalid("server", "data_dir", "expected a path"))?,
            listen: layers.address("server", "listen"),
            s3_listen: layers.address("server", "s3_listen"),
            shutdown_timeout: layers.duration("server", "shutdown_timeout"),
            worker_threads: Some(worker_threads).filter(|threads| *threads > 0),
            master_key_file: layers.path("identity", "master_key_file"),
            http: resolve_http(layers)?,
            tls: resolve_tls(layers)?,
            log: LogConfig {
                level: layers.text("log", "level").into(),
                format: match layers.text("log", "format") {
                    "json" => LogFormat::Json,
                    _ => LogFormat::Text,
                },
            },
            api: admission(layers, "api"),
            s3: admission(layers, "s3"),
            access_log_interval: layers.duration("s3", "access_log_interval"),
            ingest: resolve_ingest(layers)?,
            deduplication: DeduplicationConfig {
                window: layers.duration("deduplication", "window"),
                keys_max: layers.count("deduplication", "keys_max"),
            },
            lookup: LookupConfig {
                requests_per_second: layers.count("lookup", "requests_per_second"),
                token_lifetime: layers.duration("lookup", "token_lifetime"),
            },
            eventlog: EventLogSettings {
                segment_bytes: layers.size("eventlog", "segment_bytes"),
                queue_bytes_max: layers.bytes("eventlog", "queue_bytes_max"),
                cache_bytes_max: layers.bytes("eventlog", "cache_bytes_max"),
                free_bytes_min: layers.size("eventlog", "free_bytes_min"),
                preallocate_bytes: layers.size("eventlog", "preallocate_bytes"),
                reserve_bytes: layers.size("eventlog", "reserve_bytes"),
            },
            lake: resolve_lake(layers),
            trails: resolve_trails(layers),
            endpoints: endpoints::resolve(layers)?,
            account,
        })
    }
}

fn resolve_account(layers: &Layers) -> Result<AccountConfig, ConfigError> {
    let region = |key: &'static str, text: &str| -> Result<Region, ConfigError> {
        text.parse().map_err(|_| {
            layers.invalid(
                "account",
                key,
                format!("{text:?} is not the name of a Region"),
            )
        })
    };
    let mut enabled = BTreeSet::new();
    for text in layers.list("account", "regions") {
        enabled.insert(region("regions", &text)?);
    }
    let mut exceptions = BTreeMap::new();
    for text in layers.list("account", "regions_by_account") {
        let form = || {
            layers.invalid(
                "account",
                "regions_by_account",
                "expected ACCOUNT=REGION REGION …",
            )
        };
        let (account, regions) = text.split_once('=').ok_or_else(form)?;
        let account: AccountId = account.trim().parse().map_err(|_| form())?;
        let mut enabled = BTreeSet::new();
        for name in regions.split_whitespace() {
            enabled.insert(region("regions_by_account", name)?);
        }
        exceptions.insert(account, enabled);
    }
    let default_id = layers.account("account", "default_id");
    let default_region = layers.region("account", "default_region");
    let regions = RegionRules::new(enabled, exceptions);
    if !regions.is_enabled(default_id, &default_region) {
        let reason = format!("{default_region} is not among the enabled Regions (account.regions)");
        return Err(ConfigError::Contradiction {
            key: "account.default_region".into(),
            reason,
        });
    }
    Ok(AccountConfig {
        default_id,
        default_region,
        administrator: layers.text("account", "administrator").into(),
        regions,
    })
}

fn resolve_http(layers: &Layers) -> Result<HttpConfig, ConfigError> {
    let proxies = layers.list("http", "trusted_proxies");
    let trusted_proxies = TrustedProxies::parse(&proxies).map_err(|text| {
        let reason = format!("{text:?} is not an address or a network such as 10.0.0.0/8");
        layers.invalid("http", "trusted_proxies", reason)
    })?;
    let token = layers.text("http", "metrics_token");
    Ok(HttpConfig {
        connections_max: layers.count("http", "connections_max"),
        header_bytes_max: layers.bytes("http", "header_bytes_max"),
        header_count_max: layers.count("http", "header_count_max"),
        header_read_timeout: layers.duration("http", "header_read_timeout"),
        body_read_timeout: layers.duration("http", "body_read_timeout"),
        idle_timeout: layers.duration("http", "idle_timeout"),
        api_body_bytes_max: layers.bytes("http", "api_body_bytes_max"),
        in_flight_bytes_max: layers.bytes("http", "in_flight_bytes_max"),
        h2_streams_max: u32::try_from(layers.count("http", "h2_streams_max"))
            .expect("the table's limit fits"),
        h2_resets_max: layers.count("http", "h2_resets_max"),
        h2_error_resets_max: layers.count("http", "h2_error_resets_max"),
        h2_stream_window_bytes: u32::try_from(layers.size("http", "h2_stream_window_bytes"))
            .expect("the table's limit fits"),
        h2_connection_window_bytes: u32::try_from(
            layers.size("http", "h2_connection_window_bytes"),
        )
        .expect("the table's limit fits"),
        h2_send_buffer_bytes_max: layers.bytes("http", "h2_send_buffer_bytes_max"),
        trusted_proxies,
        metrics_token: Some(token)
            .filter(|token| !token.is_empty())
            .map(|token| SecretKey::new(token.to_owned())),
    })
}

fn resolve_tls(layers: &Layers) -> Result<Option<TlsConfig>, ConfigError> {
    let certificate = layers.path("tls", "certificate_file");
    let key = layers.path("tls", "private_key_file");
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate_file), Some(private_key_file)) => Ok(Some(TlsConfig {
            certificate_file,
            private_key_file,
            handshake_timeout: layers.duration("tls", "handshake_timeout"),
        })),
        (Some(_), None) => Err(ConfigError::Contradiction {
            key: "tls.private_key_file".into(),
            reason: "a certificate needs its private key".into(),
        }),
        (None, Some(_)) => Err(ConfigError::Contradiction {
            key: "tls.certificate_file".into(),
            reason: "a private key needs its certificate".into(),
        }),
    }
}

fn resolve_ingest(layers: &Layers) -> Result<IngestConfig, ConfigError> {
    let mut producer_accounts = BTreeSet::new();
    for text in layers.list("ingest", "producer_accounts") {
        let account = text.parse().map_err(|_| {
            layers.invalid(
                "ingest",
                "producer_accounts",
                format!("{text:?} is not an account ID"),
            )
        })?;
        producer_accounts.insert(account);
    }
    Ok(IngestConfig {
        admission: admission(layers, "ingest"),
        body_bytes_max: layers.bytes("ingest", "body_bytes_max"),
        events_max: layers.count("ingest", "events_max"),
        gzip_ratio_max: layers.count("ingest", "gzip_ratio_max"),
        parallel_batches_max: layers.count("ingest", "parallel_batches_max"),
        producer_accounts,
    })
}

fn resolve_trails(layers: &Layers) -> TrailsSettings {
    TrailsSettings {
        delivery_interval: layers.duration("trails", "delivery_interval"),
        digest_interval: layers.duration("trails", "digest_interval"),
        file_bytes_max: layers.size("trails", "file_bytes_max"),
        buffer_bytes_max: layers.bytes("trails", "buffer_bytes_max"),
        cut_bytes_max: layers.size("trails", "cut_bytes_max"),
        spool_bytes_max: layers.size("trails", "spool_bytes_max"),
        spool_trail_bytes_max: layers.size("trails", "spool_trail_bytes_max"),
        retry_period: layers.duration("trails", "retry_period"),
        retry_pause_max: layers.duration("trails", "retry_pause_max"),
        puts_max: layers.count("trails", "puts_max"),
        puts_trail_max: layers.count("trails", "puts_trail_max"),
        puts_bytes_max: layers.bytes("trails", "puts_bytes_max"),
        key_period: layers.duration("trails", "key_period"),
        put_timeout: layers.duration("trails", "put_timeout"),
    }
}

fn resolve_lake(layers: &Layers) -> LakeSettings {
    let days = layers.duration("lake", "history_retention").as_secs() / 86_400;
    LakeSettings {
        hot_interval: layers.duration("lake", "hot_interval"),
        read_bytes_max: layers.bytes("lake", "read_bytes_max"),
        lag_events_max: u64::try_from(layers.count("lake", "lag_events_max"))
            .expect("the table's limit fits"),
        commit_interval: layers.duration("lake", "commit_interval"),
        commit_rows_max: u64::try_from(layers.count("lake", "commit_rows_max"))
            .expect("the table's limit fits"),
        commit_bytes_max: layers.bytes("lake", "commit_bytes_max"),
        history_retention_days: u32::try_from(days).expect("the table's limit fits"),
        maintenance_interval: layers.duration("lake", "maintenance_interval"),
        compaction_file_bytes: layers.size("lake", "compaction_file_bytes"),
        compaction_files_min: layers.count("lake", "compaction_files_min"),
        compaction_files_max: layers.count("lake", "compaction_files_max"),
        snapshot_retention: layers.duration("lake", "snapshot_retention"),
        snapshots_max: layers.count("lake", "snapshots_max"),
        orphan_age_min: layers.duration("lake", "orphan_age_min"),
        orphan_interval: layers.duration("lake", "orphan_interval"),
        scrub_interval: layers.duration("lake", "scrub_interval"),
        scrub_bytes_max: layers.size("lake", "scrub_bytes_max"),
        lookups_max: layers.count("lake", "lookups_max"),
        free_bytes_min: layers.size("lake", "free_bytes_min"),
    }
}

fn admission(layers: &Layers, section: &'static str) -> AdmissionConfig {
    AdmissionConfig {
        requests_per_second: layers.count(section, "requests_per_second"),
        requests_burst: layers.count(section, "requests_burst"),
    }
}

fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let (_, width) = bits_of(address);
    let prefix = prefix.unwrap_or(width);
    (prefix <= width).then_some((address, prefix))
}

/// An address as a number, and how many bits it has. IPv4 within IPv6 counts as IPv4.
fn bits_of(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}
