//! The places where a test may stop, kill or fail the lake, all of them. They exist only with the feature
//! `failpoints`; without it each is nothing.

/// A hot object is durable, the catalog does not know it.
pub const HOT_WRITTEN: &str = "lake::hot::written";
/// A hot object is registered.
pub const HOT_REGISTERED: &str = "lake::hot::registered";
/// A data file is durable.
pub const COMMIT_DATA: &str = "lake::commit::data";
/// A manifest is durable.
pub const COMMIT_MANIFEST: &str = "lake::commit::manifest";
/// A manifest list is durable.
pub const COMMIT_LIST: &str = "lake::commit::list";
/// A metadata file is durable, the catalog's pointer has not moved.
pub const COMMIT_METADATA: &str = "lake::commit::metadata";
/// The pointer and the position have moved, the log has not been told.
pub const COMMIT_POINTER: &str = "lake::commit::pointer";
/// Garbage was deleted, the catalog has not forgotten it.
pub const GARBAGE_DELETED: &str = "lake::garbage::deleted";

/// All of the points, in the order in which rows meet them.
pub const ALL: [&str; 8] = [
    HOT_WRITTEN,
    HOT_REGISTERED,
    COMMIT_DATA,
    COMMIT_MANIFEST,
    COMMIT_LIST,
    COMMIT_METADATA,
    COMMIT_POINTER,
    GARBAGE_DELETED,
];

pub(crate) fn reach(point: &'static str) {
    fail::fail_point!(point);
    // Without the feature the macro is empty.
    let _ = point;
}
