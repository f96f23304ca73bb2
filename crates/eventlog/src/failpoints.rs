//! The places where a test may stop, kill or fail the log, all of them. They exist only with the feature
//! `failpoints`; without it each is nothing.

/// Before a frame is written.
pub const WRITE: &str = "eventlog::write";
/// After a frame is written, before it is synced.
pub const SYNC: &str = "eventlog::sync";
/// After a frame is durable, before anybody is told.
pub const ACK: &str = "eventlog::ack";
/// After a segment is sealed, before the next exists.
pub const ROLL: &str = "eventlog::roll";
/// Before a released segment is unlinked.
pub const UNLINK: &str = "eventlog::unlink";
/// After the tail of a crashed segment is copied, before the copy has its name.
pub const RECOVER: &str = "eventlog::recover";
/// After the copy has its name, before the crashed segment is gone.
pub const RETIRE: &str = "eventlog::retire";

/// All of the points, in the order in which a batch and a restart meet them.
pub const ALL: [&str; 7] = [WRITE, SYNC, ACK, ROLL, UNLINK, RECOVER, RETIRE];

pub(crate) fn reach(point: &'static str) {
    fail::fail_point!(point);
    // Without the feature the macro is empty.
    let _ = point;
}
