//! Digests: for each trail, account and Region one signed list of the log files that were delivered in a window,
//! chained to the list before it (register 07, sections 16 to 18).
//!
//! **Invariant (R16).** A window is signed once. What it lists is read again from the spool and compared with its
//! hash before the signature; the digest's bytes are durable, and its row recorded together with the end of the
//! window, before anything leaves.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::CatalogError;
use cairn_catalog::trails::{
    ChainId, DigestChain, FileId, FileKind, NewDigest, PlannedFile, PreviousDigest, RecordedFile,
    SigningKey,
};
use cairn_integrity::{
    Digest, DigestKind, KeyFolder, LogFileEntry, LogFileHash, SIZE_LIMITS, SigningKeyPair,
    hexadecimal, signing_string,
};
use cairn_model::{EventTime, Region, Trail};

use crate::cutting::time_of;
use crate::error::TrailsError;
use crate::failpoints;
use crate::log_file::{gzip, sha256_of};
use crate::trails::Shared;

/// A gap of more windows than this is one window: a clock that was wrong, or a node that was off for days,
/// must not be followed by a digest for each hour of it.
const WINDOWS_MAX: i64 = 48;
const SECOND_MS: i64 = 1000;
/// What a chain waits whose digest could not be made.
const TROUBLE_PAUSE: Duration = Duration::from_mins(1);
/// The wall clock is looked at so often: it may have been set forward.
const LOOK_MAX: Duration = Duration::from_mins(1);
/// What an ending chain waits between two looks at whether its files are delivered.
const CLOSING_LOOK: Duration = Duration::from_secs(1);

/// Makes digests when they are due.
#[derive(Debug)]
pub(crate) struct Digests {
    shared: Arc<Shared>,
    /// Since when, by the steady clock, the open window of a chain is known, with its start.
    seen: HashMap<ChainId, (i64, Duration)>,
    /// Chains that have trouble, and until when they are left alone.
    troubled: HashMap<ChainId, Duration>,
    keys: HashMap<Region, (SigningKey, Arc<SigningKeyPair>)>,
    /// Files of digests of which nobody knows whether they were recorded.
    doubtful: Vec<String>,
}

