//! What the server brings to the delivery of trails: endpoints and who signs for them, the answer to whether a
//! bucket will take a trail's files, and whether any trail wants to know of an object's reading.

mod bucket_check;
mod endpoints;
mod key_check;
mod selection;
mod service_checks;
mod services;

pub(crate) use bucket_check::TrailDestinations;
pub(crate) use endpoints::{s3_endpoints, trails_config};
pub(crate) use selection::LakeAndTrails;
pub(crate) use services::{Services, service_config};
