//! Events on their way into rows: what a door accepts becomes a row.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_lake::fuzzing::event_row(bytes));