impl Digests {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            seen: HashMap::new(),
            troubled: HashMap::new(),
            keys: HashMap::new(),
            doubtful: Vec::new(),
        }
    }

    /// Makes every digest that is due. Returns how long none will be. Trouble with one chain is told, and
    /// keeps no other from its digests.
    pub(crate) async fn turn(&mut self) -> Result<Duration, TrailsError> {
        self.shared.settle_doubtful(&mut self.doubtful).await?;
        let chains = self.shared.catalog.chains().await?;
        let known: HashSet<ChainId> = chains.iter().map(|chain| chain.id).collect();
        self.seen.retain(|id, _| known.contains(id));
        self.troubled.retain(|id, _| known.contains(id));
        let mut pause = self.shared.config.digest_interval.min(LOOK_MAX);
        for chain in chains {
            let now = self.shared.clock.monotonic();
            if let Some(until) = self.troubled.get(&chain.id).filter(|until| **until > now) {
                pause = pause.min(until.saturating_sub(now));
                continue;
            }
            if chain.closing_ms.is_some() {
                pause = pause.min(CLOSING_LOOK);
            }
            let (id, trail, region) = (chain.id, chain.trail.clone(), chain.region.clone());
            match self.advance(chain).await {
                Ok(left) => {
                    self.troubled.remove(&id);
                    pause = pause.min(left);
                }
                Err(TrailsError::ThreadsEnded) => return Err(TrailsError::ThreadsEnded),
                Err(error) => {
                    self.shared.counters.add_failure();
                    tracing::error!(trail = trail.0, %region, %error, "a digest cannot be made");
                    self.troubled.insert(id, now.saturating_add(TROUBLE_PAUSE));
                }
            }
        }
        Ok(pause)
    }

    /// Makes the digests of a chain that are due; how long the next is not.
    async fn advance(&mut self, mut chain: DigestChain) -> Result<Duration, TrailsError> {
        loop {
            let now_ms = self.shared.clock.now_ms();
            let is_last = chain.closing_ms.is_some()
                && self.shared.catalog.waiting_in_chain(chain.id).await? == 0;
            let interval = self.shared.config.digest_interval;
            let end_ms = match self.window_end(&chain, now_ms) {
                _ if is_last => last_window_end(&chain, now_ms),
                Ok(end_ms) => end_ms,
                Err(left) => return Ok(left),
            };
            match self.make(&chain, end_ms, is_last).await {
                Ok(()) if is_last => return Ok(interval),
                Ok(()) => {}
                // The chain has gone on meanwhile: another cut, or somebody else's digest.
                Err(TrailsError::Catalog(CatalogError::OutOfStep { .. })) => {
                    return Ok(CLOSING_LOOK);
                }
                Err(error) => return Err(error),
            }
            let Some(next) = self.shared.catalog.chain(chain.id).await? else {
                return Ok(interval);
            };
            chain = next;
        }
    }

    /// Where the open window ends if it has; else for how long it has not. A window ends when either clock
    /// says so, and never before it began (R17, S8).
    fn window_end(&mut self, chain: &DigestChain, now_ms: i64) -> Result<i64, Duration> {
        let interval = self.shared.config.digest_interval;
        let interval_ms = millis(interval).max(SECOND_MS);
        let start_ms = chain.window_start_ms;
        let steady = self.shared.clock.monotonic();
        let (known_start, since) = *self.seen.entry(chain.id).or_insert((start_ms, steady));
        let since = if known_start == start_ms {
            since
        } else {
            self.seen.insert(chain.id, (start_ms, steady));
            steady
        };
        let passed = now_ms.saturating_sub(start_ms);
        let by_wall = interval_ms.saturating_sub(passed);
        if by_wall <= 0 {
            let windows = passed / interval_ms;
            let whole = if windows > WINDOWS_MAX { windows } else { 1 };
            return Ok(start_ms + whole * interval_ms);
        }
        let by_steady = interval.saturating_sub(steady.saturating_sub(since));
        if by_steady.is_zero() {
            return Ok(start_ms + interval_ms);
        }
        let by_wall = Duration::from_millis(u64::try_from(by_wall).unwrap_or(0));
        Err(by_wall.min(by_steady))
    }

    /// A digest is named by the second of its end, which no other of its name may share.
    async fn free_end(
        &self,
        chain: &DigestChain,
        trail_arn: &str,
        end_ms: i64,
    ) -> Result<i64, TrailsError> {
        let last = self
            .shared
            .catalog
            .last_digest_end(chain, trail_arn)
            .await?;
        let next = last.map_or(i64::MIN, |last| {
            (last.div_euclid(SECOND_MS) + 1) * SECOND_MS
        });
        Ok(end_ms.max(next))
    }

    async fn make(
        &mut self,
        chain: &DigestChain,
        end_ms: i64,
        is_final: bool,
    ) -> Result<(), TrailsError> {
        let shared = Arc::clone(&self.shared);
        let Some(trail) = shared.catalog.trail_at(&chain.trail, chain.version).await? else {
            return Err(TrailsError::Catalog(CatalogError::Unreadable {
                what: "version of a trail that digests go by",
                value: format!("{} of {}", chain.version, chain.trail.0),
            }));
        };
        let trail_arn = trail.arn();
        let end_ms = self.free_end(chain, &trail_arn, end_ms).await?;
        let before_ms = if is_final { i64::MAX } else { end_ms };
        let now_ms = shared.clock.now_ms();
        let files = shared
            .catalog
            .files_of_chain(chain.id, before_ms, now_ms.max(end_ms))
            .await?;
        let listed: Vec<FileId> = files.iter().map(|file| file.id).collect();
        let names: Vec<String> = files.iter().map(|file| file.file.spooled.clone()).collect();
        let (key, pair) = self
            .key(&chain.region, (now_ms, chain.window_start_ms))
            .await?;
        let plan = Plan {
            chain: chain.clone(),
            window_ms: chain.window_start_ms..end_ms,
            trail,
            fingerprint: key.fingerprint,
            created_ms: now_ms,
        };
        let made = {
            let shared = Arc::clone(&shared);
            tokio::task::spawn_blocking(move || plan.make(&shared, &files, &pair))
        };
        let (file, summary) = made
            .await
            .map_err(TrailsError::of_thread("signing a digest"))??;
        failpoints::reach(failpoints::DIGEST_SPOOLED);
        let spooled = file.spooled.clone();
        let digest = NewDigest {
            chain: chain.clone(),
            trail_arn,
            window_ms: chain.window_start_ms..end_ms,
            file,
            summary,
            listed,
            is_final,
        };
        if let Err(error) = shared.catalog.record_digest(&digest).await {
            self.doubtful.push(spooled);
            return Err(error.into());
        }
        failpoints::reach(failpoints::DIGEST_RECORDED);
        shared.counters.add_digest();
        shared.delivery_due.notify_one();
        for name in names {
            shared.release_spooled(&name).await;
        }
        Ok(())
    }

    /// The key that signs for a Region now; a new one when the current has signed for its time.
    async fn key(
        &mut self,
        region: &Region,
        (now_ms, window_start_ms): (i64, i64),
    ) -> Result<(SigningKey, Arc<SigningKeyPair>), TrailsError> {
        let shared = Arc::clone(&self.shared);
        let overlap_ms = millis(shared.config.key_overlap);
        let signs = |valid_ms: &Range<i64>| {
            valid_ms.contains(&now_ms) && now_ms < valid_ms.end.saturating_sub(overlap_ms)
        };
        if let Some(held) = self.keys.get(region).filter(|held| signs(&held.0.valid_ms)) {
            return Ok(held.clone());
        }
        let stored = shared.catalog.signing_key(region, now_ms).await?;
        let held = match stored.filter(|key| signs(&key.valid_ms)) {
            Some(key) => {
                let pair = open_pair(&shared, &key)?;
                (key, Arc::new(pair))
            }
            None => self.new_key(region, (now_ms, window_start_ms)).await?,
        };
        self.keys.insert(region.clone(), held.clone());
        Ok(held)
    }

    async fn new_key(
        &self,
        region: &Region,
        (now_ms, window_start_ms): (i64, i64),
    ) -> Result<(SigningKey, Arc<SigningKeyPair>), TrailsError> {
        let shared = Arc::clone(&self.shared);
        let pair = tokio::task::spawn_blocking(SigningKeyPair::generate)
            .await
            .map_err(TrailsError::of_thread("making a signing key"))?
            .map_err(|error| cannot_sign(&error))?;
        let fingerprint = pair.fingerprint();
        let private = pair.to_pkcs8().map_err(|error| cannot_sign(&error))?;
        let context = seal_context(region, &fingerprint);
        let config = &shared.config;
        let valid = millis(config.key_period).saturating_add(millis(config.key_overlap));
        let key = SigningKey {
            region: region.clone(),
            private_sealed: shared.master_key.seal(&context, &private, &*shared.entropy),
            public_key: pair.public_key_der(),
            fingerprint,
            // It may sign for windows that ended while nothing ran: validators ask for the keys of that time.
            valid_ms: now_ms.min(window_start_ms)..now_ms.saturating_add(valid),
        };
        shared.catalog.put_signing_key(&key).await?;
        shared.catalog.retire_signing_keys(now_ms).await?;
        tracing::info!(region = %region, fingerprint = key.fingerprint, "a new key signs digests");
        Ok((key, Arc::new(pair)))
    }
}

