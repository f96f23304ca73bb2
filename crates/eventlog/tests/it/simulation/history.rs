//! One seeded history: a log, its model, and what happens to both.

use std::sync::Arc;

use cairn_eventlog::conformance::{read_all, record};
use cairn_eventlog::{
    AppendError, EventLog, NewRecord, Sabotage, SegmentedLog, SegmentedLogConfig, Stepper,
};
use cairn_model::Sequence;
use cairn_platform::{Disk, Entropy, SeededEntropy, SimDisk, SimFaults};
use futures::FutureExt;

use super::model::Model;
use crate::fixture::{PARTITION, clock, small_config};

const READERS: [&str; 2] = ["first", "second"];
const STEPS: u64 = 40;

/// What the histories have reached.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    acknowledged: u64,
    refused_no_space: u64,
    poisoned: u64,
    crashes: u64,
    kills: u64,
    closes: u64,
    interrupted_openings: u64,
    open_groups_kept: u64,
    open_groups_lost: u64,
    releases: u64,
    segments_max: u64,
}

impl Coverage {
    pub(super) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused_no_space += other.refused_no_space;
        self.poisoned += other.poisoned;
        self.crashes += other.crashes;
        self.kills += other.kills;
        self.closes += other.closes;
        self.interrupted_openings += other.interrupted_openings;
        self.open_groups_kept += other.open_groups_kept;
        self.open_groups_lost += other.open_groups_lost;
        self.releases += other.releases;
        self.segments_max = self.segments_max.max(other.segments_max);
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn unreached(&self) -> Vec<&'static str> {
        let reached = [
            ("acknowledgements", self.acknowledged),
            ("refusals for lack of space", self.refused_no_space),
            ("poison", self.poisoned),
            ("power losses", self.crashes),
            ("kills", self.kills),
            ("clean closes", self.closes),
            ("interrupted openings", self.interrupted_openings),
            ("unacknowledged groups that survived", self.open_groups_kept),
            ("unacknowledged groups that vanished", self.open_groups_lost),
            ("releases", self.releases),
            (
                "logs of three segments",
                self.segments_max.saturating_sub(2),
            ),
        ];
        reached
            .into_iter()
            .filter(|(_, count)| *count == 0)
            .map(|(name, _)| name)
            .collect()
    }
}

/// A log under test.
#[derive(Debug)]
pub(super) struct History {
    random: SeededEntropy,
    disk: SimDisk,
    bug: Option<Sabotage>,
    log: Option<(Arc<SegmentedLog>, Stepper)>,
    model: Model,
    sent: u64,
    coverage: Coverage,
}

