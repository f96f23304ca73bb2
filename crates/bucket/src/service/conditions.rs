//! Whether an object is what a reader wants: entity tag, time of the last change, part and range.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::{self, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use super::answer_parts::{entity_tag, http_time};
use crate::answers::{precondition_failed, with_code};
use crate::store::Version;

/// The conditions of a request that reads.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the names of HTTP's headers")]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In HTTP's order; an entity tag outweighs a time.
    pub(super) fn check(&self, version: &Version) -> S3Result<()> {
        let tag = entity_tag(&version.etag);
        let modified = http_time(version.modified_ms);
        let matches = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => wanted.weak_cmp(&tag),
        };
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(time)) => modified <= *time,
            (None, None) => true,
        };
        if !holds {
            return Err(precondition_failed());
        }
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(time)) => modified <= *time,
            (None, None) => false,
        };
        if is_known {
            let mut unchanged = s3_error!(NotModified, "Not Modified");
            let mut headers = HeaderMap::new();
            if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", version.etag)) {
                headers.insert(header::ETAG, tag);
            }
            unchanged.set_headers(headers);
            return Err(unchanged);
        }
        Ok(())
    }
}

/// The bytes that are wanted of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) range: Range<u64>,
    /// The header that tells of a range; None for the whole.
    pub(super) told: Option<String>,
}

impl Selection {
    /// A range of an object of `bytes`, or all of it.
    pub(super) fn of_range(range: Option<dto::Range>, bytes: u64) -> S3Result<Self> {
        let Some(range) = range else {
            return Ok(Self {
                range: 0..bytes,
                told: None,
            });
        };
        let range = range
            .check(bytes)
            .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
        Ok(Self::told_of(range, bytes))
    }

    /// One part of an object with parts of these lengths.
    pub(super) fn of_part(number: i32, parts: &[u64]) -> S3Result<Self> {
        let at = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let length = at.and_then(|at| parts.get(at).copied());
        let (Some(at), Some(length)) = (at, length) else {
            let message = "The requested partnumber is not satisfiable".to_owned();
            let mut refused = with_code("InvalidPartNumber", message);
            refused.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
            return Err(refused);
        };
        let start: u64 = parts[..at].iter().sum();
        Ok(Self::told_of(start..start + length, parts.iter().sum()))
    }

    fn told_of(range: Range<u64>, bytes: u64) -> Self {
        let last = range.end.max(1) - 1;
        Self {
            told: Some(format!("bytes {}-{last}/{bytes}", range.start)),
            range,
        }
    }
}
