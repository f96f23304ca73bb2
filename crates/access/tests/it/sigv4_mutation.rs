//! Requests that are bent at random: a flip of every signed byte, and texts that are no signatures.

use proptest::prelude::*;

use crate::client::Wire;
use crate::sigv4_negative::call;

/// Every byte of the request that the signature covers, addressed by place and index.
fn signed_bytes(wire: &Wire) -> Vec<(&'static str, usize, usize)> {
    let mut places = Vec::new();
    let mut add = |place, item, text: &[u8]| {
        places.extend((0..text.len()).map(|index| (place, item, index)));
    };
    add("method", 0, wire.method.as_bytes());
    add("path", 0, wire.path.as_bytes());
    add("query", 0, wire.query.as_bytes());
    add("body", 0, &wire.body);
    for (item, (name, value)) in wire.headers.iter().enumerate() {
        if name != "user-agent" {
            add("value", item, value.as_bytes());
        }
    }
    places
}

fn flip(wire: &Wire, place: (&'static str, usize, usize), mask: u8) -> Option<Wire> {
    let mut changed = wire.clone();
    let (kind, item, index) = place;
    if kind == "body" {
        changed.body[index] ^= mask;
        return Some(changed);
    }
    let text = match kind {
        "method" => &mut changed.method,
        "path" => &mut changed.path,
        "query" => &mut changed.query,
        _ => &mut changed.headers[item].1,
    };
    let mut bytes = text.clone().into_bytes();
    bytes[index] ^= mask;
    // Only texts reach us as text; a byte that breaks UTF-8 is refused before.
    *text = String::from_utf8(bytes).ok()?;
    Some(changed)
}

/// What a signature rightly ignores: spaces around the header's commas, and the case of the digits in
/// a percent escape.
fn same_meaning(left: &Wire, right: &Wire) -> bool {
    let plain = |wire: &Wire| {
        let authorization = wire
            .headers
            .iter()
            .find(|(name, _)| name == "authorization");
        let squeezed = authorization.map(|(_, value)| value.replace(", ", ","));
        let escapes = wire
            .query
            .replace("%3a", "%3A")
            .replace("%2f", "%2F")
            .replace("%3b", "%3B");
        let wire = wire.clone().without("authorization");
        (
            wire.method,
            wire.path,
            escapes,
            wire.headers,
            wire.body,
            squeezed,
        )
    };
    plain(left) == plain(right)
}

// Proves: A2
#[test]
fn every_signed_byte_counts() {
    let header = Wire {
        query: "channelArn=a%3Ab&x=1".into(),
        ..Wire::lookup_events()
    };
    let wires = [
        header.clone().signed_with(Some("token")),
        Wire::get_object("/bucket/key").presigned(900, Some("token")),
        Wire::get_object("/bucket/key").signed(),
    ];
    let mut flipped = 0;
    for wire in &wires {
        assert!(wire.authenticate().is_ok());
        for place in signed_bytes(wire) {
            for bit in 0..8 {
                let Some(changed) = flip(wire, place, 1 << bit) else {
                    continue;
                };
                flipped += 1;
                assert!(
                    changed.authenticate().is_err() || same_meaning(wire, &changed),
                    "{place:?} bit {bit} of {wire:?}"
                );
            }
        }
    }
    assert!(flipped > 5_000, "{flipped}");
}

proptest! {
    // Proves: R24
    #[test]
    fn no_request_makes_the_parser_panic(
        authorization in ".{0,200}",
        path in "/.{0,60}",
        query in ".{0,120}",
        date in ".{0,20}",
        now_ms in any::<i64>(),
    ) {
        let mut wire = Wire::lookup_events().add("authorization", &authorization).add("x-amz-date", &date);
        (wire.path, wire.query, wire.now_ms) = (path, query, now_ms);
        prop_assert!(wire.authenticate().is_err());
    }

    // Proves: R24
    #[test]
    fn no_parameter_makes_the_parser_panic(
        credential in "[A-Z]{0,4}(/[-a-z0-9]{0,9}){0,6}",
        names in "([a-z-]{0,6};?){0,5}",
        signature in "[0-9a-fA-F]{0,70}",
        expires in "[-+0-9]{0,24}",
    ) {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        );
        prop_assert!(call().set("authorization", &header).authenticate().is_err());
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20150830T123600Z\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders={names}&X-Amz-Signature={signature}"
        );
        let wire = Wire { query, ..Wire::get_object("/") };
        prop_assert!(wire.authenticate().is_err());
    }
}
