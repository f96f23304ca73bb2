//! Putting spooled files into their buckets. Each trail has places of its own and a pause of its own after a
//! failure (R15), so that a broken bucket holds up nobody else; the same bytes go out at every attempt (R14).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::trails::{
    Delivered, FailedAttempt, FileId, FileKind, NotificationMade, RecordedFile,
};
use cairn_integrity::SIGNATURE_ALGORITHM;
use cairn_model::{Trail, TrailId};
use cairn_platform::{
    Entropy, NewObject, ObjectBody, ObjectEncryption, PutOutcome, S3Failure, S3Purpose, StoredBytes,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::TrailsError;
use crate::failpoints;
use crate::trails::Shared;

/// The first pause after a failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after the catalog could not be asked.
const RETRY: Duration = Duration::from_secs(1);
/// What a damaged file is called in a trail's status.
pub(crate) const SPOOL_DAMAGED: &str = "SpoolDamaged";
/// What a file that the disk does not give back is called there.
pub(crate) const SPOOL_UNREADABLE: &str = "SpoolUnreadable";
/// What other bytes under a file's own key are called there: they are never overwritten.
const OTHER_BYTES: &str = "OtherBytesUnderKey";
/// What a comparison with them may take: an answer that never ends must hold no place.
const COMPARISON_MAX: Duration = Duration::from_mins(1);
/// Longest code of an endpoint's that is told.
const CODE_CHARACTERS_MAX: usize = 128;
const DAY_MS: i64 = 86_400_000;
/// Of log files and digests alike.
const CONTENT_TYPE: &str = "application/json";

/// Puts files, and knows which trails have trouble.
#[derive(Debug)]
pub(crate) struct Delivery {
    shared: Arc<Shared>,
    in_flight: HashSet<FileId>,
    lanes: HashMap<TrailId, Lane>,
    /// The trail that was served last: the next turn begins behind it.
    served: Option<TrailId>,
    tasks: JoinSet<bool>,
    /// What each task puts.
    puts: HashMap<tokio::task::Id, (TrailId, FileId)>,
    /// The trail whose put has ended since the last look.
    freed: Option<TrailId>,
    /// When all trails are to be looked at again, whatever becomes of single ones until then.
    look_at: Duration,
}

/// The puts of a node, one step at a time. For tests.
#[derive(Debug)]
pub struct PutSteps(pub(crate) Delivery);

impl PutSteps {
    /// Starts what may be put now. Returns how long nothing more will be due, unless a put ends.
    pub async fn start_due(&mut self) -> Duration {
        self.0.look().await
    }

    /// Files were recorded since: all trails are looked at the next time.
    pub fn tell(&mut self) {
        self.0.look_at = self.0.shared.clock.monotonic();
    }

    /// How many puts are under way.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.len()
    }

    /// Waits until one put has ended; false if none is under way.
    pub async fn end_one(&mut self) -> bool {
        let Some(ended) = self.0.tasks.join_next_with_id().await else {
            return false;
        };
        self.0.freed = self.0.ended(ended);
        true
    }
}

/// The puts of one trail.
#[derive(Debug, Default)]
struct Lane {
    in_flight: usize,
    /// Failures in a row. While there are any, one file is tried at a time.
    failures: u32,
    /// When the next attempt may be, by the steady clock.
    not_before: Duration,
}

