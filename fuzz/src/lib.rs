//! What several targets need.

use std::path::PathBuf;
use std::sync::Arc;

use cairn_eventlog::{EventLog, ReadError, SegmentedLog, SegmentedLogConfig};
use cairn_model::PartitionId;
use cairn_platform::{ManualClock, SimDisk};

/// The folder of the log that `read_log` opens.
pub const LOG_FOLDER: &str = "/log";
const PARTITION: PartitionId = PartitionId(0);

/// Lets panics of libraries unwind. Without this every panic ends the run, and Cairn's readers of stored
/// files contain those of the libraries under them, as damage of one file. A panic of Cairn's own code is a
/// finding there too, and so is one of a library that nobody contains.
pub fn let_libraries_panic() {
    let ending = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |place| place.file());
        if place.contains("/registry/src/") || place.starts_with("/rustc/") {
            eprintln!("a library: {panic}");
        } else {
            ending(panic);
        }
    }));
}

/// Opens the log in `LOG_FOLDER` and reads it to its end; it may refuse to open. A read that neither gives
/// records nor says where to go on is a finding.
pub fn read_log(disk: SimDisk) {
    let config = SegmentedLogConfig {
        directory: PathBuf::from(LOG_FOLDER),
        preallocate_bytes: 4096,
        reserve_bytes: 0,
        ..SegmentedLogConfig::default()
    };
    let clock = Arc::new(ManualClock::at(0));
    let Ok((log, _stepper)) = SegmentedLog::open_stepped(config, Arc::new(disk), clock) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let end = log.durable_end(PARTITION);
    let mut next = log.start(PARTITION);
    while next < end {
        next = match runtime.block_on(log.read(PARTITION, next, 1 << 20)) {
            Ok(records) => records
                .last()
                .expect("a read below the end gives one")
                .sequence
                .plus(1),
            Err(ReadError::Corrupt { resume_at, .. }) if resume_at > next => resume_at,
            Err(error) => panic!("{error}"),
        };
    }
}
