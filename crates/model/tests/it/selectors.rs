//! Event selectors: the manual's examples and truth tables, what is refused, and compiled selectors beside
//! a naive reading of the rules.

use std::borrow::Cow;

use cairn_model::selectors::{
    AdvancedEventSelector, BASIC_SELECTORS_MAX, DATA_RESOURCES_MAX, DataResource, EventSelector,
    EventSelectors, FieldSelector, ReadWriteType, SelectorError, VALUES_MAX,
};
use cairn_model::{EventClass, EventTime, ResourceReference, RoutingHeader};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

const OBJECT: &str = "AWS::S3::Object";

fn event(class: EventClass, source: &'static str, name: &'static str) -> RoutingHeader<'static> {
    RoutingHeader {
        class,
        account: "111122223333".parse().expect("an account"),
        region: "us-east-1".parse().expect("a Region"),
        event_time: EventTime::default(),
        event_id: Cow::Borrowed("id"),
        event_name: Cow::Borrowed(name),
        event_source: Cow::Borrowed(source),
        event_type: Cow::Borrowed("AwsApiCall"),
        read_only: Some(false),
        error_code: None,
        vpc_endpoint_id: None,
        session_credential_from_console: false,
        user_identity_arn: None,
        user_name: None,
        access_key_id: None,
        resources: Vec::new(),
    }
}

fn management(source: &'static str, name: &'static str, reads: bool) -> RoutingHeader<'static> {
    RoutingHeader {
        read_only: Some(reads),
        ..event(EventClass::Management, source, name)
    }
}

fn resource(resource_type: &str, arn: &str) -> ResourceReference<'static> {
    ResourceReference {
        resource_type: Some(Cow::Owned(resource_type.to_owned())),
        name: Cow::Owned(arn.to_owned()),
        in_record: true,
    }
}

