//! Decompression within limits, by the AWS CLI's own rules: digests and log files are one gzip member,
//! and the hash of a log file is taken of what has been unpacked.

use aws_lc_rs::digest::{Context, SHA256};
use flate2::{Decompress, FlushDecompress, Status};

use crate::hexadecimal;

const WINDOW_BITS: u8 = 15;
const STEP_BYTES: usize = 64 * 1024;

/// How far a file may grow when it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Bytes of the unpacked file.
    pub bytes_max: u64,
    /// Unpacked bytes for each byte of gzip, once the file is larger than a mebibyte.
    pub ratio_max: u64,
}

/// What files of CloudTrail never reach: log files are cut at about 50 MB, and deflate itself ends
/// at a ratio of 1,032.
pub const SIZE_LIMITS: SizeLimits = SizeLimits {
    bytes_max: 1 << 30,
    ratio_max: 1_000,
};

const RATIO_FREE_BYTES: u64 = 1 << 20;

/// What is wrong with a log file; the words are the AWS CLI's (REC-285).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFileFault {
    /// It was changed.
    #[error("INVALID: hash value doesn't match")]
    Hash,
    /// It is not gzip, or grows beyond all limits.
    #[error("INVALID: invalid format")]
    Format,
    /// Something follows the gzip member.
    #[error("INVALID: unexpected data after end of compressed stream")]
    TrailingData,
    /// It is not there.
    #[error("INVALID: not found")]
    NotFound,
}

/// Takes a log file in pieces and tells whether it is the one that a digest lists. Holds no more of it
/// than one step.
pub struct LogFileHash {
    inflater: Inflater,
    hash: Context,
}

impl LogFileHash {
    /// Before the first piece.
    pub fn new(limits: SizeLimits) -> Self {
        Self {
            inflater: Inflater::new(limits),
            hash: Context::new(&SHA256),
        }
    }

    /// Takes the next piece. After an error nothing more need be fetched.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), LogFileFault> {
        let hash = &mut self.hash;
        self.inflater
            .update(piece, |unpacked| hash.update(unpacked))
            .map_err(|Unreadable| LogFileFault::Format)
    }

    /// After the last piece: compares with the hash that the digest states. A file that ends too early
    /// has another hash; one whose contents are whole is valid, even if gzip's own checksum was cut off.
    pub fn finish(self, hash_value: &str) -> Result<(), LogFileFault> {
        if self.inflater.has_trailing_data {
            return Err(LogFileFault::TrailingData);
        }
        if hexadecimal::encode(self.hash.finish().as_ref()) == hash_value {
            Ok(())
        } else {
            Err(LogFileFault::Hash)
        }
    }
}

impl std::fmt::Debug for LogFileHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogFileHash")
    }
}

/// The first gzip member of `packed`, whole and with a right checksum; what follows it is ignored, as
/// the AWS CLI does for digests. `None` for everything else.
pub fn inflate(packed: &[u8], limits: SizeLimits) -> Option<Vec<u8>> {
    let mut inflater = Inflater::new(limits);
    let mut text = Vec::new();
    inflater
        .update(packed, |unpacked| text.extend_from_slice(unpacked))
        .ok()?;
    inflater.has_ended.then_some(text)
}

struct Unreadable;

struct Inflater {
    decompress: Decompress,
    limits: SizeLimits,
    has_ended: bool,
    has_trailing_data: bool,
    step: Vec<u8>,
}

impl Inflater {
    fn new(limits: SizeLimits) -> Self {
        Self {
            decompress: Decompress::new_gzip(WINDOW_BITS),
            limits,
            has_ended: false,
            has_trailing_data: false,
            step: vec![0; STEP_BYTES],
        }
    }

    fn update(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        let mut rest = piece;
        while !self.has_ended {
            let (read, written) = (self.decompress.total_in(), self.decompress.total_out());
            let status = self
                .decompress
                .decompress(rest, &mut self.step, FlushDecompress::None)
                .map_err(|_| Unreadable)?;
            let consumed = step_length(self.decompress.total_in() - read);
            let produced = step_length(self.decompress.total_out() - written);
            self.check_limits()?;
            take(&self.step[..produced]);
            rest = &rest[consumed..];
            match status {
                Status::StreamEnd => self.has_ended = true,
                Status::Ok | Status::BufError if consumed == 0 && produced == 0 => return Ok(()),
                // What is left of the piece, or of the output that did not fit the step.
                Status::Ok | Status::BufError => {}
            }
        }
        self.has_trailing_data |= !rest.is_empty();
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Unreadable> {
        let (read, written) = (self.decompress.total_in(), self.decompress.total_out());
        let by_ratio = read
            .saturating_mul(self.limits.ratio_max)
            .max(RATIO_FREE_BYTES);
        if written > self.limits.bytes_max.min(by_ratio) {
            Err(Unreadable)
        } else {
            Ok(())
        }
    }
}

fn step_length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("one step is bounded by slices in memory")
}
