//! A cut in the making: the range of the log that was read since the last one, and the files that its events go
//! into. Nothing of it is decided before it is recorded: after a crash the same range is cut again, and what lay
//! in the spool is swept away.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use cairn_catalog::trails::{
    AppliedTrail, ChainChange, Cut, FileKind, Lane, LostFeed, LostFile, Outlet, PlannedFeed,
    PlannedFile,
};
use cairn_eventlog::{LogRecord, RecordKind};
use cairn_integrity::{KeyFolder, LogKind};
use cairn_model::destination::{DestinationLimit, fit, without_context};
use cairn_model::{
    AccountId, Completion, EventClass, EventTime, PartitionId, Region, RoutingHeader, Sequence,
    Trail, canonicalize, insight_type_of_trail,
};
use cairn_platform::{DiskError, Entropy, EventBuses};

use crate::active::{ActiveTrail, ActiveTrails, open_chain};
use crate::log_file::{FinishedFile, LogFile};
use crate::spool::Spool;
use crate::spool_room::{SpoolRoom, budget_of};

/// A file is compressed piece by piece of about this size.
const PIECE_BYTES: usize = 1 << 20;
/// Letters and digits of the part of a file's name that tells it from others (SEC-004).
const UNIQUE_CHARACTERS: usize = 16;
/// What a spool without room is called in a trail's status.
const SPOOL_FULL: &str = "SpoolFull";

/// What a cut may take.
#[derive(Clone, Debug)]
pub(crate) struct CutLimits {
    /// Uncompressed events in memory.
    pub(crate) buffer_bytes_max: usize,
    /// Uncompressed size of a file.
    pub(crate) file_bytes_max: u64,
    /// Where what any trail takes goes as well.
    pub(crate) buses: Option<Arc<dyn EventBuses>>,
}

/// Which events go into one file: those of a kind, for a trail or without one for a bus, of an account and Region.
type OutputKey = (Option<String>, AccountId, Region, LogKind);

/// A file in the making, with the trail as it was when the file began.
#[derive(Debug)]
struct Output {
    trail: Option<Arc<ActiveTrail>>,
    file: LogFile,
}

/// The cut that is open.
#[derive(Debug)]
pub(crate) struct OpenCut {
    partition: PartitionId,
    /// Where the last cut ended; none before the first.
    expected: Option<Sequence>,
    /// The next record to read.
    end: Sequence,
    limits: CutLimits,
    spool: Spool,
    entropy: Arc<dyn Entropy>,
    outputs: BTreeMap<OutputKey, Output>,
    /// Complete files with their trails.
    finished: Vec<(Option<Trail>, OutputKey, FinishedFile)>,
    applied: Vec<AppliedTrail>,
    chains: Vec<ChainChange>,
    buffered: usize,
    content_bytes: u64,
    quarantined: u64,
}

impl OpenCut {
    pub(crate) fn new(
        partition: PartitionId,
        expected: Option<Sequence>,
        end: Sequence,
        limits: CutLimits,
        (spool, entropy): (Spool, Arc<dyn Entropy>),
    ) -> Self {
        Self {
            partition,
            expected,
            end,
            limits,
            spool,
            entropy,
            outputs: BTreeMap::new(),
            finished: Vec::new(),
            applied: Vec::new(),
            chains: Vec::new(),
            buffered: 0,
            content_bytes: 0,
            quarantined: 0,
        }
    }

    /// How many records were set aside since this was last asked.
    pub(crate) fn take_quarantined(&mut self) -> u64 {
        std::mem::take(&mut self.quarantined)
    }

    /// The next record to read.
    pub(crate) fn end(&self) -> Sequence {
        self.end
    }

    /// True if a range was read that no cut covers.
    pub(crate) fn has_moved(&self) -> bool {
        self.expected != Some(self.end)
    }

    /// True if a trail takes something of it.
    pub(crate) fn has_events(&self) -> bool {
        !self.outputs.is_empty() || !self.finished.is_empty()
    }

    /// True if chains of digests are to change with it.
    pub(crate) fn has_chains(&self) -> bool {
        !self.chains.is_empty()
    }

    /// Uncompressed bytes of all its files.
    pub(crate) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Passes over a range that the log has lost.
    pub(crate) fn skip_to(&mut self, position: Sequence) {
        self.end = self.end.max(position);
    }

