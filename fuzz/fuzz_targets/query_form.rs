//! Forms of the Query protocol: the error of a caller, or parameters that can be recorded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::query_form(bytes));
