//! What class an event belongs to.

use cairn_model::EventClass;

use crate::record::{canonical, complete, json, try_canonicalize, with};

fn class_of(
    category: Option<&'static str>,
    event_type: &'static str,
    management: Option<&'static str>,
) -> Result<EventClass, String> {
    let mut members = complete();
    members.retain(|(name, _)| !matches!(*name, "eventCategory" | "eventType" | "managementEvent"));
    members.push(("eventType", event_type));
    members.extend(category.map(|category| ("eventCategory", category)));
    members.extend(management.map(|management| ("managementEvent", management)));
    match try_canonicalize(&json(&members)) {
        Ok(event) => Ok(event.header.class),
        Err(error) => Err(error.to_string()),
    }
}

// Proves: REC-029, REC-041, SEL-001, OVR-012
#[test]
fn the_class_is_what_the_event_states_or_else_what_its_members_tell() {
    use EventClass::{Data, Management, NetworkActivity};
    let api = "\"AwsApiCall\"";
    assert_eq!(class_of(Some("\"Management\""), api, None), Ok(Management));
    assert_eq!(class_of(Some("\"Data\""), api, Some("false")), Ok(Data));
    assert_eq!(class_of(None, api, Some("true")), Ok(Management));
    assert_eq!(class_of(None, api, Some("false")), Ok(Data));
    assert_eq!(class_of(None, api, None), Ok(Management));
    assert_eq!(class_of(None, "\"AwsConsoleSignIn\"", None), Ok(Management));
    for vpce in ["\"AwsVpceEvent\"", "\"AwsVpceEvents\""] {
        assert_eq!(class_of(None, vpce, None), Ok(NetworkActivity));
        assert_eq!(
            class_of(Some("\"NetworkActivity\""), vpce, None),
            Ok(NetworkActivity)
        );
    }
}

// Proves: REC-029, REC-041
#[test]
fn members_that_contradict_each_other_are_refused() {
    let api = "\"AwsApiCall\"";
    let against = |first: &str, second: &str| {
        Err(format!(
            "the members {first} and {second} contradict each other"
        ))
    };
    let (category, kind, management) = ("eventCategory", "eventType", "managementEvent");
    assert_eq!(
        class_of(Some("\"Management\""), api, Some("false")),
        against(category, management)
    );
    assert_eq!(
        class_of(Some("\"Data\""), api, Some("true")),
        against(category, management)
    );
    assert_eq!(
        class_of(Some("\"NetworkActivity\""), api, None),
        against(category, kind)
    );
    assert_eq!(
        class_of(Some("\"Insight\""), api, None),
        against(category, kind)
    );
    assert_eq!(
        class_of(Some("\"Management\""), "\"AwsVpceEvent\"", None),
        against(category, kind)
    );
    assert_eq!(
        class_of(Some("\"Data\""), "\"AwsCloudTrailInsight\"", None),
        against(category, kind)
    );
    assert_eq!(
        class_of(None, "\"AwsVpceEvent\"", Some("true")),
        against(kind, management)
    );
}

#[test]
fn data_events_older_than_their_members_are_told_by_service() {
    let class = |source: &'static str, name: &'static str, resources: &'static str| {
        let mut members = complete();
        members.retain(|(name, _)| !matches!(*name, "eventCategory" | "managementEvent"));
        for (member, value) in &mut members {
            match *member {
                "eventVersion" => *value = "\"1.05\"",
                "eventSource" => *value = source,
                "eventName" => *value = name,
                _ => {}
            }
        }
        members.push(("resources", resources));
        canonical(&json(&members)).header.class
    };
    let object = r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b/k"}]"#;
    let bucket = r#"[{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}]"#;
    assert_eq!(
        class("\"s3.amazonaws.com\"", "\"GetObject\"", object),
        EventClass::Data
    );
    assert_eq!(
        class("\"s3.amazonaws.com\"", "\"GetBucketAcl\"", bucket),
        EventClass::Management
    );
    assert_eq!(
        class("\"lambda.amazonaws.com\"", "\"Invoke\"", "[]"),
        EventClass::Data
    );
    assert_eq!(
        class("\"lambda.amazonaws.com\"", "\"ListFunctions\"", "[]"),
        EventClass::Management
    );
    assert_eq!(
        class("\"ec2.amazonaws.com\"", "\"GetObject\"", object),
        EventClass::Management
    );
}

// Proves: REC-126, REC-040, SEL-028, SEL-032
#[test]
fn service_events_and_network_activity_need_only_what_their_samples_hold() {
    let service = r#"{"eventVersion":"1.08","userIdentity":{"accountId":"111122223333","invokedBy":"AWS Internal"},
        "eventTime":"2021-01-14T01:41:59Z","eventSource":"kms.amazonaws.com","eventName":"RotateKey","awsRegion":"us-west-2",
        "sourceIPAddress":"AWS Internal","userAgent":"AWS Internal","requestParameters":null,"responseElements":null,
        "eventID":"a24b3967","readOnly":false,"eventType":"AwsServiceEvent"}"#;
    let header = canonical(service).header;
    assert_eq!(
        (header.class, header.user_name),
        (EventClass::Management, None)
    );
    let network = r#"{"eventVersion":"1.09","userIdentity":{"type":"AWSAccount","principalId":"AIDA1","accountId":"777788889999"},
        "eventTime":"2024-07-15T23:57:12Z","eventSource":"cloudtrail.amazonaws.com","eventName":"ListTrails","awsRegion":"us-east-1",
        "sourceIPAddress":"10.89.8.15","errorCode":"VpceAccessDenied","errorMessage":"The request was denied due to a VPC endpoint policy",
        "requestID":"eb63596f","eventID":"8d1e5f1e","eventType":"AwsVpceEvent","recipientAccountId":"123456789012",
        "sharedEventID":"94e36e65","vpcEndpointId":"AWS Internal","vpcEndpointAccountId":"AWS Internal","eventCategory":"NetworkActivity"}"#;
    let event = canonical(network);
    assert_eq!(event.json, network.as_bytes());
    assert_eq!(event.header.error_code.as_deref(), Some("VpceAccessDenied"));
    assert_eq!(
        event.header.vpc_endpoint_id.as_deref(),
        Some("AWS Internal")
    );
    let unknown = with("userIdentity", Some("{\"type\":\"Unknown\"}"));
    assert_eq!(canonical(&unknown).header.user_name, None);
}
