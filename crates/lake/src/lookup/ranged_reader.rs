//! Parquet's reader over the lake's objects: byte ranges of one immutable object, nearby ones together.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::LakeError;
use crate::names;
use crate::objects::{ObjectError, Objects};
use crate::sums::BlockSums;

/// Ranges with a smaller gap are fetched as one.
const GAP_BYTES_MAX: u64 = 64 * 1024;

/// Reads one object.
#[derive(Clone, Debug)]
pub(super) struct RangedReader {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) key: String,
    pub(super) bytes: u64,
    /// What every byte is compared with; none of files that earlier builds wrote.
    pub(super) sums: Option<Arc<BlockSums>>,
}

impl RangedReader {
    /// Opens an object; if its name tells a checksum, its tail is read and compared at once.
    pub(super) fn open(
        objects: Arc<dyn Objects>,
        key: &str,
        bytes: u64,
    ) -> std::result::Result<Self, LakeError> {
        let mut reader = Self {
            objects,
            key: key.to_owned(),
            bytes,
            sums: None,
        };
        if let Some(checksum) = names::stamped_checksum(key) {
            let sums = BlockSums::read(key, checksum, bytes, |range| reader.read(range))?;
            reader.sums = Some(Arc::new(sums));
        }
        Ok(reader)
    }

    fn read(&self, range: Range<u64>) -> std::result::Result<Bytes, LakeError> {
        let read = self.objects.get_range_blocking(&self.key, range);
        read.map_err(|failure| match failure {
            ObjectError::NotFound { .. } | ObjectError::CutOff { .. } => LakeError::Damaged {
                key: self.key.clone(),
                reason: failure.to_string(),
            },
            other => LakeError::Objects(other),
        })
    }

    fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let fetched = match &self.sums {
            Some(sums) => sums.fetch(&range, |range| self.read(range)),
            None => self.read(range),
        };
        fetched.map_err(|failure| ParquetError::External(Box::new(failure)))
    }

    fn fetch_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let together = coalesce(ranges);
        let mut fetched = Vec::with_capacity(together.len());
        for range in &together {
            fetched.push(self.fetch(range.clone())?);
        }
        let cut = |range| cut(&together, &fetched, range);
        Ok(ranges.iter().map(cut).collect())
    }
}

// Lookups run on threads that may wait, so every future here is ready when it is made.
impl AsyncFileReader for RangedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        ready(self.fetch(range)).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        ready(self.fetch_all(&ranges)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let (bytes, mut reader) = (self.bytes, ParquetMetaDataReader::new());
            if let Some(options) = options {
                reader = reader
                    .with_column_index_policy(options.column_index_policy())
                    .with_offset_index_policy(options.offset_index_policy());
            }
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// The fewest ranges that cover all of `ranges` without fetching large gaps. In order.
fn coalesce(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut together: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match together.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES_MAX) => {
                last.end = last.end.max(range.end);
            }
            _ => together.push(range),
        }
    }
    together
}

/// The bytes of one range out of the fetched ones, without copying.
fn cut(together: &[Range<u64>], fetched: &[Bytes], range: &Range<u64>) -> Bytes {
    let at = together.partition_point(|covering| covering.start <= range.start) - 1;
    let from = usize::try_from(range.start - together[at].start).expect("an object fits in memory");
    let length = usize::try_from(range.end - range.start).expect("an object fits in memory");
    fetched[at].slice(from..from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_fetched_together_and_cut_apart_again() {
        let far = 1_000_000;
        let ranges = [10..20, far..far + 5, 25..30, 12..14];
        let together = coalesce(&ranges);
        assert_eq!(together, [10..30, far..far + 5]);
        let fetched: Vec<Bytes> = [(10..30).collect::<Vec<u8>>(), vec![7; 5]]
            .into_iter()
            .map(Bytes::from)
            .collect();
        let cut: Vec<Bytes> = ranges.iter().map(|r| cut(&together, &fetched, r)).collect();
        assert_eq!(cut[0], (10..20).collect::<Vec<u8>>());
        assert_eq!(cut[1], vec![7; 5]);
        assert_eq!(cut[2], (25..30).collect::<Vec<u8>>());
        assert_eq!(cut[3], vec![12, 13]);
    }
}
