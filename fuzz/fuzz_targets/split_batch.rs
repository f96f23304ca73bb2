//! Batches: events are slices of the batch, in order, without overlap, and no more than the limit.
#![no_main]

use bytes::Bytes;
use cairn_model::split_batch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let body = Bytes::copy_from_slice(bytes);
    if let Ok(events) = split_batch(&body, 16) {
        assert!((1..=16).contains(&events.len()));
        let mut at = body.as_ptr().addr();
        for event in events {
            assert!(!event.is_empty() && event.as_ptr().addr() >= at);
            at = event.as_ptr().addr() + event.len();
        }
        assert!(at <= body.as_ptr().addr() + body.len());
    }
});
