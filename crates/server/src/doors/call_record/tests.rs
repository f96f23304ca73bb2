use cairn_access::{Principal, RoleSession, User, UserSession};
use cairn_model::AccountId;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{CallRecord, RecordIds, RecordedResource, ServiceEvent};
use crate::doors::user_identity::RecordedCaller;
use crate::http::TlsFacts;

fn account(text: &str) -> AccountId {
    text.parse().expect("twelve digits")
}

fn user() -> User {
    User {
        account: account("111122223333"),
        name: "Mary".into(),
        path: "/team/".into(),
        id: "AIDAEXAMPLE".into(),
    }
}

fn role_session() -> RoleSession {
    RoleSession {
        account: account("111122223333"),
        role_name: "Auditor".into(),
        role_path: "/team/".into(),
        role_id: "AROAEXAMPLE".into(),
        session_name: "mary".into(),
        source_identity: Some("mary@example.com".into()),
        issued_ms: 1_689_801_909_999,
        mfa: false,
    }
}

fn caller(principal: &Principal) -> RecordedCaller<'_> {
    RecordedCaller {
        principal,
        access_key_id: "AKIAEXAMPLE",
        account_alias: None,
        invoked_by: None,
    }
}

fn record(caller: RecordedCaller<'_>) -> CallRecord<'_> {
    CallRecord {
        caller,
        completed_ms: 1_689_801_910_500,
        event_source: "cloudtrail.amazonaws.com",
        event_name: "UpdateTrail",
        region: "us-east-1",
        source_ip: "192.0.2.1",
        user_agent: Some("aws-cli/2.13.5 command/cloudtrail.update-trail"),
        error: None,
        request_parameters: json!({"name": "trail"}),
        response_elements: Value::Null,
        additional_event_data: Value::Null,
        request_id: "11111111-2222-4333-8444-555555555555",
        read_only: false,
        resources: &[],
        category: "Management",
        tls: None,
        client_host: Some("cloudtrail.us-east-1.amazonaws.com"),
        hides_owner: false,
    }
}

fn ids() -> RecordIds<'static> {
    RecordIds {
        event_id: "66666666-7777-4888-8999-000000000000",
        recipient: account("111122223333"),
        shared_event_id: None,
    }
}

fn check(record: &CallRecord<'_>, ids: RecordIds<'_>, expected: &Expect) {
    let json: Value = serde_json::from_slice(&record.to_json(ids)).expect("it is JSON");
    expected.assert_eq(&serde_json::to_string_pretty(&json).expect("it is JSON"));
}