fn data(resource_type: &str, arn: &str, name: &'static str, reads: bool) -> RoutingHeader<'static> {
    RoutingHeader {
        read_only: Some(reads),
        resources: vec![resource(resource_type, arn)],
        ..event(EventClass::Data, "s3.amazonaws.com", name)
    }
}

fn basic(selectors: &[EventSelector]) -> EventSelectors {
    EventSelectors::Basic(selectors.to_vec())
}

fn takes(selectors: &EventSelectors, event: &RoutingHeader<'_>) -> bool {
    selectors.compile().expect("valid selectors").take(event)
}

fn resources_of(resource_type: &str, values: &[&str]) -> EventSelector {
    EventSelector {
        include_management_events: false,
        data_resources: vec![DataResource {
            resource_type: resource_type.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }],
        ..EventSelector::default()
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn equals(field: &str, values: &[&str]) -> FieldSelector {
    FieldSelector {
        field: field.to_owned(),
        equals: texts(values),
        ..FieldSelector::default()
    }
}

fn not_equals(field: &str, values: &[&str]) -> FieldSelector {
    FieldSelector {
        field: field.to_owned(),
        not_equals: texts(values),
        ..FieldSelector::default()
    }
}

/// One selector of a category with further conditions.
fn selector(category: &str, fields: &[FieldSelector]) -> AdvancedEventSelector {
    let mut field_selectors = vec![equals("eventCategory", &[category])];
    field_selectors.extend(fields.iter().cloned());
    AdvancedEventSelector {
        name: None,
        field_selectors,
    }
}

fn advanced(category: &str, fields: &[FieldSelector]) -> EventSelectors {
    EventSelectors::Advanced(vec![selector(category, fields)])
}

fn of_objects(fields: &[FieldSelector]) -> EventSelectors {
    let mut all = vec![equals("resources.type", &[OBJECT])];
    all.extend(fields.iter().cloned());
    advanced("Data", &all)
}

fn refusal(selectors: &EventSelectors) -> SelectorError {
    selectors.compile().expect_err("the selectors are wrong")
}

// Proves: SEL-002, SEL-003, SEL-004, SEL-005, TRL-359
#[test]
fn a_new_trail_collects_all_management_events_and_nothing_else() {
    let selectors = EventSelectors::default();
    for reads in [true, false] {
        assert!(takes(
            &selectors,
            &management("ec2.amazonaws.com", "X", reads)
        ));
        assert!(!takes(
            &selectors,
            &data(OBJECT, "arn:aws:s3:::b/k", "X", reads)
        ));
    }
    let network = event(EventClass::NetworkActivity, "kms.amazonaws.com", "X");
    assert!(!takes(&selectors, &network));
    let insight = event(EventClass::Insight, "kms.amazonaws.com", "X");
    assert!(!takes(&selectors, &insight));
}

// Proves: SEL-014, SEL-016, SEL-021, TRL-115
#[test]
fn reads_and_writes_can_be_collected_apart() {
    let of = |read_write_type| {
        basic(&[EventSelector {
            read_write_type,
            ..EventSelector::default()
        }])
    };
    let (reads, writes) = (of(ReadWriteType::ReadOnly), of(ReadWriteType::WriteOnly));
    let describe = management("ec2.amazonaws.com", "DescribeInstances", true);
    let terminate = management("ec2.amazonaws.com", "TerminateInstances", false);
    assert!(takes(&reads, &describe) && !takes(&reads, &terminate));
    assert!(takes(&writes, &terminate) && !takes(&writes, &describe));
    // It does not say that it changes nothing.
    let silent = RoutingHeader {
        read_only: None,
        ..describe
    };
    assert!(takes(&writes, &silent) && !takes(&reads, &silent));
}

// Proves: SEL-018, SEL-020, SEL-059, SEL-060, SEL-061
#[test]
fn sources_of_many_management_events_can_be_left_out() {
    let without = |sources: &[&str], read_write_type| {
        basic(&[EventSelector {
            read_write_type,
            exclude_management_event_sources: texts(sources),
            ..EventSelector::default()
        }])
    };
    let (encrypt, disable) = (
        management("kms.amazonaws.com", "Encrypt", true),
        management("kms.amazonaws.com", "DisableKey", false),
    );
    let query = management("rdsdata.amazonaws.com", "ExecuteStatement", false);
    let all = without(&[], ReadWriteType::All);
    assert!(
        [&encrypt, &disable, &query]
            .iter()
            .all(|one| takes(&all, one))
    );
    let none = without(
        &["kms.amazonaws.com", "rdsdata.amazonaws.com"],
        ReadWriteType::All,
    );
    assert!(
        ![&encrypt, &disable, &query]
            .iter()
            .any(|one| takes(&none, one))
    );
    assert!(takes(&none, &management("iam.amazonaws.com", "X", false)));
    let writes = without(&[], ReadWriteType::WriteOnly);
    assert!(takes(&writes, &disable) && !takes(&writes, &encrypt));
    let other = without(&["iam.amazonaws.com"], ReadWriteType::All);
    let refused = SelectorError::ExcludedSource("iam.amazonaws.com".to_owned());
    assert_eq!(refusal(&other), refused);
}

// Proves: SEL-058, SEL-062, SEL-125, SEL-126, TRL-117
#[test]
fn s3_objects_are_selected_by_bucket_and_prefix() {
    let bucket = basic(&[resources_of(OBJECT, &["arn:aws:s3:::bucket/"])]);
    assert!(takes(
        &bucket,
        &data(OBJECT, "arn:aws:s3:::bucket/a/b", "GetObject", true)
    ));
    assert!(!takes(
        &bucket,
        &data(OBJECT, "arn:aws:s3:::bucket2/a", "GetObject", true)
    ));
    let images = basic(&[EventSelector {
        read_write_type: ReadWriteType::WriteOnly,
        ..resources_of(OBJECT, &["arn:aws:s3:::bucket/my-images"])
    }]);
    let image = "arn:aws:s3:::bucket/my-images/example.jpg";
    assert!(takes(&images, &data(OBJECT, image, "DeleteObject", false)));
    assert!(!takes(&images, &data(OBJECT, image, "GetObject", true)));
    let video = "arn:aws:s3:::bucket/my-videos/example.avi";
    assert!(!takes(&images, &data(OBJECT, video, "DeleteObject", false)));
    for all in ["arn:aws:s3:::", "arn:aws:s3"] {
        let all = basic(&[resources_of(OBJECT, &[all])]);
        assert!(takes(&all, &data(OBJECT, video, "GetObject", true)));
        assert!(!takes(
            &all,
            &data("AWS::S3::Bucket", "arn:aws:s3:::bucket", "X", true)
        ));
        assert!(!takes(
            &all,
            &management("s3.amazonaws.com", "CreateBucket", false)
        ));
    }
}

// Proves: SEL-058, TRL-117
#[test]
fn objects_are_named_by_bucket_and_prefix_alone() {
    for wrong in [
        "arn:aws:s3:::bucket",
        "arn:aws:s3:::*",
        "arn:aws:s3:::*/*",
        "arn:aws:s3:::bucket*/",
        "arn:aws:s3:::/prefix",
        "arn:aws:s3:us-east-1",
        "arn:aws:s3::",
    ] {
        let refused = refusal(&basic(&[resources_of(OBJECT, &[wrong])]));
        assert_eq!(refused, SelectorError::ResourceValue(wrong.to_owned()));
        let words = format!("Value {wrong} for DataResources.Values is invalid.");
        assert_eq!(refused.to_string(), words);
    }
    // A star is a letter like others in a key.
    let star = basic(&[resources_of(OBJECT, &["arn:aws:s3:::bucket/*"])]);
    assert!(takes(
        &star,
        &data(OBJECT, "arn:aws:s3:::bucket/*a", "GetObject", true)
    ));
    assert!(!takes(
        &star,
        &data(OBJECT, "arn:aws:s3:::bucket/a", "GetObject", true)
    ));
}

// Proves: SEL-057, TRL-116, TRL-118, TRL-119
#[test]
fn functions_and_tables_are_selected_by_name() {
    let (lambda, dynamodb) = ("AWS::Lambda::Function", "AWS::DynamoDB::Table");
    let function = "arn:aws:lambda:us-east-1:111122223333:function:one";
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/one";
    for (resource_type, all, one) in [
        (lambda, "arn:aws:lambda", function),
        (dynamodb, "arn:aws:dynamodb", table),
    ] {
        let nothing_named = format!("{all}:::");
        let all = basic(&[resources_of(resource_type, &[all])]);
        let named = basic(&[resources_of(resource_type, &[one])]);
        let other = format!("{one}-more");
        for (arn, is_named) in [(one, true), (other.as_str(), false)] {
            let event = data(resource_type, arn, "X", false);
            assert!(takes(&all, &event));
            assert_eq!(takes(&named, &event), is_named, "{arn}");
        }
        let all_by_star = format!("{}*", one.trim_end_matches("one"));
        let wrong = [
            "arn:aws:s3:::b/",
            one.trim_start_matches("arn:"),
            "*",
            "",
            &all_by_star,
            &nothing_named,
        ];
        for wrong in wrong {
            let refused = refusal(&basic(&[resources_of(resource_type, &[wrong])]));
            assert!(
                matches!(refused, SelectorError::ResourceValue(_)),
                "{wrong}"
            );
        }
    }
    let alias = data(lambda, &format!("{function}:live"), "Invoke", false);
    assert!(takes(&basic(&[resources_of(lambda, &[function])]), &alias));
    let other = basic(&[resources_of("AWS::SNS::Topic", &["arn:aws:sns"])]);
    let refused = SelectorError::ResourceType("AWS::SNS::Topic".to_owned());
    assert_eq!(refusal(&other), refused);
}

// Proves: SEL-055, SEL-056, TRL-021
#[test]
fn basic_selectors_have_limits() {
    let many = |count| basic(&vec![EventSelector::default(); count]);
    assert!(many(BASIC_SELECTORS_MAX).compile().is_ok());
    assert_eq!(
        refusal(&many(BASIC_SELECTORS_MAX + 1)),
        SelectorError::TooManySelectors
    );
    assert_eq!(refusal(&many(0)), SelectorError::None);
    let with = |count: usize| {
        let halves = [count / 2, count - count / 2].map(|count| {
            let values = vec!["arn:aws:s3:::bucket/"; count];
            resources_of(OBJECT, &values)
        });
        basic(&halves)
    };
    assert!(with(DATA_RESOURCES_MAX).compile().is_ok());
    let refused = refusal(&with(DATA_RESOURCES_MAX + 1));
    assert_eq!(refused, SelectorError::TooManyDataResources);
    let nothing = EventSelector {
        include_management_events: false,
        ..EventSelector::default()
    };
    assert_eq!(refusal(&basic(&[nothing])), SelectorError::SelectsNothing);
    // As a real record of PutEventSelectors has it: it is taken, and collects nothing.
    let no_values = basic(&[resources_of(OBJECT, &[])]);
    assert_eq!(no_values.compile().map(|_| ()), Ok(()));
}

// Proves: SEL-067, SEL-108, SEL-109, SEL-110, SEL-113, SEL-114, TRL-094
#[test]
fn the_manuals_example_with_all_six_operators() {
    let selectors = of_objects(&[FieldSelector {
        field: "resources.ARN".to_owned(),
        equals: texts(&["arn:aws:s3:::amzn-s3-demo-bucket/object1"]),
        starts_with: texts(&["arn:aws:s3:::amzn-s3-demo-bucket/"]),
        ends_with: texts(&["object3"]),
        not_starts_with: texts(&["arn:aws:s3:::amzn-s3-demo-bucket/deselect"]),
        not_ends_with: texts(&["object5"]),
        not_equals: texts(&["arn:aws:s3:::amzn-s3-demo-bucket/object6"]),
    }]);
    for (name, is_taken) in [
        ("amzn-s3-demo-bucket/object1", true),
        ("amzn-s3-demo-bucket/object2", true),
        ("amzn-s3-demo-bucket1/object3", true),
        ("amzn-s3-demo-bucket1/object4", false),
        ("amzn-s3-demo-bucket/deselectObject4", false),
        ("amzn-s3-demo-bucket/object5", false),
        ("amzn-s3-demo-bucket/object6", false),
    ] {
        let event = data(OBJECT, &format!("arn:aws:s3:::{name}"), "GetObject", true);
        assert_eq!(takes(&selectors, &event), is_taken, "{name}");
    }
}

// Proves: SEL-084, SEL-098, SEL-115
#[test]
fn sessions_of_the_console_can_be_collected_alone_or_left_out() {
    let field = "sessionCredentialFromConsole";
    let plain = management("iam.amazonaws.com", "CreateUser", false);
    let console = RoutingHeader {
        session_credential_from_console: true,
        ..plain.clone()
    };
    let only = advanced("Management", &[equals(field, &["true"])]);
    assert!(takes(&only, &console) && !takes(&only, &plain));
    let without = advanced("Management", &[not_equals(field, &["true"])]);
    assert!(takes(&without, &plain) && !takes(&without, &console));
    let wrong = advanced("Management", &[equals(field, &["false"])]);
    assert!(matches!(refusal(&wrong), SelectorError::Value { .. }));
}

// Proves: SEL-083, SEL-099, TRL-106
#[test]
fn all_sessions_of_a_role_can_be_left_out() {
    let role = FieldSelector {
        field: "userIdentity.arn".to_owned(),
        not_starts_with: texts(&["arn:aws:sts::111122223333:assumed-role/backup/"]),
        ..FieldSelector::default()
    };
    let selectors = of_objects(&[role]);
    let nobody = data(OBJECT, "arn:aws:s3:::b/k", "GetObject", true);
    let by = |arn: &'static str| RoutingHeader {
        user_identity_arn: Some(Cow::Borrowed(arn)),
        ..nobody.clone()
    };
    assert!(!takes(
        &selectors,
        &by("arn:aws:sts::111122223333:assumed-role/backup/one")
    ));
    assert!(takes(
        &selectors,
        &by("arn:aws:sts::111122223333:assumed-role/other/one")
    ));
    assert!(takes(&selectors, &nobody), "who has no ARN is not excluded");
}

// Proves: SEL-111, SEL-112, SEL-117
#[test]
fn the_manuals_way_to_drop_the_parts_of_a_deletion_of_many() {
    let objects = equals("resources.type", &[OBJECT]);
    let selectors = EventSelectors::Advanced(vec![
        selector(
            "Data",
            &[objects.clone(), not_equals("eventName", &["DeleteObject"])],
        ),
        selector(
            "Data",
            &[
                objects,
                equals("eventName", &["DeleteObject"]),
                not_equals("eventType", &["AwsServiceEvent"]),
            ],
        ),
    ]);
    let whole = data(OBJECT, "arn:aws:s3:::b/k", "DeleteObjects", false);
    let one = data(OBJECT, "arn:aws:s3:::b/k", "DeleteObject", false);
    let part = RoutingHeader {
        event_type: Cow::Borrowed("AwsServiceEvent"),
        ..one.clone()
    };
    assert!(takes(&selectors, &whole) && takes(&selectors, &one));
    assert!(!takes(&selectors, &part));
}

// Proves: SEL-118
#[test]
fn any_resource_of_the_type_selects_and_any_excluded_one_drops() {
    let (table, stream) = ("AWS::DynamoDB::Table", "AWS::DynamoDB::Stream");
    let of_stream = RoutingHeader {
        resources: vec![resource(stream, "arn:s"), resource(table, "arn:t")],
        ..data(OBJECT, "arn:aws:s3:::b/k", "GetRecords", true)
    };
    let of = |resource_type| advanced("Data", &[equals("resources.type", &[resource_type])]);
    assert!(takes(&of(table), &of_stream) && takes(&of(stream), &of_stream));
    assert!(!takes(&of(OBJECT), &of_stream));
    let two = RoutingHeader {
        resources: vec![resource(OBJECT, "arn:one"), resource(OBJECT, "arn:two")],
        ..of_stream.clone()
    };
    assert!(takes(
        &of_objects(&[equals("resources.ARN", &["arn:two"])]),
        &two
    ));
    assert!(!takes(
        &of_objects(&[not_equals("resources.ARN", &["arn:two"])]),
        &two
    ));
    // A table's ARN says nothing of an object.
    assert!(!takes(
        &of_objects(&[equals("resources.ARN", &["arn:t"])]),
        &of_stream
    ));
    let derived = RoutingHeader {
        resources: vec![ResourceReference {
            in_record: false,
            ..resource(OBJECT, "arn:one")
        }],
        ..of_stream
    };
    assert!(!takes(&of(OBJECT), &derived), "it is not in the record");
}

// Proves: SEL-034, SEL-064, SEL-103, SEL-105, SEL-106, TRL-107
#[test]
fn network_activity_is_selected_by_source_and_refusal() {
    let source = equals("eventSource", &["kms.amazonaws.com"]);
    let all = advanced("NetworkActivity", std::slice::from_ref(&source));
    let denied = advanced(
        "NetworkActivity",
        &[source.clone(), equals("errorCode", &["VpceAccessDenied"])],
    );
    let plain = event(
        EventClass::NetworkActivity,
        "kms.amazonaws.com",
        "CreateKey",
    );
    let refused = RoutingHeader {
        error_code: Some(Cow::Borrowed("VpceAccessDenied")),
        vpc_endpoint_id: Some(Cow::Borrowed("vpce-1")),
        ..plain.clone()
    };
    assert!(takes(&all, &plain) && takes(&all, &refused));
    assert!(takes(&denied, &refused) && !takes(&denied, &plain));
    let endpoint = equals("vpcEndpointId", &["vpce-1"]);
    let endpoint = advanced("NetworkActivity", &[source.clone(), endpoint]);
    assert!(takes(&endpoint, &refused) && !takes(&endpoint, &plain));
    let other = event(EventClass::NetworkActivity, "ec2.amazonaws.com", "X");
    assert!(!takes(&all, &other));
    let missing = SelectorError::MissingField("eventSource");
    assert_eq!(refusal(&advanced("NetworkActivity", &[])), missing);
    let excluded = not_equals("eventSource", &["kms.amazonaws.com"]);
    assert_eq!(refusal(&advanced("NetworkActivity", &[excluded])), missing);
    let wrong = equals("errorCode", &["AccessDenied"]);
    let wrong = advanced("NetworkActivity", &[source, wrong]);
    assert!(matches!(refusal(&wrong), SelectorError::Value { .. }));
}

/// Every case is refused with its message.
fn all_refused(cases: &[(EventSelectors, &str)]) {
    for (selectors, message) in cases {
        assert_eq!(refusal(selectors).to_string(), *message);
    }
}

// Proves: SEL-068, SEL-069, SEL-080, SEL-089, SEL-107, TRL-096
#[test]
fn fields_that_a_category_needs_or_does_not_have() {
    let needs_type = "A selector needs resources.type with one value of Equals.";
    let objects = equals("resources.type", &[OBJECT]);
    let two_types = equals("resources.type", &[OBJECT, "AWS::SNS::Topic"]);
    let source = equals("eventSource", &["kms.amazonaws.com"]);
    let read = equals("readOnly", &["true"]);
    let denied = equals("errorCode", &["VpceAccessDenied"]);
    let no_category = EventSelectors::Advanced(vec![AdvancedEventSelector::default()]);
    all_refused(&[
        (
            no_category,
            "A selector needs eventCategory with one value of Equals.",
        ),
        (
            advanced("Managment", &[]),
            "Managment is not a value of eventCategory.",
        ),
        (advanced("Data", &[]), needs_type),
        (advanced("Data", &[two_types]), needs_type),
        (
            advanced("Management", std::slice::from_ref(&objects)),
            "resources.type cannot be used with eventCategory Management.",
        ),
        (
            advanced("NetworkActivity", &[source, read]),
            "readOnly cannot be used with eventCategory NetworkActivity.",
        ),
        (
            advanced("Management", &[denied]),
            "errorCode cannot be used with eventCategory Management.",
        ),
        (
            of_objects(&[equals("resources.arn", &["arn:aws:s3:::b/k"])]),
            "resources.arn is not a field of advanced event selectors.",
        ),
        (
            of_objects(&[objects]),
            "resources.type stands more than once in a selector.",
        ),
    ]);
}

// Proves: SEL-065, SEL-081, SEL-084, SEL-088, SEL-089, SEL-090, TRL-101, TRL-105
#[test]
fn operators_and_values_that_a_field_does_not_take() {
    let beginning = |field: &str| FieldSelector {
        field: field.to_owned(),
        starts_with: texts(&["true"]),
        ..FieldSelector::default()
    };
    let category = AdvancedEventSelector {
        name: None,
        field_selectors: vec![not_equals("eventCategory", &["Data"])],
    };
    all_refused(&[
        (
            EventSelectors::Advanced(vec![category]),
            "eventCategory does not take NotEquals.",
        ),
        (
            advanced("Data", &[not_equals("resources.type", &[OBJECT])]),
            "resources.type does not take NotEquals.",
        ),
        (
            advanced("Management", &[beginning("readOnly")]),
            "readOnly does not take StartsWith.",
        ),
        (
            advanced("Management", &[equals("readOnly", &["yes"])]),
            "yes is not a value of readOnly.",
        ),
        (
            advanced("Management", &[beginning("sessionCredentialFromConsole")]),
            "sessionCredentialFromConsole does not take StartsWith.",
        ),
        (
            advanced("Management", &[equals("eventName", &[])]),
            "eventName has no condition.",
        ),
    ]);
}

// Proves: SEL-072, SEL-078, TRL-020, TRL-108
#[test]
fn values_are_limited_and_stand_once() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("Name{number}")).collect();
        FieldSelector {
            field: "eventName".to_owned(),
            equals: names,
            ..FieldSelector::default()
        }
    };
    // The category is a value as well.
    assert!(
        advanced("Management", &[names(VALUES_MAX - 1)])
            .compile()
            .is_ok()
    );
    let refused = refusal(&advanced("Management", &[names(VALUES_MAX)]));
    assert_eq!(refused, SelectorError::TooManyValues);
    assert_eq!(
        refusal(&EventSelectors::Advanced(Vec::new())),
        SelectorError::None
    );
    let both = FieldSelector {
        not_equals: texts(&["A"]),
        ..equals("eventName", &["A"])
    };
    for wrong in [both, equals("eventName", &["A", "B", "A"])] {
        let refused = refusal(&advanced("Management", &[wrong]));
        assert!(matches!(refused, SelectorError::RepeatedValue { .. }));
    }
}

