//! Usernames by type of identity, and resources derived from requests and responses.

use std::borrow::Cow;

use crate::json::Document;

use super::{Identity, ResourceSources, resources};

fn user_name(identity: &str) -> Option<String> {
    let document = Document::parse(identity.as_bytes()).expect("an identity");
    Identity::read(Some(document.root()))
        .user_name()
        .map(Cow::into_owned)
}

// Proves: OVR-079, OVR-086, OVR-089
#[test]
fn the_username_follows_the_type_of_identity() {
    let name = |name: &str| Some(name.to_owned());
    let root = r#"{"type":"Root","principalId":"123456789012","userName":"alias"}"#;
    assert_eq!(user_name(root), name("root"));
    let user =
        r#"{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/p/alice","userName":"al"}"#;
    assert_eq!(user_name(user), name("al"));
    let user = r#"{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/p/alice"}"#;
    assert_eq!(user_name(user), name("alice"));
    let session = r#"{"type":"AssumedRole","principalId":"AROA1:ignored",
        "arn":"arn:aws:sts::123456789012:assumed-role/Role/Session",
        "sessionContext":{"sessionIssuer":{"userName":"Role"}}}"#;
    assert_eq!(user_name(session), name("Session"));
    let session = r#"{"type":"AssumedRole","principalId":"AROA1:Session"}"#;
    assert_eq!(user_name(session), name("Session"));
    let federated =
        r#"{"type":"FederatedUser","arn":"arn:aws:sts::123456789012:federated-user/bob"}"#;
    assert_eq!(user_name(federated), name("bob"));
    let web = r#"{"type":"WebIdentityUser","userName":"user of id","identityProvider":"x"}"#;
    assert_eq!(user_name(web), name("user of id"));
    assert_eq!(
        user_name(r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}"#),
        None
    );
    assert_eq!(
        user_name(r#"{"type":"AWSAccount","principalId":"AIDA1","accountId":"1"}"#),
        None
    );
    assert_eq!(
        user_name(r#"{"accountId":"1","invokedBy":"AWS Internal"}"#),
        None
    );
    assert_eq!(user_name(r#"{"type":"Unknown"}"#), None);
    assert_eq!(user_name(r#"{"type":"IAMUser","userName":""}"#), None);
}

/// The resources of an event, each as `type name`, with a star for those in the record.
fn named(source: &str, name: &str, event: &str) -> Vec<String> {
    let document = Document::parse(event.as_bytes()).expect("an event");
    let root = document.root();
    resources(&ResourceSources {
        event_source: source,
        event_name: name,
        resources: root.get("resources"),
        request_parameters: root.get("requestParameters"),
        response_elements: root.get("responseElements"),
    })
    .iter()
    .map(|resource| {
        let star = if resource.in_record { "*" } else { "" };
        format!(
            "{star}{} {}",
            resource.resource_type.as_deref().unwrap_or("-"),
            resource.name
        )
    })
    .collect()
}

// Proves: OVR-079, OVR-087
#[test]
fn the_records_own_resources_come_first_as_they_are() {
    let event = r#"{"resources":[
            {"ARN":"arn:aws:s3:::b/key","type":"AWS::S3::Object"},
            {"accountId":"1","ARN":"arn:aws:s3:::b","type":"AWS::S3::Bucket"},
            {"ARNPrefix":"arn:aws:s3:::b/p/"},
            {"type":"AWS::S3::Object","ARN":""}, {}],
        "requestParameters":{"bucketName":"b"}}"#;
    assert_eq!(
        named("s3.amazonaws.com", "GetObject", event),
        [
            "*AWS::S3::Object arn:aws:s3:::b/key",
            "*AWS::S3::Bucket arn:aws:s3:::b",
            "*- arn:aws:s3:::b/p/",
            "*AWS::S3::Object ",
            "AWS::S3::Bucket b",
        ]
    );
}

#[test]
fn a_derived_resource_that_the_record_lists_is_not_repeated() {
    let event = r#"{"resources":[{"ARN":"arn:aws:kms:us-east-1:1:key/k","type":"AWS::KMS::Key"}],
        "requestParameters":{"keyId":"arn:aws:kms:us-east-1:1:key/k"},
        "responseElements":{"keyId":"arn:aws:kms:us-east-1:1:key/k"}}"#;
    assert_eq!(
        named("kms.amazonaws.com", "Decrypt", event),
        ["*AWS::KMS::Key arn:aws:kms:us-east-1:1:key/k"]
    );
}

// Proves: OVR-079
#[test]
fn requests_and_responses_of_common_services_name_their_resources() {
    let run = r#"{"requestParameters":{"instancesSet":{"items":[{"imageId":"ami-1","keyName":"ops"}]}},
        "responseElements":{"instancesSet":{"items":[
            {"instanceId":"i-1","imageId":"ami-1","subnetId":"subnet-1","vpcId":"vpc-1"},
            {"instanceId":"i-2","groupSet":{"items":[{"groupId":"sg-1","groupName":"web"}]}}]}}}"#;
    assert_eq!(
        named("ec2.amazonaws.com", "RunInstances", run),
        [
            "AWS::EC2::Ami ami-1",
            "AWS::EC2::KeyPair ops",
            "AWS::EC2::Instance i-1",
            "AWS::EC2::Instance i-2",
            "AWS::EC2::Subnet subnet-1",
            "AWS::EC2::VPC vpc-1",
            "AWS::EC2::SecurityGroup sg-1",
            "AWS::EC2::SecurityGroup web",
        ]
    );
    let put =
        r#"{"requestParameters":{"roleName":"CloudTrail_CloudWatchLogs_Role","policyName":"p"}}"#;
    assert_eq!(
        named("iam.amazonaws.com", "PutRolePolicy", put),
        [
            "AWS::IAM::Role CloudTrail_CloudWatchLogs_Role",
            "AWS::IAM::Policy p"
        ]
    );
    let assume = r#"{"requestParameters":{"roleArn":"arn:aws:iam::1:role/r","roleSessionName":"s"},
        "responseElements":{"credentials":{"accessKeyId":"ASIA1"},
            "assumedRoleUser":{"assumedRoleId":"AROA1:s","arn":"arn:aws:sts::1:assumed-role/r/s"}}}"#;
    assert_eq!(
        named("sts.amazonaws.com", "AssumeRole", assume),
        [
            "AWS::IAM::Role arn:aws:iam::1:role/r",
            "AWS::STS::AssumedRole s",
            "AWS::IAM::AccessKey ASIA1",
            "AWS::STS::AssumedRole AROA1:s",
            "AWS::STS::AssumedRole arn:aws:sts::1:assumed-role/r/s",
        ]
    );
    let create = r#"{"requestParameters":{"name":"main","s3BucketName":"logs"}}"#;
    assert_eq!(
        named("cloudtrail.amazonaws.com", "CreateTrail", create),
        ["AWS::CloudTrail::Trail main", "AWS::S3::Bucket logs"]
    );
    let store = r#"{"requestParameters":{"name":"main"}}"#;
    assert_eq!(
        named("cloudtrail.amazonaws.com", "CreateEventDataStore", store),
        ["AWS::CloudTrail::EventDataStore main"]
    );
}