    /// Takes records in order, up to the first control record, and gives back that and those behind it. Blocks:
    /// call off the async threads.
    pub(crate) fn take(
        &mut self,
        trails: &ActiveTrails,
        records: Vec<LogRecord>,
    ) -> Result<Vec<LogRecord>, DiskError> {
        let any_logs = trails.any_logs();
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            if record.record.kind == RecordKind::Control {
                return Ok(std::iter::once(record).chain(records).collect());
            }
            self.end = record.sequence.plus(1);
            if any_logs {
                self.take_event(trails, &record)?;
            }
        }
        Ok(Vec::new())
    }

    /// Passes a control record, with what it changes.
    pub(crate) fn pass_control(
        &mut self,
        sequence: Sequence,
        applied: Option<AppliedTrail>,
        chains: Vec<ChainChange>,
    ) {
        self.end = sequence.plus(1);
        self.applied.extend(applied);
        self.chains.extend(chains);
    }

    /// Adds chains of digests that are missing.
    pub(crate) fn open_chains(&mut self, chains: Vec<ChainChange>) {
        self.chains.extend(chains);
    }

    fn take_event(&mut self, trails: &ActiveTrails, record: &LogRecord) -> Result<(), DiskError> {
        let chosen = match contained(|| Chosen::of(trails, record)) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => return Ok(()),
            Err(reason) => return self.set_aside(record, reason),
        };
        for trail in &chosen.takers {
            self.push(Some(trail), &chosen, chosen.kind)?;
        }
        // EventBridge has no network activity events.
        let buses = self.limits.buses.as_ref();
        let goes_to_bus = chosen.class != EventClass::NetworkActivity
            && buses.is_some_and(|buses| buses.serves(chosen.region.as_str()));
        if goes_to_bus {
            self.push(None, &chosen, LogKind::Activity)?;
        }
        if self.buffered > self.limits.buffer_bytes_max {
            self.spill_largest()?;
        }
        Ok(())
    }

    /// Adds an event to the file of a trail, or of a bus.
    fn push(
        &mut self,
        trail: Option<&Arc<ActiveTrail>>,
        chosen: &Chosen<'_>,
        kind: LogKind,
    ) -> Result<(), DiskError> {
        let key = || -> OutputKey {
            let id = trail.map(|trail| trail.trail.id.0.clone());
            (id, chosen.account, chosen.region.clone(), kind)
        };
        let mut before = 0;
        let output = self
            .outputs
            .entry(key())
            .and_modify(|output| before = output.file.pending_bytes())
            .or_insert_with(|| Output {
                trail: trail.cloned(),
                file: LogFile::new(self.spool.new_name()),
            });
        output.file.push(&chosen.event, chosen.time_ms);
        self.content_bytes += chosen.event.len() as u64;
        self.buffered += output.file.pending_bytes() - before;
        if output.file.content_bytes() >= self.limits.file_bytes_max {
            self.finish_one(&key())?;
        } else if output.file.pending_bytes() >= PIECE_BYTES {
            self.buffered -= output.file.pending_bytes();
            output.file.spill(&self.spool)?;
        }
        Ok(())
    }

    /// Keeps a record that no trail can read with the reason (P8): those behind it go on. A record that is
    /// read again after a crash has the same name and the same bytes.
    fn set_aside(&mut self, record: &LogRecord, reason: &'static str) -> Result<(), DiskError> {
        let sequence = record.sequence.0;
        let name = format!("{:05}-{sequence:020}.record", self.partition.0);
        let bytes = record.quarantined(self.partition, reason);
        self.spool.quarantine(&name, &bytes)?;
        tracing::error!(
            sequence,
            reason,
            "a record is quarantined: no trail gets its event"
        );
        self.quarantined += 1;
        Ok(())
    }

    /// Moves the larger half of what waits in memory to the spool.
    fn spill_largest(&mut self) -> Result<(), DiskError> {
        let mean = self.buffered / self.outputs.len().max(1);
        for output in self.outputs.values_mut() {
            let pending = output.file.pending_bytes();
            if pending >= mean {
                self.buffered -= pending;
                output.file.spill(&self.spool)?;
            }
        }
        Ok(())
    }

    fn finish_one(&mut self, key: &OutputKey) -> Result<(), DiskError> {
        if let Some(output) = self.outputs.remove(key) {
            self.buffered -= output.file.pending_bytes();
            let trail = output.trail.map(|trail| trail.trail.clone());
            let finished = output.file.finish(&self.spool)?;
            self.finished.push((trail, key.clone(), finished));
        }
        Ok(())
    }

    /// Completes every file and decides its key. All of it is durable on return. Blocks.
    pub(crate) fn finish(mut self, created_ms: i64, room: &SpoolRoom) -> Result<Cut, DiskError> {
        for key in self.outputs.keys().cloned().collect::<Vec<_>>() {
            self.finish_one(&key)?;
        }
        let mut room = room.clone();
        let mut cut = Cut {
            partition: self.partition,
            expected: self.expected,
            end: self.end,
            files: Vec::with_capacity(self.finished.len()),
            applied: std::mem::take(&mut self.applied),
            chains: Vec::new(),
            lost: Vec::new(),
            feeds: Vec::new(),
            lost_feeds: Vec::new(),
        };
        if !self.finished.is_empty() {
            self.spool.sync_names()?;
        }
        // From here on nothing fails: the files are the cut's.
        for (trail, of, file) in std::mem::take(&mut self.finished) {
            let name = file.name.clone();
            let is_kept = match trail {
                Some(trail) => self.plan(&mut cut, &mut room, (trail, of, file), created_ms),
                None => plan_bus(&mut cut, &mut room, (of, file), created_ms),
            };
            if !is_kept {
                self.spool.remove(&name);
            }
        }
        // What the events of the range need comes first, then what changed behind them.
        cut.chains.append(&mut self.chains);
        Ok(cut)
    }
}

