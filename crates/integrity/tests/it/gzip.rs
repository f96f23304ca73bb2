//! Log files and digests as gzip: each kind of damage has its word, and nothing grows without end.

use cairn_integrity::{LogFileFault, LogFileHash, SIZE_LIMITS, SizeLimits, inflate, sha256_hex};
use proptest::prelude::*;

use crate::stand::gzip;

fn check(packed: &[u8], pieces: usize, hash: &str) -> Result<(), LogFileFault> {
    let mut file = LogFileHash::new(SIZE_LIMITS);
    for piece in packed.chunks(pieces) {
        file.update(piece)?;
    }
    file.finish(hash)
}

// Proves: REC-285, REC-291
#[test]
fn each_way_of_changing_a_log_file_has_its_own_word() {
    let packed = gzip(b"{\"Records\":[]}");
    let hash = sha256_hex(b"{\"Records\":[]}");
    assert_eq!(check(&packed, 7, &hash), Ok(()));
    assert_eq!(check(&packed, 7, &sha256_hex(b"")), Err(LogFileFault::Hash));
    assert_eq!(check(b"plain text", 7, &hash), Err(LogFileFault::Format));
    assert_eq!(check(b"", 7, &hash), Err(LogFileFault::Hash));
    let longer = [packed.as_slice(), b"x"].concat();
    assert_eq!(check(&longer, 7, &hash), Err(LogFileFault::TrailingData));
    assert_eq!(
        check(&longer, 1_000, &hash),
        Err(LogFileFault::TrailingData)
    );
    let twice = [packed.as_slice(), &packed].concat();
    assert_eq!(check(&twice, 1_000, &hash), Err(LogFileFault::TrailingData));
    let without_checksum = &packed[..packed.len() - 8];
    assert_eq!(
        check(without_checksum, 7, &hash),
        Ok(()),
        "its contents are whole"
    );
    let cut = &packed[..packed.len() - 12];
    assert_eq!(check(cut, 7, &hash), Err(LogFileFault::Hash));
    let mut wrong_checksum = packed.clone();
    let at = packed.len() - 8;
    wrong_checksum[at] ^= 1;
    assert_eq!(check(&wrong_checksum, 7, &hash), Err(LogFileFault::Format));
}

// Proves: H2
#[test]
fn a_bomb_ends_early() {
    let bomb = gzip(&vec![0; 32 << 20]);
    assert!(bomb.len() < 64 << 10, "the bomb is small: {}", bomb.len());
    let by_ratio = SizeLimits {
        bytes_max: 1 << 30,
        ratio_max: 100,
    };
    let by_size = SizeLimits {
        bytes_max: 2 << 20,
        ratio_max: 10_000,
    };
    for limits in [by_ratio, by_size] {
        assert_eq!(inflate(&bomb, limits), None);
        let mut file = LogFileHash::new(limits);
        assert_eq!(file.update(&bomb), Err(LogFileFault::Format));
    }
    let room = SizeLimits {
        bytes_max: 32 << 20,
        ratio_max: 10_000,
    };
    assert_eq!(inflate(&bomb, room).map(|text| text.len()), Some(32 << 20));
}

#[test]
fn a_digest_is_one_whole_member() {
    let packed = gzip(b"{}");
    assert_eq!(
        inflate(&packed, SIZE_LIMITS).as_deref(),
        Some(b"{}".as_slice())
    );
    let longer = [packed.as_slice(), b"ignored"].concat();
    assert_eq!(
        inflate(&longer, SIZE_LIMITS).as_deref(),
        Some(b"{}".as_slice())
    );
    for length in 0..packed.len() {
        assert_eq!(
            inflate(&packed[..length], SIZE_LIMITS),
            None,
            "cut at {length}"
        );
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_make_the_same_file(
        text in proptest::collection::vec(any::<u8>(), 0..200_000),
        pieces in 1_usize..100_000,
    ) {
        prop_assert_eq!(check(&gzip(&text), pieces, &sha256_hex(&text)), Ok(()));
    }

    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        inflate(&bytes, SIZE_LIMITS);
        prop_assert_ne!(check(&bytes, 3, &sha256_hex(b"secret")), Ok(()));
    }
}
