//! A data file of a table's current snapshot, with what a reader needs to decide whether to open it.

use iceberg::spec::{DataFile, Datum, PrimitiveLiteral, Schema};

use crate::error::LakeError;
use crate::objects::key_of;
use crate::schema::field_id;

/// A data file and its bounds. Text bounds may be shortened, so they only ever say too much.
#[derive(Clone, Debug)]
pub struct LiveFile {
    /// Object key.
    pub key: String,
    /// Day of the events' time, counted from 1970-01-01.
    pub day: i32,
    /// Rows in the file.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Least and greatest `_account`.
    pub accounts: Option<(String, String)>,
    /// Least and greatest `awsregion`.
    pub regions: Option<(String, String)>,
    /// Least and greatest `eventtime`, microseconds since the epoch.
    pub times: (i64, i64),
    /// Least and greatest `_sequence`.
    pub sequences: (u64, u64),
    /// The manifest's entry.
    pub(crate) data_file: DataFile,
    /// The snapshot that added the file.
    pub(crate) snapshot: i64,
    /// The Iceberg sequence number of that snapshot.
    pub(crate) sequence_number: i64,
}

impl LiveFile {
    pub(crate) fn new(
        schema: &Schema,
        data_file: DataFile,
        snapshot: i64,
        sequence_number: i64,
    ) -> Result<Self, LakeError> {
        let location = data_file.file_path().to_owned();
        let unreadable = |what: &'static str| LakeError::Metadata {
            doing: "reading a manifest entry",
            reason: format!("{location} has no {what}"),
        };
        let day = match data_file.partition().iter().next().flatten() {
            Some(iceberg::spec::Literal::Primitive(PrimitiveLiteral::Int(day))) => *day,
            _ => return Err(unreadable("day")),
        };
        let key = key_of(&location)
            .ok_or_else(|| unreadable("place in the lake"))?
            .to_owned();
        let bounds = |name| -> Result<Option<(Datum, Datum)>, LakeError> {
            let id = field_id(schema, name)?;
            let (lower, upper) = (data_file.lower_bounds(), data_file.upper_bounds());
            Ok(lower.get(&id).cloned().zip(upper.get(&id).cloned()))
        };
        let times = bounds("eventtime")?.and_then(longs);
        let sequences = bounds("_sequence")?.and_then(longs);
        let (first, last) = sequences.ok_or_else(|| unreadable("bounds of _sequence"))?;
        Ok(Self {
            day,
            rows: data_file.record_count(),
            bytes: data_file.file_size_in_bytes(),
            accounts: bounds("_account")?.and_then(texts),
            regions: bounds("awsregion")?.and_then(texts),
            times: times.ok_or_else(|| unreadable("bounds of eventtime"))?,
            sequences: (
                u64::try_from(first).unwrap_or(0),
                u64::try_from(last).unwrap_or(0),
            ),
            key,
            data_file,
            snapshot,
            sequence_number,
        })
    }
}

fn longs((lower, upper): (Datum, Datum)) -> Option<(i64, i64)> {
    match (lower.literal(), upper.literal()) {
        (PrimitiveLiteral::Long(lower), PrimitiveLiteral::Long(upper)) => Some((*lower, *upper)),
        _ => None,
    }
}

fn texts((lower, upper): (Datum, Datum)) -> Option<(String, String)> {
    match (lower.literal(), upper.literal()) {
        (PrimitiveLiteral::String(lower), PrimitiveLiteral::String(upper)) => {
            Some((lower.clone(), upper.clone()))
        }
        _ => None,
    }
}
