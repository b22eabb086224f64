//! One item of an image as bytes.

use std::time::Duration;

use bytes::{Buf, BufMut};

use crate::entry::{ImageHead, ImageItem};
use crate::log::{decode_alarm, encode_alarm, nanoseconds};
use crate::record::Record;
use crate::types::{LeaseId, Revision};

const ITEM_HEAD: u8 = 1;
const ITEM_LEASE: u8 = 2;
const ITEM_PUT: u8 = 3;
const ITEM_TOMBSTONE: u8 = 4;
const ITEM_ALARM: u8 = 5;

/// Bytes of an encoded head.
pub(crate) const HEAD_BYTES: usize = 33;

pub(crate) fn encode_item(out: &mut Vec<u8>, item: &ImageItem) {
    match item {
        ImageItem::Head(head) => {
            out.put_u8(ITEM_HEAD);
            out.put_u64_le(head.sequence);
            out.put_u64_le(head.term);
            out.put_i64_le(head.revision.0);
            out.put_i64_le(head.compact_revision.0);
        }
        ImageItem::Alarm(alarm) => {
            out.put_u8(ITEM_ALARM);
            encode_alarm(out, *alarm);
        }
        ImageItem::Lease { id, ttl_s, expires_at } => {
            out.put_u8(ITEM_LEASE);
            out.put_i64_le(id.0);
            out.put_i64_le(*ttl_s);
            out.put_u64_le(nanoseconds(*expires_at));
        }
        ImageItem::Record(record) => {
            let message = record.message();
            out.put_u8(if record.is_tombstone() { ITEM_TOMBSTONE } else { ITEM_PUT });
            out.put_i64_le(record.mod_revision().0);
            out.put_u32_le(record.sub_revision());
            out.put_u32_le(u32::try_from(message.len()).unwrap_or(u32::MAX));
            out.extend_from_slice(message);
        }
    }
}

/// Makes a record of its revision, its sub-revision, whether it is a tombstone, and its message; as
/// [`Record::decode`] does.
pub(crate) type MakeRecord<'a> = dyn FnMut(Revision, u32, bool, &[u8]) -> Option<Record> + 'a;

pub(crate) fn decode_item(input: &mut &[u8], record: &mut MakeRecord<'_>) -> Option<ImageItem> {
    match input.try_get_u8().ok()? {
        ITEM_HEAD => Some(ImageItem::Head(ImageHead {
            sequence: input.try_get_u64_le().ok()?,
            term: input.try_get_u64_le().ok()?,
            revision: Revision(input.try_get_i64_le().ok()?),
            compact_revision: Revision(input.try_get_i64_le().ok()?),
        })),
        ITEM_ALARM => decode_alarm(input).map(ImageItem::Alarm),
        ITEM_LEASE => Some(ImageItem::Lease {
            id: LeaseId(input.try_get_i64_le().ok()?),
            ttl_s: input.try_get_i64_le().ok()?,
            expires_at: Duration::from_nanos(input.try_get_u64_le().ok()?),
        }),
        kind @ (ITEM_PUT | ITEM_TOMBSTONE) => {
            let revision = Revision(input.try_get_i64_le().ok()?);
            let sub_revision = input.try_get_u32_le().ok()?;
            let length = input.try_get_u32_le().ok()?;
            let (message, rest) = input.split_at_checked(length as usize)?;
            *input = rest;
            record(revision, sub_revision, kind == ITEM_TOMBSTONE, message).map(ImageItem::Record)
        }
        _ => None,
    }
}
