//! Parquet's reader over the lake's objects: byte ranges of one immutable object, nearby ones together.
//! Lookups use it on threads that may block.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::objects::Objects;

/// Ranges with a smaller gap are fetched as one.
const GAP_BYTES_MAX: u64 = 64 * 1024;

/// Reads one object.
#[derive(Clone, Debug)]
pub(super) struct RangedReader {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) key: String,
    pub(super) bytes: u64,
}

impl RangedReader {
    async fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let fetched = self.objects.get_range_blocking(&self.key, range).await;
        fetched.map_err(|failure| ParquetError::External(Box::new(failure)))
    }
}

impl AsyncFileReader for RangedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { self.fetch(range).await }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let together = coalesce(&ranges);
            let fetches = together.iter().map(|range| self.fetch(range.clone()));
            let fetched = futures::future::try_join_all(fetches).await?;
            Ok(ranges
                .iter()
                .map(|range| cut(&together, &fetched, range))
                .collect())
        }
        .boxed()
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
