//! The first block of a segment file.
//!
//! ```text
//!  0  8  magic F7 "CAIRNSG"
//!  8  4  format version
//! 12  4  CRC32C of bytes 0..12 and 16..64
//! 16  2  partition        18  6  zero
//! 24  8  epoch: which opening of the log wrote the file
//! 32  8  sequence of the first record
//! 40  8  created, milliseconds since the epoch
//! 48 16  zero; the block is filled with zeros up to 4096
//! ```

use super::{FORMAT_VERSION, checksum_around, get_u32, get_u64, put};

const MAGIC: [u8; 8] = *b"\xF7CAIRNSG";
const BYTES: usize = 64;

/// What names a segment: no two files of a log share both numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentIdentity {
    /// The sequence of its first record.
    pub(crate) first: u64,
    /// Which opening of the log wrote it.
    pub(crate) epoch: u64,
}

impl SegmentIdentity {
    /// The bytes that every checksum in the segment starts with: a frame of another segment never fits.
    pub(crate) fn salt(self) -> [u8; 16] {
        let mut salt = [0; 16];
        put(&mut salt, 0, &self.first.to_le_bytes());
        put(&mut salt, 8, &self.epoch.to_le_bytes());
        salt
    }

    /// The segment's file name.
    pub(crate) fn file_name(self) -> String {
        format!("{:020}-{:010}.segment", self.first, self.epoch)
    }

    /// The identity that a file name states, if it is a segment's.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let (first, epoch) = name.strip_suffix(".segment")?.split_once('-')?;
        let identity = Self {
            first: first.parse().ok()?,
            epoch: epoch.parse().ok()?,
        };
        (identity.file_name() == name).then_some(identity)
    }
}

/// The segment's own statement of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: SegmentIdentity,
    pub(crate) created_ms: i64,
}

/// What the first block of a segment file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderVerdict {
    /// The header of this segment.
    Valid,
    /// Of a version that this program does not know: not damage, and not to be touched.
    UnknownVersion(u32),
    /// All zeros, or cut: the file was created, and its first block never reached the disk.
    Blank,
    /// Damaged, or another segment's.
    Damaged,
}

impl SegmentHeader {
    pub(crate) const BYTES: usize = BYTES;

    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 24, &self.identity.epoch.to_le_bytes());
        put(&mut bytes, 32, &self.identity.first.to_le_bytes());
        put(&mut bytes, 40, &self.created_ms.to_le_bytes());
        let crc = checksum_around(&[], &bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    /// Judges the first bytes of the file that is named for `identity`.
    pub(crate) fn judge(bytes: &[u8], identity: SegmentIdentity) -> HeaderVerdict {
        // A file that ends inside its header was never synced, or was cut: its frames will tell.
        let Some(bytes) = bytes.get(..BYTES) else {
            return HeaderVerdict::Blank;
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return HeaderVerdict::Blank;
        }
        if bytes[..8] != MAGIC || get_u32(bytes, 12) != checksum_around(&[], bytes) {
            return HeaderVerdict::Damaged;
        }
        let version = get_u32(bytes, 8);
        if version != FORMAT_VERSION {
            return HeaderVerdict::UnknownVersion(version);
        }
        let stated = SegmentIdentity {
            first: get_u64(bytes, 32),
            epoch: get_u64(bytes, 24),
        };
        if stated == identity {
            HeaderVerdict::Valid
        } else {
            HeaderVerdict::Damaged
        }
    }
}