/// Texts of few letters, so that they often begin, end or equal one another.
fn word() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![Just('a'), Just('b'), Just('é')], 1..5)
        .prop_map(|letters| letters.into_iter().collect())
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(word(), 0..5).prop_map(|words| words.into_iter().collect())
}

fn conditions() -> impl Strategy<Value = FieldSelector> {
    let lists = (words(), words(), words(), words(), words(), words());
    lists.prop_map(
        |(equals, starts_with, ends_with, no, not_starts_with, not_ends_with)| {
            let not_equals = no.into_iter().filter(|one| !equals.contains(one)).collect();
            let keep = |list: Vec<String>, other: &[String]| {
                list.into_iter()
                    .filter(|one| !other.contains(one))
                    .collect()
            };
            FieldSelector {
                field: String::new(),
                not_starts_with: keep(not_starts_with, &starts_with),
                not_ends_with: keep(not_ends_with, &ends_with),
                equals,
                starts_with,
                ends_with,
                not_equals,
            }
        },
    )
}

/// The rules as the manual words them.
fn naively(conditions: &FieldSelector, value: Option<&str>) -> bool {
    let hits = |whole: &[String], beginnings: &[String], ends: &[String], value: &str| {
        whole.iter().any(|one| one == value)
            || beginnings.iter().any(|one| value.starts_with(one.as_str()))
            || ends.iter().any(|one| value.ends_with(one.as_str()))
    };
    let c = conditions;
    let wants_all = c.equals.is_empty() && c.starts_with.is_empty() && c.ends_with.is_empty();
    let Some(value) = value else { return wants_all };
    let is_wanted = wants_all || hits(&c.equals, &c.starts_with, &c.ends_with, value);
    let is_excluded = hits(&c.not_equals, &c.not_starts_with, &c.not_ends_with, value);
    is_wanted && !is_excluded
}

