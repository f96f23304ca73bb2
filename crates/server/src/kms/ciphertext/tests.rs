use cairn_platform::SeededEntropy;

use super::*;

const ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";

fn context(entries: &[(&str, &str)]) -> EncryptionContext {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    entries.collect()
}

fn open(bytes: &[u8], material: &MasterKey, context: &EncryptionContext) -> Option<Vec<u8>> {
    let read = Ciphertext::parse(bytes)?;
    read.open(material, context).map(|plain| plain.to_vec())
}

/// The file was made by a program of its own, in another language.
#[test]
fn a_ciphertext_of_the_first_format_opens_for_ever() {
    let digits: Vec<String> = (0..32).map(|byte: u8| format!("{byte:02x}")).collect();
    let digits = digits.concat();
    let material = MasterKey::from_hex(&digits).expect("64 digits");
    let frozen = include_bytes!("ciphertext-v1.bin");
    let read = Ciphertext::parse(frozen).expect("it is of this format");
    assert_eq!(
        read.key_arn,
        "arn:aws:kms:eu-west-1:111122223333:key/12345678-90ab-cdef-1234-567890abcdef"
    );
    assert_eq!(read.version, 7);
    let context = context(&[
        ("aws:s3:arn", "arn:aws:s3:::logs/ä \"x\""),
        (
            "aws:cloudtrail:arn",
            "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main",
        ),
    ]);
    assert_eq!(
        open(frozen, &material, &context).as_deref(),
        Some(&b"frozen plaintext"[..])
    );
    assert_eq!(read.encode(), frozen);
}

#[test]
fn every_bit_and_the_whole_context_are_authentic() {
    let entropy = SeededEntropy::new(1);
    let material = MasterKey::generate(&entropy);
    let right = context(&[("a", "1"), ("b", "2")]);
    let made = Ciphertext::seal((ARN, 3, &material), &right, b"plain", &entropy);
    assert_eq!(
        open(&made, &material, &right).as_deref(),
        Some(&b"plain"[..])
    );
    for wrong in [
        context(&[]),
        context(&[("a", "1")]),
        context(&[("a", "1"), ("b", "3")]),
        context(&[("a", "1"), ("b", "2"), ("c", "")]),
        context(&[("a\",\"b", "1"), ("b", "2")]),
        context(&[("A", "1"), ("b", "2")]),
    ] {
        assert_eq!(open(&made, &material, &wrong), None, "{wrong:?}");
    }
    for bit in 0..made.len() * 8 {
        let mut altered = made.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&altered, &material, &right), None, "bit {bit}");
    }
    for length in 0..made.len() {
        assert_eq!(
            open(&made[..length], &material, &right),
            None,
            "{length} bytes"
        );
    }
    let other = MasterKey::generate(&entropy);
    assert_eq!(open(&made, &other, &right), None);
}

#[test]
fn whatever_is_encrypted_comes_back_and_nothing_repeats() {
    for seed in 0..60 {
        let entropy = SeededEntropy::new(seed);
        let material = MasterKey::generate(&entropy);
        let mut random = [0; 3];
        entropy.fill(&mut random);
        let length =
            usize::from(u16::from_le_bytes([random[0], random[1]])) % (PLAINTEXT_BYTES_MAX + 1);
        let mut plain = vec![0; length];
        entropy.fill(&mut plain);
        let names: Vec<String> = (0..random[2] % 9).map(|_| entropy.uuid()).collect();
        let context = names
            .iter()
            .map(|name| (name.clone(), entropy.uuid()))
            .collect();
        let key = (ARN, u32::from(random[0]) + 1, &material);
        let first = Ciphertext::seal(key, &context, &plain, &entropy);
        let second = Ciphertext::seal(key, &context, &plain, &entropy);
        assert_ne!(first, second, "seed {seed}");
        assert!(first.len() <= CIPHERTEXT_BYTES_MAX, "seed {seed}");
        assert_eq!(
            open(&first, &material, &context).as_ref(),
            Some(&plain),
            "seed {seed}"
        );
        assert_eq!(
            open(&second, &material, &context).as_ref(),
            Some(&plain),
            "seed {seed}"
        );
    }
}
