//! Files of `cairn ingest`: their events, each with an ID, or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::ingest_file(bytes));
