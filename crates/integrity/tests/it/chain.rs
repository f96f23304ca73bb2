//! Walks along chains: whole ones, broken ones, forged ones, and mixtures that a property makes up.

use cairn_integrity::DigestKind::{Backfill, Standard};
use cairn_integrity::{
    ChainWalk, Digest, Finding, ListedDigest, PreviousDigest, PublicKeys, Step, WalkRange,
};
use proptest::prelude::*;

use crate::stand::{BUCKET, Stand, digest_key, gzip, hour, key_pair, signed};

const MOVED: &str = "INVALID: has been moved from its original location";
const FORMAT: &str = "INVALID: invalid format";
const SIGNATURE: &str = "INVALID: signature verification failed";

// Proves: REC-281, REC-282
#[test]
fn a_whole_chain_is_told_newest_first() {
    let stand = Stand::with_chain(3);
    assert_eq!(
        stand.walk(0, 5, Standard),
        ["01-03 valid", "01-02 valid", "01-01 valid"]
    );
    let later = stand.walk(2, 5, Standard);
    assert_eq!(
        later,
        ["01-03 valid", "01-02 valid"],
        "ends with the digest before the start"
    );
    assert_eq!(stand.walk(0, 1, Standard), ["01-02 valid", "01-01 valid"]);
}

// Proves: REC-282, REC-284
#[test]
fn each_fault_has_its_own_word_and_the_walk_goes_on_past_it() {
    let check = |change: &dyn Fn(&mut Stand), word: &str| {
        let mut stand = Stand::with_chain(3);
        change(&mut stand);
        let expected = [
            "01-03 valid".to_owned(),
            format!("01-02 {word}"),
            "01-01 valid".to_owned(),
        ];
        assert_eq!(stand.walk(0, 5, Standard), expected, "{word}");
    };
    check(&|stand| stand.remove(2), "INVALID: not found");
    check(
        &|stand| stand.object(2).packed = b"no gzip".to_vec(),
        FORMAT,
    );
    check(&|stand| stand.object(2).packed = gzip(b"{"), FORMAT);
    check(&|stand| stand.object(2).packed = gzip(b"[]"), FORMAT);
    check(&|stand| stand.object(2).packed = gzip(b"{}"), FORMAT);
    check(&|stand| stand.object(2).signature = None, SIGNATURE);
    check(
        &|stand| stand.object(2).signature_algorithm = None,
        SIGNATURE,
    );
    check(
        &|stand| stand.object(2).signature = Some("abc".into()),
        "INVALID: Odd-length string",
    );
    check(
        &|stand| stand.object(2).signature = Some("zz".into()),
        "INVALID: Non-hexadecimal digit found",
    );
    check(
        &|stand| stand.object(2).signature = Some("00".into()),
        SIGNATURE,
    );
    check(&|stand| *stand.object(2) = stand.object(1).clone(), MOVED);
    let replayed =
        |stand: &mut Stand| stand.object(2).signature = stand.object(1).signature.clone();
    check(&replayed, SIGNATURE);
    check(
        &|stand| {
            rewrite(stand, |text| {
                text.replace("\"logFiles\":[]", "\"logFiles\":[ ]")
            });
        },
        SIGNATURE,
    );
    check(
        &|stand| rewrite(stand, |text| text.replace("\"digestEndTime\"", "\"other\"")),
        FORMAT,
    );
    let other_key = |stand: &mut Stand| {
        rewrite(stand, |text| {
            text.replace(&key_pair().fingerprint(), "0123")
        });
    };
    check(
        &other_key,
        "INVALID: public key not found in region us-east-1 for fingerprint 0123",
    );
}

fn rewrite(stand: &mut Stand, change: impl Fn(&str) -> String) {
    let object = stand.object(2);
    let text = cairn_integrity::inflate(&object.packed, cairn_integrity::SIZE_LIMITS);
    let text = String::from_utf8(text.expect("gzip")).expect("JSON");
    let changed = change(&text);
    assert_ne!(changed, text);
    object.packed = gzip(changed.as_bytes());
}

// Proves: REC-252, REC-269, REC-284
#[test]
fn keys_that_cannot_be_read_or_are_not_there_are_named() {
    let mut stand = Stand::with_chain(1);
    let fingerprint = key_pair().fingerprint();
    stand.keys.insert(fingerprint.clone(), b"no key".to_vec());
    let word = format!("01-01 INVALID: Unable to load PKCS #1 key with fingerprint {fingerprint}");
    assert_eq!(stand.walk(0, 5, Standard), [word]);
    stand.keys = PublicKeys::new();
    assert_eq!(
        stand.walk(0, 5, Standard),
        ["no keys from 2026-01-01T00:00:00Z to 2026-01-01T07:00:00Z"]
    );
}