impl History {
    pub(super) fn new(seed: u64, bug: Option<Sabotage>) -> Self {
        Self {
            random: SeededEntropy::new(seed ^ 0x5eed),
            disk: SimDisk::new(seed),
            bug,
            log: None,
            model: Model::default(),
            sent: 0,
            coverage: Coverage::default(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Coverage, String> {
        self.open().await?;
        for _ in 0..STEPS {
            match self.below(16) {
                0..=6 => self.append().await?,
                7 => self.read_anywhere().await?,
                8 => self.advance_and_release()?,
                9 => self.restart(Restart::Crash).await?,
                10 => self.restart(Restart::Kill).await?,
                11 => self.restart(Restart::Close).await?,
                12 => self.set_faults(|faults, n| faults.fdatasync_fails_at = Some(1 + n)),
                13 => self.set_faults(|faults, n| faults.write_fails_at = Some(1 + n)),
                14 => self.set_faults(|faults, n| faults.stops_at = Some(1 + 3 * n)),
                _ => self.fill_disk(),
            }
        }
        self.restart(Restart::Crash).await?;
        self.append().await?;
        if self.disk.syncs().fdatasync_after_failure > 0 {
            return Err("a file was synced again after a failed sync".to_owned());
        }
        Ok(self.coverage)
    }

    // Up to four batches in one group commit. Their order in the queue is the order in which they are polled.
    async fn append(&mut self) -> Result<(), String> {
        let batches: Vec<Vec<NewRecord>> = (0..=self.below(4)).map(|_| self.batch()).collect();
        let Some((log, stepper)) = &mut self.log else {
            return Ok(());
        };
        let mut appends: Vec<_> = batches
            .iter()
            .map(|batch| log.append_durable(PARTITION, batch.clone()).boxed())
            .collect();
        let mut answers: Vec<_> = appends.iter_mut().map(FutureExt::now_or_never).collect();
        while stepper.step() {}
        for (append, answer) in appends.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                *answer = append.now_or_never();
            }
        }
        drop(appends);
        let mut open = Vec::new();
        let mut failed = false;
        for (batch, answer) in batches.into_iter().zip(answers) {
            match answer {
                None => return Err("an append is not answered".to_owned()),
                Some(Ok(range)) => {
                    self.model.acknowledge(range.start.0, &batch)?;
                    self.coverage.acknowledged += 1;
                    if range.end.0 - range.start.0 != batch.len() as u64 {
                        return Err("a range does not count its records".to_owned());
                    }
                }
                Some(Err(AppendError::RefusedNoSpace)) => self.coverage.refused_no_space += 1,
                Some(Err(AppendError::Poisoned { .. })) => {
                    failed = true;
                    open.push(batch);
                }
                Some(Err(error)) => return Err(format!("an append fails with {error}")),
            }
        }
        if failed {
            // Groups are cut at the frame's limit, so any prefix of the batches may be a frame of its own.
            self.model.open.extend(open);
            self.coverage.poisoned += 1;
            let restart = if self.below(2) == 0 {
                Restart::Crash
            } else {
                Restart::Kill
            };
            self.restart(restart).await?;
        }
        Ok(())
    }

    async fn read_anywhere(&mut self) -> Result<(), String> {
        let Some((log, _)) = &self.log else {
            return Ok(());
        };
        let log = Arc::clone(log);
        let (start, end) = (log.start(PARTITION).0, log.durable_end(PARTITION).0);
        let from = start + self.below(end - start + 1);
        let bytes_max = usize::try_from(self.below(20_000)).expect("small");
        match log.read(PARTITION, Sequence(from), bytes_max).await {
            Ok(found) if from < end && found.is_empty() => Err(format!("nothing at {from}")),
            Ok(found) => {
                let matches = found.iter().zip(from..).all(|(found, sequence)| {
                    let index = usize::try_from(sequence).expect("a small log");
                    found.sequence.0 == sequence && self.model.certain[index] == found.record
                });
                if matches {
                    Ok(())
                } else {
                    Err(format!("a read from {from} is wrong"))
                }
            }
            // The disk has stopped for this process: it can only restart.
            Err(_) if !self.disk_works() => self.restart(Restart::Crash).await,
            Err(error) => Err(format!("a read from {from} fails: {error}")),
        }
    }

    fn advance_and_release(&mut self) -> Result<(), String> {
        let reader = usize::from(self.below(2) == 0);
        let position = self.model.readers[reader];
        let position = position + self.below(self.model.end() - position + 1);
        let Some((log, stepper)) = &self.log else {
            return Ok(());
        };
        self.model.readers[reader] = position;
        let before = log.start(PARTITION);
        log.advance_reader(PARTITION, READERS[reader], Sequence(position));
        let start = log.start(PARTITION);
        self.coverage.releases += u64::from(start > before);
        self.coverage.segments_max = self.coverage.segments_max.max(log.status().segments as u64);
        stepper.release();
        if start.0 > self.model.passed() {
            return Err(format!(
                "released up to {start}, readers are at {:?}",
                self.model.readers
            ));
        }
        Ok(())
    }

    fn fill_disk(&mut self) {
        if self.below(2) == 0 {
            self.disk.set_faults(SimFaults::default());
        } else {
            let room = self.below(60_000);
            let capacity = self.disk.used_bytes() + room;
            let faults = SimFaults {
                capacity_bytes: Some(capacity),
                ..SimFaults::default()
            };
            self.disk.set_faults(faults);
        }
    }

    fn set_faults(&mut self, set: impl FnOnce(&mut SimFaults, u64)) {
        let short_write_percent = if self.below(2) == 0 { 30 } else { 0 };
        let mut faults = SimFaults {
            short_write_percent,
            ..SimFaults::default()
        };
        set(&mut faults, self.below(5));
        self.disk.set_faults(faults);
    }

    async fn restart(&mut self, restart: Restart) -> Result<(), String> {
        if let (Restart::Close, Some((log, stepper))) = (restart, &mut self.log) {
            let mut closing = log.close().boxed();
            let closed = closing.as_mut().now_or_never().is_some();
            while stepper.step() {}
            if !closed && closing.now_or_never().is_none() {
                return Err("a close is not answered".to_owned());
            }
            self.coverage.closes += 1;
        }
        let crash = restart == Restart::Crash;
        self.coverage.crashes += u64::from(crash);
        self.coverage.kills += u64::from(restart == Restart::Kill);
        self.disk = if crash {
            self.disk.crash()
        } else {
            self.disk.kill()
        };
        self.log = None;
        self.open().await
    }

    // Opens the log, now and then with a machine that stops in the middle of it.
    async fn open(&mut self) -> Result<(), String> {
        while self.below(4) == 0 {
            let stops_at = Some(1 + self.below(12));
            self.disk.set_faults(SimFaults {
                stops_at,
                ..SimFaults::default()
            });
            let opened = self.try_open();
            self.coverage.interrupted_openings += u64::from(opened.is_err());
            drop(opened);
            let crash = self.below(2) == 0;
            self.disk = if crash {
                self.disk.crash()
            } else {
                self.disk.kill()
            };
        }
        let (log, stepper) = self.try_open()?;
        let status = log.status();
        if !status.damage.is_empty() {
            return Err(format!("a restart reports damage: {:?}", status.damage));
        }
        let found = read_all(log.as_ref(), status.start, 30_000).await;
        let found = found.map_err(|error| format!("a restarted log cannot be read: {error}"))?;
        self.model.check(status.start.0, status.end.0, &found)?;
        let open = self.model.open.len() as u64;
        let before = self.model.end();
        self.model.settle(status.start.0, &found)?;
        let kept = self.model.end() > before;
        self.coverage.open_groups_kept += u64::from(kept);
        self.coverage.open_groups_lost += u64::from(open > 0 && !kept);
        self.log = Some((log, stepper));
        Ok(())
    }

    fn try_open(&self) -> Result<(Arc<SegmentedLog>, Stepper), String> {
        let config = SegmentedLogConfig {
            expected_readers: READERS.to_vec(),
            ..small_config()
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = match self.bug {
            Some(bug) => SegmentedLog::open_stepped_sabotaged(config, disk, clock(), bug),
            None => SegmentedLog::open_stepped(config, disk, clock()),
        };
        opened.map_err(|error| format!("the log does not open: {error}"))
    }

    fn disk_works(&self) -> bool {
        self.disk.list(std::path::Path::new("/log")).is_ok()
    }

    fn batch(&mut self) -> Vec<NewRecord> {
        let body_bytes = match self.below(4) {
            0 => 20,
            1 => 4000,
            _ => 700,
        };
        let count = 1 + self.below(5);
        (0..count)
            .map(|_| {
                self.sent += 1;
                record(self.sent, body_bytes)
            })
            .collect()
    }

    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Crash,
    Kill,
    Close,
}
