//! This crate puts the outside world behind traits: clock, randomness, disk, keys, buckets and the services that hear
//! of events, each with a real implementation and one that tests control; and it opens SQLite databases.

mod clock;
mod disk;
mod entropy;
mod idle;
mod s3;
mod seal;
mod services;
mod sqlite;

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
pub use services::{
    BusEvent, CloudWatchLogsClient, EventBridgeClient, EventBuses, KmsClient, KmsDataKey, KmsKey,
    LogEvent, LogStream, LogStreams, MemoryBuses, MemoryLogStreams, MemoryTopics, ServiceAddress,
    ServiceConfig, ServiceFailure, SnsClient, TopicMessage, TopicPublisher,
};
pub use sqlite::{SchemaChange, SqliteError, SqliteFile, beside, migrate_sqlite};
