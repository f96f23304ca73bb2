//! Block indexes: the blocks that may hold a value, in order, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_lake::fuzzing::block_index(bytes));