#[test]
fn what_is_no_name_is_passed_over() {
    let event = r#"{"requestParameters":{"bucketName":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#;
    assert!(named("s3.amazonaws.com", "GetObject", event).is_empty());
    for value in ["\"\"", "null", "5", "{\"a\":\"b\"}", "[[],{}]"] {
        let event = format!(r#"{{"requestParameters":{{"bucketName":{value}}}}}"#);
        assert!(
            named("s3.amazonaws.com", "GetObject", &event).is_empty(),
            "{value}"
        );
    }
    assert!(
        named(
            "s3.amazonaws.com",
            "GetObject",
            r#"{"requestParameters":"bucketName"}"#
        )
        .is_empty()
    );
    assert!(
        named(
            "other.example.com",
            "X",
            r#"{"requestParameters":{"bucketName":"b"}}"#
        )
        .is_empty()
    );
}

#[test]
fn derived_resources_are_bounded_and_found_in_linear_time() {
    let names: Vec<String> = (0..5000).map(|i| format!("\"name{i}\"")).collect();
    let event = format!(
        r#"{{"requestParameters":{{"bucketName":[{}]}}}}"#,
        names.join(",")
    );
    assert_eq!(named("s3.amazonaws.com", "X", &event).len(), 100);
    let listed: Vec<String> = (0..5000).map(|i| format!(r#"{{"ARN":"a{i}"}}"#)).collect();
    let event = format!(r#"{{"resources":[{}]}}"#, listed.join(","));
    assert_eq!(
        named("s3.amazonaws.com", "X", &event).len(),
        5000,
        "the record's own are kept"
    );
}
