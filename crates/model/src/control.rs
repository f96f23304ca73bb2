//! Control records: by these the event log says from which position on another version of a configuration counts.
//! The version itself is in the catalog; readers that come to the record load it there.
//!
//! ```text
//! header = "trail"        body = VERSION ' ' TRAIL-ID, both in ASCII, VERSION in decimal digits
//! ```

use crate::trail::TrailId;

const TRAIL: &[u8] = b"trail";

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlRecord {
    /// A trail was made, changed, started, stopped or deleted.
    Trail {
        /// Which.
        id: TrailId,
        /// Its version from here on.
        version: u64,
    },
}

/// Bytes that are no control record of a kind that this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a control record that this build knows")]
pub struct ControlRecordError;

impl ControlRecord {
    /// Header and body of the log record.
    pub fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Trail { id, version } => {
                (TRAIL.to_vec(), format!("{version} {}", id.0).into_bytes())
            }
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(header: &[u8], body: &[u8]) -> Result<Self, ControlRecordError> {
        if header != TRAIL {
            return Err(ControlRecordError);
        }
        let text = std::str::from_utf8(body).map_err(|_| ControlRecordError)?;
        let (version, id) = text.split_once(' ').ok_or(ControlRecordError)?;
        let is_id = !id.is_empty() && id.bytes().all(|c| c.is_ascii_graphic());
        let version = version.parse().map_err(|_| ControlRecordError)?;
        if !is_id || version == 0 {
            return Err(ControlRecordError);
        }
        let id = TrailId(id.to_owned());
        Ok(Self::Trail { id, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_others_do_not() {
        let record = ControlRecord::Trail {
            id: TrailId("7d0c-1".to_owned()),
            version: 12,
        };
        let (header, body) = record.encode();
        // The stored form: it never changes (docs/formats/control-record.md).
        assert_eq!((&*header, &*body), (&b"trail"[..], &b"12 7d0c-1"[..]));
        assert_eq!(ControlRecord::decode(&header, &body), Ok(record));
        for (header, body) in [
            (&b"store"[..], &b"1 a"[..]),
            (b"trail", b""),
            (b"trail", b"1"),
            (b"trail", b"0 a"),
            (b"trail", b"-1 a"),
            (b"trail", b"1 "),
            (b"trail", b"1 a b"),
            (b"trail", b"1 \xff"),
        ] {
            let decoded = ControlRecord::decode(header, body);
            assert_eq!(decoded, Err(ControlRecordError), "{body:?}");
        }
    }
}
