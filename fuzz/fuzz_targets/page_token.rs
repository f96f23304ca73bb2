//! NextTokens: only our own seal opens, for one request.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::page_token(bytes));