// Proves: SEC-011, SEC-013, SEC-014, SEC-015, SEC-017, SEC-018, SEC-027, SEC-028, REC-004, REC-051
#[test]
fn a_refused_call_of_a_user_has_every_member_in_cloudtrails_order() {
    let principal = Principal::User(user());
    let mut record = record(caller(&principal));
    record.error = Some((
        "TrailNotFoundException",
        "Unknown trail: x for the user: 111122223333",
    ));
    record.tls = Some(TlsFacts {
        version: "TLSv1.3",
        cipher_suite: "TLS_AES_128_GCM_SHA256",
    });
    check(
        &record,
        ids(),
        &expect![[r#"
            {
              "eventVersion": "1.11",
              "userIdentity": {
                "type": "IAMUser",
                "principalId": "AIDAEXAMPLE",
                "arn": "arn:aws:iam::111122223333:user/team/Mary",
                "accountId": "111122223333",
                "accessKeyId": "AKIAEXAMPLE",
                "userName": "Mary"
              },
              "eventTime": "2023-07-19T21:25:10Z",
              "eventSource": "cloudtrail.amazonaws.com",
              "eventName": "UpdateTrail",
              "awsRegion": "us-east-1",
              "sourceIPAddress": "192.0.2.1",
              "userAgent": "aws-cli/2.13.5 command/cloudtrail.update-trail",
              "errorCode": "TrailNotFoundException",
              "errorMessage": "Unknown trail: x for the user: 111122223333",
              "requestParameters": {
                "name": "trail"
              },
              "responseElements": null,
              "requestID": "11111111-2222-4333-8444-555555555555",
              "eventID": "66666666-7777-4888-8999-000000000000",
              "readOnly": false,
              "eventType": "AwsApiCall",
              "managementEvent": true,
              "recipientAccountId": "111122223333",
              "eventCategory": "Management",
              "tlsDetails": {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": "cloudtrail.us-east-1.amazonaws.com"
              }
            }"#]],
    );
}

fn check_identity(identity: &Value, expected: &Expect) {
    expected.assert_eq(&serde_json::to_string(identity).expect("it is JSON"));
}

// Proves: REC-094, REC-098, REC-099, REC-103, REC-110, REC-120, REC-123
#[test]
fn a_role_session_shows_its_role_and_its_source_identity() {
    let principal = Principal::RoleSession(role_session());
    check_identity(
        &caller(&principal).user_identity(),
        &expect![[
            r#"{"type":"AssumedRole","principalId":"AROAEXAMPLE:mary","arn":"arn:aws:sts::111122223333:assumed-role/Auditor/mary","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/team/Auditor","accountId":"111122223333","userName":"Auditor"},"attributes":{"creationDate":"2023-07-19T21:25:09Z","mfaAuthenticated":"false"},"sourceIdentity":"mary@example.com"}}"#
        ]],
    );
}

// Proves: REC-097, REC-109, SEC-012
#[test]
fn a_users_session_shows_when_it_began() {
    let session = UserSession {
        user: user(),
        issued_ms: 1_689_801_909_000,
        mfa: true,
    };
    let principal = Principal::UserSession(session);
    check_identity(
        &caller(&principal).user_identity(),
        &expect![[
            r#"{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/team/Mary","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE","userName":"Mary","sessionContext":{"attributes":{"creationDate":"2023-07-19T21:25:09Z","mfaAuthenticated":"true"}}}"#
        ]],
    );
}

// Proves: REC-091, REC-105
#[test]
fn root_goes_by_the_accounts_alias_and_services_by_their_name() {
    let root = Principal::Root {
        account: account("111122223333"),
    };
    let mut shown = caller(&root);
    check_identity(
        &shown.user_identity(),
        &expect![[
            r#"{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE"}"#
        ]],
    );
    shown.account_alias = Some("acme");
    assert_eq!(shown.user_identity()["userName"], "acme");
    let service = Principal::Service {
        name: "cloudtrail.amazonaws.com".into(),
    };
    check_identity(
        &caller(&service).user_identity(),
        &expect![[r#"{"type":"AWSService","invokedBy":"cloudtrail.amazonaws.com"}"#]],
    );
}

// Proves: REC-034, REC-062, REC-063, REC-065, REC-122
#[test]
fn another_accounts_copy_shows_an_outsider_under_the_same_shared_id() {
    let principal = Principal::User(user());
    let resources = [RecordedResource::new(
        account("999999999999"),
        "AWS::IAM::Role",
        "arn:aws:iam::999999999999:role/Guest".into(),
    )];
    let mut record = record(caller(&principal));
    record.resources = &resources;
    let copy = RecordIds {
        recipient: account("999999999999"),
        shared_event_id: Some("shared"),
        ..ids()
    };
    let json: Value = serde_json::from_slice(&record.to_json(copy)).expect("it is JSON");
    assert_eq!(
        json["userIdentity"],
        json!({"type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": "111122223333"})
    );
    assert_eq!(json["recipientAccountId"], "999999999999");
    assert_eq!(json["sharedEventID"], "shared");
    assert_eq!(
        json["resources"],
        json!([{
            "accountId": "999999999999",
            "type": "AWS::IAM::Role",
            "ARN": "arn:aws:iam::999999999999:role/Guest",
        }])
    );
    let own: Value = serde_json::from_slice(&record.to_json(ids())).expect("it is JSON");
    assert_eq!(own["userIdentity"]["type"], "IAMUser");
    assert!(own.get("sharedEventID").is_none());
}

// Proves: REC-016, REC-020, REC-055
#[test]
fn long_texts_are_cut_at_a_character() {
    let principal = Principal::User(user());
    let agent = "é".repeat(1000);
    let mut record = record(caller(&principal));
    record.user_agent = Some(&agent);
    let json: Value = serde_json::from_slice(&record.to_json(ids())).expect("it is JSON");
    assert_eq!(json["userAgent"], "é".repeat(512));
}

// Proves: REC-015, REC-017, REC-124, REC-125, REC-126
#[test]
fn own_service_events_are_acceptable_to_the_door() {
    let event = ServiceEvent {
        account: account("111122223333"),
        region: "eu-west-1",
        completed_ms: 0,
        event_source: "cloudtrail.amazonaws.com",
        event_name: "DuplicateEventRefused",
        details: json!({"count": 1}),
    };
    let json = event.to_json("66666666-7777-4888-8999-000000000000");
    let mut new_event_id = || panic!("the record has its ID");
    let mut completion = cairn_model::Completion {
        account: account("111122223333"),
        new_event_id: &mut new_event_id,
    };
    let event = cairn_model::canonicalize(&json, &mut completion).expect("it is valid");
    assert_eq!(event.json, json, "nothing had to be added");
    assert_eq!(event.header.event_type, "AwsServiceEvent");
    let record: Value = serde_json::from_slice(&event.json).expect("it is JSON");
    let identity = json!({"accountId": "111122223333", "invokedBy": "AWS Internal"});
    assert_eq!(record["userIdentity"], identity);
    assert_eq!(record["sourceIPAddress"], "AWS Internal");
    assert_eq!(record["userAgent"], "cloudtrail.amazonaws.com");
}
