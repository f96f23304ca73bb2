//! Identity files: refused with a reason, or written again as they were read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::identity_document(bytes));
