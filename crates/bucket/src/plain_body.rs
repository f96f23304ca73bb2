//! Bodies that are documents, not objects: read whole, within a bound, and compared with whatever
//! checksums the request states.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::HeaderMap;
use s3s::{Body, S3Error, S3Result, s3_error};

use crate::answers::of_store;
use crate::checksums::Expected;
use crate::payload::PayloadReport;

/// Most bytes of a document: a complete upload of 10,000 parts with their checksums, or the deletion of
/// a thousand objects with the longest keys.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The whole body, if it is what the request says it is.
pub(crate) async fn collected(
    mut body: Body,
    headers: &HeaderMap,
    report: &PayloadReport,
) -> S3Result<Bytes> {
    let mut collected = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| broken_body())?;
        if collected.len() + piece.len() > DOCUMENT_BYTES_MAX {
            return Err(s3_error!(
                MaxMessageLengthExceeded,
                "Your request was too large."
            ));
        }
        collected.extend_from_slice(&piece);
    }
    let collected = collected.freeze();
    let checked = || {
        let mut expected = Expected::of(headers, report)?;
        expected.add_trailers(report)?;
        expected.check_whole(&collected)
    };
    checked().map_err(|error| of_store(&error))?;
    Ok(collected)
}

/// The client went away or sent what it had not announced.
pub(crate) fn broken_body() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
}
