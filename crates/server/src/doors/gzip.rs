//! Decompression of request bodies, within limits of size and ratio (H2).

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Beyond this size the ratio counts; small texts may compress as well as they like.
const RATIO_FREE_BYTES: usize = 1 << 20;
const STEP_BYTES: usize = 64 * 1024;

/// Why a body was not decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GzipError {
    /// It is not gzip, is cut off, or has a wrong checksum.
    Malformed,
    /// It grows beyond the limit.
    TooLarge,
    /// It grows far more than events do.
    Ratio,
}

/// The decompressed body. Several gzip members in a row count as one text.
pub(crate) fn decompress(
    compressed: &[u8],
    bytes_max: usize,
    ratio_max: usize,
) -> Result<Vec<u8>, GzipError> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let ratio_bytes = compressed
        .len()
        .saturating_mul(ratio_max)
        .max(RATIO_FREE_BYTES);
    let mut text = Vec::with_capacity(compressed.len().saturating_mul(4).min(bytes_max));
    let mut step = vec![0; STEP_BYTES];
    loop {
        let count = decoder.read(&mut step).map_err(|_| GzipError::Malformed)?;
        if count == 0 {
            return Ok(text);
        }
        if text.len() + count > bytes_max {
            return Err(GzipError::TooLarge);
        }
        if text.len() + count > ratio_bytes {
            return Err(GzipError::Ratio);
        }
        text.extend_from_slice(&step[..count]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("writing into memory");
        encoder.finish().expect("writing into memory")
    }

    // Proves: H2
    #[test]
    fn bombs_and_broken_streams_are_refused() {
        let bomb = gzip(&vec![b' '; 20 << 20]);
        assert_eq!(decompress(&bomb, 100 << 20, 200), Err(GzipError::Ratio));
        assert_eq!(decompress(&bomb, 10 << 20, 2_000), Err(GzipError::TooLarge));
        let good = gzip(b"{}\n");
        assert_eq!(decompress(&good, 100, 2).as_deref(), Ok(b"{}\n".as_slice()));
        let twice = [good.clone(), good.clone()].concat();
        assert_eq!(
            decompress(&twice, 100, 2).as_deref(),
            Ok(b"{}\n{}\n".as_slice())
        );
        assert_eq!(
            decompress(&good[..good.len() - 1], 100, 2),
            Err(GzipError::Malformed)
        );
        let mut wrong = good.clone();
        let checksum = wrong.len() - 6;
        wrong[checksum] ^= 1;
        assert_eq!(decompress(&wrong, 100, 2), Err(GzipError::Malformed));
        let junk = [good, b"junk".to_vec()].concat();
        assert_eq!(decompress(&junk, 100, 2), Err(GzipError::Malformed));
        assert_eq!(decompress(b"", 100, 2), Err(GzipError::Malformed));
    }
}
