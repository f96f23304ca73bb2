//! Compressed bodies: nothing grows beyond its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::gzip_body(bytes));
