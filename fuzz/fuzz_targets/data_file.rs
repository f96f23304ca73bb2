//! Data files: their rows, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_lake::fuzzing::data_file(bytes));