// Proves: REC-256, REC-292
#[test]
fn a_restart_is_a_gap_and_not_a_fault() {
    let mut stand = Stand::with_chain(2);
    stand.restart();
    stand.deliver(6);
    stand.deliver(7);
    assert_eq!(
        stand.walk(0, 9, Standard),
        [
            "01-07 valid",
            "01-06 valid",
            "gap 2026-01-01T02:00:00Z 2026-01-01T05:00:00Z",
            "01-02 valid",
            "01-01 valid",
        ]
    );
}

#[test]
fn a_chain_leads_into_another_bucket() {
    let mut stand = Stand::new();
    let key = stand.deliver_as("older", hour(1), Standard, None);
    let first = stand.objects[&("older".to_owned(), key.clone())].clone();
    stand.deliver_as("older", hour(0), Standard, None);
    let previous = PreviousDigest {
        bucket: "older".to_owned(),
        object: key,
        hash_value: String::new(),
        signature: first.signature.expect("signed"),
    };
    stand.deliver_as(BUCKET, hour(2), Standard, Some(previous));
    assert_eq!(
        stand.walk(-5, 9, Standard),
        [
            "01-02 valid",
            "01-01 valid",
            "gap 2026-01-01T00:00:00Z 2026-01-01T00:00:00Z",
            "01-00 valid"
        ]
    );
}

// Proves: REC-277, REC-293
#[test]
fn a_copy_in_another_bucket_has_been_moved() {
    let mut stand = Stand::new();
    let key = stand.deliver_as("older", hour(1), Standard, None);
    let copy = stand.objects[&("older".to_owned(), key.clone())].clone();
    stand.objects.insert((BUCKET.to_owned(), key), copy);
    let lines = stand.walk(0, 5, Standard);
    assert_eq!(lines, [format!("01-01 {MOVED}")]);
}

#[test]
fn a_chain_that_its_signer_bent_into_a_ring_ends() {
    let mut stand = Stand::new();
    let previous = PreviousDigest {
        bucket: BUCKET.to_owned(),
        object: digest_key(hour(2), Standard),
        hash_value: String::new(),
        signature: "00".to_owned(),
    };
    stand.deliver_as(BUCKET, hour(1), Standard, None);
    stand.deliver_as(BUCKET, hour(2), Standard, Some(previous));
    let lines = stand.walk(0, 9, Standard);
    assert_eq!(lines, ["01-02 valid", "01-02 valid", "01-01 valid"]);
}

#[test]
fn backfill_digests_are_walked_apart_and_ask_for_their_own_keys() {
    let mut stand = Stand::with_chain(2);
    stand.deliver_as(BUCKET, hour(1), Backfill, None);
    stand.deliver_as(BUCKET, hour(2), Backfill, None);
    assert_eq!(stand.walk(0, 9, Standard), ["01-02 valid", "01-01 valid"]);
    let whole = stand.walk(0, 9, Backfill);
    assert_eq!(
        whole,
        [
            "01-02 valid",
            "gap 2026-01-01T01:00:00Z 2026-01-01T01:00:00Z",
            "01-01 valid"
        ]
    );
    let place = (BUCKET.to_owned(), digest_key(hour(2), Backfill));
    let newest = |stand: &mut Stand, made: Option<&str>| {
        let object = stand.objects.get_mut(&place).expect("delivered");
        object.backfill_generation = made.map(str::to_owned);
        stand.walk(0, 9, Backfill).remove(0)
    };
    assert_eq!(newest(&mut stand, None), format!("01-02 {FORMAT}"));
    assert_eq!(
        newest(&mut stand, Some("soon")),
        "01-02 INVALID: Unable to parse date value: soon"
    );
    stand.keys = PublicKeys::new();
    assert_eq!(
        newest(&mut stand, Some("2026-02-01T00:00:00Z")),
        "01-02 INVALID: No public keys found between 2026-01-31T23:00:00Z and 2026-02-01T01:00:00Z"
    );
}

