//! Bodies on their way out: the bytes of a range, from as many files as the object has parts. Every
//! chunk is verified before it leaves: damage ends the answer, it never gets into it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use sqlx::Row as _;

use super::body::{BodyReader, SealedBody};
use super::data_keys::ObjectSeal;
use super::intake::key_context;
use super::versions::{Version, count_of};
use super::{Buckets, CHUNK_BYTES, off_thread};
use crate::error::BucketsError;

/// Chunks that are read at a time.
const CHUNKS_AT_ONCE: usize = 4;

/// The file of a body or a part.
#[derive(Clone, Debug)]
pub(crate) struct BodyFile {
    pub(crate) file: String,
    pub(crate) bytes: u64,
}

impl Buckets {
    /// The bytes of a range of a version, whose keys `seal` opens. The first of them are read before this returns.
    pub(crate) async fn read_version(
        self: &Arc<Self>,
        bucket: &str,
        version: &Version,
        range: Range<u64>,
        seal: ObjectSeal,
    ) -> Result<impl Stream<Item = Result<Bytes, BucketsError>> + Send + 'static, BucketsError>
    {
        let files = self.files_of(version).await?;
        let mut reading = Reading {
            buckets: Arc::clone(self),
            bucket: bucket.to_owned(),
            seal,
            files: files.into(),
            offset: range.start,
            left: range.end - range.start,
            open: None,
            ready: VecDeque::new(),
        };
        reading.skip_to_start();
        let first = reading.next().await?;
        let rest = stream::try_unfold(reading, |mut reading| async move {
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, reading)))
        });
        Ok(stream::iter(first.map(Ok)).chain(rest))
    }

    /// The files of a version, in order.
    pub(crate) async fn files_of(&self, version: &Version) -> Result<Vec<BodyFile>, BucketsError> {
        let during = "reading the files of a version";
        let rows = sqlx::query("SELECT file, bytes FROM bodies WHERE version_id = ? ORDER BY part")
            .bind(version.id)
            .fetch_all(&self.index.readers)
            .await
            .map_err(BucketsError::while_(during))?;
        rows.iter()
            .map(|row| {
                Ok(BodyFile {
                    file: row.try_get("file")?,
                    bytes: count_of(row.try_get("bytes")?),
                })
            })
            .collect::<Result<_, _>>()
            .map_err(BucketsError::while_(during))
    }

    async fn open_body(
        &self,
        bucket: &str,
        body: BodyFile,
        seal: &ObjectSeal,
    ) -> Result<BodyReader, BucketsError> {
        let bodies = self.bodies.clone();
        let file = body.file.clone();
        let sealed = off_thread(move || SealedBody::open(&bodies, &file, body.bytes)).await?;
        let context = key_context(bucket, &body.file);
        let wrapped = (sealed.wrapped.as_slice(), sealed.sealed_by);
        let key = self.keys.open(seal, wrapped, &context)?;
        Ok(sealed.unseal(&key))
    }

    fn note_damage(&self, error: &BucketsError) {
        if let BucketsError::Damaged { .. } = error {
            self.counters.bodies_damaged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(error = %error, "a stored body is damaged");
        }
    }
}

/// A place in the files of a version.
struct Reading {
    buckets: Arc<Buckets>,
    bucket: String,
    seal: ObjectSeal,
    files: VecDeque<BodyFile>,
    /// In the first of the files.
    offset: u64,
    left: u64,
    open: Option<BodyReader>,
    ready: VecDeque<Bytes>,
}

impl Reading {
    fn skip_to_start(&mut self) {
        while let Some(first) = self.files.front()
            && self.offset >= first.bytes
            && self.left > 0
        {
            self.offset -= first.bytes;
            self.files.pop_front();
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BucketsError> {
        if self.ready.is_empty()
            && self.left > 0
            && let Err(error) = self.fill().await
        {
            self.buckets.note_damage(&error);
            return Err(error);
        }
        Ok(self.ready.pop_front())
    }

    /// Reads the next chunks of the first file.
    async fn fill(&mut self) -> Result<(), BucketsError> {
        let file = self.files.front().cloned();
        let file = file.ok_or_else(|| BucketsError::Damaged {
            file: "-".to_owned(),
            reason: "an object has fewer bytes than it had",
        })?;
        let mut reader = if let Some(reader) = self.open.take() {
            reader
        } else {
            let buckets = &self.buckets;
            let opening = buckets.open_body(&self.bucket, file.clone(), &self.seal);
            opening.await?
        };
        let (mut offset, mut left) = (self.offset, self.left.min(file.bytes - self.offset));
        let (reader, pieces) = off_thread(move || {
            let mut pieces = VecDeque::with_capacity(CHUNKS_AT_ONCE);
            while left > 0 && pieces.len() < CHUNKS_AT_ONCE {
                let mut piece = reader.read_chunk_at(offset)?;
                debug_assert!(piece.len() <= CHUNK_BYTES, "chunks have their size");
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let bytes = length_of(&piece);
                offset += bytes;
                left -= bytes;
                pieces.push_back(piece);
            }
            Ok((reader, pieces))
        })
        .await?;
        let bytes: u64 = pieces.iter().map(length_of).sum();
        self.buckets
            .counters
            .bytes_read
            .fetch_add(bytes, Ordering::Relaxed);
        self.ready = pieces;
        self.left -= bytes;
        self.offset += bytes;
        if self.offset == file.bytes {
            self.offset = 0;
            self.files.pop_front();
            self.skip_to_start();
        } else {
            self.open = Some(reader);
        }
        Ok(())
    }
}

fn length_of(piece: &Bytes) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}
