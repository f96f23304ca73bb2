//! Tests of the outside world's stand-ins through their public interface.

mod clock;
/// Both disks do what the trait says; the simulated one loses what real ones may lose.
mod disk;
/// The client of a configured KMS against an endpoint that answers as a test says.
mod kms;
/// The S3 client against an endpoint that answers as a test says, and buckets in memory.
mod s3;
