//! What a request to S3 asks for, by the names of CloudTrail's records. The endpoint serves few of these
//! operations; it names them all, so that an attempt at the others leaves evidence that can be read.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// Whether CloudTrail counts an operation among management or data events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// About buckets as a whole and their configuration.
    Management,
    /// About objects, listings of them included.
    Data,
}

/// An operation of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in CloudTrail's records, which is not always the API's (`PutBucketLifecycle`).
    pub name: &'static str,
    /// The class of its events.
    pub plane: Plane,
    /// True if it changes nothing.
    pub read_only: bool,
}

/// What one request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The operation.
    pub operation: Operation,
    /// The bucket, unless the request is about all of them.
    pub bucket: Option<String>,
    /// The object, if the request is about one.
    pub key: Option<String>,
}

impl Operation {
    pub(crate) const fn read(name: &'static str, plane: Plane) -> Self {
        Self {
            name,
            plane,
            read_only: true,
        }
    }
}

impl Operation {
    /// The operation of a name that is in the table, or is a copy.
    pub(crate) fn named(name: &'static str) -> Self {
        let row = ROWS.iter().find(|row| row.name == name);
        let read = row.is_some_and(|row| matches!(row.method, "GET" | "HEAD"));
        Self {
            name,
            plane: row.map_or(Plane::Data, |row| row.plane),
            read_only: read,
        }
    }
}

