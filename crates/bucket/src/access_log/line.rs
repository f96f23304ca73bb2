//! The line of one request, in S3's documented format of server access logs:
//!
//! ```text
//! owner bucket [time] ip requester request-id operation key "request-URI" status error bytes-sent object-size
//! total-ms turn-around-ms "referrer" "user-agent" version-id host-id signature cipher auth host tls ap-arn acl
//! ```
//!
//! What a client has sent is written so that it cannot end its field or the line.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::key::Moment;
use crate::operation::Access;
use crate::store::LoggedBucket;

/// What is encoded between quotation marks.
const QUOTED: &AsciiSet = &CONTROLS.add(b'"');
/// What is encoded in a field without them.
const TOKEN: &AsciiSet = &QUOTED.add(b' ');
/// What is encoded in keys.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/')
    .remove(b'*');

/// One request about a logged bucket.
#[derive(Clone, Debug, Default)]
pub struct AccessLogEntry {
    /// When its head was complete.
    pub received_ms: i64,
    /// The client's address.
    pub remote_ip: String,
    /// The ARN of whoever signed it; a service's name; None if nobody known did.
    pub requester: Option<String>,
    /// `x-amz-request-id`.
    pub request_id: String,
    /// What it asked for; None if it resembles no operation.
    pub access: Option<Access>,
    /// The HTTP method.
    pub method: String,
    /// Path and query, without what signed it.
    pub target: String,
    /// `HTTP/1.1` or another.
    pub protocol: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// S3's error code, if it failed.
    pub error_code: Option<String>,
    /// Bytes of the answer's body that were handed over.
    pub sent_bytes: u64,
    /// Size of the object that it was about.
    pub object_bytes: Option<u64>,
    /// Until the last byte of the answer.
    pub total_ms: u64,
    /// From the last byte of the request to the first of the answer, if that is known.
    pub turn_around_ms: Option<u64>,
    /// `Referer`.
    pub referrer: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// The version that was asked for or made.
    pub version_id: Option<String>,
    /// `x-amz-id-2`.
    pub host_id: String,
    /// `AuthHeader` or `QueryString`; None if it is not signed.
    pub authentication: Option<&'static str>,
    /// The cipher suite of TLS.
    pub cipher_suite: Option<&'static str>,
    /// The version of TLS.
    pub tls_version: Option<&'static str>,
    /// `Host`.
    pub host: Option<String>,
}

/// The line, with its end.
pub(super) fn line(source: &LoggedBucket, entry: &AccessLogEntry) -> String {
    let key = entry
        .access
        .as_ref()
        .and_then(|access| access.key.as_deref());
    let key = key.map(|key| utf8_percent_encode(key, KEY).to_string());
    let request = format!("{} {} {}", entry.method, entry.target, entry.protocol);
    let fields = [
        source.owner.to_string(),
        source.name.clone(),
        format!("[{}]", Moment::of(entry.received_ms).in_line()),
        token(Some(&entry.remote_ip)),
        token(entry.requester.as_deref()),
        token(Some(&entry.request_id)),
        operation(entry),
        key.unwrap_or_else(none),
        quoted(Some(&request)),
        entry.status.to_string(),
        token(entry.error_code.as_deref()),
        count(Some(entry.sent_bytes).filter(|bytes| *bytes > 0)),
        count(entry.object_bytes),
        count(Some(entry.total_ms)),
        count(entry.turn_around_ms),
        quoted(entry.referrer.as_deref()),
        quoted(entry.user_agent.as_deref()),
        token(entry.version_id.as_deref()),
        token(Some(&entry.host_id)),
        token(entry.authentication.map(|_| "SigV4")),
        token(entry.cipher_suite),
        token(entry.authentication),
        token(entry.host.as_deref()),
        token(entry.tls_version),
        // No access points, and no access control lists that a request could need.
        none(),
        none(),
    ];
    let mut line = fields.join(" ");
    line.push('\n');
    line
}

