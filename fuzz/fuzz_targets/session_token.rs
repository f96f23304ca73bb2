//! Session tokens: only our own seal opens, and what it holds is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::session_token(bytes));