impl Delivery {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            in_flight: HashSet::new(),
            lanes: HashMap::new(),
            served: None,
            tasks: JoinSet::new(),
            puts: HashMap::new(),
            freed: None,
            look_at: Duration::ZERO,
        }
    }

    /// Puts files as they come, until `stop`; those in flight are waited for.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), TrailsError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let pause = self.look().await;
            tokio::select! {
                () = shared.clock.sleep(pause) => {}
                () = shared.delivery_due.notified() => self.look_at = shared.clock.monotonic(),
                Some(ended) = self.tasks.join_next_with_id() => self.freed = self.ended(ended),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
        Ok(())
    }

    /// Starts what is due, for the trail whose put has ended or for all. Returns how long to wait.
    async fn look(&mut self) -> Duration {
        let shared = Arc::clone(&self.shared);
        let now = shared.clock.monotonic();
        let started = match self.freed.take() {
            Some(trail) if now < self.look_at => self.start_after(&trail).await,
            _ => {
                let started = self.start_some().await;
                let pause = started.as_ref().map_or(RETRY, |pause| *pause);
                self.look_at = now.saturating_add(pause);
                started
            }
        };
        let pause = started.unwrap_or_else(|error| {
            tracing::error!(%error, "files that wait for delivery cannot be listed");
            RETRY
        });
        self.look_at = self.look_at.min(now.saturating_add(pause));
        self.look_at.saturating_sub(shared.clock.monotonic())
    }

    /// Puts everything that may be put now, and waits for all of it.
    pub(crate) async fn drain(mut self) -> Result<(), TrailsError> {
        loop {
            self.start_some().await?;
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.ended(ended),
                None => return Ok(()),
            };
        }
    }

    /// Starts what places allow, for all trails. Returns how long nothing new will be due.
    async fn start_some(&mut self) -> Result<Duration, TrailsError> {
        let shared = Arc::clone(&self.shared);
        let mut waiting = shared.catalog.waiting_trails().await?;
        let known: HashSet<&TrailId> = waiting.iter().map(|(trail, _)| trail).collect();
        self.lanes
            .retain(|trail, lane| lane.in_flight > 0 || known.contains(trail));
        // In turn, so that the same trails do not come first each time.
        waiting.sort_unstable();
        if let Some(served) = &self.served {
            let behind = waiting.partition_point(|(trail, _)| trail <= served);
            waiting.rotate_left(behind);
        }
        let mut pause = shared.config.retry_pause_max;
        for (trail, due_ms) in waiting {
            let left = self.start_trail(&trail, due_ms).await?;
            pause = pause.min(left);
        }
        Ok(pause)
    }

    /// Goes on with the trail whose put has ended; the others are looked at when there is a reason to.
    async fn start_after(&mut self, trail: &TrailId) -> Result<Duration, TrailsError> {
        let is_crowded = self.in_flight.len() + 1 >= self.shared.config.puts_max;
        if is_crowded {
            return self.start_some().await;
        }
        self.start_trail(trail, i64::MIN).await
    }

    async fn start_trail(&mut self, trail: &TrailId, due_ms: i64) -> Result<Duration, TrailsError> {
        let shared = Arc::clone(&self.shared);
        let config = &shared.config;
        let (now, now_ms) = (shared.clock.monotonic(), shared.clock.now_ms());
        // The owner's word ends all attempts: what waits is tried once more, at once.
        let is_deleted = shared.is_deleted(trail);
        let mended_ms = now_ms.saturating_add(millis(config.retry_pause_max).saturating_add(1));
        if due_ms > now_ms && due_ms < mended_ms && !is_deleted {
            let left = due_ms.saturating_sub(now_ms);
            return Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
        }
        let failing = self.lanes.values().filter(|lane| lane.failures > 0);
        let failing: usize = failing.map(|lane| lane.in_flight).sum();
        let lane = self.lanes.entry(trail.clone()).or_default();
        if lane.not_before > now {
            return Ok(lane.not_before.saturating_sub(now));
        }
        // Buckets that have failed share a quarter of the places: those that answer need the others (S5).
        let (own, all) = if lane.failures > 0 {
            (1, (config.puts_max / 4).max(1).saturating_sub(failing))
        } else {
            (config.puts_trail_max, config.puts_max)
        };
        let places = own
            .saturating_sub(lane.in_flight)
            .min(all)
            .min(config.puts_max.saturating_sub(self.in_flight.len()));
        if places == 0 {
            return Ok(config.retry_pause_max);
        }
        let asked = u32::try_from(places + lane.in_flight).unwrap_or(u32::MAX);
        let until = if is_deleted { i64::MAX } else { now_ms };
        let files = shared
            .catalog
            .waiting_files(trail, until, mended_ms, asked)
            .await?;
        let in_flight = &self.in_flight;
        let fresh: Vec<RecordedFile> = files
            .into_iter()
            .filter(|file| !in_flight.contains(&file.id))
            .take(places)
            .collect();
        if !fresh.is_empty() {
            self.served = Some(trail.clone());
        }
        for file in fresh {
            self.start(trail, file, is_deleted);
        }
        // Whatever ends makes room for the next.
        Ok(config.retry_pause_max)
    }

    fn start(&mut self, trail: &TrailId, file: RecordedFile, is_deleted: bool) {
        let id = file.id;
        self.in_flight.insert(id);
        self.lanes.entry(trail.clone()).or_default().in_flight += 1;
        let shared = Arc::clone(&self.shared);
        let task = self
            .tasks
            .spawn(async move { deliver(&shared, &file, is_deleted).await });
        self.puts.insert(task.id(), (trail.clone(), id));
    }

    /// Notes how a put has ended; its trail.
    fn ended(
        &mut self,
        ended: Result<(tokio::task::Id, bool), tokio::task::JoinError>,
    ) -> Option<TrailId> {
        let (task, is_there) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a put ended in a panic");
                (error.id(), false)
            }
        };
        let (trail, file) = self.puts.remove(&task)?;
        self.in_flight.remove(&file);
        let lane = self.lanes.entry(trail.clone()).or_default();
        lane.in_flight = lane.in_flight.saturating_sub(1);
        if is_there {
            lane.failures = 0;
            lane.not_before = Duration::ZERO;
        } else {
            lane.failures = lane.failures.saturating_add(1);
            let longest = self.shared.config.retry_pause_max;
            let pause = pause_after(lane.failures, longest, &*self.shared.entropy);
            lane.not_before = self.shared.clock.monotonic().saturating_add(pause);
        }
        Some(trail)
    }
}

