//! Routing headers: the frozen form, round trips, and bytes that are none.

use std::borrow::Cow;

use cairn_model::{EventClass, EventTime, HeaderError, ResourceReference, RoutingHeader};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

/// The header of `fixtures/routing-header-v1.hex`.
fn frozen() -> RoutingHeader<'static> {
    RoutingHeader {
        class: EventClass::Data,
        account: "000123456789".parse().expect("an account"),
        region: "eu-west-1".parse().expect("a Region"),
        event_time: EventTime::from_micros(1_688_989_500_250_000).expect("a time"),
        event_id: "5f1c7a52-9d55-4ab6-9f1a-0d4a1d0b4c11".into(),
        event_name: "GetObject".into(),
        event_source: "s3.amazonaws.com".into(),
        event_type: "AwsApiCall".into(),
        read_only: Some(true),
        error_code: None,
        vpc_endpoint_id: Some("vpce-1".into()),
        session_credential_from_console: true,
        user_identity_arn: Some("arn:aws:iam::000123456789:user/Zoë".into()),
        user_name: Some("Zoë".into()),
        access_key_id: Some("".into()),
        resources: vec![
            ResourceReference {
                resource_type: Some("AWS::S3::Object".into()),
                name: format!("arn:aws:s3:::bucket/{}", "k".repeat(130)).into(),
                in_record: true,
            },
            ResourceReference {
                resource_type: None,
                name: "bucket".into(),
                in_record: false,
            },
        ],
    }
}

fn fixture() -> Vec<u8> {
    let hex: String = include_str!("../fixtures/routing-header-v1.hex")
        .split_whitespace()
        .collect();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}

fn encoded(header: &RoutingHeader<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes
}

#[test]
fn version_one_is_written_and_read_as_it_was_frozen() {
    let hex: Vec<String> = encoded(&frozen())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        encoded(&frozen()),
        fixture(),
        "written now: {}",
        hex.concat()
    );
    let fixture = fixture();
    let decoded = RoutingHeader::decode(&fixture).expect("the fixture is a header");
    assert_eq!(decoded, frozen());
    assert!(
        matches!(decoded.event_name, Cow::Borrowed(_)),
        "texts are not copied"
    );
    assert_eq!(decoded.into_owned(), frozen());
}

#[test]
fn other_versions_are_named() {
    assert_eq!(
        RoutingHeader::decode(&[2, 1, 0]),
        Err(HeaderError::Version(2))
    );
    assert_eq!(RoutingHeader::decode(&[]), Err(HeaderError::Malformed(0)));
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let whole = fixture();
    for length in 0..whole.len() {
        RoutingHeader::decode(&whole[..length]).expect_err("cut short");
    }
    for extra in 0..=u8::MAX {
        let longer = [&whole[..], &[extra]].concat();
        assert_eq!(
            RoutingHeader::decode(&longer),
            Err(HeaderError::Malformed(whole.len()))
        );
    }
}

#[test]
fn a_foreign_count_of_resources_reserves_nothing() {
    let mut header = frozen();
    header.resources.clear();
    let mut bytes = encoded(&header);
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    RoutingHeader::decode(&bytes).expect_err("four billion resources in no bytes");
}

/// The fixture with some of its bytes replaced by others.
fn patched(start: usize, removed: usize, by: &[u8]) -> Vec<u8> {
    let mut bytes = fixture();
    bytes.splice(start..start + removed, by.iter().copied());
    bytes
}

// Proves: R24
#[test]
fn values_that_cannot_be_and_second_spellings_are_refused_at_their_place() {
    let time = |micros: i64| patched(15, 8, &micros.to_le_bytes());
    let mark = fixture().len() - "bucket".len() - 3;
    for (bytes, place) in [
        (patched(1, 1, &[0]), 1),
        (patched(1, 1, &[5]), 1),
        (patched(2, 1, &[0b110]), 2),
        (patched(2, 1, &[0b1111]), 2),
        (patched(3, 1, b"x"), 3),
        (time(-1), 15),
        (time(253_402_300_800_000_000), 15),
        (patched(23, 1, &[0x89, 0]), 23),
        (patched(23, 1, &[0x89, 0x80, 0x80, 0x80, 0x80, 0]), 23),
        (patched(23, 1, &[0x89, 0x80, 0x80, 0x80, 0x10]), 23),
        (patched(24, 1, b"E"), 23),
        (patched(34, 1, &[0xff]), 34),
        (patched(mark, 1, &[2]), mark),
    ] {
        assert_eq!(
            RoutingHeader::decode(&bytes),
            Err(HeaderError::Malformed(place))
        );
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("x".repeat(127)),
        Just("x".repeat(128)),
        Just("é".repeat(9000))
    ]
}

fn header() -> impl Strategy<Value = RoutingHeader<'static>> {
    let resource = (prop::option::of(text()), text(), any::<bool>()).prop_map(
        |(resource_type, name, in_record)| ResourceReference {
            resource_type: resource_type.map(Cow::Owned),
            name: Cow::Owned(name),
            in_record,
        },
    );
    let class = prop_oneof![
        Just(EventClass::Management),
        Just(EventClass::Data),
        Just(EventClass::NetworkActivity),
        Just(EventClass::Insight),
    ];
    let flags = (class, prop::option::of(any::<bool>()), any::<bool>());
    let edge = (
        "[0-9]{12}",
        "[a-z0-9-]{3,32}",
        0..253_402_300_800_000_000_i64,
    );
    let texts = prop::array::uniform4(text());
    let optional = prop::array::uniform5(prop::option::of(text()));
    (
        flags,
        edge,
        texts,
        optional,
        prop::collection::vec(resource, 0..5),
    )
        .prop_map(
            |(
                (class, read_only, console),
                (account, region, micros),
                texts,
                optional,
                resources,
            )| {
                let [event_id, event_name, event_source, event_type] = texts.map(Cow::Owned);
                let [
                    error_code,
                    vpc_endpoint_id,
                    user_identity_arn,
                    user_name,
                    access_key_id,
                ] = optional.map(|text| text.map(Cow::Owned));
                RoutingHeader {
                    class,
                    account: account.parse().expect("digits"),
                    region: region.parse().expect("a Region"),
                    event_time: EventTime::from_micros(micros).expect("in range"),
                    event_id,
                    event_name,
                    event_source,
                    event_type,
                    read_only,
                    error_code,
                    vpc_endpoint_id,
                    session_credential_from_console: console,
                    user_identity_arn,
                    user_name,
                    access_key_id,
                    resources,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(header in header()) {
        let bytes = encoded(&header);
        assert_eq!(RoutingHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        header in header(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&header);
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(decoded) = RoutingHeader::decode(&bytes) {
            assert_eq!(encoded(&decoded), bytes);
        }
    }
}
