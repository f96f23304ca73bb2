//! The places where a test may stop, kill or fail delivery, all of them (C2). They exist only with the feature
//! `failpoints`, and in the server with its feature `sabotage`; without it each is nothing.

/// The files of a cut are durable in the spool, the catalog does not know them.
pub const CUT_SPOOLED: &str = "trails::cut::spooled";
/// A cut is recorded, the log has not been told.
pub const CUT_RECORDED: &str = "trails::cut::recorded";
/// A file is about to be put.
pub const PUT_BEGINS: &str = "trails::put::begins";
/// The bucket has a file, the catalog does not know.
pub const PUT_DONE: &str = "trails::put::done";
/// A delivery is recorded, its bytes are still in the spool.
pub const PUT_RECORDED: &str = "trails::put::recorded";
/// A digest is signed, nothing of it is written.
pub const DIGEST_SIGNED: &str = "trails::digest::signed";
/// A digest is durable in the spool, the catalog does not know it.
pub const DIGEST_SPOOLED: &str = "trails::digest::spooled";
/// A digest is recorded, the bytes of what it lists are still in the spool.
pub const DIGEST_RECORDED: &str = "trails::digest::recorded";

/// A topic was told, the catalog does not know.
pub const NOTIFY_SENT: &str = "trails::notify::sent";
/// A log group or bus has events, the catalog does not know.
pub const FEED_SENT: &str = "trails::feed::sent";
/// It is recorded what a log group or bus has, the bytes of the file are still in the spool.
pub const FEED_RECORDED: &str = "trails::feed::recorded";

/// All of the points, in the order in which events meet them.
pub const ALL: [&str; 11] = [
    CUT_SPOOLED,
    CUT_RECORDED,
    PUT_BEGINS,
    PUT_DONE,
    PUT_RECORDED,
    DIGEST_SIGNED,
    DIGEST_SPOOLED,
    DIGEST_RECORDED,
    NOTIFY_SENT,
    FEED_SENT,
    FEED_RECORDED,
];

pub(crate) fn reach(point: &'static str) {
    fail::fail_point!(point);
    // Without the feature the macro is empty.
    let _ = point;
}
