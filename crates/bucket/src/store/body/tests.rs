use std::path::PathBuf;

use cairn_platform::{Entropy as _, SeededEntropy};
use proptest::prelude::*;

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    bodies: BodyFolder,
    key: DataKey,
}

const NAME: &str = "0a0b0c0d0e0f00010203040506070809";

impl Fixture {
    fn new() -> Self {
        Self::sealed_by(SealedBy::MasterKey)
    }

    fn sealed_by(sealed_by: SealedBy) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bodies = BodyFolder::open(folder.path()).expect("it can be made");
        let mut plain = PlainKey::default();
        SeededEntropy::new(7).fill(plain.as_mut_slice());
        let wrapped = vec![9; 77];
        Self {
            folder,
            bodies,
            key: DataKey {
                plain,
                wrapped,
                sealed_by,
            },
        }
    }

    fn write(&self, pieces: &[&[u8]]) -> u64 {
        let writer = BodyWriter::create(self.bodies.clone(), NAME, &self.key);
        let mut writer = writer.expect("a new file");
        for piece in pieces {
            writer.write(piece).expect("room");
        }
        writer.finish().expect("it is made durable")
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FOLDER).join(path_of(NAME))
    }

    fn open(&self, bytes: u64) -> Result<BodyReader, BucketsError> {
        let sealed = SealedBody::open(&self.bodies, NAME, bytes)?;
        assert_eq!(sealed.wrapped, self.key.wrapped);
        assert_eq!(sealed.sealed_by, self.key.sealed_by);
        Ok(sealed.unseal(&self.key.plain))
    }

    fn read(&self, bytes: u64) -> Result<Vec<u8>, BucketsError> {
        let mut reader = self.open(bytes)?;
        let mut all = Vec::new();
        while u64::try_from(all.len()).expect("small") < bytes {
            let offset = u64::try_from(all.len()).expect("small");
            all.extend_from_slice(&reader.read_chunk_at(offset)?);
        }
        Ok(all)
    }
}

fn is_damaged<T>(read: &Result<T, BucketsError>) -> bool {
    matches!(read, Err(BucketsError::Damaged { .. }))
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_written_is_read_from_any_place(
        length in prop_oneof![0..300_usize, 65_530..65_545_usize, 131_070..131_080_usize],
        cut in 0..140_000_usize,
        from in 0..140_000_u64,
    ) {
        let fixture = Fixture::new();
        let bytes = pattern(length);
        let (start, end) = bytes.split_at(cut.min(length));
        let written = fixture.write(&[start, end]);
        prop_assert_eq!(written, length as u64);
        prop_assert_eq!(&fixture.read(written).expect("whole"), &bytes);
        if from < written {
            let mut reader = fixture.open(written).expect("whole");
            let piece = reader.read_chunk_at(from).expect("whole");
            let from = usize::try_from(from).expect("small");
            prop_assert!(!piece.is_empty());
            prop_assert!(bytes[from..].starts_with(&piece));
        }
    }
}

#[test]
fn no_plain_byte_lies_on_the_disk() {
    let fixture = Fixture::new();
    fixture.write(&[b"the quick brown fox jumps over the lazy dog"]);
    let stored = std::fs::read(fixture.path()).expect("the file");
    assert!(!stored.windows(9).any(|part| part == b"brown fox"));
    assert_eq!(stored.len(), HEADER_BYTES + 43 + 16);
}

#[test]
fn every_damage_is_told() {
    let fixture = Fixture::new();
    let bytes = pattern(CHUNK_BYTES + 100);
    let length = fixture.write(&[&bytes]);
    let sound = std::fs::read(fixture.path()).expect("the file");
    for at in [
        0,
        8,
        10,
        12,
        16,
        24,
        500,
        1023,
        1024,
        40_000,
        66_580,
        sound.len() - 1,
    ] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(fixture.path(), &damaged).expect("the file");
        assert!(is_damaged(&fixture.read(length)), "byte {at}");
    }
    for left in [0, 100, 1024, 1024 + CHUNK_BYTES + 16, sound.len() - 1] {
        std::fs::write(fixture.path(), &sound[..left]).expect("the file");
        assert!(is_damaged(&fixture.read(length)), "cut to {left}");
    }
    std::fs::write(fixture.path(), &sound).expect("the file");
    assert_eq!(fixture.read(length).expect("sound again"), bytes);
    assert!(is_damaged(&fixture.open(length - 1)), "another length");
    std::fs::remove_file(fixture.path()).expect("the file");
    assert!(is_damaged(&fixture.open(length)), "no file");
}

#[test]
fn a_cut_at_a_chunk_with_a_header_to_match_is_told() {
    let fixture = Fixture::new();
    fixture.write(&[&pattern(2 * CHUNK_BYTES)]);
    let mut stored = std::fs::read(fixture.path()).expect("the file");
    stored.truncate(HEADER_BYTES + CHUNK_BYTES + 16);
    stored[16..24].copy_from_slice(&CHUNK.to_le_bytes());
    let crc = crc32c::crc32c(&stored[..CRC_START]).to_le_bytes();
    stored[CRC_START..HEADER_BYTES].copy_from_slice(&crc);
    std::fs::write(fixture.path(), &stored).expect("the file");
    assert!(is_damaged(&fixture.read(CHUNK)));
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let fixture = Fixture::new();
    let writer = BodyWriter::create(fixture.bodies.clone(), NAME, &fixture.key);
    let mut writer = writer.expect("a new file");
    writer.write(&pattern(3 * CHUNK_BYTES)).expect("room");
    let stored = std::fs::read(fixture.path()).expect("the file");
    assert!(Header::read(&stored).is_err(), "the header comes last");
    drop(writer);
    assert!(!fixture.path().exists());
}

// Proves: R24
#[test]
fn bodies_of_both_versions_are_read_and_written_the_same() {
    let first: &[u8] = include_bytes!("../../../tests/frozen/body-v1");
    let second: &[u8] = include_bytes!("../../../tests/frozen/body-v2");
    for (sealed_by, frozen) in [(SealedBy::MasterKey, first), (SealedBy::ObjectKey, second)] {
        let fixture = Fixture::sealed_by(sealed_by);
        let bytes = pattern(100);
        let length = fixture.write(&[&bytes]);
        let written = std::fs::read(fixture.path()).expect("the file");
        assert!(written == frozen, "a changed format needs a new version");
        assert_eq!(crate::fuzzing::read_body(frozen), 0, "another key");
        std::fs::write(fixture.path(), frozen).expect("the file");
        assert_eq!(fixture.read(length).expect("it is sound"), bytes);
    }
}

// Proves: R24
#[test]
fn the_fuzzers_saved_files_are_read_or_refused() {
    let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = crate_folder.join("../../fuzz/corpus/object_body");
    for entry in std::fs::read_dir(corpus).expect("every target has a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        assert_eq!(crate::fuzzing::read_body(&bytes), 0, "{}", path.display());
    }
}
