use super::*;

/// Written by the first build that had trails; never to be changed.
const FROZEN: &str = include_str!("trail-v1.json");

fn id() -> TrailId {
    TrailId("f0000000-0000-4000-8000-000000000001".to_owned())
}

// Proves: SEL-073
#[test]
fn the_frozen_form_is_read_and_written() {
    let trail = read(FROZEN.trim_end(), id(), 7).expect("it reads");
    assert_eq!(trail.version, 7);
    assert_eq!(
        trail.arn(),
        "arn:aws:cloudtrail:eu-west-1:123456789012:trail/payroll"
    );
    assert_eq!(trail.settings.key_prefix.as_deref(), Some("a/b"));
    assert_eq!(trail.logging.stopped_ms, Some(1_700_000_000_500));
    let EventSelectors::Advanced(selectors) = &trail.settings.event_selectors else {
        panic!("the fixture has advanced selectors");
    };
    // No name and an empty name are two things, and values keep their order.
    assert_eq!(selectors[0].name.as_deref(), Some(""));
    assert_eq!(selectors[1].name, None);
    let arn = &selectors[0].field_selectors[2];
    assert_eq!(arn.starts_with, ["arn:aws:s3:::c/", "arn:aws:s3:::b/"]);
    assert_eq!(arn.not_ends_with, [".tmp"]);
    assert_eq!(write(&trail), FROZEN.trim_end());
}

#[test]
fn basic_selectors_read_back_as_they_were() {
    let mut trail = read(FROZEN, id(), 1).expect("it reads");
    for selectors in [
        EventSelectors::default(),
        EventSelectors::Basic(vec![EventSelector {
            read_write_type: ReadWriteType::WriteOnly,
            include_management_events: false,
            data_resources: vec![DataResource {
                resource_type: "AWS::Lambda::Function".to_owned(),
                values: vec!["arn:aws:lambda".to_owned()],
            }],
            exclude_management_event_sources: vec!["kms.amazonaws.com".to_owned()],
        }]),
    ] {
        trail.settings.event_selectors = selectors;
        trail.settings.sns_topic = None;
        let again = read(&write(&trail), id(), 1).expect("it reads");
        assert_eq!(again, trail);
    }
}

#[test]
fn what_this_build_does_not_know_is_not_guessed_at() {
    for (what, document) in [
        ("a later form", FROZEN.replace("\"form\":1", "\"form\":2")),
        (
            "a member",
            FROZEN.replace("\"form\":1", "\"form\":1,\"new\":1"),
        ),
        ("a cut text", FROZEN[..100].to_owned()),
    ] {
        let read = read(&document, id(), 1);
        assert!(
            matches!(read, Err(CatalogError::Unreadable { .. })),
            "{what}: {read:?}"
        );
    }
}
