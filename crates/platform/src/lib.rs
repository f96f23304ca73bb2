//! This crate puts the outside world behind traits: clock, randomness, disk, keys and buckets, each with a real
//! implementation and one that tests control.

mod clock;
mod disk;
mod entropy;
mod idle;
mod s3;
mod seal;

pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use disk::{Disk, DiskError, DiskFile, DiskLock, RealDisk, SimDisk, SimFaults, SimSyncs};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use idle::IdleThreads;
pub use s3::{
    BucketPattern, CredentialSource, ListedObject, MemoryObject, MemoryPuts, NewObject,
    OBJECT_BYTES_MAX, ObjectBody, ObjectEncryption, ObjectHead, ObjectPage, ObjectPuts,
    ObjectReader, PutOutcome, S3Client, S3CredentialSource, S3Credentials, S3EndpointConfig,
    S3Endpoints, S3Failure, S3Purpose, S3Timeouts, ScriptedPut, StoredBytes,
};
pub use seal::{MasterKey, SealError};
