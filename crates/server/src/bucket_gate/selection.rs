//! Which reads and writes of objects become events. There are many of them, so one is appended only if
//! somebody wants it: a trail, an event data store, or the lake's owner.

use std::fmt;

use cairn_model::{EventClass, RoutingHeader};

/// Knows whether anybody selects a data event. Asked for each copy of each request before it is answered.
pub(crate) trait SelectsData: fmt::Debug + Send + Sync {
    /// Whether the event with this header is wanted in the history of the account that it is for.
    fn selects(&self, header: &RoutingHeader<'_>) -> bool;
}

/// Nobody selects anything but what happens to the lake, whose readers are always told of.
#[derive(Debug)]
pub(crate) struct LakeAlone {
    bucket_arn: String,
}

impl LakeAlone {
    pub(crate) fn new(bucket: &str) -> Self {
        Self {
            bucket_arn: format!("arn:aws:s3:::{bucket}"),
        }
    }
}

impl SelectsData for LakeAlone {
    fn selects(&self, header: &RoutingHeader<'_>) -> bool {
        let mut recorded = header
            .resources
            .iter()
            .filter(|resource| resource.in_record);
        header.class == EventClass::Data
            && recorded.any(|resource| resource.name == self.bucket_arn)
    }
}
