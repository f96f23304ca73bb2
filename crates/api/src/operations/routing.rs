//! From a request's target to its row of the table.

use super::{Operation, Service, operations};

/// How botocore and the AWS CLI begin `X-Amz-Target`.
pub const TARGET_PREFIX_LONG: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.";
/// How the Rust, JavaScript and Go SDKs begin `X-Amz-Target`.
pub const TARGET_PREFIX_SHORT: &str = "CloudTrail_20131101.";

/// A target that names no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request names no known operation")]
pub struct UnknownOperation;

/// The operation that an `X-Amz-Target` of AWS JSON names. Names are case-sensitive, as at AWS.
pub fn route(target: &str) -> Result<&'static Operation, UnknownOperation> {
    let name = target
        .strip_prefix(TARGET_PREFIX_LONG)
        .or_else(|| target.strip_prefix(TARGET_PREFIX_SHORT))
        .ok_or(UnknownOperation)?;
    find(Service::CloudTrail, name).ok_or(UnknownOperation)
}

/// The operation that a method and path name (REST-JSON).
pub fn route_rest(method: &str, path: &str) -> Result<&'static Operation, UnknownOperation> {
    operations()
        .iter()
        .find(|row| row.service == Service::CloudTrailData && row.path == path && method == "POST")
        .copied()
        .ok_or(UnknownOperation)
}

/// An operation by its service and name. The table is sorted by name within a service (a test holds it to that).
pub fn find(service: Service, name: &str) -> Option<&'static Operation> {
    let rows = operations();
    let split = rows.partition_point(|row| row.service == Service::CloudTrail);
    let rows = match service {
        Service::CloudTrail => rows.get(..split),
        Service::CloudTrailData => rows.get(split..),
    }?;
    let index = rows.binary_search_by(|row| row.name.cmp(name)).ok()?;
    rows.get(index).copied()
}
