//! What every format must do with every value, and with every byte string that is not one.

use bytes::Bytes;
use cairn_model::Sequence;
use proptest::prelude::*;

use super::{
    FrameEntry, FrameHeader, HeaderVerdict, RecordSelection, Seal, SegmentHeader, SegmentIdentity,
    TRAILER_BYTES, Watermark, decode_records, encode_records, encoded_bytes,
};
use crate::{NewRecord, RecordKind};

fn identities() -> impl Strategy<Value = SegmentIdentity> {
    (0..1_u64 << 60, any::<u64>()).prop_map(|(first, epoch)| SegmentIdentity { first, epoch })
}

fn records() -> impl Strategy<Value = Vec<NewRecord>> {
    let part = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let kind = prop_oneof![Just(RecordKind::Event), Just(RecordKind::Control)];
    let record =
        (kind, part(), part(), part()).prop_map(|(kind, header, body, context)| NewRecord {
            kind,
            header,
            body,
            context,
        });
    prop::collection::vec(record, 0..8)
}

proptest! {
    #[test]
    fn records_come_back_from_any_place_on(records in records(), first in 0..1_u64 << 40) {
        let piece = Bytes::from(encode_records(&records));
        prop_assert_eq!(piece.len(), encoded_bytes(&records));
        for skipped in 0..=records.len() {
            let mut selection = RecordSelection::new(first + skipped as u64, usize::MAX);
            let end = first + records.len() as u64;
            prop_assert_eq!(decode_records(&piece, first..end, 7, &mut selection), Some(end));
            let found: Vec<_> =
                selection.records.iter().map(|found| found.record.clone()).collect();
            prop_assert_eq!(&found, &records[skipped..]);
            for (found, sequence) in selection.records.iter().zip(first + skipped as u64..) {
                prop_assert_eq!((found.sequence, found.accepted_ms), (Sequence(sequence), 7));
            }
        }
    }

    #[test]
    fn a_piece_that_is_cut_is_malformed(records in records(), cut in 1_usize..60) {
        let mut piece = encode_records(&records);
        let whole = piece.len();
        piece.truncate(whole.saturating_sub(cut));
        let mut selection = RecordSelection::new(0, usize::MAX);
        let decoded = decode_records(&Bytes::from(piece.clone()), 0..8, 0, &mut selection);
        // Cut at a record's end it is a shorter piece, which the frame's record count tells apart.
        let kept = selection.records.into_iter().map(|found| found.record);
        let again = encode_records(&kept.collect::<Vec<_>>());
        prop_assert_eq!(decoded.is_some(), again.len() == piece.len());
        prop_assert!(piece.starts_with(&again));
    }

    #[test]
    fn arbitrary_bytes_are_no_format(bytes in prop::collection::vec(any::<u8>(), 0..300), segment in identities()) {
        prop_assert_eq!(FrameHeader::decode(&bytes, segment, 4096), None);
        prop_assert_eq!(Watermark::decode(&bytes), None);
        prop_assert_eq!(Seal::decode(&bytes, segment, 8192), None);
        prop_assert_ne!(SegmentHeader::judge(&bytes, segment), HeaderVerdict::Valid);
        let mut selection = RecordSelection::new(0, usize::MAX);
        let _ = decode_records(&Bytes::from(bytes), 0..300, 0, &mut selection);
    }

    #[test]
    fn a_frame_header_fits_only_its_own_place(
        segment in identities(),
        other in identities(),
        offset in 1..1_u64 << 30,
        (count, payload_bytes, payload_crc) in (1..u32::MAX, 0..1_u32 << 20, any::<u32>()),
        flip in 0..512_usize,
    ) {
        let offset = offset * 4096;
        let entry = FrameEntry { offset, first: segment.first, count, payload_bytes, payload_crc };
        let header = FrameHeader { entry, accepted_ms: -5 };
        let mut bytes = header.encode(segment);
        prop_assert_eq!(FrameHeader::decode(&bytes, segment, offset), Some(header));
        prop_assert_eq!(FrameHeader::decode(&bytes, segment, offset + 4096), None);
        prop_assert!(other == segment || FrameHeader::decode(&bytes, other, offset).is_none());
        bytes[flip / 8] ^= 1 << (flip % 8);
        prop_assert_eq!(FrameHeader::decode(&bytes, segment, offset), None);
    }

    #[test]
    fn a_seal_gives_back_its_table_and_no_other(
        segment in identities(),
        frames in 0..200_u64,
        flip in any::<prop::sample::Index>(),
    ) {
        let header = SegmentHeader { identity: segment, created_ms: 3 };
        let frames: Vec<_> = (0..frames)
            .map(|at| FrameEntry {
                offset: 4096 + at * 8192,
                first: segment.first + at,
                count: 1,
                payload_bytes: 5000,
                payload_crc: 17,
            })
            .collect();
        let (table_offset, end) = (4096 + frames.len() as u64 * 8192, segment.first + 200);
        let bytes = Seal::encode(&header, &frames, table_offset, end);
        let file_bytes = table_offset + bytes.len() as u64;
        prop_assert_eq!(file_bytes % 4096, 0);
        let trailer = &bytes[bytes.len() - TRAILER_BYTES..];
        let seal = Seal::decode(trailer, segment, file_bytes).expect("it was encoded");
        prop_assert_eq!((seal.end, seal.table_offset), (end, table_offset));
        prop_assert_eq!(Seal::decode(trailer, segment, file_bytes + 4096), None);
        let table_bytes = usize::try_from(seal.table_bytes().expect("small")).expect("small");
        let mut table = bytes[..table_bytes].to_vec();
        prop_assert_eq!(seal.decode_table(&header.encode(), &table), Some(frames));
        if !table.is_empty() {
            let at = flip.index(table.len());
            table[at] ^= 1;
            prop_assert_eq!(seal.decode_table(&header.encode(), &table), None);
        }
    }

    #[test]
    fn names_and_headers_say_the_same(segment in identities(), flip in 0..512_usize) {
        prop_assert_eq!(SegmentIdentity::from_file_name(&segment.file_name()), Some(segment));
        let mut bytes = SegmentHeader { identity: segment, created_ms: 9 }.encode();
        prop_assert_eq!(SegmentHeader::judge(&bytes, segment), HeaderVerdict::Valid);
        bytes[flip / 8] ^= 1 << (flip % 8);
        prop_assert_eq!(SegmentHeader::judge(&bytes, segment), HeaderVerdict::Damaged);
    }
}

#[test]
fn only_exact_names_are_segments() {
    for name in [
        "",
        "lock",
        "1-1.segment",
        "00000000000000000000-0000000001.segment.recovering",
    ] {
        assert_eq!(SegmentIdentity::from_file_name(name), None, "{name}");
    }
}
