//! From configuration to a running server, and back to nothing: the order in which parts are opened,
//! watched and closed.

mod listeners;
mod storage;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_bucket::{
    AccessLog, AccessLogConfig, BucketEndpoint, BucketFacts, Buckets, LakeBucket, StoredObjects,
};
use cairn_catalog::Catalog;
use cairn_eventlog::SegmentedLog;
use cairn_lake::Lake;
use cairn_platform::{Clock, Disk, Entropy};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::authenticate::Authenticator;
use crate::authorize::Authorizer;
use crate::background::Background;
use crate::bucket_gate::{BucketGate, BucketHandler, LAKE_BUCKET};
use crate::config::Config;
use crate::doors::admission::RateLimit;
use crate::doors::{Deduplication, Doors, Outbox};
use crate::error::StartError;
use crate::first_start::{self, FirstStart};
use crate::http::{BodyBudget, Handler};
use crate::keys::Keys;
use crate::lake_keeper::LakeKeeper;
use crate::metrics::Metrics;
use crate::operations::{LookupEvents, Operations, Trails};
use crate::pipeline::{ConnectionCount, Pipeline, Server};
use crate::query_protocol::World;
use crate::sabotage;
use crate::trail_delivery::LakeAndTrails;
use crate::trail_destinations::Destinations;
pub(crate) use listeners::Addresses;
use listeners::Listeners;
use storage::{open_buckets, open_keys, open_lake, open_log, open_trails};

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
        let listeners = Listeners::bind(&config, &surroundings.clock).await?;
        let addresses = listeners.addresses;
        let parts = Parts::open(config, surroundings, addresses).await?;
        let keys = parts.doors.keys();
        let connections = listeners.connection_count();
        let server = Arc::new(parts.server(connections));
        let background = Background::start(&server);
        let (stop_serving, stop) = watch::channel(false);
        let api: Arc<dyn Handler> = Arc::new(Pipeline(Arc::clone(&server)));
        let bucket: Arc<dyn Handler> = Arc::new(bucket_handler(&server)?);
        let serving = listeners.serve(api, &bucket, &stop);
        let (address, bucket_address) = (addresses.api, addresses.bucket);
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
        deadline.wait("the buckets", server.buckets.close()).await;
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
    let lake = LakeBucket {
        facts: BucketFacts {
            name: LAKE_BUCKET.to_owned(),
            // The lake's tables hold every account's events, so they belong to the operator.
            owner: server.config.account.default_id,
            region: server.config.account.default_region.clone(),
            policy: None,
        },
        stored: Arc::new(stored),
    };
    let gate = Arc::new(BucketGate {
        server: Arc::clone(server),
        lake_bucket: LAKE_BUCKET,
    });
    Ok(BucketHandler {
        server: Arc::clone(server),
        endpoint: BucketEndpoint::new(Arc::clone(&server.buckets), lake, gate),
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
    buckets: Arc<Buckets>,
    trails: Arc<cairn_trails::Trails>,
    doors: Arc<Doors>,
    keys: Arc<Keys>,
    outbox: Arc<Outbox>,
    /// What trails deliver to.
    pub(crate) destinations: Arc<dyn Destinations>,
}

impl Parts {
    /// Opens everything, in the order in which one part needs the other.
    pub(crate) async fn open(
        config: Config,
        surroundings: Surroundings,
        addresses: Addresses,
    ) -> Result<Self, StartError> {
        let Surroundings {
            clock,
            entropy,
            disk,
        } = surroundings;
        sabotage::arm_stop();
        let world = open_world(&config, &clock, &entropy).await?;
        let first_start = first_start_of(&config, addresses.api, addresses.bucket);
        let operator = first_start::ensure(&world, &first_start).await;
        let operator = operator.map_err(|error| open_error("the first account", &error))?;
        if operator != config.account.default_id {
            tracing::warn!(
                %operator,
                "account.default_id counts at the first start only; the operator's account stays"
            );
        }
        let config = Arc::new(config.of_operator(operator));
        let log = open_log(&config, Arc::clone(&disk), &clock).await?;
        let contract = sabotage::contract(&log);
        let lake = open_lake(&config, &world, &contract).await?;
        let buckets = open_buckets(&config, &world).await?;
        let metrics = Arc::new(Metrics::default());
        let memory = Deduplication::new(config.deduplication, Arc::clone(&clock), &*entropy);
        let doors = Arc::new(Doors::new(
            Arc::clone(&contract),
            Arc::new(memory),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
        ));
        let keys = Arc::new(open_keys(&config, &world, &doors)?);
        let (trails, destinations) = open_trails(
            &config,
            &world,
            (contract, disk),
            (&buckets, addresses.deliveries),
            &keys,
        )
        .await?;
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
            buckets,
            doors,
            keys,
            outbox,
            destinations: sabotage::destinations(destinations),
            trails,
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
            buckets,
            doors,
            keys,
            outbox,
            destinations,
            trails: delivery,
        } = self;
        let lookup_events = LookupEvents::new(
            Arc::clone(&lake),
            config.lookup,
            world.master_key.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let regions = config.account.regions.clone();
        let trails = Trails {
            catalog: Arc::clone(&world.catalog),
            clock: Arc::clone(&clock),
            entropy,
            regions: regions.clone(),
            destinations,
        };
        let operations = Operations {
            lookup_events,
            trails,
        };
        let access_log = AccessLog::new(Arc::clone(&buckets), AccessLogConfig::default());
        let (ingest, http) = (&config.ingest, &config.http);
        let largest_body = ingest.body_bytes_max.max(http.api_body_bytes_max);
        let largest_request = largest_body + http.header_bytes_max;
        Server {
            authenticator: Arc::new(Authenticator::new(Arc::clone(&world), regions)),
            authorizer: Arc::new(Authorizer::new(Arc::clone(&world.catalog))),
            operations: Box::new(operations),
            bodies: BodyBudget::new(
                http.in_flight_bytes_max,
                largest_request,
                Arc::clone(&clock),
            ),
            waiting_room: Arc::clone(&keys.waiting_room),
            keys,
            parsing: Arc::new(Semaphore::new(config.ingest.parallel_batches_max)),
            api_rate: RateLimit::new(config.api, Arc::clone(&clock)),
            ingest_rate: RateLimit::new(config.ingest.admission, Arc::clone(&clock)),
            bucket_rate: RateLimit::new(config.s3, Arc::clone(&clock)),
            selects_data: Arc::new(LakeAndTrails::new(LAKE_BUCKET, Arc::clone(&delivery))),
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
            access_log: Arc::new(access_log),
            buckets,
            trails: delivery,
        }
    }
}