proptest! {
    // Proves: SEL-108, SEL-109, SEL-110, SEL-111
    #[test]
    fn compiled_selectors_agree_with_a_naive_reading(
        (names, identities, arns) in (conditions(), conditions(), conditions()),
        read_only in any::<Option<bool>>(),
        name in word(),
        identity in prop::option::of(word()),
        resources in prop::collection::vec((any::<bool>(), word()), 0..4),
        is_read in any::<Option<bool>>(),
    ) {
        let mut fields = vec![
            equals("eventCategory", &["Data"]),
            equals("resources.type", &[OBJECT]),
        ];
        for (field, conditions) in [
            ("eventName", &names),
            ("userIdentity.arn", &identities),
            ("resources.ARN", &arns),
        ] {
            let field = field.to_owned();
            let given = FieldSelector { field, ..conditions.clone() };
            if given != equals(&given.field, &[]) {
                fields.push(given);
            }
        }
        if let Some(read_only) = read_only {
            fields.push(equals("readOnly", &[&read_only.to_string()]));
        }
        let field_selectors = fields;
        let selectors = vec![AdvancedEventSelector { name: None, field_selectors }];
        let selectors = EventSelectors::Advanced(selectors);
        let resource_type = |is_object: bool| if is_object { OBJECT } else { "AWS::S3::Bucket" };
        let event = RoutingHeader {
            event_name: Cow::Owned(name.clone()),
            user_identity_arn: identity.clone().map(Cow::Owned),
            read_only: is_read,
            resources: resources
                .iter()
                .map(|(is_object, arn)| resource(resource_type(*is_object), arn))
                .collect(),
            ..event(EventClass::Data, "s3.amazonaws.com", "X")
        };
        let objects = || resources.iter().filter(|(is_object, _)| *is_object);
        let only_excluding = FieldSelector {
            equals: Vec::new(),
            starts_with: Vec::new(),
            ends_with: Vec::new(),
            ..arns.clone()
        };
        let expected = naively(&names, Some(&name))
            && naively(&identities, identity.as_deref())
            && read_only.is_none_or(|wanted| wanted == is_read.unwrap_or(false))
            && objects().any(|(_, arn)| naively(&arns, Some(arn)))
            && objects().all(|(_, arn)| naively(&only_excluding, Some(arn)));
        assert_eq!(takes(&selectors, &event), expected, "{selectors:?} {event:?}");
    }
}
