//! The inspection: one task walks along the chains and starts the checks of log files, many at a time; what they
//! find is told in the walk's order. How much is under way is bounded by the channel between the two.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_integrity::{
    ChainWalk, Digest, DigestKind, FetchedDigest, Finding, ListedDigest, LogFileEntry,
    LogFileFault, PreviousDigest, SIGNATURE_ALGORITHM, SIZE_LIMITS, Step, WalkRange, inflate,
};
use cairn_model::EventTime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::prefetch::Prefetch;
use super::range::{TrailPlace, ValidatedRange};
use super::report::Report;
use super::source::{DigestAnswer, KeySource, LogSource};
use super::unlisted::Listed;

/// All that the inspection of one trail needs.
#[derive(Debug)]
pub(super) struct Inspection {
    source: Arc<LogSource>,
    keys: Arc<KeySource>,
    place: TrailPlace,
    range: ValidatedRange,
    requests: usize,
}

/// What is told next, in order.
enum Item {
    Finding(DigestKind, Finding),
    Log(
        LogFileEntry,
        JoinHandle<anyhow::Result<Result<(), LogFileFault>>>,
    ),
}

impl Inspection {
    pub(super) fn new(
        source: Arc<LogSource>,
        keys: Arc<KeySource>,
        place: TrailPlace,
        range: ValidatedRange,
        requests: usize,
    ) -> Self {
        Self {
            source,
            keys,
            place,
            range,
            requests,
        }
    }

    /// Inspects both chains, and then what no digest lists, if that is wanted.
    pub(super) async fn run(self, report: &mut Report, unlisted: bool) -> anyhow::Result<()> {
        let (source, place, range) = (Arc::clone(&self.source), self.place.clone(), self.range);
        let mut listed = unlisted.then(Listed::default);
        let (sender, mut receiver) = mpsc::channel(2 * self.requests);
        let walking = tokio::spawn(self.walk_both(sender));
        while let Some(item) = receiver.recv().await {
            match item {
                Item::Finding(kind, finding) => {
                    if let (Some(listed), Finding::Valid(digest)) = (&mut listed, &finding) {
                        listed.note(kind, digest);
                    }
                    report.tell(kind, &finding)?;
                }
                Item::Log(entry, check) => {
                    let outcome = check
                        .await
                        .context("the check of a log file has failed")??;
                    report.tell_log(&entry, outcome)?;
                }
            }
        }
        walking.await.context("the walk has failed")??;
        if let Some(listed) = listed {
            listed.tell_the_rest(&source, &place, range, report).await?;
        }
        Ok(())
    }

    async fn walk_both(self, sender: mpsc::Sender<Item>) -> anyhow::Result<()> {
        let mut listings = HashMap::new();
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            self.walk(kind, &mut listings, &sender).await?;
        }
        Ok(())
    }

    async fn walk(
        &self,
        kind: DigestKind,
        listings: &mut HashMap<(String, EventTime), Vec<ListedDigest>>,
        sender: &mpsc::Sender<Item>,
    ) -> anyhow::Result<()> {
        let mut walk = ChainWalk::new(WalkRange {
            start: self.range.start,
            end: self.range.end,
            kind,
            bucket: self.place.bucket.clone(),
            home_region: self.place.home_region.clone(),
        });
        let mut prefetch = Prefetch::new(Arc::clone(&self.source), self.requests);
        let mut links = Links::default();
        loop {
            match walk.step() {
                Step::List { bucket, end } => {
                    let place = (bucket.clone(), end);
                    if !listings.contains_key(&place) {
                        let found = self.list(&bucket, end).await?;
                        listings.insert(place.clone(), found);
                    }
                    let mut found = listings[&place].clone();
                    found.retain(|digest| digest.kind == kind);
                    let keys = found.iter().map(|digest| digest.key.clone()).collect();
                    prefetch.restart(&bucket, keys);
                    walk.listed(found);
                }
                Step::Keys { from, to } => walk.take_keys(self.keys.keys(from, to).await?),
                Step::Fetch { bucket, key } => match prefetch.take(&bucket, &key).await? {
                    DigestAnswer::There(fetched) => walk.fetched(fetched),
                    DigestAnswer::NotFound => walk.not_found(),
                    DigestAnswer::Unsigned(fetched) => {
                        links.go_on_unsigned(&mut walk, kind, &(bucket, key), fetched);
                    }
                },
                Step::Found(finding) => {
                    let mut log_files = Vec::new();
                    if let Finding::Valid(digest) = &finding {
                        links.note(digest.previous.as_ref());
                        log_files.clone_from(&digest.log_files);
                    }
                    // Nobody listens any more once something could not be told.
                    if sender.send(Item::Finding(kind, finding)).await.is_err() {
                        return Ok(());
                    }
                    for entry in log_files {
                        if sender.send(self.check(entry)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Step::NoKeys { from, to } => {
                    anyhow::bail!("No public keys found between {from} and {to}")
                }
                Step::End => return Ok(()),
            }
        }
    }

    fn check(&self, entry: LogFileEntry) -> Item {
        let source = Arc::clone(&self.source);
        let checked = entry.clone();
        Item::Log(
            entry,
            tokio::spawn(async move { source.check(&checked).await }),
        )
    }

    async fn list(&self, bucket: &str, end: EventTime) -> anyhow::Result<Vec<ListedDigest>> {
        let listing = self.place.listing();
        let (prefix, marker) = (listing.prefix(), listing.marker(self.range.start));
        let is_beyond = |key: &str| listing.is_beyond(key, end);
        let keys = self
            .source
            .keys(bucket, &prefix, &marker, &is_beyond)
            .await?;
        let admitted = keys
            .iter()
            .filter_map(|key| listing.admit(key, self.range.start, end));
        Ok(admitted.collect())
    }
}

/// Signatures of digests that stand in the digests after them: all that there is of them in a folder without
/// metadata (REC-292, REC-294).
#[derive(Debug, Default)]
struct Links {
    signatures: HashMap<(String, String), String>,
}

impl Links {
    fn note(&mut self, previous: Option<&PreviousDigest>) {
        // A walk goes backwards and wants only the last one.
        self.signatures.clear();
        if let Some(previous) = previous {
            let place = (previous.bucket.clone(), previous.object.clone());
            self.signatures.insert(place, previous.signature.clone());
        }
    }

    /// Checks a digest by the signature that the one after it states. The newest has none and stays unchecked; what
    /// it says of the one before is of use all the same, because a signature proves itself.
    fn go_on_unsigned(
        &mut self,
        walk: &mut ChainWalk,
        kind: DigestKind,
        place: &(String, String),
        fetched: FetchedDigest,
    ) {
        // Backfill digests have more in their metadata than a signature.
        if let (DigestKind::Standard, Some(signature)) = (kind, self.signatures.remove(place)) {
            return walk.fetched(FetchedDigest {
                signature: Some(signature),
                signature_algorithm: Some(SIGNATURE_ALGORITHM.to_owned()),
                ..fetched
            });
        }
        let text = inflate(&fetched.packed, SIZE_LIMITS);
        let digest = text.and_then(|text| Digest::parse(&text).ok());
        self.note(digest.and_then(|digest| digest.previous).as_ref());
        walk.unchecked();
    }
}
