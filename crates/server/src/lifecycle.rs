//! From configuration to a running server, and back to nothing: the order in which parts are opened,
//! watched and closed.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_bucket::{ReadOnlyEndpoint, StoredObjects};
use cairn_catalog::Catalog;
use cairn_catalog::lake::LakeCatalog;
use cairn_eventlog::{SegmentedLog, SegmentedLogConfig};
use cairn_lake::{Lake, LakeConfig};
use cairn_platform::{Clock, Disk, Entropy};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::authenticate::Authenticator;
use crate::authorize::Authorizer;
use crate::background::Background;
use crate::bucket_gate::{BucketGate, BucketHandler};
use crate::config::{Config, EventLogSettings, LakeSettings};
use crate::doors::admission::RateLimit;
use crate::doors::{DEDUPLICATION_READER, Deduplication, Doors, Outbox};
use crate::error::StartError;
use crate::first_start::{self, FirstStart};
use crate::http::{BodyBudget, Handler, Listener};
use crate::lake_keeper::LakeKeeper;
use crate::metrics::Metrics;
use crate::operations::{LookupEvents, Operations};
use crate::pipeline::{ConnectionCount, Pipeline, Server};
use crate::query_protocol::World;
use crate::sabotage;

/// The log reader of the lake.
const LAKE_READER: &str = "lake";
/// The bucket of the lake's objects.
const LAKE_BUCKET: &str = "cairn-lake";
/// Least distance between the largest batch and the size of a segment.
const SEGMENT_OVERHEAD: u64 = 16 * 1024;
/// What a part that is ready to stop needs, even when the time for stopping is over.
const STOP_MOMENT: Duration = Duration::from_millis(250);

/// The outside world that a server lives in.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The event log's disk.
    pub disk: Arc<dyn Disk>,
}

/// A server that takes requests.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    bucket_address: SocketAddr,
    server: Arc<Server>,
    background: Background,
    serving: Vec<JoinHandle<()>>,
    stop_serving: watch::Sender<bool>,
}

impl RunningServer {
    /// Opens everything in order and begins to serve. On return, requests are answered.
    pub async fn start(config: Config, surroundings: Surroundings) -> Result<Self, StartError> {
        // Addresses first: a port in use is the commonest mistake, and nothing is touched by then.
        let bind = |address| {
            let clock = Arc::clone(&surroundings.clock);
            Listener::bind(address, config.http.clone(), config.tls.as_ref(), clock)
        };
        let listener = bind(config.listen).await?;
        let bucket_listener = bind(config.s3_listen).await?;
        let addresses = (listener.local_address()?, bucket_listener.local_address()?);
        let is_open = |address: SocketAddr| !address.ip().is_loopback();
        if config.tls.is_none() && (is_open(addresses.0) || is_open(addresses.1)) {
            tracing::warn!(
                "events and answers travel in plain text beyond this machine: no TLS is set up"
            );
        }
        let parts = Parts::open(config, surroundings, addresses).await?;
        let keys = parts.doors.keys();
        let (api, s3) = (
            listener.connection_count(),
            bucket_listener.connection_count(),
        );
        let connections = ConnectionCount(Box::new(move || api() + s3()));
        let server = Arc::new(parts.server(connections));
        let background = Background::start(&server);
        let (stop_serving, stop) = watch::channel(false);
        let api: Arc<dyn Handler> = Arc::new(Pipeline(Arc::clone(&server)));
        let bucket: Arc<dyn Handler> = Arc::new(bucket_handler(&server)?);
        let serving = vec![
            tokio::spawn(listener.serve(api, stop.clone())),
            tokio::spawn(bucket_listener.serve(bucket, stop)),
        ];
        let (address, bucket_address) = addresses;
        tracing::info!(%address, %bucket_address, deduplication.keys = keys, "ready");
        Ok(Self {
            address,
            bucket_address,
            server,
            background,
            serving,
            stop_serving,
        })
    }

    /// Where the API answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the S3 endpoint answers.
    pub fn bucket_address(&self) -> SocketAddr {
        self.bucket_address
    }