/// Full jitter: anything up to the bound, which doubles with each failure (R15).
pub(crate) fn pause_after(failures: u32, longest: Duration, entropy: &dyn Entropy) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let bound = FIRST_PAUSE.saturating_mul(factor).min(longest);
    let mut random = [0; 4];
    entropy.fill(&mut random);
    bound.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}

/// Puts one file. False if the bucket does not have it now.
async fn deliver(shared: &Arc<Shared>, file: &RecordedFile, is_deleted: bool) -> bool {
    let attempted_ms = shared.clock.now_ms();
    let _room = shared.room_for_put(file.file.bytes).await;
    let failure = match prepare(shared, file).await {
        Ok(Some((object, purpose))) => match put(shared, file, &object, &purpose).await {
            Ok(()) => return delivered(shared, file, attempted_ms).await,
            Err(failure) => failure,
        },
        Ok(None) => {
            give_up(shared, file, attempted_ms, SPOOL_DAMAGED).await;
            return true;
        }
        Err(failure) => failure,
    };
    failed(shared, file, attempted_ms, &failure, is_deleted).await;
    false
}

/// The request; None if the bytes are not those that were decided, and never will be.
async fn prepare(
    shared: &Arc<Shared>,
    file: &RecordedFile,
) -> Result<Option<(NewObject, S3Purpose)>, S3Failure> {
    let reading = {
        let (shared, planned) = (Arc::clone(shared), file.file.clone());
        tokio::task::spawn_blocking(move || {
            let (name, sha256) = (&planned.spooled, &planned.object_sha256);
            let read = shared.spool.read_checked(name, planned.bytes, sha256);
            if matches!(read, Err(TrailsError::SpoolDamaged { .. })) {
                shared.spool.set_aside(name);
            }
            read
        })
    };
    let unreadable = |reason: &dyn std::fmt::Display| {
        tracing::error!(file = file.file.spooled, %reason, "a spooled file cannot be read");
        S3Failure::new(SPOOL_UNREADABLE, reason.to_string())
    };
    let body = match reading.await {
        Ok(Ok(body)) => Bytes::from(body),
        Ok(Err(TrailsError::SpoolDamaged { .. })) => return Ok(None),
        Ok(Err(error)) => return Err(unreadable(&error)),
        Err(error) => return Err(unreadable(&error)),
    };
    let version = file.file.version;
    let trail = match shared.catalog.trail_at(&file.file.trail, version).await {
        Ok(Some(trail)) => trail,
        Ok(None) => return Err(unreadable(&"the trail's version is gone")),
        Err(error) => return Err(unreadable(&error)),
    };
    Ok(Some((object(&trail, file, body), purpose(&trail))))
}

/// Puts the object; done if the bucket has it, from now on or from before. The key of a log file is our own and
/// random: what is there was put by an attempt that got no answer. Of a digest somebody could have guessed the
/// name. So what is there is compared, where it may be read (R14).
async fn put(
    shared: &Shared,
    file: &RecordedFile,
    object: &NewObject,
    purpose: &S3Purpose,
) -> Result<(), S3Failure> {
    failpoints::reach(failpoints::PUT_BEGINS);
    let outcome = shared.puts.put_new(object, purpose).await?;
    failpoints::reach(failpoints::PUT_DONE);
    if outcome == PutOutcome::Created {
        return Ok(());
    }
    shared.counters.add_already_there();
    let (bucket, key) = (&file.file.bucket, &file.file.object_key);
    let found = tokio::select! {
        found = shared.puts.compare(object, purpose) => found,
        () = shared.clock.sleep(COMPARISON_MAX) => StoredBytes::Unreadable,
    };
    if found == StoredBytes::Other {
        shared.counters.add_conflict();
        tracing::error!(bucket, key, "other bytes lie under the key of a file");
        let message = "the key holds other bytes";
        return Err(S3Failure::new(OTHER_BYTES, message));
    }
    let (is_compared, attempts) = (found == StoredBytes::Same, file.attempts);
    tracing::warn!(
        bucket,
        key,
        attempts,
        is_compared,
        "a file was in its bucket before it was put"
    );
    Ok(())
}