impl Access {
    /// Reads method, path and query as S3 routes them; `None` if no operation of S3 looks like this.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
        let path = path.strip_prefix('/')?;
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let level = match (bucket, key) {
            ("", "") => Level::Service,
            ("", _) => return None,
            (_, "") => Level::Bucket,
            _ => Level::Object,
        };
        let parameters: Vec<&str> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| pair.split('=').next().unwrap_or_default())
            .collect();
        let row = ROWS.iter().find(|row| {
            row.level == level
                && row.method == method.as_str()
                && (row.parameter.is_empty() || parameters.contains(&row.parameter))
        })?;
        let copies = headers.contains_key("x-amz-copy-source");
        let name = match row.name {
            "PutObject" if copies => "CopyObject",
            "UploadPart" if copies => "UploadPartCopy",
            name => name,
        };
        Some(Self {
            operation: Operation {
                name,
                plane: row.plane,
                read_only: matches!(row.method, "GET" | "HEAD") || name == "SelectObjectContent",
            },
            bucket: Some(bucket.to_owned()).filter(|bucket| !bucket.is_empty()),
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// A method with the query parameter that tells its operation from others; an empty one is the rest.
#[derive(Debug)]
struct Row {
    level: Level,
    method: &'static str,
    parameter: &'static str,
    name: &'static str,
    plane: Plane,
}

const fn bucket(method: &'static str, parameter: &'static str, name: &'static str) -> Row {
    Row {
        level: Level::Bucket,
        method,
        parameter,
        name,
        plane: Plane::Management,
    }
}

const fn contents(method: &'static str, parameter: &'static str, name: &'static str) -> Row {
    Row {
        level: Level::Bucket,
        method,
        parameter,
        name,
        plane: Plane::Data,
    }
}

const fn object(method: &'static str, parameter: &'static str, name: &'static str) -> Row {
    Row {
        level: Level::Object,
        method,
        parameter,
        name,
        plane: Plane::Data,
    }
}

/// Every operation; the first row that fits counts.
const ROWS: &[Row] = &[
    Row {
        level: Level::Service,
        method: "GET",
        parameter: "",
        name: "ListBuckets",
        plane: Plane::Management,
    },
    bucket("GET", "location", "GetBucketLocation"),
    bucket("GET", "accelerate", "GetAccelerateConfiguration"),
    bucket("GET", "acl", "GetBucketAcl"),
    bucket("GET", "analytics", "GetAnalyticsConfiguration"),
    bucket("GET", "cors", "GetBucketCors"),
    bucket("GET", "encryption", "GetBucketEncryption"),
    bucket(
        "GET",
        "intelligent-tiering",
        "GetIntelligentTieringConfiguration",
    ),
    bucket("GET", "inventory", "GetInventoryConfiguration"),
    bucket("GET", "lifecycle", "GetBucketLifecycle"),
    bucket("GET", "logging", "GetBucketLogging"),
    bucket("GET", "metrics", "GetMetricsConfiguration"),
    bucket("GET", "notification", "GetBucketNotification"),
    bucket("GET", "object-lock", "GetBucketObjectLockConfiguration"),
    bucket("GET", "ownershipControls", "GetBucketOwnershipControls"),
    bucket("GET", "policy", "GetBucketPolicy"),
    bucket("GET", "policyStatus", "GetBucketPolicyStatus"),
    bucket("GET", "publicAccessBlock", "GetBucketPublicAccessBlock"),
    bucket("GET", "replication", "GetBucketReplication"),
    bucket("GET", "requestPayment", "GetBucketRequestPayment"),
    bucket("GET", "tagging", "GetBucketTagging"),
    bucket("GET", "versioning", "GetBucketVersioning"),
    bucket("GET", "website", "GetBucketWebsite"),
    contents("GET", "uploads", "ListMultipartUploads"),
    contents("GET", "versions", "ListObjectVersions"),
    contents("GET", "", "ListObjects"),
    contents("HEAD", "", "HeadBucket"),
    bucket("PUT", "accelerate", "PutAccelerateConfiguration"),
    bucket("PUT", "acl", "PutBucketAcl"),
    bucket("PUT", "analytics", "PutAnalyticsConfiguration"),
    bucket("PUT", "cors", "PutBucketCors"),
    bucket("PUT", "encryption", "PutBucketEncryption"),
    bucket(
        "PUT",
        "intelligent-tiering",
        "PutIntelligentTieringConfiguration",
    ),
    bucket("PUT", "inventory", "PutInventoryConfiguration"),
    bucket("PUT", "lifecycle", "PutBucketLifecycle"),
    bucket("PUT", "logging", "PutBucketLogging"),
    bucket("PUT", "metrics", "PutMetricsConfiguration"),
    bucket("PUT", "notification", "PutBucketNotification"),
    bucket("PUT", "object-lock", "PutBucketObjectLockConfiguration"),
    bucket("PUT", "ownershipControls", "PutBucketOwnershipControls"),
    bucket("PUT", "policy", "PutBucketPolicy"),
    bucket("PUT", "publicAccessBlock", "PutBucketPublicAccessBlock"),
    bucket("PUT", "replication", "PutBucketReplication"),
    bucket("PUT", "requestPayment", "PutBucketRequestPayment"),
    bucket("PUT", "tagging", "PutBucketTagging"),
    bucket("PUT", "versioning", "PutBucketVersioning"),
    bucket("PUT", "website", "PutBucketWebsite"),
    bucket("PUT", "", "CreateBucket"),
    bucket("DELETE", "analytics", "DeleteAnalyticsConfiguration"),
    bucket("DELETE", "cors", "DeleteBucketCors"),
    bucket("DELETE", "encryption", "DeleteBucketEncryption"),
    bucket(
        "DELETE",
        "intelligent-tiering",
        "DeleteIntelligentTieringConfiguration",
    ),
    bucket("DELETE", "inventory", "DeleteInventoryConfiguration"),
    bucket("DELETE", "lifecycle", "DeleteBucketLifecycle"),
    bucket("DELETE", "metrics", "DeleteMetricsConfiguration"),
    bucket(
        "DELETE",
        "ownershipControls",
        "DeleteBucketOwnershipControls",
    ),
    bucket("DELETE", "policy", "DeleteBucketPolicy"),
    bucket(
        "DELETE",
        "publicAccessBlock",
        "DeleteBucketPublicAccessBlock",
    ),
    bucket("DELETE", "replication", "DeleteBucketReplication"),
    bucket("DELETE", "tagging", "DeleteBucketTagging"),
    bucket("DELETE", "website", "DeleteBucketWebsite"),
    bucket("DELETE", "", "DeleteBucket"),
    contents("POST", "delete", "DeleteObjects"),
    contents("POST", "", "PostObject"),
    object("GET", "acl", "GetObjectAcl"),
    object("GET", "attributes", "GetObjectAttributes"),
    object("GET", "legal-hold", "GetObjectLegalHold"),
    object("GET", "retention", "GetObjectRetention"),
    object("GET", "tagging", "GetObjectTagging"),
    object("GET", "torrent", "GetObjectTorrent"),
    object("GET", "uploadId", "ListParts"),
    object("GET", "", "GetObject"),
    object("HEAD", "", "HeadObject"),
    object("PUT", "acl", "PutObjectAcl"),
    object("PUT", "legal-hold", "PutObjectLegalHold"),
    object("PUT", "retention", "PutObjectRetention"),
    object("PUT", "tagging", "PutObjectTagging"),
    object("PUT", "uploadId", "UploadPart"),
    object("PUT", "", "PutObject"),
    object("DELETE", "tagging", "DeleteObjectTagging"),
    object("DELETE", "uploadId", "AbortMultipartUpload"),
    object("DELETE", "", "DeleteObject"),
    object("POST", "uploads", "CreateMultipartUpload"),
    object("POST", "uploadId", "CompleteMultipartUpload"),
    object("POST", "restore", "RestoreObject"),
    object("POST", "select", "SelectObjectContent"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, uri: &str, expected: Option<(&str, Plane, bool)>) {
        let method: Method = method.parse().expect("a method");
        let uri: Uri = uri.parse().expect("a URI");
        let access = Access::of(&method, &uri, &HeaderMap::new());
        let found = access.map(|access| access.operation);
        let found = found.map(|found| (found.name, found.plane, found.read_only));
        assert_eq!(found, expected, "{method} {uri}");
    }

    #[test]
    fn requests_are_named_and_classed_as_cloudtrail_does() {
        use Plane::{Data, Management};
        check("GET", "/", Some(("ListBuckets", Management, true)));
        check("GET", "/b", Some(("ListObjects", Data, true)));
        check("GET", "/b/?list-type=2", Some(("ListObjects", Data, true)));
        let location = Some(("GetBucketLocation", Management, true));
        check("GET", "/b?location", location);
        check("GET", "/b?location=&x=1", location);
        check("HEAD", "/b", Some(("HeadBucket", Data, true)));
        check(
            "GET",
            "/b/a/f?x-id=GetObject",
            Some(("GetObject", Data, true)),
        );
        check("HEAD", "/b/a/f", Some(("HeadObject", Data, true)));
        check("PUT", "/b/f", Some(("PutObject", Data, false)));
        let part = Some(("UploadPart", Data, false));
        check("PUT", "/b/f?partNumber=1&uploadId=u", part);
        check("DELETE", "/b/f", Some(("DeleteObject", Data, false)));
        check("POST", "/b?delete", Some(("DeleteObjects", Data, false)));
        let lifecycle = Some(("PutBucketLifecycle", Management, false));
        check("PUT", "/b?lifecycle", lifecycle);
        check("DELETE", "/b", Some(("DeleteBucket", Management, false)));
        check("PATCH", "/b", None);
        check("GET", "//key", None);
        check("GET", "/b/%ff", None);
    }

    #[test]
    fn keys_are_decoded_and_may_hold_slashes() {
        let uri: Uri = "/b/a%20b//c/".parse().expect("a URI");
        let access = Access::of(&Method::GET, &uri, &HeaderMap::new()).expect("a GetObject");
        assert_eq!(access.bucket.as_deref(), Some("b"));
        assert_eq!(access.key.as_deref(), Some("a b//c/"));
    }

    #[test]
    fn a_source_makes_a_copy_of_a_put() {
        let uri: Uri = "/b/f".parse().expect("a URI");
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", "other/f".parse().expect("a value"));
        let access = Access::of(&Method::PUT, &uri, &headers).expect("a CopyObject");
        assert_eq!(access.operation.name, "CopyObject");
    }
}
