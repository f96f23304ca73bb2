//! Hot objects: rows that can be written again, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cairn_fuzz::let_libraries_panic(), |bytes: &[u8]| cairn_lake::fuzzing::hot_object(bytes));
