//! The table is complete and unambiguous, and says of each operation what the registers say.

use std::collections::BTreeSet;

use super::{Operation, ResourceRule, Service, When, find, operations, route, route_rest};
use crate::error::ErrorCode;
use crate::generated::{cloudtrail, cloudtrail_data};
use crate::shape::{Kind, Location, Shape};

fn row(name: &str) -> &'static Operation {
    find(Service::CloudTrail, name).expect("an operation of the table")
}

#[test]
fn every_operation_of_the_models_has_one_row_and_no_other_has() {
    let modelled: BTreeSet<&str> = cloudtrail::contracts::ALL
        .iter()
        .chain(cloudtrail_data::contracts::ALL.iter())
        .map(|contract| contract.name)
        .collect();
    let rows: Vec<&str> = operations().iter().map(|row| row.name).collect();
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), modelled);
    assert_eq!(rows.len(), modelled.len(), "no row twice");
    assert_eq!(rows.len(), 61);
}

#[test]
fn a_row_carries_its_own_contract() {
    for row in operations() {
        assert_eq!(row.input.name, format!("{}Request", row.name));
        assert_eq!(row.output.name, format!("{}Response", row.name));
        assert_eq!(format!("{:?}", row.id), row.name);
        assert!(std::ptr::eq(row.id.operation(), *row), "{}", row.name);
    }
}

#[test]
fn rows_are_sorted_so_that_routing_finds_each() {
    for row in operations() {
        let found = find(row.service, row.name).expect("found");
        assert!(std::ptr::eq(found, *row), "{}", row.name);
    }
    assert!(find(Service::CloudTrailData, "LookupEvents").is_none());
    assert!(find(Service::CloudTrail, "PutAuditEvents").is_none());
}

// Proves: SEC-119, SEC-120, SEC-121
#[test]
fn actions_are_the_services_prefix_and_the_operations_name() {
    for row in operations() {
        let prefix = row.service.signing_name();
        assert_eq!(row.iam_action, format!("{prefix}:{}", row.name));
    }
}

#[test]
fn both_spellings_of_a_target_route_and_no_other() {
    for row in operations()
        .iter()
        .filter(|row| row.service == Service::CloudTrail)
    {
        for prefix in [
            "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.",
            "CloudTrail_20131101.",
        ] {
            let found = route(&format!("{prefix}{}", row.name)).expect("routes");
            assert_eq!(found.name, row.name);
        }
    }
    for target in [
        "",
        "LookupEvents",
        "CloudTrail_20131101.",
        "CloudTrail_20131101.lookupevents",
        "CloudTrail_20131101.LookupEvents ",
        "CloudTrail_20131101.CloudTrail_20131101.LookupEvents",
        "cloudtrail_20131101.LookupEvents",
        "DynamoDB_20120810.ListTables",
        "CloudTrail_20131101.PutAuditEvents",
    ] {
        assert!(route(target).is_err(), "{target}");
    }
}

#[test]
fn put_audit_events_routes_by_method_and_path() {
    assert_eq!(
        route_rest("POST", "/PutAuditEvents").expect("routes").name,
        "PutAuditEvents"
    );
    for (method, path) in [
        ("GET", "/PutAuditEvents"),
        ("POST", "/putauditevents"),
        ("POST", "/"),
        ("POST", ""),
    ] {
        assert!(route_rest(method, path).is_err(), "{method} {path}");
    }
}

#[test]
fn rules_name_members_that_requests_have() {
    for row in operations() {
        check_rule(row, row.resource);
        for dependency in row.dependencies {
            check_rule(row, dependency.resource);
            match dependency.when {
                When::Always => {}
                When::Given(member) => {
                    assert!(row.input.member(member).is_some(), "{} {member}", row.name);
                }
                When::True(member) => {
                    let shape = row.input.member(member).expect("a member").shape;
                    assert!(matches!(shape.kind, Kind::Boolean), "{} {member}", row.name);
                }
            }
        }
        for path in row.recording.sensitive {
            assert!(
                member_at(row.input, path) || member_at(row.output, path),
                "{path}"
            );
        }
    }
}