fn none() -> String {
    "-".to_owned()
}

fn count(number: Option<u64>) -> String {
    number.map_or_else(none, |number| number.to_string())
}

fn token(text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty());
    text.map_or_else(none, |text| utf8_percent_encode(text, TOKEN).to_string())
}

fn quoted(text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("-");
    let mut field = String::with_capacity(text.len() + 2);
    write!(field, "\"{}\"", utf8_percent_encode(text, QUOTED))
        .expect("text takes all that is written");
    field
}

/// `REST.METHOD.RESOURCE`, as S3 names what a request asks for.
fn operation(entry: &AccessLogEntry) -> String {
    let name = entry.access.as_ref().map(|access| access.operation.name);
    let name = name.unwrap_or_default();
    let method = match name {
        "CopyObject" | "UploadPartCopy" => "COPY",
        _ => entry.method.as_str(),
    };
    format!(
        "REST.{}.{}",
        utf8_percent_encode(method, TOKEN),
        resource(name)
    )
}

/// By the names of CloudTrail's records.
fn resource(name: &str) -> &'static str {
    match name {
        "ListObjects" | "HeadBucket" | "CreateBucket" | "DeleteBucket" | "PostObject" => "BUCKET",
        "ListObjectVersions" => "BUCKETVERSIONS",
        "ListMultipartUploads" | "CreateMultipartUpload" => "UPLOADS",
        "ListParts" | "AbortMultipartUpload" | "CompleteMultipartUpload" => "UPLOAD",
        "UploadPart" | "UploadPartCopy" => "PART",
        "DeleteObjects" => "MULTI_OBJECT_DELETE",
        "GetObjectTagging" | "PutObjectTagging" | "DeleteObjectTagging" => "OBJECT_TAGGING",
        "GetObjectAttributes" => "OBJECT_ATTRIBUTES",
        "GetObjectLegalHold" | "PutObjectLegalHold" => "LEGAL_HOLD",
        "GetObjectRetention" | "PutObjectRetention" => "RETENTION",
        "GetObjectTorrent" => "TORRENT",
        "RestoreObject" => "RESTORE",
        "SelectObjectContent" => "SELECT",
        "GetBucketPolicyStatus" => "POLICY_STATUS",
        "GetBucketLogging" | "PutBucketLogging" => "LOGGING_STATUS",
        _ => of_setting(name),
    }
}

/// The settings of buckets, each with its own word; what is left is about objects.
fn of_setting(name: &str) -> &'static str {
    const SETTINGS: [(&str, &str); 20] = [
        ("Acl", "ACL"),
        ("BucketPolicy", "BUCKETPOLICY"),
        ("Versioning", "VERSIONING"),
        ("Location", "LOCATION"),
        ("Encryption", "ENCRYPTION"),
        ("BucketTagging", "TAGGING"),
        ("PublicAccessBlock", "PUBLIC_ACCESS_BLOCK"),
        ("OwnershipControls", "OWNERSHIP_CONTROLS"),
        ("Lifecycle", "LIFECYCLE"),
        ("Replication", "REPLICATION"),
        ("Notification", "NOTIFICATION"),
        ("Website", "WEBSITE"),
        ("Cors", "CORS"),
        ("RequestPayment", "REQUEST_PAYMENT"),
        ("ObjectLockConfiguration", "OBJECT_LOCK_CONFIGURATION"),
        ("AccelerateConfiguration", "ACCELERATE"),
        ("AnalyticsConfiguration", "ANALYTICS"),
        ("InventoryConfiguration", "INVENTORY"),
        ("MetricsConfiguration", "METRICS"),
        ("TieringConfiguration", "INTELLIGENT_TIERING"),
    ];
    let found = SETTINGS.iter().find(|(end, _)| name.ends_with(end));
    found.map_or("OBJECT", |(_, word)| word)
}
