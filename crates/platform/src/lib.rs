//! This crate puts the outside world behind traits: clock, randomness, disk and keys, each with a real
//! implementation and one that tests control.

mod clock;
mod disk;
mod entropy;
mod idle;
mod seal;

pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use disk::{Disk, DiskError, DiskFile, DiskLock, RealDisk, SimDisk, SimFaults, SimSyncs};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use idle::IdleThreads;
pub use seal::{MasterKey, SealError};