fn check_rule(row: &Operation, rule: ResourceRule) {
    let text = |member: &str| {
        let shape = row
            .input
            .member(member)
            .unwrap_or_else(|| panic!("{} {member}", row.name));
        assert!(
            matches!(shape.shape.kind, Kind::String(_)),
            "{} {member}",
            row.name
        );
    };
    let list = |member: &str| {
        let shape = row
            .input
            .member(member)
            .unwrap_or_else(|| panic!("{} {member}", row.name));
        assert!(
            matches!(shape.shape.kind, Kind::List { .. }),
            "{} {member}",
            row.name
        );
    };
    match rule {
        ResourceRule::Any => {}
        ResourceRule::Trail(member)
        | ResourceRule::EventDataStore(member)
        | ResourceRule::Channel(member)
        | ResourceRule::Dashboard(member)
        | ResourceRule::Arn(member)
        | ResourceRule::StoresOfStatement(member)
        | ResourceRule::StoresOfDashboard(member) => text(member),
        ResourceRule::StoreOfQuery(member) => {
            text(member);
            text("QueryId");
        }
        ResourceRule::TrailOrEventDataStore(trail, store) => {
            text(trail);
            text(store);
        }
        ResourceRule::EventDataStores(member)
        | ResourceRule::Arns(member)
        | ResourceRule::StoresOfWidgets(member) => list(member),
        ResourceRule::Verbatim(path) => {
            let mut shape = row.input;
            for member in path {
                shape = shape
                    .member(member)
                    .unwrap_or_else(|| panic!("{member}"))
                    .shape;
            }
            assert!(
                matches!(shape.kind, Kind::String(_)),
                "{} {path:?}",
                row.name
            );
        }
    }
}

fn member_at(shape: &'static Shape, path: &str) -> bool {
    let mut shape = shape;
    for name in path.split('.') {
        while let Kind::List { element, .. } = &shape.kind {
            shape = element;
        }
        match shape.member(name) {
            Some(member) => shape = member.shape,
            None => return false,
        }
    }
    true
}

// Proves: SEC-128
#[test]
fn what_creates_or_lists_is_checked_on_everything() {
    for name in [
        "CreateTrail",
        "CreateEventDataStore",
        "CreateChannel",
        "CreateDashboard",
    ] {
        assert_eq!(row(name).resource, ResourceRule::Any);
    }
    for name in [
        "ListTrails",
        "ListEventDataStores",
        "ListChannels",
        "ListDashboards",
    ] {
        assert_eq!(row(name).resource, ResourceRule::Any);
    }
    assert_eq!(row("LookupEvents").resource, ResourceRule::Any);
}

#[test]
fn reads_change_nothing_and_are_named_so() {
    for row in operations() {
        let reads = ["Get", "List", "Describe", "Lookup", "Search"];
        let named_read = reads.iter().any(|verb| row.name.starts_with(verb));
        assert_eq!(row.read_only, named_read, "{}", row.name);
    }
}

#[test]
fn every_modelled_error_belongs_to_some_operation() {
    let common = [
        ErrorCode::ExpiredTokenException,
        ErrorCode::IncompleteSignatureException,
        ErrorCode::InternalFailure,
        ErrorCode::InvalidSignatureException,
        ErrorCode::MissingAuthenticationTokenException,
        ErrorCode::RequestExpired,
        ErrorCode::RequestEntityTooLargeException,
        ErrorCode::RequestTimeoutException,
        ErrorCode::SerializationException,
        ErrorCode::ServiceUnavailable,
        ErrorCode::UnknownOperationException,
        ErrorCode::UnrecognizedClientException,
        ErrorCode::ValidationException,
    ];
    let modelled: BTreeSet<ErrorCode> = operations()
        .iter()
        .flat_map(|row| row.errors)
        .copied()
        .collect();
    for code in ErrorCode::ALL {
        assert_ne!(modelled.contains(code), common.contains(code), "{code}");
    }
}

#[test]
fn every_operation_may_answer_that_it_is_not_built() {
    for row in operations() {
        assert!(
            row.errors
                .contains(&ErrorCode::UnsupportedOperationException),
            "{}",
            row.name
        );
    }
}

#[test]
fn only_put_audit_events_has_members_outside_the_body() {
    for row in operations() {
        let outside: Vec<&str> = row
            .input
            .members()
            .iter()
            .filter(|member| member.location != Location::Body)
            .map(|member| member.name)
            .collect();
        let expected: &[&str] = if row.name == "PutAuditEvents" {
            &["channelArn", "externalId"]
        } else {
            &[]
        };
        assert_eq!(outside, expected, "{}", row.name);
    }
}

#[test]
fn every_pattern_of_the_models_compiles() {
    let mut patterns = 0;
    for row in operations() {
        patterns += compile_patterns(row.input) + compile_patterns(row.output);
    }
    assert!(patterns > 100, "only {patterns} patterns seen");
}

/// Matching compiles; a pattern that does not compile panics.
fn compile_patterns(shape: &'static Shape) -> usize {
    match &shape.kind {
        Kind::Structure(members) => members
            .iter()
            .map(|member| compile_patterns(member.shape))
            .sum(),
        Kind::List { element, .. } => compile_patterns(element),
        Kind::Map { key, value, .. } => compile_patterns(key) + compile_patterns(value),
        Kind::String(string) => string.pattern.as_ref().map_or(0, |pattern| {
            pattern.matches("x");
            1
        }),
        Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Float
        | Kind::Double
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::Blob => 0,
    }
}
