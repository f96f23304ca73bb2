//! The keys of log files and digests, and which keys of a listing are the digests of one trail.
//!
//! ```text
//! [PREFIX/]AWSLogs/[ORGANIZATION/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/
//!     ACCOUNT_CloudTrail_REGION_YYYYMMDDThhmmZ_UNIQUE.json.gz                          (TRL-135 to 138)
//!     (Insights events: CloudTrail-Insight in both places, TRL-141)
//! [PREFIX/]AWSLogs/[ORGANIZATION/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
//!     ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDThhmmssZ[_backfill].json.gz  (REC-238)
//! ```

use cairn_model::EventTime;

use crate::time_text::{self, KEY_FORM};

const ENDING: &str = ".json.gz";
const BACKFILL_ENDING: &str = "_backfill.json.gz";
const KEY_TIME_CHARACTERS: usize = 16;

/// Whether a digest belongs to the hourly chain, or was made later for log files that none had listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// Of the hourly chain.
    Standard,
    /// Made later; its key ends in `_backfill.json.gz`.
    Backfill,
}

impl DigestKind {
    /// Which kind the name of a key says.
    pub fn of_key(key: &str) -> Self {
        if key.ends_with(BACKFILL_ENDING) {
            Self::Backfill
        } else {
            Self::Standard
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Standard => ENDING,
            Self::Backfill => BACKFILL_ENDING,
        }
    }
}

/// What a log file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// Management, data and network activity events.
    Activity,
    /// Insights events (TRL-141, OVR-226).
    Insights,
}

impl LogKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Activity, Self::Insights];

    fn folder(self) -> &'static str {
        match self {
            Self::Activity => "CloudTrail",
            Self::Insights => "CloudTrail-Insight",
        }
    }
}

/// Where the files of one account and Region lie in a trail's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFolder<'a> {
    /// The trail's key prefix, without a slash at its end.
    pub prefix: Option<&'a str>,
    /// The organization's ID, for organization trails (REC-240, TRL-136).
    pub organization: Option<&'a str>,
    /// The account that the events happened in.
    pub account: &'a str,
    /// The Region that is delivered from.
    pub region: &'a str,
}

impl KeyFolder<'_> {
    /// The key of the log file that was made at `created`; `unique` are the 16 characters that keep
    /// files of one minute apart (TRL-138). The date is that of publication (TRL-137).
    pub fn log_file_key(&self, kind: LogKind, created: EventTime, unique: &str) -> String {
        let (account, region, name) = (self.account, self.region, kind.folder());
        let folder = self.path(name);
        let day = time_text::format(created, "%Y/%m/%d");
        let minute = time_text::format(created, "%Y%m%dT%H%MZ");
        format!("{folder}/{day}/{account}_{name}_{region}_{minute}_{unique}{ENDING}")
    }

    /// The key of the digest of the trail `trail_name` of `home_region` whose window ends at `end`
    /// (REC-238, REC-239).
    pub fn digest_key(
        &self,
        trail_name: &str,
        home_region: &str,
        end: EventTime,
        kind: DigestKind,
    ) -> String {
        let (account, region, ending) = (self.account, self.region, kind.ending());
        let folder = self.path("CloudTrail-Digest");
        let day = time_text::format(end, "%Y/%m/%d");
        let time = time_text::format(end, KEY_FORM);
        format!(
            "{folder}/{day}/{account}_CloudTrail-Digest_{region}_{trail_name}_{home_region}_{time}{ending}"
        )
    }

    /// The folder of the log files of one day (`YYYY/MM/DD`).
    pub fn log_files_of_day(&self, kind: LogKind, day: EventTime) -> String {
        let folder = self.path(kind.folder());
        format!("{folder}/{}/", time_text::format(day, "%Y/%m/%d"))
    }

    /// `[PREFIX/]AWSLogs/[ORGANIZATION/]ACCOUNT/KIND/REGION`, without a slash at its end.
    fn path(&self, kind: &str) -> String {
        let mut parts: Vec<&str> = self.prefix.into_iter().filter(|p| !p.is_empty()).collect();
        parts.push("AWSLogs");
        parts.extend(self.organization);
        parts.extend([self.account, kind, self.region]);
        parts.join("/")
    }
}

/// How the digests of one trail, account and Region are found in a bucket's listing.
#[derive(Clone, Copy, Debug)]
pub struct DigestListing<'a> {
    /// Where they lie.
    pub folder: KeyFolder<'a>,
    /// The trail's name.
    pub trail_name: &'a str,
    /// The trail's home Region.
    pub home_region: &'a str,
}

/// One digest of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDigest {
    /// Its key.
    pub key: String,
    /// The end of its window, by its key.
    pub end: EventTime,
    /// Its kind.
    pub kind: DigestKind,
}

impl DigestListing<'_> {
    /// The prefix of the listing.
    pub fn prefix(&self) -> String {
        self.folder.path("CloudTrail-Digest")
    }

    /// The key to list after: a minute before `start`, so that a digest of that very time is listed.
    pub fn marker(&self, start: EventTime) -> String {
        let start = time_text::shifted(start, -60);
        self.folder.digest_key(
            self.trail_name,
            self.home_region,
            start,
            DigestKind::Standard,
        )
    }

    /// The digest that `key` names, if it is this trail's and its time lies from `start` to an hour
    /// after `end`: a log file of the last hour stands in the digest after it.
    pub fn admit(&self, key: &str, start: EventTime, end: EventTime) -> Option<ListedDigest> {
        let found = self.read(key)?;
        let first = time_text::whole_second(start);
        let last = time_text::whole_second(time_text::shifted(end, 3_600));
        (first..=last).contains(&found.end).then_some(found)
    }

    /// The folder of the last day that can have digests of a range that ends at `end`, with what
    /// follows it in a listing: a lister may stop at the first key beyond.
    pub fn is_beyond(&self, key: &str, end: EventTime) -> bool {
        let last = time_text::shifted(end, 3_600);
        let day = time_text::format(last, "%Y/%m/%d");
        let folder = format!("{}/{day}/", self.prefix());
        key > folder.as_str() && !key.starts_with(&folder)
    }

    fn read(&self, key: &str) -> Option<ListedDigest> {
        let rest = key.strip_prefix(&self.prefix())?.strip_prefix('/')?;
        let mut parts = rest.splitn(4, '/');
        for _ in 0..3 {
            let number = parts.next()?;
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
        }
        let (account, region) = (self.folder.account, self.folder.region);
        let (trail, home) = (self.trail_name, self.home_region);
        let start = format!("{account}_CloudTrail-Digest_{region}_{trail}_{home}_");
        let kind = DigestKind::of_key(key);
        let name = parts
            .next()?
            .strip_prefix(&start)?
            .strip_suffix(kind.ending())?;
        Some(ListedDigest {
            key: key.to_owned(),
            end: key_time(name)?,
            kind,
        })
    }
}

/// The time at the end of a digest's key, whatever stands before it.
pub(crate) fn digest_key_time(key: &str) -> Option<EventTime> {
    key_time(key.strip_suffix(DigestKind::of_key(key).ending())?)
}

fn key_time(text: &str) -> Option<EventTime> {
    let at = text.len().checked_sub(KEY_TIME_CHARACTERS)?;
    time_text::read_key_time(text.get(at..)?)
}
