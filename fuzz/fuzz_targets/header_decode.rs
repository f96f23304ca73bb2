//! Routing headers: whatever decodes encodes to the same bytes.
#![no_main]

use cairn_model::RoutingHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = RoutingHeader::decode(bytes) {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes);
    }
});
