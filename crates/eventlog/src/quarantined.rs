//! The form in which readers keep a record that they can make nothing of (docs/formats/lake-tables.md).

use bytes::Bytes;
use cairn_model::PartitionId;

use crate::LogRecord;

impl LogRecord {
    /// One line of JSON that says why and how long the parts are, then the header's bytes, then the body's. The
    /// same record and reason give the same bytes.
    pub fn quarantined(&self, partition: PartitionId, reason: &str) -> Bytes {
        let line = serde_json::json!({
            "format": "cairn.quarantine.1",
            "partition": partition.0,
            "sequence": self.sequence.0,
            "acceptedMs": self.accepted_ms,
            "reason": reason,
            "headerBytes": self.record.header.len(),
            "bodyBytes": self.record.body.len(),
        });
        let mut bytes = line.to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.record.header);
        bytes.extend_from_slice(&self.record.body);
        Bytes::from(bytes)
    }
}