/// A trail's file, and which events it holds.
type TrailFile = (Trail, OutputKey, FinishedFile);

impl OpenCut {
    /// Decides where a trail's file goes: to its bucket and, if it has one, to its log group, each as far as the
    /// spool has room. False if nowhere.
    fn plan(
        &self,
        cut: &mut Cut,
        room: &mut SpoolRoom,
        (trail, of, file): TrailFile,
        created_ms: i64,
    ) -> bool {
        let (_, account, region, kind) = of;
        let group = trail.settings.log_group.as_ref();
        let lane = group.map(|group| Lane {
            outlet: Outlet::Logs,
            owner: trail.id.0.clone(),
            target: group.arn.clone(),
        });
        let mut budgets = vec![trail.id.0.clone()];
        budgets.extend(lane.iter().map(budget_of));
        let has_room = room.take(&budgets, file.bytes);
        let mut is_kept = false;
        if let Some(lane) = lane {
            is_kept = has_room.get(1) == Some(&true);
            plan_feed(
                cut,
                lane,
                is_kept,
                ((account, region.clone()), &file),
                created_ms,
            );
        }
        if has_room.first() != Some(&true) {
            cut.lost.push(LostFile {
                trail: trail.id,
                events: file.events,
                error: SPOOL_FULL.to_owned(),
            });
            return is_kept;
        }
        let unique = unique_part(&*self.entropy);
        if trail.settings.validates_log_files {
            let open = open_chain(&trail, account, region.clone(), created_ms);
            // Files come by trail, account and Region.
            if cut.chains.last() != Some(&open) {
                cut.chains.push(open);
            }
        }
        let place = (account, region, kind);
        let file = planned(trail, place, file, created_ms, &unique);
        cut.files.push(file);
        true
    }
}

/// Decides where a bus's file goes. False if nowhere.
fn plan_bus(
    cut: &mut Cut,
    room: &mut SpoolRoom,
    ((_, account, region, _), file): (OutputKey, FinishedFile),
    created_ms: i64,
) -> bool {
    let lane = Lane {
        outlet: Outlet::Bus,
        owner: account.to_string(),
        target: region.to_string(),
    };
    let has_room = room.take(&[budget_of(&lane)], file.bytes) == [true];
    let of = (account, region);
    plan_feed(cut, lane, has_room, (of, &file), created_ms);
    has_room
}

fn plan_feed(
    cut: &mut Cut,
    lane: Lane,
    has_room: bool,
    ((account, region), file): ((AccountId, Region), &FinishedFile),
    created_ms: i64,
) {
    if !has_room {
        cut.lost_feeds.push(LostFeed {
            lane,
            events: file.events,
            error: SPOOL_FULL.to_owned(),
        });
        return;
    }
    cut.feeds.push(PlannedFeed {
        lane,
        account,
        region,
        spooled: file.name.clone(),
        bytes: file.bytes,
        object_sha256: file.object_sha256,
        events: file.events,
        created_ms,
    });
}

/// What was not handed over belongs to nobody.
impl Drop for OpenCut {
    fn drop(&mut self) {
        for output in self.outputs.values() {
            if let Some(name) = output.file.spooled_name() {
                self.spool.remove(name);
            }
        }
        for (_, _, file) in &self.finished {
            self.spool.remove(&file.name);
        }
    }
}

/// What trails make of an event: a function of both, so that a panic in it leaves nothing half done.
struct Chosen<'t> {
    takers: Vec<&'t Arc<ActiveTrail>>,
    account: AccountId,
    region: Region,
    class: EventClass,
    kind: LogKind,
    time_ms: i64,
    event: Bytes,
}

