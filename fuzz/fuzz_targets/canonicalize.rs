//! Canonical records: what is accepted stays what it is, survives the log's form, and fits destinations as JSON.
#![no_main]

use bytes::Bytes;
use cairn_model::destination::{DestinationLimit, fit};
use cairn_model::json::Document;
use cairn_model::{CanonicalEvent, Completion, RecordError, RoutingHeader, canonicalize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = complete(&Bytes::copy_from_slice(bytes), || "new".to_owned()) else {
        return;
    };
    let again = complete(&event.json, || unreachable!("a canonical event has an ID"));
    assert_eq!(again.as_ref(), Ok(&event));
    let mut stored = Vec::new();
    event.header.encode(&mut stored);
    assert_eq!(RoutingHeader::decode(&stored), Ok(event.header));
    for limit in [DestinationLimit::Kb256, DestinationLimit::Mb1] {
        let fitted = fit(&event.json, limit).unwrap_or_else(|large| large.shortened);
        Document::parse(&fitted).expect("a shortened event is JSON");
    }
});

fn complete(
    source: &Bytes,
    mut new_event_id: impl FnMut() -> String,
) -> Result<CanonicalEvent, RecordError> {
    let account = "123456789012".parse().expect("twelve digits");
    canonicalize(
        source,
        &mut Completion {
            account,
            new_event_id: &mut new_event_id,
        },
    )
}
