//! The parts that keep things on disk, as their settings want them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_bucket::{Buckets, BucketsConfig};
use cairn_catalog::lake::LakeCatalog;
use cairn_eventlog::{EventLog, SegmentedLog, SegmentedLogConfig};
use cairn_lake::{Lake, LakeConfig};
use cairn_platform::{Clock, Disk};
use cairn_trails::{READER as TRAILS_READER, RegionsOfAccount, Trails, TrailsParts};

use super::open_error;
use crate::config::{Config, EventLogSettings, LakeSettings};
use crate::doors::{DEDUPLICATION_READER, Doors};
use crate::error::StartError;
use crate::first_start;
use crate::keys::{Keys, configured_keys};
use crate::kms::LocalKeys;
use crate::lake_keeper::LakeKeeper;
use crate::query_protocol::World;
use crate::sabotage;
use crate::trail_delivery::{Services, TrailDestinations, s3_endpoints, trails_config};
use crate::trail_destinations::Destinations;

/// The log reader of the lake.
const LAKE_READER: &str = "lake";
/// Where buckets are, below the data folder.
const BUCKETS_FOLDER: &str = "buckets";
/// Least distance between the largest batch and the size of a segment.
const SEGMENT_OVERHEAD: u64 = 16 * 1024;

pub(super) async fn open_log(
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

pub(super) async fn open_lake(
    config: &Config,
    world: &World,
    log: &Arc<dyn EventLog>,
) -> Result<Arc<LakeKeeper>, StartError> {
    let catalog = Arc::clone(&world.catalog) as Arc<dyn LakeCatalog>;
    let opened = LakeKeeper::open(
        lake_config(&config.data_dir, &config.lake),
        sabotage::lake_catalog(catalog),
        Arc::clone(log),
        Arc::clone(&world.clock),
        Arc::clone(&world.entropy),
    );
    let lake = opened
        .await
        .map_err(|error| open_error("the lake", &error))?;
    Ok(Arc::new(lake))
}

pub(super) async fn open_buckets(
    config: &Config,
    world: &World,
) -> Result<Arc<Buckets>, StartError> {
    let buckets = BucketsConfig {
        folder: config.data_dir.join(BUCKETS_FOLDER),
        ..BucketsConfig::default()
    };
    let (clock, entropy) = (Arc::clone(&world.clock), Arc::clone(&world.entropy));
    Buckets::open(buckets, world.master_key.clone(), clock, entropy)
        .await
        .map_err(|error| open_error("the buckets", &error))
}

/// The keys that there are, and where their use is recorded.
pub(super) fn open_keys(
    config: &Config,
    world: &Arc<World>,
    doors: &Arc<Doors>,
) -> Result<Keys, StartError> {
    Ok(Keys {
        own: Arc::new(LocalKeys::new(Arc::clone(world))),
        configured: configured_keys(&config.endpoints)?,
        doors: Arc::clone(doors),
        waiting_room: Arc::default(),
        clock: Arc::clone(&world.clock),
    })
}

/// Opens the delivery of trails, with what operations ask of its destinations.
pub(super) async fn open_trails(
    config: &Config,
    world: &Arc<World>,
    (log, disk): (Arc<dyn EventLog>, Arc<dyn Disk>),
    (buckets, bucket_address): (&Arc<Buckets>, SocketAddr),
    keys: &Arc<Keys>,
) -> Result<(Arc<Trails>, Arc<dyn Destinations>), StartError> {
    let endpoints = s3_endpoints(config, world, bucket_address)?;
    let services = Services::new(&config.endpoints, Arc::clone(&world.clock))?;
    let services = Arc::new(services);
    let destinations = TrailDestinations {
        buckets: Arc::clone(buckets),
        endpoints: Arc::clone(&endpoints),
        keys: Arc::clone(keys),
        services: Arc::clone(&services),
        catalog: Arc::clone(&world.catalog),
        clock: Arc::clone(&world.clock),
    };
    let regions = config.account.regions.clone();
    let parts = TrailsParts {
        config: trails_config(config),
        catalog: sabotage::trails_catalog(Arc::clone(&world.catalog) as _),
        log,
        disk,
        puts: endpoints,
        outlets: services.outlets(&world.catalog),
        master_key: world.master_key.clone(),
        clock: Arc::clone(&world.clock),
        entropy: Arc::clone(&world.entropy),
        enabled_regions: RegionsOfAccount::new(move |account| {
            regions.of_account(account).cloned().collect()
        }),
    };
    let opened = Trails::open(parts).await;
    let trails = opened.map_err(|error| open_error("the spool of trails", &error))?;
    Ok((trails, Arc::new(destinations)))
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
        expected_readers: vec![LAKE_READER, TRAILS_READER, DEDUPLICATION_READER],
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