impl<'t> Chosen<'t> {
    /// None if no trail takes it.
    fn of(trails: &'t ActiveTrails, record: &LogRecord) -> Result<Option<Self>, &'static str> {
        let header = header_of(record).ok_or("neither header nor event can be read")?;
        let (kind, insight_type) = match header.class {
            EventClass::Insight => (
                LogKind::Insights,
                insight_type_of_trail(&record.record.body),
            ),
            EventClass::Management | EventClass::Data | EventClass::NetworkActivity => {
                (LogKind::Activity, None)
            }
        };
        let takers: Vec<_> = trails.takers(&header, insight_type.as_deref()).collect();
        if takers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            takers,
            account: header.account,
            region: header.region.clone(),
            class: header.class,
            kind,
            time_ms: header.event_time.as_micros().div_euclid(1000),
            event: delivered_form(&record.record.body),
        }))
    }
}

/// A single event must not stop all trails (P8): what it makes panic is told as what cannot be read.
fn contained<T>(work: impl FnOnce() -> Result<T, &'static str>) -> Result<T, &'static str> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err("choosing its trails ended in a panic"))
}

/// The door wrote the header; one that does not read is made from the event again.
fn header_of(record: &LogRecord) -> Option<RoutingHeader<'_>> {
    if let Ok(header) = RoutingHeader::decode(&record.record.header) {
        return Some(header);
    }
    let mut completion = Completion {
        // A canonical event names its account and its ID.
        account: "000000000000".parse().ok()?,
        new_event_id: &mut String::new,
    };
    let event = canonicalize(&record.record.body, &mut completion).ok()?;
    Some(event.header.into_owned())
}

/// The same, or the event as it is if shortening it meets what it cannot deal with: a single event must not
/// stop all trails (P8).
fn delivered_form(json: &Bytes) -> Bytes {
    let shortened = catch_unwind(AssertUnwindSafe(|| shortened(json)));
    shortened.unwrap_or_else(|_| {
        tracing::error!("an event could not be shortened for trails");
        json.clone()
    })
}

/// As trails show an event: without context, within their limits (REC-048, REC-054), else verbatim.
fn shortened(json: &Bytes) -> Bytes {
    let needle = b"\"eventContext\"";
    let plain = memchr::memmem::find(json, needle)
        .and_then(|_| std::str::from_utf8(json).ok())
        .and_then(without_context);
    let plain = plain.map_or_else(|| json.clone(), Bytes::from);
    // What cannot be made small enough is delivered as far as it could be: evidence is not dropped.
    fit(&plain, DestinationLimit::Kb256).unwrap_or_else(|too_large| too_large.shortened)
}

fn planned(
    trail: Trail,
    (account, region, kind): (AccountId, Region, LogKind),
    file: FinishedFile,
    created_ms: i64,
    unique: &str,
) -> PlannedFile {
    let settings = trail.settings;
    let folder = KeyFolder {
        prefix: settings.key_prefix.as_deref(),
        organization: None,
        account: account.as_str(),
        region: region.as_str(),
    };
    let object_key = folder.log_file_key(kind, time_of(created_ms), unique);
    PlannedFile {
        trail: trail.id,
        version: trail.version,
        kind: FileKind::Log,
        is_validated: settings.validates_log_files,
        account,
        object_key,
        region,
        bucket: settings.bucket,
        kms_key_arn: settings.kms_key_arn,
        spooled: file.name,
        bytes: file.bytes,
        object_sha256: file.object_sha256,
        content_sha256: file.content_sha256,
        signature: None,
        events: file.events,
        event_times_ms: file.times_ms,
        created_ms,
    }
}

/// A time of the wall clock. One before 1970 counts as 1970.
pub(crate) fn time_of(millis: i64) -> EventTime {
    let micros = millis.max(0).saturating_mul(1000);
    EventTime::from_micros(micros).unwrap_or_default()
}

/// Sixteen letters and digits that no other file has.
fn unique_part(entropy: &dyn Entropy) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut unique = String::with_capacity(UNIQUE_CHARACTERS);
    while unique.len() < UNIQUE_CHARACTERS {
        let mut random = [0; UNIQUE_CHARACTERS];
        entropy.fill(&mut random);
        for byte in random {
            // Bytes beyond the last whole multiple would favour some characters.
            if usize::from(byte) < 4 * ALPHABET.len() && unique.len() < UNIQUE_CHARACTERS {
                unique.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            }
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::contained;

    // Proves: P8
    #[test]
    fn a_panic_over_one_event_is_told_as_an_event_that_cannot_be_read() {
        assert_eq!(contained(|| Ok(1)), Ok(1));
        assert_eq!(contained::<()>(|| Err("told")), Err("told"));
        let met = contained::<()>(|| panic!("planted"));
        assert_eq!(met, Err("choosing its trails ended in a panic"));
    }
}
