//! This crate puts the outside world behind traits: clock, randomness, disk and keys, each with a real
//! implementation and one that tests control.

mod clock;
mod entropy;

pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
