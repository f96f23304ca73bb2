//! Manifest lists and manifests: the files that they name, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_lake::fuzzing::manifest(bytes));
