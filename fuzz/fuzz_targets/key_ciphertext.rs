//! Ciphertexts of KMS keys: one form for each, and only the key's own material opens what it made.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cairn_server::fuzzing::key_ciphertext(bytes));
