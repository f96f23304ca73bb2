//! Tests of delivery, from records in a log to objects in buckets.
//!
//! - `stage`: log, catalog, spool and buckets, with a clock that tests move.
//! - `door`, `fake_s3`, `full_disk`: ways to buckets and a disk that fail when a test says so.
//! - `simulation`: a node's cuts, digests and puts in the order of virtual time.
//! - `results`: lines for docs/reliability.md.
//! - `log_files`: which events go into which file, and how files look.
//! - `digests`: chains, windows, keys.
//! - `notifications`: what topics are told, and when they are not.
//! - `feeds`: what log groups and buses get, and when they do not.
//! - `outlets`: topics, log groups and buses that fail, and what of it harms nobody else.
//! - `troubles`: buckets that fail, crashes at each step, clocks that jump, spools that are full.
//! - `repairs`: damage around delivery, and the limits of what one trail may take.
//! - `outages` (S1), `chains` (S3), `neighbours` (S5), `clocks` (S8): the fault plan in amounts.

mod chains;
mod clocks;
mod digests;
mod door;
mod fake_s3;
mod feeds;
mod full_disk;
mod log_files;
mod neighbours;
mod notifications;
mod outages;
mod outlets;
mod repairs;
mod results;
mod simulation;
mod stage;
mod troubles;
