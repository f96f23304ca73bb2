//! A request to the S3 endpoint as CloudTrail records S3's: objects and listings as data events, the
//! rest as management events.
//!
//! Nothing selects data events by itself. A refused attempt at the lake is therefore told twice: by the
//! event that S3 would have, and by a service event in the history of the lake's owner.

use cairn_bucket::{Access, Outcome, Plane};
use serde_json::{Map, Value, json};

use super::{Arrival, BucketGate, Visitor};
use crate::doors::{OWN_SOURCE, Prepared, RecordedArn, RecordedResource, ServiceEvent};
use crate::pipeline::recording::{self, Happened};

/// `eventSource` of the requests.
const SOURCE: &str = "s3.amazonaws.com";
/// Parameters of a presigned request that are, or reveal, its secrets.
const SECRET_PARAMETERS: [&str; 3] = [
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

impl BucketGate {
    /// The events of one request.
    pub(super) fn events(
        &self,
        visitor: &Visitor,
        access: &Access,
        outcome: &Outcome,
    ) -> Vec<Prepared> {
        let error = outcome.error.as_ref();
        let operation = access.operation;
        let happened = Happened {
            event_source: SOURCE,
            event_name: operation.name,
            region: self.region.as_str(),
            read_only: operation.read_only,
            category: match operation.plane {
                Plane::Management => "Management",
                Plane::Data => "Data",
            },
            request_parameters: request_parameters(&visitor.arrival, access),
            response_elements: Value::Null,
            additional_event_data: additional_event_data(&visitor.arrival, outcome),
            resources: self.resources(access),
            error: error.map(|(code, message)| (code.as_str(), message.as_str())),
            // SEL-134: the owner of the bucket learns of it, whoever called.
            also_for: Some(self.owner),
        };
        let server = &self.server;
        let now_ms = server.clock.now_ms();
        let call = &visitor.arrival.call;
        let events = recording::events(&server.doors, now_ms, call, &visitor.caller, &happened);
        // Nothing to append counts as not recorded, so the request is refused.
        let Ok(mut events) = events else {
            return Vec::new();
        };
        if let Some((code, _)) = error.filter(|(code, _)| is_refusal(code)) {
            events.extend(self.refusal(visitor, access, code));
        }
        events
    }

    fn refusal(&self, visitor: &Visitor, access: &Access, code: &str) -> Option<Prepared> {
        let server = &self.server;
        let call = &visitor.arrival.call;
        let event = ServiceEvent {
            account: self.owner,
            region: self.region.as_str(),
            completed_ms: server.clock.now_ms(),
            event_source: OWN_SOURCE,
            event_name: "LakeAccessRefused",
            details: json!({
                "reason": code,
                "operation": access.operation.name,
                "bucketName": access.bucket,
                "key": access.key,
                "principalArn": visitor.caller.principal.arn(),
                "accessKeyId": visitor.caller.access_key_id,
                "sourceIPAddress": call.source_ip.to_string(),
                "requestID": call.request_id,
            }),
        };
        let json = event.to_json(&server.doors.new_id());
        let prepared = server.doors.prepare_own(self.owner, &json);
        prepared
            .inspect_err(|error| tracing::error!(error = %error, "an own event is not valid"))
            .ok()
    }

    fn resources(&self, access: &Access) -> Vec<RecordedResource> {
        let Some(bucket) = &access.bucket else {
            return Vec::new();
        };
        let mut resources = Vec::new();
        if access.operation.plane == Plane::Data {
            let arn = match &access.key {
                Some(key) => RecordedArn::Exact(format!("arn:aws:s3:::{bucket}/{key}")),
                None => RecordedArn::Prefix(format!("arn:aws:s3:::{bucket}/")),
            };
            resources.push(RecordedResource {
                account: None,
                resource_type: "AWS::S3::Object".into(),
                arn,
            });
        }
        resources.push(RecordedResource {
            account: (bucket == self.bucket).then_some(self.owner),
            resource_type: "AWS::S3::Bucket".into(),
            arn: RecordedArn::Exact(format!("arn:aws:s3:::{bucket}")),
        });
        resources
    }
}

/// True if the caller wanted what it may not have, or would have changed the lake.
fn is_refusal(code: &str) -> bool {
    matches!(code, "AccessDenied" | "MethodNotAllowed")
}

/// The query as it came, bucket, key and host, as S3 writes them.
fn request_parameters(arrival: &Arrival, access: &Access) -> Value {
    let mut parameters = Map::new();
    for (name, value) in arrival.call.query_parameters() {
        let is_secret = |secret: &&str| name.eq_ignore_ascii_case(secret);
        if !SECRET_PARAMETERS.iter().any(is_secret) {
            parameters.insert(name, value.into());
        }
    }
    if let Some(bucket) = &access.bucket {
        parameters.insert("bucketName".into(), bucket.clone().into());
    }
    if let Some(host) = &arrival.call.client_host {
        parameters.insert("Host".into(), host.clone().into());
    }
    if let Some(key) = &access.key {
        parameters.insert("key".into(), key.clone().into());
    }
    Value::Object(parameters)
}

// `bytesTransferredOut` is what the answer announces: the event is durable before the first byte.
fn additional_event_data(arrival: &Arrival, outcome: &Outcome) -> Value {
    let mut data = Map::new();
    data.insert("SignatureVersion".into(), "SigV4".into());
    if let Some(tls) = arrival.call.tls {
        data.insert("CipherSuite".into(), tls.cipher_suite.into());
    }
    data.insert("bytesTransferredIn".into(), 0.into());
    let method = match arrival.call.header("authorization") {
        Some(_) => "AuthHeader",
        None => "QueryString",
    };
    data.insert("AuthenticationMethod".into(), method.into());
    data.insert("x-amz-id-2".into(), arrival.extended_id.clone().into());
    data.insert("bytesTransferredOut".into(), outcome.body_bytes.into());
    Value::Object(data)
}
