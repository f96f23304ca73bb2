//! The `cairn` binary.

use std::io::Write as _;
use std::process::ExitCode;

/// Batches come and go by the hundred kilobytes on every thread; the system's allocator gives such memory
/// back to the kernel each time and gets it back page by page, zeroed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cairn_server::cli::run().unwrap_or_else(|error| {
        // What went wrong and why, on one line: a backtrace would tell nothing to whoever typed the command.
        let _ = writeln!(std::io::stderr(), "Error: {error:#}");
        ExitCode::FAILURE
    })
}
