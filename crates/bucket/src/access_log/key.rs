//! Names of log objects: `PREFIXYYYY-MM-DD-hh-mm-ss-UNIQUE`, or the same below folders of account, Region,
//! bucket and day (S3's partitioned prefix).

use cairn_model::EventTime;

use crate::store::{AccessLogging, DateSource, KeyFormat, LoggedBucket};

/// Stands for the random end of a name.
const SAMPLE_UNIQUE: &str = "0000000000000000";

/// A point in time, in the parts that names and lines are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// `YYYY-MM-DDThh:mm:ssZ`.
    text: String,
}

impl Moment {
    pub(super) fn of(unix_ms: i64) -> Self {
        // A clock outside the years 1970 to 9999 is wrong; a name is needed all the same.
        let time = EventTime::from_micros(unix_ms.saturating_mul(1_000)).unwrap_or_default();
        Self {
            text: time.to_string(),
        }
    }

    fn part(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// `YYYY-MM-DD`.
    pub(super) fn day(&self) -> String {
        self.part(0, 10).to_owned()
    }

    /// `hh-mm-ss`.
    fn time_of_day(&self) -> String {
        self.part(11, 19).replace(':', "-")
    }

    /// `DD/Mon/YYYY:hh:mm:ss +0000`, as lines have it.
    pub(super) fn in_line(&self) -> String {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let number: usize = self.part(5, 7).parse().unwrap_or(1);
        let month = MONTHS.get(number.wrapping_sub(1)).copied().unwrap_or("Jan");
        let (day, year, time) = (self.part(8, 10), self.part(0, 4), self.part(11, 19));
        format!("{day}/{month}/{year}:{time} +0000")
    }
}

/// The name of an object that is delivered now. `event_day` is the day of its lines, if it has those of one.
pub(super) fn object_key(
    source: &LoggedBucket,
    event_day: Option<&str>,
    now_ms: i64,
    unique: &str,
) -> String {
    let now = Moment::of(now_ms);
    let AccessLogging {
        target_prefix: prefix,
        key_format,
        ..
    } = &source.logging;
    let today = now.day();
    let (day, time) = match event_day {
        // S3 writes no time where the day is that of the events.
        Some(day) => (day, "00-00-00".to_owned()),
        None => (today.as_str(), now.time_of_day()),
    };
    match key_format {
        None | Some(KeyFormat::SimplePrefix) => format!("{prefix}{day}-{time}-{unique}"),
        Some(KeyFormat::PartitionedPrefix(DateSource::EventTime | DateSource::DeliveryTime)) => {
            let (account, region, bucket) = (source.owner, &source.region, &source.name);
            let folders = day.replace('-', "/");
            format!("{prefix}{account}/{region}/{bucket}/{folders}/{day}-{time}-{unique}")
        }
    }
}

/// What the name of an object might be: as long as any, in the same folders.
pub(crate) fn sample_key(source: &LoggedBucket, now_ms: i64) -> String {
    object_key(source, None, now_ms, SAMPLE_UNIQUE)
}
