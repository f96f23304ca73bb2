//! What no digest names: log files that somebody added, and digests that are missing at the end of a chain. The AWS
//! CLI sees neither, because it follows digests only (REC-280).

use std::collections::HashSet;

use cairn_integrity::{Digest, DigestKind, LogKind, read_time};
use cairn_model::EventTime;

use super::range::{TrailPlace, ValidatedRange};
use super::report::Report;
use super::source::LogSource;

const DAY_MICROS: i64 = 86_400_000_000;
/// What the key of a log file names the beginning of.
const MINUTE_MICROS: i64 = 60 * 1_000_000;
/// A log file is delivered, and so listed, within this time after the minute that its key names has ended.
const DELIVERY_MICROS_MAX: i64 = 5 * 60 * 1_000_000;

/// What the valid digests list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    log_files: HashSet<(String, String)>,
    /// Start and end of the newest window.
    newest: Option<(EventTime, EventTime)>,
}

impl Listed {
    pub(super) fn note(&mut self, kind: DigestKind, digest: &Digest) {
        let files = digest.log_files.iter();
        self.log_files
            .extend(files.map(|file| (file.bucket.clone(), file.object.clone())));
        let is_newer = self.newest.is_none_or(|(_, end)| end < digest.end);
        if kind == DigestKind::Standard && is_newer {
            self.newest = Some((digest.start, digest.end));
        }
    }

    /// Tells of the log files in the bucket that are not listed, and of windows without a digest at the end.
    pub(super) async fn tell_the_rest(
        &self,
        source: &LogSource,
        place: &TrailPlace,
        range: ValidatedRange,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let last = range.end.min(range.now);
        let covered = self.covered_until(range.start, last);
        if let Covered::Until(end) = covered {
            report.tell_missing(end, last)?;
        }
        let (first_day, last_day) = (day_of(range.start), day_of(last));
        for day in first_day..=last_day {
            let day = EventTime::from_micros(day * DAY_MICROS)?;
            for kind in LogKind::ALL {
                let prefix = place.folder().log_files_of_day(kind, day);
                for key in source
                    .keys(&place.bucket, &prefix, &prefix, &|_| false)
                    .await?
                {
                    let object = (place.bucket.clone(), key);
                    let is_due = self.is_due(&object.1, range.start, last, covered);
                    if is_due && !self.log_files.contains(&object) {
                        report.tell_unlisted(&object.0, &object.1)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A digest is missing when the next one should have come long ago: when two more windows have passed.
    fn covered_until(&self, start: EventTime, last: EventTime) -> Covered {
        let Some((from, to)) = self.newest else {
            return Covered::Until(start);
        };
        let window = to.as_micros() - from.as_micros();
        if to.as_micros() + 2 * window < last.as_micros() {
            Covered::Until(to)
        } else {
            Covered::ToTheEnd
        }
    }

    /// Whether a log file of this name lies in the range, and a digest that lists it should be there. A key that
    /// names no time is nothing that CloudTrail delivers.
    fn is_due(&self, key: &str, start: EventTime, last: EventTime, covered: Covered) -> bool {
        let Some(made) = log_file_time(key) else {
            return true;
        };
        if made < minute_of(start) || made > last {
            return false;
        }
        match (covered, self.newest) {
            (Covered::ToTheEnd, Some((from, to))) => {
                let window = to.as_micros() - from.as_micros();
                let made_at_last = made.as_micros() + MINUTE_MICROS;
                made_at_last + DELIVERY_MICROS_MAX.min(window) < to.as_micros()
            }
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Covered {
    ToTheEnd,
    Until(EventTime),
}

fn day_of(time: EventTime) -> i64 {
    time.as_micros() / DAY_MICROS
}

fn minute_of(time: EventTime) -> EventTime {
    EventTime::from_micros(time.as_seconds() / 60 * 60_000_000).unwrap_or(time)
}

/// The minute in `…_YYYYMMDDThhmmZ_UNIQUE.json.gz`.
fn log_file_time(key: &str) -> Option<EventTime> {
    let name = key.rsplit('/').next()?;
    let minute = name.rsplit('_').nth(1)?;
    read_time(minute.strip_suffix('Z')?)
}
