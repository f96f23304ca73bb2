//! A data file as Parquet's reader wants it, read in parts as they are needed and each compared with its
//! checksum: whoever goes through a whole file need not have it in memory. For threads that may wait.

use std::io::{BufReader, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::LakeError;
use crate::names;
use crate::objects::{ObjectError, Objects};
use crate::sums::BlockSums;

/// Bytes that are read at once where the reader does not say how many it wants.
const READ_BYTES: usize = 16 * 1024;

/// Reads one data file.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    objects: Arc<dyn Objects>,
    key: String,
    bytes: u64,
    /// None of files that earlier builds wrote.
    sums: Option<BlockSums>,
    /// Why the last read failed. Arrow's errors keep no more of it than its text.
    failure: Mutex<Option<LakeError>>,
}

impl StoredFile {
    /// Opens a file; if its name tells a checksum, its tail is read and compared at once.
    pub(crate) fn open(
        objects: &Arc<dyn Objects>,
        key: &str,
        bytes: u64,
    ) -> Result<Self, LakeError> {
        let read = |range| read(objects.as_ref(), key, range);
        let sums = match names::stamped_checksum(key) {
            Some(checksum) => Some(BlockSums::read(key, checksum, bytes, read)?),
            None => None,
        };
        Ok(Self(Arc::new(Inner {
            objects: Arc::clone(objects),
            key: key.to_owned(),
            bytes,
            sums,
            failure: Mutex::default(),
        })))
    }

    /// True if every byte is compared with a checksum before anybody sees it.
    pub(crate) fn has_checksums(&self) -> bool {
        self.0.sums.is_some()
    }

    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    /// Why the file cannot be read: what reading said, or else what its reader says of its content.
    pub(crate) fn failure(&self, reader: &dyn std::error::Error) -> LakeError {
        let mut failure = self
            .0
            .failure
            .lock()
            .expect("no holder of this lock panics");
        failure.take().unwrap_or_else(|| LakeError::Damaged {
            key: self.0.key.clone(),
            reason: reader.to_string(),
        })
    }

    fn fetch(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let inner = &self.0;
        let read = |range| read(inner.objects.as_ref(), &inner.key, range);
        let fetched = match &inner.sums {
            Some(sums) => sums.fetch(&range, read),
            None => read(range),
        };
        fetched.map_err(|failure| {
            let told = ParquetError::General(failure.to_string());
            *inner.failure.lock().expect("no holder of this lock panics") = Some(failure);
            told
        })
    }
}

/// Part of an object. One that is missing or shorter than it was is damage: only what something refers to
/// is read.
pub(crate) fn read(
    objects: &dyn Objects,
    key: &str,
    range: Range<u64>,
) -> Result<Bytes, LakeError> {
    let read = objects.get_range_blocking(key, range);
    read.map_err(|failure| match failure {
        ObjectError::NotFound { .. } | ObjectError::CutOff { .. } => LakeError::Damaged {
            key: key.to_owned(),
            reason: failure.to_string(),
        },
        other => LakeError::Objects(other),
    })
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.0.bytes
    }
}

impl ChunkReader for StoredFile {
    type T = BufReader<FromHere>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let (file, at) = (self.clone(), start);
        Ok(BufReader::with_capacity(READ_BYTES, FromHere { file, at }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.fetch(start..start.saturating_add(length as u64))
    }
}

/// The bytes of a file from some place on.
#[derive(Debug)]
pub(crate) struct FromHere {
    file: StoredFile,
    at: u64,
}

impl Read for FromHere {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let inner = &self.file.0;
        // Checksums cover the bytes before the tail and the tail apart from each other.
        let covered = inner.sums.as_ref().map(BlockSums::covered);
        let end = covered.filter(|end| self.at < *end).unwrap_or(inner.bytes);
        let wanted = end.saturating_sub(self.at).min(buffer.len() as u64);
        let bytes = self.file.fetch(self.at..self.at + wanted);
        let bytes = bytes.map_err(std::io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}
