//! Pages of a bucket's keys, in S3's order (by their bytes). Every page is a few range scans of an index:
//! what is rolled up into a common prefix is stepped over, not read.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Buckets;
use super::versions::{VERSION_COLUMNS, Version};
use crate::error::BucketsError;

/// Rows that are read at a time where most of them may be stepped over.
const ROWS_AT_ONCE: usize = 100;
/// Greater than every key: no UTF-8 begins with this byte.
const AFTER_ALL: &[u8] = &[0xff];

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListRequest {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    /// Keys below the first occurrence of this text after the prefix are rolled up; empty for none.
    pub(crate) delimiter: String,
    /// Only entries after this one.
    pub(crate) after: String,
    pub(crate) entries_max: usize,
}

/// Which versions to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionsRequest {
    pub(crate) list: ListRequest,
    /// With it, the versions of the key `after` that are older than this one come first.
    pub(crate) after_version: Option<String>,
}

/// An entry of a page.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Version(Box<Version>),
    Prefix(String),
}

impl Entry {
    /// What it is sorted and continued by.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Version(version) => &version.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// True if more follow.
    pub(crate) is_truncated: bool,
}

/// Where the next row is looked for.
#[derive(Clone, Debug)]
struct Place {
    key: Vec<u8>,
    /// Of this very key, only rows with a lower number.
    below: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Current,
    All,
}

impl Buckets {
    /// A page of the objects that are there.
    pub(crate) async fn list(&self, request: &ListRequest) -> Result<Page, BucketsError> {
        let mut read = self.index.read().await?;
        walk(&mut read, request, Which::Current, i64::MIN).await
    }

    /// A page of all versions and markers, of each key the newest first.
    pub(crate) async fn list_versions(
        &self,
        request: &VersionsRequest,
    ) -> Result<Page, BucketsError> {
        let mut read = self.index.read().await?;
        let below = match &request.after_version {
            None => i64::MIN,
            Some(version) => id_of(&mut read, &request.list, version).await?,
        };
        walk(&mut read, &request.list, Which::All, below).await
    }
}

/// The number of the version after which a listing goes on; of an unknown one, the end of its key.
async fn id_of(
    read: &mut SqliteConnection,
    request: &ListRequest,
    version: &str,
) -> Result<i64, BucketsError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM versions WHERE bucket = ? AND key = ? AND version = ?")
            .bind(&request.bucket)
            .bind(request.after.as_bytes())
            .bind(version)
            .fetch_optional(read)
            .await
            .map_err(BucketsError::while_("reading a version"))?;
    Ok(found.unwrap_or(i64::MIN))
}

async fn walk(
    read: &mut SqliteConnection,
    request: &ListRequest,
    which: Which,
    below: i64,
) -> Result<Page, BucketsError> {
    let mut page = Page::default();
    if request.entries_max == 0 {
        return Ok(page);
    }
    let mut place = request.start(below);
    let end = successor(request.prefix.as_bytes());
    loop {
        let wanted = request.entries_max - page.entries.len() + 1;
        let rows_max = if request.delimiter.is_empty() {
            wanted
        } else {
            wanted.min(ROWS_AT_ONCE)
        };
        let rows = fetch(read, request, which, (&place, &end, rows_max)).await?;
        let is_end = rows.len() < rows_max;
        for row in rows {
            let rolled_up = request.rolled_up(&row.key);
            if let (Some(prefix), Some(Entry::Prefix(last))) = (&rolled_up, page.entries.last())
                && prefix == last
            {
                continue;
            }
            if page.entries.len() == request.entries_max {
                page.is_truncated = true;
                return Ok(page);
            }
            place = match &rolled_up {
                Some(prefix) => Place {
                    key: successor(prefix.as_bytes()),
                    below: i64::MAX,
                },
                None => Place {
                    key: row.key.clone().into_bytes(),
                    below: row.id,
                },
            };
            page.entries.push(match rolled_up {
                Some(prefix) => Entry::Prefix(prefix),
                None => Entry::Version(Box::new(row)),
            });
        }
        if is_end {
            return Ok(page);
        }
    }
}

async fn fetch(
    read: &mut SqliteConnection,
    request: &ListRequest,
    which: Which,
    (place, end, rows_max): (&Place, &[u8], usize),
) -> Result<Vec<Version>, BucketsError> {
    let filter = match which {
        Which::Current => "AND is_latest = 1 AND is_marker = 0 ORDER BY key",
        Which::All => "ORDER BY key, id DESC",
    };
    let statement = format!(
        "SELECT {VERSION_COLUMNS} FROM versions WHERE bucket = ?1 AND key >= ?2 AND key < ?3 \
         AND (key > ?2 OR id < ?4) {filter} LIMIT ?5"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&request.bucket)
        .bind(&place.key)
        .bind(end)
        .bind(place.below)
        .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
        .fetch_all(read)
        .await
        .map_err(BucketsError::while_("listing a bucket"))?;
    rows.iter().map(Version::of_row).collect()
}

impl ListRequest {
    /// Where the listing begins: at the prefix, or behind the entry that it goes on after.
    fn start(&self, below: i64) -> Place {
        let prefix = Place {
            key: self.prefix.clone().into_bytes(),
            below: i64::MAX,
        };
        if self.after.is_empty() || self.after.as_bytes() < prefix.key.as_slice() {
            return prefix;
        }
        match self.rolled_up(&self.after) {
            // An entry that is its common prefix has been told with all that is in it.
            Some(done) => Place {
                key: successor(done.as_bytes()),
                below: i64::MAX,
            },
            None => Place {
                key: self.after.clone().into_bytes(),
                below,
            },
        }
    }

    /// The common prefix that a key is told by, if it is.
    fn rolled_up(&self, key: &str) -> Option<String> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let at = rest.find(&self.delimiter)?;
        Some(key[..self.prefix.len() + at + self.delimiter.len()].to_owned())
    }
}

/// The first bytes after everything that begins with `start`.
pub(super) fn successor(start: &[u8]) -> Vec<u8> {
    let mut next = start.to_vec();
    match next.last_mut() {
        // UTF-8 has no byte 0xff, so there is always a next one.
        Some(last) => *last = last.saturating_add(1),
        None => next.extend_from_slice(AFTER_ALL),
    }
    next
}