    /// Completes when the server cannot go on: the event log has failed (R2), or a background loop has
    /// ended. Callers must end the process.
    pub async fn failed(&mut self) -> StartError {
        let poisoned = self.server.log.poisoned();
        tokio::select! {
            reason = poisoned => {
                tracing::error!(reason, "the event log failed");
                StartError::LogFailed
            }
            stopped = self.background.stopped() => stopped,
        }
    }

    /// Stops in order: no new requests, those in progress answered, readers caught up and closed, the
    /// outbox drained, the log closed last.
    pub async fn stop(self) {
        let Self {
            server,
            background,
            serving,
            stop_serving,
            ..
        } = self;
        let deadline = Deadline::after(&server.clock, server.config.shutdown_timeout);
        // Nobody may be listening any more; then nothing needs stopping.
        let _ = stop_serving.send(true);
        let finished = async {
            for task in serving {
                // A task that panicked is as finished as one that returned.
                let _ = task.await;
            }
        };
        deadline.wait("connections", finished).await;
        server.calls.close();
        deadline.wait("requests", server.calls.wait()).await;
        // The loop of the outbox first: two that drain would send every entry twice.
        deadline.wait("background loops", background.stop()).await;
        deadline
            .wait("the outbox", drain_outbox(&server.outbox))
            .await;
        deadline.wait("the event log", server.log.close()).await;
        let catalog = async {
            if let Err(error) = server.world.catalog.write_key_uses().await {
                tracing::warn!(error = %error, "the last uses of access keys could not be written");
            }
            server.world.catalog.close().await;
        };
        deadline.wait("the catalog", catalog).await;
        tracing::info!("stopped");
    }
}

/// One time for a whole stop, however many parts it has.
struct Deadline {
    clock: Arc<dyn Clock>,
    at: Duration,
}

impl Deadline {
    fn after(clock: &Arc<dyn Clock>, timeout: Duration) -> Self {
        Self {
            clock: Arc::clone(clock),
            at: clock.monotonic().saturating_add(timeout),
        }
    }

    /// Waits for a part; when the time is over, every further one gets only a moment.
    async fn wait(&self, part: &'static str, finished: impl Future<Output = ()>) {
        let left = self.at.saturating_sub(self.clock.monotonic());
        tokio::select! {
            () = finished => {}
            () = self.clock.sleep(left.max(STOP_MOMENT)) => {
                tracing::warn!(part, "did not stop in time");
            }
        }
    }
}

/// What an earlier process, or the requests just finished, still owe the log. A log that takes nothing
/// now gets it later: the entries stay.
async fn drain_outbox(outbox: &Outbox) {
    match outbox.drain_all().await {
        Ok(0) => {}
        Ok(entries) => tracing::info!(entries, "drained the outbox"),
        Err(reason) => tracing::warn!(reason, "the outbox could not be drained yet"),
    }
}

