//! Events as a producer sends them.

use serde_json::{Value, json};

/// A complete management event of the default account.
pub fn management_event(event_id: &str, event_time: &str) -> Value {
    json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": "arn:aws:iam::123456789012:user/Producer",
            "accountId": "123456789012",
            "accessKeyId": "AKIAPRODUCER",
            "userName": "Producer",
        },
        "eventTime": event_time,
        "eventSource": "s3.amazonaws.com",
        "eventName": "CreateBucket",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "producer/1.0",
        "requestParameters": {"bucketName": "example"},
        "responseElements": null,
        "requestID": "EXAMPLE",
        "eventID": event_id,
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
    })
}

/// A complete data event of the default account.
pub fn data_event(event_id: &str, event_time: &str) -> Value {
    let mut event = management_event(event_id, event_time);
    event["eventName"] = "GetObject".into();
    event["readOnly"] = true.into();
    event["managementEvent"] = false.into();
    event["eventCategory"] = "Data".into();
    event
}
