//! The codec by itself; images of a running store are tested in `tests/images.rs`.

use std::time::Duration;

use super::*;
use crate::entry::{ImageHead, ImageItem};
use crate::log::Identity;
use crate::record::{Record, Version};
use crate::types::{Alarm, AlarmKind, LeaseId, Revision};
use crate::vfs::DISK_BLOCK_BYTES;

const ORIGIN: ImageOrigin = ImageOrigin {
    identity: Identity { cluster_id: 0x1111_2222_3333_4444, member_id: 5 },
    created_at: Duration::from_nanos(1_700_000_000_123_456_789),
};

fn head(revision: i64) -> ImageHead {
    ImageHead { sequence: 6, term: 7, revision: Revision(revision), compact_revision: Revision(-1) }
}

fn put(key: &str, revision: i64, value: &[u8]) -> ImageItem {
    ImageItem::Record(Record::put(&Version {
        key: key.as_bytes(),
        value,
        create_revision: Revision(revision),
        mod_revision: Revision(revision),
        sub_revision: 0,
        version: 1,
        lease: LeaseId::NONE,
    }))
}

fn lease(id: i64) -> ImageItem {
    ImageItem::Lease { id: LeaseId(id), ttl_s: 60, expires_at: Duration::from_nanos(10) }
}

fn alarm(member_id: u64) -> ImageItem {
    ImageItem::Alarm(Alarm { member_id, kind: AlarmKind::Corrupt })
}

/// What an image begins with, and an item of each kind, as they lie in a file.
pub(crate) fn sample() -> Vec<u8> {
    let mut bytes = preface(&ORIGIN, &head(8), 0x0102_0304);
    let gone = ImageItem::Record(Record::tombstone(b"gone", Revision(8), 2));
    for item in [alarm(3), lease(9), gone, put("k", 8, b"v")] {
        item::encode_item(&mut bytes, &item);
    }
    bytes
}

fn image(items: &[ImageItem]) -> Vec<u8> {
    let mut encoder = ImageEncoder::new(&ORIGIN, &head(100));
    let mut bytes = encoder.take();
    assert_eq!(bytes.len(), PREFACE_BYTES);
    for item in items {
        encoder.push(item);
        bytes.extend(encoder.take());
    }
    encoder.finish();
    bytes.extend(encoder.take());
    assert_eq!(encoder.ready_bytes(), 0);
    bytes
}

/// Decodes an image that comes in pieces of so many bytes.
fn decode(bytes: &[u8], piece_bytes: usize) -> Result<Vec<ImageItem>, ImageError> {
    let mut decoder = ImageDecoder::new();
    let mut items = Vec::new();
    for piece in bytes.chunks(piece_bytes) {
        decoder.feed(piece, &mut |item| {
            items.push(item);
            Ok(())
        })?;
    }
    assert_eq!(decoder.finish()?, bytes.len() as u64);
    assert_eq!(decoder.origin(), Some(ORIGIN));
    assert_eq!(decoder.head(), Some(head(100)));
    items.remove(0);
    Ok(items)
}

/// Three blocks of items and more.
fn items() -> Vec<ImageItem> {
    let mut items = vec![alarm(1), alarm(2), lease(-3), lease(4)];
    items.extend((0..9).map(|n| put(&format!("key-{n}"), 10 + n, &vec![7; 100_000])));
    items.push(ImageItem::Record(Record::tombstone(b"key-8", Revision(60), 0)));
    items
}

#[test]
fn an_image_reads_back_in_pieces_of_any_length() {
    let items = items();
    let bytes = image(&items);
    for piece_bytes in [7, 1_000, bytes.len()] {
        assert_eq!(decode(&bytes, piece_bytes).unwrap(), items);
    }
    assert_eq!(decode(&image(&[]), 10).unwrap(), []);
}

#[test]
fn pieces_for_a_disk_fill_its_blocks_and_begin_where_one_can() {
    let items = items();
    let mut encoder = ImageEncoder::new(&ORIGIN, &head(100));
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    // Most items outgrow the room.
    for item in &items {
        encoder.push(item);
        let piece = encoder.take_disk_blocks(Space::with_room(1_000));
        assert!(piece.bytes().len().is_multiple_of(DISK_BLOCK_BYTES));
        assert!(piece.bytes().as_ptr().addr().is_multiple_of(DISK_BLOCK_BYTES));
        pieces += usize::from(!piece.bytes().is_empty());
        bytes.extend_from_slice(piece.bytes());
    }
    encoder.finish();
    bytes.extend_from_slice(encoder.take_disk_blocks(Space::default()).bytes());
    assert!(pieces > 1, "{pieces}");
    assert!(encoder.take().is_empty());
    assert_eq!(decode(&bytes, bytes.len()).unwrap(), items);
}

#[test]
fn an_image_that_was_changed_anywhere_is_refused() {
    let bytes = image(&[lease(1), put("a", 2, b"x"), put("b", 3, b"y")]);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let refused = decode(&changed, 64).unwrap_err();
        let ImageError::Damaged { offset, .. } = refused else { panic!("{refused:?}") };
        assert!(offset <= at as u64, "{offset} {at}");
    }
    for length in 0..bytes.len() {
        let refused = decode(&bytes[..length], 64).unwrap_err();
        assert!(refused.to_string().contains("cut short"), "{length}: {refused}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(decode(&longer, 64).unwrap_err().to_string().contains("something follows"));
}

#[test]
fn items_out_of_order_or_above_the_head_are_refused() {
    let (a, b) = (put("a", 2, b""), put("b", 3, b""));
    for wrong in [
        vec![b.clone(), a.clone()],
        vec![a.clone(), a.clone()],
        vec![put("a", 5, b""), put("a", 4, b"")],
        vec![lease(2), lease(1)],
        vec![a, lease(1)],
        vec![lease(1), alarm(1)],
        vec![alarm(2), alarm(1)],
        vec![lease(0)],
        vec![put("a", 101, b"")],
        vec![put("", 1, b"")],
        vec![ImageItem::Head(head(100))],
    ] {
        let refused = decode(&image(&wrong), 1 << 20).unwrap_err();
        assert!(matches!(refused, ImageError::Damaged { .. }), "{wrong:?}: {refused}");
    }
}
