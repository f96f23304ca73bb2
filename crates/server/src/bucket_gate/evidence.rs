//! A request to the S3 endpoint as CloudTrail records S3's: objects and listings as data events, the
//! rest as management events.
//!
//! Nothing selects data events by itself. A refused attempt at the lake is therefore told twice: by the
//! event that S3 would have, and by a service event in the history of the lake's owner.

use cairn_bucket::{Access, BucketFacts, Outcome, Plane};
use cairn_model::RecordError;
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

/// Headers that S3 records among a request's parameters.
const RECORDED_HEADERS: [&str; 8] = [
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-copy-source-version-id",
    "x-amz-bypass-governance-retention",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-storage-class",
];
/// Operations that store data, which is encrypted.
const STORING: [&str; 5] = [
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "PutObject",
    "UploadPart",
];

/// A request and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    pub(super) visitor: &'a Visitor,
    pub(super) access: &'a Access,
    /// The bucket that it was about, if there is one.
    pub(super) bucket: Option<&'a BucketFacts>,
    pub(super) outcome: &'a Outcome,
}

impl BucketGate {
    /// The events of one request; none if nobody wants to know of it.
    pub(super) fn events(&self, visit: &Visit<'_>) -> Result<Vec<Prepared>, RecordError> {
        let Visit {
            visitor,
            access,
            bucket,
            outcome,
        } = *visit;
        let error = outcome.error.as_ref();
        let operation = access.operation;
        let is_foreign = bucket.is_some_and(|bucket| bucket.owner != visitor.caller.account);
        let happened = Happened {
            event_source: SOURCE,
            event_name: operation.name,
            region: bucket
                .map_or(&visitor.region, |bucket| &bucket.region)
                .as_str(),
            read_only: operation.read_only,
            category: match operation.plane {
                Plane::Management => "Management",
                Plane::Data => "Data",
            },
            request_parameters: request_parameters(&visitor.arrival, access),
            response_elements: Value::Null,
            additional_event_data: self.additional_event_data(visit),
            resources: resources(access, bucket),
            error: error.map(|(code, message)| (code.as_str(), message.as_str())),
            // SEL-134: the owner of the bucket learns of it, whoever called.
            also_for: Vec::from_iter(bucket.map(|bucket| bucket.owner)),
            // REC-212: whoever is denied does not learn whose bucket it is.
            hides_owner: is_foreign && error.is_some_and(|(code, _)| code == "AccessDenied"),
        };
        let server = &self.server;
        let now_ms = server.clock.now_ms();
        let call = &visitor.arrival.call;
        let mut events =
            recording::events(&server.doors, now_ms, call, &visitor.caller, &happened)?;
        if operation.plane == Plane::Data {
            let wanted = |event: &Prepared| {
                let header = event.header();
                header.is_none_or(|header| server.selects_data.selects(&header))
            };
            events.retain(wanted);
        }
        events.extend(self.refusal(visit));
        Ok(events)
    }

    fn is_lake(&self, access: &Access) -> bool {
        access.bucket.as_deref() == Some(self.lake_bucket)
    }

    /// What the lake's owner finds in the history of a request that was refused.
    fn refusal(&self, visit: &Visit<'_>) -> Option<Prepared> {
        let Visit {
            visitor, access, ..
        } = *visit;
        let (code, _) = visit.outcome.error.as_ref()?;
        let lake = visit
            .bucket
            .filter(|_| self.is_lake(access) && is_refusal(code))?;
        let server = &self.server;
        let call = &visitor.arrival.call;
        let event = ServiceEvent {
            account: lake.owner,
            region: lake.region.as_str(),
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
        let prepared = server.doors.prepare_own(lake.owner, &json);
        prepared
            .inspect_err(|error| tracing::error!(error = %error, "an own event is not valid"))
            .ok()
    }

    // `bytesTransferredOut` is what the answer announces: the event is durable before the first byte.
    fn additional_event_data(&self, visit: &Visit<'_>) -> Value {
        let (arrival, outcome) = (&visit.visitor.arrival, visit.outcome);
        let mut data = Map::new();
        data.insert("SignatureVersion".into(), "SigV4".into());
        if let Some(tls) = arrival.call.tls {
            data.insert("CipherSuite".into(), tls.cipher_suite.into());
        }
        data.insert("bytesTransferredIn".into(), outcome.received_bytes.into());
        let stores = STORING.contains(&visit.access.operation.name);
        if stores && outcome.error.is_none() && !self.is_lake(visit.access) {
            data.insert("SSEApplied".into(), encryption(arrival, outcome).into());
        }
        let method = match arrival.call.header("authorization") {
            Some(_) => "AuthHeader",
            None => "QueryString",
        };
        data.insert("AuthenticationMethod".into(), method.into());
        data.insert("x-amz-id-2".into(), arrival.extended_id.clone().into());
        data.insert("bytesTransferredOut".into(), outcome.body_bytes.into());
        Value::Object(data)
    }
}

/// How S3 names the encryption of what was stored. Every object is encrypted, asked for or not.
fn encryption(arrival: &Arrival, outcome: &Outcome) -> &'static str {
    let is_asked_for = arrival
        .call
        .header("x-amz-server-side-encryption")
        .is_some();
    match (outcome.encryption.as_deref(), is_asked_for) {
        (Some("aws:kms"), true) => "SSE_KMS",
        (Some("aws:kms"), false) => "Default_SSE_KMS",
        (_, true) => "SSE_S3",
        (_, false) => "Default_SSE_S3",
    }
}

fn resources(access: &Access, facts: Option<&BucketFacts>) -> Vec<RecordedResource> {
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
        account: facts.map(|facts| facts.owner),
        resource_type: "AWS::S3::Bucket".into(),
        arn: RecordedArn::Exact(format!("arn:aws:s3:::{bucket}")),
    });
    resources
}

/// True if the caller wanted what it may not have, or would have changed the lake.
fn is_refusal(code: &str) -> bool {
    matches!(code, "AccessDenied" | "MethodNotAllowed")
}

/// The query as it came (the name of a bucket's setting stands there), bucket, key, host and some headers,
/// as S3 writes them.
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
    for name in RECORDED_HEADERS {
        if let Some(value) = arrival.call.header(name) {
            parameters.insert(name.into(), value.into());
        }
    }
    Value::Object(parameters)
}