fn object(trail: &Trail, file: &RecordedFile, body: Bytes) -> NewObject {
    let planned = &file.file;
    let metadata = match (&planned.kind, &planned.signature) {
        (FileKind::Digest, Some(signature)) => vec![
            ("signature".to_owned(), signature.clone()),
            (
                "signature-algorithm".to_owned(),
                SIGNATURE_ALGORITHM.to_owned(),
            ),
        ],
        (FileKind::Log | FileKind::Digest, _) => Vec::new(),
    };
    NewObject {
        bucket: planned.bucket.clone(),
        key: planned.object_key.clone(),
        body: ObjectBody::Bytes(body),
        sha256: planned.object_sha256,
        metadata,
        content_type: Some(CONTENT_TYPE.to_owned()),
        content_encoding: Some("gzip".to_owned()),
        // SEC-208: policies of buckets ask for it.
        gives_owner_full_control: true,
        encryption: Some(match &planned.kms_key_arn {
            // SEC-372: the endpoint adds the object's ARN.
            Some(key) => ObjectEncryption::Kms {
                key_id: key.clone(),
                context: vec![("aws:cloudtrail:arn".to_owned(), trail.arn())],
            },
            None => ObjectEncryption::Managed,
        }),
        if_none_match: true,
    }
}

fn purpose(trail: &Trail) -> S3Purpose {
    S3Purpose::Delivery {
        trail_arn: trail.arn(),
        account: trail.account.to_string(),
    }
}

async fn delivered(shared: &Arc<Shared>, file: &RecordedFile, attempted_ms: i64) -> bool {
    let record = Delivered {
        id: file.id,
        attempted_ms,
        delivered_ms: shared.clock.now_ms(),
    };
    match shared.catalog.record_delivered(&record).await {
        Ok(notification) => {
            failpoints::reach(failpoints::PUT_RECORDED);
            shared.counters.add_delivered();
            shared.forget_attempts(file.id);
            match notification {
                NotificationMade::None => {}
                NotificationMade::Waiting => shared.outlets.due.notify_one(),
                NotificationMade::Dropped => {
                    shared.outlets.counters.add_lost_notification();
                    let trail = &file.file.trail.0;
                    tracing::error!(
                        trail,
                        "too much waits for a topic: it is not told of a file"
                    );
                }
            }
            if !file.file.is_validated {
                shared.release_spooled(&file.file.spooled).await;
            }
            true
        }
        Err(error) => {
            // It stays where it is and is put again: the bucket then says that it has it.
            tracing::warn!(%error, "a delivery could not be recorded yet");
            false
        }
    }
}

async fn failed(
    shared: &Arc<Shared>,
    file: &RecordedFile,
    attempted_ms: i64,
    failure: &S3Failure,
    is_deleted: bool,
) {
    shared.counters.add_failure();
    let config = &shared.config;
    let failing_ms = shared.failing_ms(file, attempted_ms);
    let code = told_code(&failure.code);
    // The last digest of a trail that was deleted is worth a day.
    let ends_at_once = is_deleted && file.file.kind == FileKind::Log;
    let period_ms = if is_deleted {
        millis(config.retry_period).min(DAY_MS)
    } else {
        millis(config.retry_period)
    };
    tracing::warn!(
        trail = file.file.trail.0,
        bucket = file.file.bucket,
        code,
        attempts = file.attempts + 1,
        "a file could not be delivered"
    );
    if ends_at_once || failing_ms >= period_ms {
        give_up(shared, file, attempted_ms, &code).await;
        return;
    }
    let pause = pause_after(
        file.attempts.saturating_add(1),
        config.retry_pause_max,
        &*shared.entropy,
    );
    let record = FailedAttempt {
        id: file.id,
        attempted_ms,
        next_attempt_ms: attempted_ms.saturating_add(millis(pause)),
        failing_ms,
        error: (!failure.is_timeout).then_some(code),
    };
    if let Err(error) = shared.catalog.record_failure(&record).await {
        tracing::warn!(%error, "an attempt could not be recorded");
    }
}

async fn give_up(shared: &Arc<Shared>, file: &RecordedFile, attempted_ms: i64, code: &str) {
    match shared
        .catalog
        .record_lost(file.id, attempted_ms, code)
        .await
    {
        Ok(()) => {
            tracing::error!(
                trail = file.file.trail.0,
                bucket = file.file.bucket,
                key = file.file.object_key,
                events = file.file.events,
                code,
                "a file is given up: its bucket will not get it"
            );
            shared.counters.add_lost_events(file.file.events);
            shared.forget_attempts(file.id);
            shared.release_spooled(&file.file.spooled).await;
        }
        Err(error) => tracing::warn!(%error, "a file could not be given up yet"),
    }
}

/// What an endpoint calls its trouble, as a status can show it.
pub(crate) fn told_code(code: &str) -> String {
    let plain = code.chars().filter(char::is_ascii_graphic);
    plain.take(CODE_CHARACTERS_MAX).collect()
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
