//! The lines, as `aws cloudtrail validate-logs` prints them (REC-283 to REC-286): failures on standard error with
//! empty lines around them, all others on standard output.

use std::io::{self, Write as _};

use cairn_integrity::{Digest, DigestKind, Finding, LogFileEntry, LogFileFault};
use cairn_model::EventTime;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::range::ValidatedRange;

/// Tells what is found, and counts it.
#[derive(Debug)]
pub(super) struct Report {
    range: ValidatedRange,
    is_verbose: bool,
    progress: ProgressBar,
    /// True after an empty line.
    is_after_empty_line: bool,
    digests: Count,
    backfill_digests: Count,
    logs: Count,
    unchecked: u64,
    unlisted: u64,
    missing: u64,
    found: Option<(EventTime, EventTime)>,
}

#[derive(Debug, Default)]
struct Count {
    valid: u64,
    invalid: u64,
}

impl Report {
    pub(super) fn new(range: ValidatedRange, is_verbose: bool, is_terminal: bool) -> Self {
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{spinner} {pos} files checked, {elapsed} {msg}")
            .expect("the template is a constant");
        Self {
            range,
            is_verbose,
            progress: ProgressBar::with_draw_target(None, target).with_style(style),
            is_after_empty_line: true,
            digests: Count::default(),
            backfill_digests: Count::default(),
            logs: Count::default(),
            unchecked: 0,
            unlisted: 0,
            missing: 0,
            found: None,
        }
    }

    pub(super) fn begin(&mut self, arn: &str) -> io::Result<()> {
        let ValidatedRange { start, end, .. } = self.range;
        self.print(&format!(
            "Validating log files for trail {arn} between {start} and {end}\n\n"
        ))
    }

    /// One finding of the chain of that kind.
    pub(super) fn tell(&mut self, kind: DigestKind, finding: &Finding) -> io::Result<()> {
        let (mark, count) = match kind {
            DigestKind::Standard => ("", &mut self.digests),
            DigestKind::Backfill => ("(backfill) ", &mut self.backfill_digests),
        };
        match finding {
            Finding::Valid(digest) => {
                count.valid += 1;
                self.note_found(digest);
                let (bucket, key) = (&digest.bucket, &digest.object);
                self.say(&format!("{mark}Digest file\ts3://{bucket}/{key}\tvalid"))
            }
            Finding::Invalid { bucket, key, fault } => {
                count.invalid += 1;
                self.warn(&format!("{mark}Digest file\ts3://{bucket}/{key}\t{fault}"))
            }
            Finding::Unchecked { bucket, key } => {
                self.unchecked += 1;
                self.warn(&format!(
                    "{mark}Digest file\ts3://{bucket}/{key}\tNOT CHECKED: its signature is not at hand"
                ))
            }
            Finding::Gap { from, to } => self.warn(&format!(
                "{mark}No log files were delivered by CloudTrail between {from} and {to}"
            )),
        }
    }

    /// The check of one log file.
    pub(super) fn tell_log(
        &mut self,
        entry: &LogFileEntry,
        outcome: Result<(), LogFileFault>,
    ) -> io::Result<()> {
        let (bucket, key) = (&entry.bucket, &entry.object);
        match outcome {
            Ok(()) => {
                self.logs.valid += 1;
                self.say(&format!("Log file\ts3://{bucket}/{key}\tvalid"))
            }
            Err(fault) => {
                self.logs.invalid += 1;
                self.warn(&format!("Log file\ts3://{bucket}/{key}\t{fault}"))
            }
        }
    }

    /// A log file that no valid digest lists.
    pub(super) fn tell_unlisted(&mut self, bucket: &str, key: &str) -> io::Result<()> {
        self.unlisted += 1;
        self.warn(&format!(
            "Log file\ts3://{bucket}/{key}\tUNLISTED: no valid digest file lists it"
        ))
    }

    /// No digest covers the time from `from` to `to`, the end of what was asked for.
    pub(super) fn tell_missing(&mut self, from: EventTime, to: EventTime) -> io::Result<()> {
        self.missing += 1;
        self.warn(&format!(
            "No valid digest file covers {from} to {to}: logging or validation was off, or digest files are missing"
        ))
    }

    /// The summary.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.progress.finish_and_clear();
        let ValidatedRange { start, end, .. } = self.range;
        let before = if self.is_after_empty_line { "" } else { "\n" };
        let requested = format!("{before}Results requested for {start} to {end}\n");
        let note = |count: u64, what: &str| match count {
            0 => String::new(),
            _ => format!("{count} {what}\n"),
        };
        let unchecked = note(self.unchecked, "digest files NOT CHECKED");
        let unlisted = note(self.unlisted, "log files UNLISTED");
        self.print(&[requested, self.found_text(), unchecked, unlisted].concat())
    }

    /// What was found, by kind of file.
    fn found_text(&self) -> String {
        let digests = [&self.digests, &self.backfill_digests];
        if digests.iter().all(|count| count.valid + count.invalid == 0) {
            return "No digests found\n".to_owned();
        }
        let found = match self.found {
            None => "No valid digests found in range\n".to_owned(),
            Some((from, to)) => format!("Results found for {from} to {to}:\n"),
        };
        let ratios = [
            ratio(&self.digests, "digest"),
            ratio(&self.backfill_digests, "backfill digest"),
            ratio(&self.logs, "log"),
        ];
        format!("{found}{}\n", ratios.concat())
    }

    /// Whether all that was found is as it should be.
    pub(super) fn is_all_valid(&self) -> bool {
        let counts = [&self.digests, &self.backfill_digests, &self.logs];
        counts.iter().all(|count| count.invalid == 0) && self.unlisted == 0 && self.missing == 0
    }

    fn note_found(&mut self, digest: &Digest) {
        let start = digest.start.max(self.range.start);
        let end = digest.end.min(self.range.end);
        self.found = Some(match self.found {
            None => (start, end),
            Some((from, to)) => (from.min(start), to.max(end)),
        });
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.progress.inc(1);
        if !self.is_verbose {
            return Ok(());
        }
        self.is_after_empty_line = false;
        self.print(&format!("{line}\n"))
    }

    fn warn(&mut self, line: &str) -> io::Result<()> {
        self.progress.inc(1);
        let before = if self.is_after_empty_line { "" } else { "\n" };
        self.is_after_empty_line = true;
        self.progress
            .suspend(|| write!(io::stderr().lock(), "{before}{line}\n\n"))
    }

    fn print(&self, text: &str) -> io::Result<()> {
        self.progress.suspend(|| {
            let mut output = io::stdout().lock();
            output.write_all(text.as_bytes())?;
            output.flush()
        })
    }
}

fn ratio(count: &Count, name: &str) -> String {
    let total = count.valid + count.invalid;
    match (total, count.invalid) {
        (0, _) => String::new(),
        (_, 0) => format!("\n{}/{total} {name} files valid", count.valid),
        (_, invalid) => format!(
            "\n{}/{total} {name} files valid, {invalid}/{total} {name} files INVALID",
            count.valid
        ),
    }
}