/// The last window ends now, a whole second after its beginning at least.
fn last_window_end(chain: &DigestChain, now_ms: i64) -> i64 {
    let now_ms = now_ms.div_euclid(SECOND_MS) * SECOND_MS;
    now_ms.max(chain.window_start_ms + SECOND_MS)
}

fn open_pair(shared: &Shared, key: &SigningKey) -> Result<SigningKeyPair, TrailsError> {
    let context = seal_context(&key.region, &key.fingerprint);
    let opened = shared.master_key.open(&context, &key.private_sealed);
    let private = opened.map_err(|error| cannot_sign(&error))?;
    SigningKeyPair::from_pkcs8(&private).map_err(|error| cannot_sign(&error))
}

fn seal_context(region: &Region, fingerprint: &str) -> String {
    format!("digest signing key {region} {fingerprint}")
}

fn cannot_sign(error: &dyn std::error::Error) -> TrailsError {
    TrailsError::Signing {
        reason: error.to_string(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Everything that a digest is made of but the files.
struct Plan {
    chain: DigestChain,
    window_ms: Range<i64>,
    trail: Trail,
    fingerprint: String,
    created_ms: i64,
}

impl Plan {
    /// Checks the files, signs, and writes the digest to the spool. Blocks.
    fn make(
        self,
        shared: &Shared,
        files: &[RecordedFile],
        pair: &SigningKeyPair,
    ) -> Result<(PlannedFile, PreviousDigest), TrailsError> {
        let mut sound = Vec::with_capacity(files.len());
        for file in files {
            match check_spooled(shared, file) {
                Ok(()) => sound.push(file),
                Err(TrailsError::SpoolDamaged { name }) => {
                    // What cannot be checked any more is not vouched for.
                    shared.counters.add_unlisted();
                    tracing::error!(
                        file = name,
                        bucket = file.file.bucket,
                        key = file.file.object_key,
                        "a delivered log file is damaged in the spool: no digest lists it"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        let digest = self.document(&sound);
        let content = digest.to_json();
        let hash = cairn_integrity::sha256_hex(&content);
        let previous = digest.previous.as_ref();
        let previous = previous.map(|previous| previous.signature.as_str());
        let (bucket, key) = (&digest.bucket, &digest.object);
        let signature = pair.sign(&signing_string(digest.end, bucket, key, &hash, previous));
        failpoints::reach(failpoints::DIGEST_SIGNED);
        let object = gzip(&content);
        let name = shared.spool.new_name();
        shared.spool.append(&name, 0, &object)?;
        shared.spool.sync(&name)?;
        shared.spool.sync_names()?;
        let summary = PreviousDigest {
            bucket: digest.bucket.clone(),
            key: digest.object.clone(),
            hash,
            signature: signature.clone(),
        };
        let file = PlannedFile {
            trail: self.chain.trail,
            version: self.chain.version,
            kind: FileKind::Digest,
            is_validated: false,
            account: self.chain.account,
            region: self.chain.region,
            bucket: digest.bucket,
            object_key: digest.object,
            kms_key_arn: self.trail.settings.kms_key_arn,
            spooled: name,
            bytes: object.len() as u64,
            object_sha256: sha256_of(&object),
            content_sha256: sha256_of(&content),
            signature: Some(signature),
            events: 0,
            event_times_ms: None,
            created_ms: self.created_ms,
        };
        Ok((file, summary))
    }

    fn document(&self, files: &[&RecordedFile]) -> Digest {
        let settings = &self.trail.settings;
        let folder = KeyFolder {
            prefix: settings.key_prefix.as_deref(),
            organization: None,
            account: self.chain.account.as_str(),
            region: self.chain.region.as_str(),
        };
        let end = time_of(self.window_ms.end);
        let home_region = self.trail.home_region.as_str();
        let times = files.iter().filter_map(|file| file.file.event_times_ms);
        let oldest = times.clone().map(|times| times.0).min();
        let newest = times.map(|times| times.1).max();
        Digest {
            account: self.chain.account,
            start: time_of(self.window_ms.start),
            end,
            bucket: settings.bucket.clone(),
            object: folder.digest_key(&self.trail.name, home_region, end, DigestKind::Standard),
            public_key_fingerprint: self.fingerprint.clone(),
            newest_event: newest.map(second_of),
            oldest_event: oldest.map(second_of),
            previous: self.chain.previous.as_ref().map(|previous| {
                cairn_integrity::PreviousDigest {
                    bucket: previous.bucket.clone(),
                    object: previous.key.clone(),
                    hash_value: previous.hash.clone(),
                    signature: previous.signature.clone(),
                }
            }),
            log_files: files.iter().map(|file| entry(file)).collect(),
        }
    }
}

fn entry(file: &RecordedFile) -> LogFileEntry {
    let times = file.file.event_times_ms;
    LogFileEntry {
        bucket: file.file.bucket.clone(),
        object: file.file.object_key.clone(),
        hash_value: hexadecimal(&file.file.content_sha256),
        newest_event: times.map(|times| second_of(times.1)),
        oldest_event: times.map(|times| second_of(times.0)),
    }
}

/// Digests tell times to the second.
fn second_of(millis: i64) -> EventTime {
    time_of(millis.div_euclid(SECOND_MS) * SECOND_MS)
}

/// One flipped bit between delivery and signature would be vouched for ever. A file that the disk does not give
/// back, asked twice, is as bad as a damaged one.
fn check_spooled(shared: &Shared, file: &RecordedFile) -> Result<(), TrailsError> {
    let file = &file.file;
    let damaged = || TrailsError::SpoolDamaged {
        name: file.spooled.clone(),
    };
    let (name, bytes, sha256) = (&file.spooled, file.bytes, &file.object_sha256);
    let read = || shared.spool.read_checked(name, bytes, sha256);
    let object = read().or_else(|_| read()).map_err(|_| damaged())?;
    let mut content = LogFileHash::new(SIZE_LIMITS);
    content.update(&object).map_err(|_| damaged())?;
    content
        .finish(&hexadecimal(&file.content_sha256))
        .map_err(|_| damaged())
}
