//! Table metadata: what its readers ask of it, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cairn_fuzz::let_libraries_panic(), |bytes: &[u8]| cairn_lake::fuzzing::table_metadata(bytes));
