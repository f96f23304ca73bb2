//! The `cairn` binary.

use std::process::ExitCode;

/// Batches come and go by the hundred kilobytes on every thread; the system's allocator gives such memory
/// back to the kernel each time and gets it back page by page, zeroed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    cairn_server::cli::run()
}