// Proves: REC-294
#[test]
fn a_digest_whose_signature_is_not_at_hand_is_passed_by() {
    let stand = Stand::with_chain(2);
    let range = WalkRange {
        start: hour(0),
        end: hour(5),
        kind: Standard,
        bucket: BUCKET.to_owned(),
        home_region: "us-east-1".to_owned(),
    };
    let mut walk = ChainWalk::new(range);
    let listed = |end| ListedDigest {
        key: digest_key(hour(end), Standard),
        end: hour(end),
        kind: Standard,
    };
    walk.listed(vec![listed(1), listed(2)]);
    walk.take_keys(stand.keys);
    let at = |end| Step::Fetch {
        bucket: BUCKET.to_owned(),
        key: digest_key(hour(end), Standard),
    };
    assert_eq!(walk.step(), at(2));
    walk.unchecked();
    assert!(matches!(
        walk.step(),
        Step::Found(Finding::Unchecked { .. })
    ));
    assert_eq!(walk.step(), at(1));
}

#[test]
fn a_signed_text_that_is_no_digest_is_not_taken_for_one() {
    let mut stand = Stand::with_chain(1);
    let place = (BUCKET.to_owned(), digest_key(hour(1), Standard));
    let text = cairn_integrity::inflate(&stand.object(1).packed, cairn_integrity::SIZE_LIMITS);
    let mut digest = Digest::parse(&text.expect("gzip")).expect("a digest");
    digest.object = "elsewhere".to_owned();
    stand.objects.insert(place, signed(&digest, Standard).0);
    assert_eq!(stand.walk(0, 5, Standard), [format!("01-01 {MOVED}")]);
}

/// What became of one hour of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Whole,
    Restarted,
    Removed,
    Forged,
}

/// The lines for a chain whose hours 1, 2 … met these fates, by the rules in words: a digest that is
/// reached is told; what is removed is noticed only by the link of the next one; a start after a pause
/// tells of the pause.
fn expected(fates: &[Fate]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_linked = false;
    for (index, fate) in fates.iter().enumerate().rev() {
        let name = format!("01-{:02}", index + 1);
        let listed_before = fates[..index]
            .iter()
            .rposition(|fate| *fate != Fate::Removed);
        match fate {
            Fate::Whole | Fate::Restarted => {
                lines.push(format!("{name} valid"));
                is_linked = *fate == Fate::Whole && index > 0;
                if let (false, Some(before)) = (is_linked, listed_before) {
                    let end = i64::try_from(before + 1).expect("small");
                    let start = i64::try_from(index).expect("small");
                    lines.push(format!("gap {} {}", hour(end), hour(start)));
                }
            }
            Fate::Removed if is_linked => {
                lines.push(format!("{name} INVALID: not found"));
                is_linked = false;
            }
            Fate::Removed => {}
            Fate::Forged => {
                lines.push(format!("{name} {SIGNATURE}"));
                is_linked = false;
            }
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Proves: REC-245, REC-247, REC-251, REC-281, REC-282
    #[test]
    fn any_mixture_of_fates_is_told_as_the_rules_say(
        fates in proptest::collection::vec(
            prop_oneof![
                4 => Just(Fate::Whole),
                1 => Just(Fate::Restarted),
                1 => Just(Fate::Removed),
                1 => Just(Fate::Forged),
            ],
            1..20,
        ),
    ) {
        let mut stand = Stand::new();
        for (index, fate) in fates.iter().enumerate() {
            if *fate == Fate::Restarted {
                stand.restart();
            }
            stand.deliver(i64::try_from(index + 1).expect("small"));
        }
        for (index, fate) in fates.iter().enumerate() {
            let end = i64::try_from(index + 1).expect("small");
            match fate {
                Fate::Removed => stand.remove(end),
                Fate::Forged => stand.object(end).signature = Some("00".repeat(256)),
                Fate::Whole | Fate::Restarted => {}
            }
        }
        prop_assert_eq!(stand.walk(0, 30, Standard), expected(&fates));
    }

    // Proves: REC-279
    #[test]
    fn no_changed_byte_of_a_digest_goes_unseen(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut stand = Stand::with_chain(1);
        let before = stand.object(1).packed.clone();
        let text = cairn_integrity::inflate(&before, cairn_integrity::SIZE_LIMITS);
        let at = at.index(before.len());
        stand.object(1).packed[at] ^= 1 << bit;
        let after = cairn_integrity::inflate(&stand.object(1).packed, cairn_integrity::SIZE_LIMITS);
        let lines = stand.walk(0, 5, Standard);
        // Some bits of gzip's header, such as its time, say nothing about the contents.
        prop_assert_eq!(lines == ["01-01 valid"], after == text, "{:?}", lines);
    }
}
