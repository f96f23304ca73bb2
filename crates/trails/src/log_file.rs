//! A log file in the making: `{"Records":[…]}`, compressed piece by piece into one gzip member.
//!
//! ```text
//! gzip header · deflate blocks of piece 1, flushed to a byte · … · one empty last block · CRC32 · length
//! ```
//! Each piece is compressed for itself, so that between pieces a file holds no compressor: a thousand files in the
//! making need no more memory than the events that wait in them.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use cairn_platform::DiskError;
use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::spool::Spool;

/// One gzip member: deflate, no name, no time, an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last deflate block without contents, in fixed codes.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];
const OPENING: &[u8] = b"{\"Records\":[";
const CLOSING: &[u8] = b"]}";
/// Fast: events repeat themselves so much that more effort buys little.
const EFFORT: u32 = 2;

/// A file in the making.
pub(crate) struct LogFile {
    name: String,
    /// Uncompressed bytes that are not in the spool yet.
    pending: Vec<u8>,
    spooled_bytes: u64,
    content_bytes: u64,
    crc: Crc,
    content: Context,
    object: Context,
    events: u64,
    times_ms: Option<(i64, i64)>,
}

impl std::fmt::Debug for LogFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogFile")
            .field("name", &self.name)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// A file that is complete in the spool, and durable but for its name.
#[derive(Debug)]
pub(crate) struct FinishedFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) object_sha256: [u8; 32],
    pub(crate) content_sha256: [u8; 32],
    pub(crate) events: u64,
    /// Oldest and newest.
    pub(crate) times_ms: Option<(i64, i64)>,
}

impl LogFile {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            pending: OPENING.to_vec(),
            spooled_bytes: 0,
            content_bytes: OPENING.len() as u64,
            crc: Crc::new(),
            content: Context::new(&SHA256),
            object: Context::new(&SHA256),
            events: 0,
            times_ms: None,
        }
    }

    /// Adds an event as it is.
    pub(crate) fn push(&mut self, event: &[u8], time_ms: i64) {
        if self.events > 0 {
            self.pending.push(b',');
            self.content_bytes += 1;
        }
        self.pending.extend_from_slice(event);
        self.content_bytes += event.len() as u64;
        self.events += 1;
        let (oldest, newest) = self.times_ms.unwrap_or((time_ms, time_ms));
        self.times_ms = Some((oldest.min(time_ms), newest.max(time_ms)));
    }

    /// Its size so far, uncompressed.
    pub(crate) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Bytes that it holds in memory.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Name in the spool, if anything of it is there.
    pub(crate) fn spooled_name(&self) -> Option<&str> {
        (self.spooled_bytes > 0).then_some(self.name.as_str())
    }

    /// Compresses what waits and moves it to the spool.
    pub(crate) fn spill(&mut self, spool: &Spool) -> Result<(), DiskError> {
        let mut out = Vec::with_capacity(self.pending.len() / 4 + 64);
        self.compress_pending(&mut out);
        self.write(spool, &out)
    }

    /// Completes the file and makes its bytes durable.
    pub(crate) fn finish(mut self, spool: &Spool) -> Result<FinishedFile, DiskError> {
        self.pending.extend_from_slice(CLOSING);
        self.content_bytes += CLOSING.len() as u64;
        let mut out = Vec::with_capacity(self.pending.len() / 4 + 64);
        self.compress_pending(&mut out);
        out.extend_from_slice(&LAST_BLOCK);
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
        self.write(spool, &out)?;
        spool.sync(&self.name)?;
        Ok(FinishedFile {
            name: self.name,
            bytes: self.spooled_bytes,
            object_sha256: sha256(self.object.finish()),
            content_sha256: sha256(self.content.finish()),
            events: self.events,
            times_ms: self.times_ms,
        })
    }

    fn compress_pending(&mut self, out: &mut Vec<u8>) {
        if self.spooled_bytes == 0 {
            out.extend_from_slice(&GZIP_HEADER);
        }
        self.crc.update(&self.pending);
        self.content.update(&self.pending);
        compress_piece(&self.pending, out);
        // Given back: most files stay small.
        self.pending = Vec::new();
    }

    fn write(&mut self, spool: &Spool, bytes: &[u8]) -> Result<(), DiskError> {
        spool.append(&self.name, self.spooled_bytes, bytes)?;
        self.object.update(bytes);
        self.spooled_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The gzip form of a whole text, such as a digest.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = GZIP_HEADER.to_vec();
    let mut crc = Crc::new();
    crc.update(content);
    compress_piece(content, &mut out);
    out.extend_from_slice(&LAST_BLOCK);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    out
}

/// Deflate blocks that end at a byte and are not the last.
fn compress_piece(piece: &[u8], out: &mut Vec<u8>) {
    let mut compressor = Compress::new(Compression::new(EFFORT), false);
    let mut rest = piece;
    loop {
        out.reserve(rest.len() / 4 + 256);
        let before = compressor.total_in();
        compressor
            .compress_vec(rest, out, FlushCompress::Sync)
            .expect("a compressor in order takes any bytes");
        let taken = usize::try_from(compressor.total_in() - before)
            .expect("it takes no more than it was given");
        rest = &rest[taken..];
        // With room to spare, everything is out.
        if rest.is_empty() && out.len() < out.capacity() {
            return;
        }
    }
}

/// SHA-256 of bytes that are all there.
pub(crate) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    sha256(aws_lc_rs::digest::digest(&SHA256, bytes))
}

fn sha256(digest: Digest) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}