async fn open_world(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<World>, StartError> {
    make_private_folder(&config.data_dir)?;
    let catalog = Catalog::open(&config.data_dir.join("catalog.sqlite"), Arc::clone(clock))
        .await
        .map_err(|error| open_error("the catalog", &error))?;
    let (data_dir, key_file) = (&config.data_dir, config.master_key_file.as_deref());
    let master_key = first_start::open_master_key(&catalog, data_dir, key_file, &**entropy)
        .await
        .map_err(|error| open_error("the master key", &error))?;
    Ok(Arc::new(World {
        catalog: Arc::new(catalog),
        master_key,
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    }))
}

/// DATA_DIR holds secrets: nobody else may look into it.
fn make_private_folder(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let made = builder.create(path).and_then(|()| std::fs::metadata(path));
    let made = made.map_err(|error| StartError::DataDir {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    if made.permissions().mode() & 0o077 != 0 {
        // Its owner may want it so; the files in it are private all the same.
        tracing::warn!(folder = %path.display(), "others may list the data folder");
    }
    Ok(())
}

async fn open_log(
    config: &Config,
    disk: Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<SegmentedLog>, StartError> {
    let log_config = log_config(&config.data_dir, &config.eventlog);
    let clock = Arc::clone(clock);
    // Recovery reads and writes files for as long as it takes; it has a thread to itself.
    let opened = tokio::task::spawn_blocking(move || sabotage::open_log(log_config, disk, clock));
    opened
        .await
        .map_err(|error| open_error("the event log", &error))?
        .map_err(|error| open_error("the event log", &error))
}

fn log_config(data_dir: &Path, settings: &EventLogSettings) -> SegmentedLogConfig {
    let defaults = SegmentedLogConfig::default();
    let segment_room = settings.segment_bytes.saturating_sub(SEGMENT_OVERHEAD);
    let batch_bytes_max = defaults
        .batch_bytes_max
        .min(settings.queue_bytes_max)
        .min(usize::try_from(segment_room).unwrap_or(usize::MAX));
    SegmentedLogConfig {
        directory: data_dir.join(first_start::LOG_FOLDER),
        segment_bytes_max: settings.segment_bytes,
        preallocate_bytes: settings.preallocate_bytes,
        frame_bytes_max: defaults.frame_bytes_max.min(batch_bytes_max),
        batch_bytes_max,
        record_bytes_max: defaults.record_bytes_max.min(batch_bytes_max),
        queue_bytes_max: settings.queue_bytes_max,
        cache_bytes_max: settings.cache_bytes_max,
        free_bytes_min: settings.free_bytes_min,
        reserve_bytes: settings.reserve_bytes,
        expected_readers: vec![LAKE_READER, DEDUPLICATION_READER],
    }
}

fn lake_config(data_dir: &Path, settings: &LakeSettings) -> LakeConfig {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    LakeConfig {
        data_dir: Lake::folder(data_dir),
        hot_interval_ms: millis(settings.hot_interval),
        read_bytes_max: settings.read_bytes_max,
        lag_records_max: settings.lag_events_max,
        commit_interval_ms: millis(settings.commit_interval),
        commit_rows_max: settings.commit_rows_max,
        commit_bytes_max: settings.commit_bytes_max,
        history_retention_days: settings.history_retention_days,
        maintenance_interval_ms: millis(settings.maintenance_interval),
        compaction_file_bytes: settings.compaction_file_bytes,
        compaction_files_min: settings.compaction_files_min,
        compaction_files_max: settings.compaction_files_max,
        snapshot_keep_ms: millis(settings.snapshot_retention),
        snapshots_max: settings.snapshots_max,
        orphan_age_ms: millis(settings.orphan_age_min),
        orphan_interval_ms: millis(settings.orphan_interval),
        scrub_interval_ms: millis(settings.scrub_interval),
        scrub_bytes_max: settings.scrub_bytes_max,
        lookups_max: settings.lookups_max,
        free_bytes_min: settings.free_bytes_min,
        ..LakeConfig::default()
    }
}

fn first_start_of(config: &Config, listen: SocketAddr, s3_listen: SocketAddr) -> FirstStart {
    FirstStart {
        data_dir: config.data_dir.clone(),
        account: config.account.default_id,
        administrator: config.account.administrator.clone(),
        region: config.account.default_region.clone(),
        listen,
        s3_listen,
        tls: config.tls.is_some(),
    }
}

fn bucket_handler(server: &Arc<Server>) -> Result<BucketHandler, StartError> {
    let folder = Lake::folder(&server.config.data_dir);
    let stored = StoredObjects::open(&folder).map_err(|error| open_error("the bucket", &error))?;
    let region = &server.config.account.default_region;
    let gate = BucketGate {
        server: Arc::clone(server),
        owner: server.config.account.default_id,
        region: region.clone(),
        bucket: LAKE_BUCKET,
    };
    let (stored, gate) = (Arc::new(stored), Arc::new(gate));
    Ok(BucketHandler {
        server: Arc::clone(server),
        endpoint: ReadOnlyEndpoint::new(LAKE_BUCKET, region.as_str(), stored, gate),
    })
}

fn open_error(part: &'static str, error: &dyn std::error::Error) -> StartError {
    StartError::Open {
        part,
        reason: error.to_string(),
    }
}

/// The opened parts, from which the server is put together.
pub(crate) struct Parts {
    config: Arc<Config>,
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
    log: Arc<SegmentedLog>,
    lake: Arc<LakeKeeper>,
    doors: Arc<Doors>,
    outbox: Arc<Outbox>,
}

impl Parts {
    /// Opens everything, in the order in which one part needs the other.
    pub(crate) async fn open(
        config: Config,
        surroundings: Surroundings,
        (address, bucket_address): (SocketAddr, SocketAddr),
    ) -> Result<Self, StartError> {
        let Surroundings {
            clock,
            entropy,
            disk,
        } = surroundings;
        let world = open_world(&config, &clock, &entropy).await?;
        let first_start = first_start_of(&config, address, bucket_address);
        let operator = first_start::ensure(&world, &first_start).await;
        let operator = operator.map_err(|error| open_error("the first account", &error))?;
        if operator != config.account.default_id {
            tracing::warn!(
                %operator,
                "account.default_id counts at the first start only; the operator's account stays"
            );
        }
        let config = Arc::new(config.of_operator(operator));
        let log = open_log(&config, disk, &clock).await?;
        let contract = sabotage::contract(&log);
        let catalog = Arc::clone(&world.catalog) as Arc<dyn LakeCatalog>;
        let catalog = sabotage::lake_catalog(catalog);
        let lake = LakeKeeper::open(
            lake_config(&config.data_dir, &config.lake),
            catalog,
            Arc::clone(&contract),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        )
        .await
        .map_err(|error| open_error("the lake", &error))?;
        let lake = Arc::new(lake);
        let metrics = Arc::new(Metrics::default());
        let memory = Deduplication::new(config.deduplication, Arc::clone(&clock), &*entropy);
        let doors = Arc::new(Doors::new(
            contract,
            Arc::new(memory),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
        ));
        doors
            .rebuild()
            .await
            .map_err(|error| open_error("the event log", &error))?;
        let catalog = Arc::clone(&world.catalog);
        let outbox = Arc::new(Outbox::new(catalog, Arc::clone(&doors), Arc::clone(&clock)));
        drain_outbox(&outbox).await;
        Ok(Self {
            config,
            world,
            clock,
            entropy,
            metrics,
            log,
            lake,
            doors,
            outbox,
        })
    }

    pub(crate) fn server(self, connections: ConnectionCount) -> Server {
        let Self {
            config,
            world,
            clock,
            entropy,
            metrics,
            log,
            lake,
            doors,
            outbox,
        } = self;
        let lookup_events = LookupEvents::new(
            Arc::clone(&lake),
            config.lookup,
            world.master_key.clone(),
            Arc::clone(&clock),
            entropy,
        );
        let regions = config.account.regions.clone();
        let (ingest, http) = (&config.ingest, &config.http);
        let largest_body = ingest.body_bytes_max.max(http.api_body_bytes_max);
        let largest_request = largest_body + http.header_bytes_max;
        Server {
            authenticator: Arc::new(Authenticator::new(Arc::clone(&world), regions)),
            authorizer: Arc::new(Authorizer::new(Arc::clone(&world.catalog))),
            operations: Box::new(Operations { lookup_events }),
            bodies: BodyBudget::new(
                config.http.in_flight_bytes_max,
                largest_request,
                Arc::clone(&clock),
            ),
            waiting_room: Arc::default(),
            parsing: Arc::new(Semaphore::new(config.ingest.parallel_batches_max)),
            api_rate: RateLimit::new(config.api, Arc::clone(&clock)),
            ingest_rate: RateLimit::new(config.ingest.admission, Arc::clone(&clock)),
            bucket_rate: RateLimit::new(config.s3, Arc::clone(&clock)),
            connections,
            catalog_check: tokio::sync::Mutex::default(),
            calls: TaskTracker::new(),
            started: clock.monotonic(),
            config,
            world,
            clock,
            metrics,
            doors,
            outbox,
            log,
            lake,
        }
    }
}
