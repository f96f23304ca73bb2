//! Configuration files: refused by name, or resolved and printed without secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::configuration(bytes));
