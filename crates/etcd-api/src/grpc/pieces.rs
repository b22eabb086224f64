//! The answer to a long range, encoded piece by piece as the client takes it.
//!
//! Encoded in one go, 200 MB would keep all connections of the worker waiting, and be held twice
//! until a slow client has read it. The pieces together are the bytes of the one message.

use std::vec;

use bytes::{BufMut, Bytes, BytesMut};
use prost::{Message, encoding};

use crate::wire::KeyValue;
use crate::wire::etcdserverpb::RangeResponse;

/// A shorter answer is encoded at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Of `RangeResponse.kvs`.
const KVS_TAG: u32 = 2;

/// What is left of an answer.
pub(crate) struct Pieces {
    left: usize,
    /// What goes before the next key.
    head: BytesMut,
    kvs: vec::IntoIter<KeyValue>,
    /// What goes after the last one.
    tail: Option<RangeResponse>,
}

impl Pieces {
    /// The message of this length, behind its `prefix`.
    pub(super) fn new(prefix: &[u8], length: usize, reply: RangeResponse) -> Self {
        let RangeResponse { header, kvs, more, count } = reply;
        let left = prefix.len() + length;
        let mut head = BytesMut::with_capacity(left.min(PIECE_BYTES));
        head.put_slice(prefix);
        RangeResponse { header, ..RangeResponse::default() }.encode_raw(&mut head);
        let tail = RangeResponse { more, count, ..RangeResponse::default() };
        Self { left, head, kvs: kvs.into_iter(), tail: Some(tail) }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = std::mem::take(&mut self.head);
        piece.reserve(self.left.min(PIECE_BYTES).saturating_sub(piece.len()));
        while piece.len() < PIECE_BYTES {
            if let Some(key_value) = self.kvs.next() {
                encoding::message::encode(KVS_TAG, &key_value, &mut piece);
            } else {
                self.tail.take().unwrap_or_default().encode_raw(&mut piece);
                break;
            }
        }
        self.left = self.left.saturating_sub(piece.len());
        (!piece.is_empty()).then(|| piece.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::etcdserverpb::ResponseHeader;

    /// As a client would receive it.
    fn key_value(value_bytes: usize) -> KeyValue {
        let value = vec![b'v'; value_bytes];
        let mut encoded = Vec::new();
        encoding::bytes::encode(1, &b"key".to_vec(), &mut encoded);
        encoding::bytes::encode(5, &value, &mut encoded);
        KeyValue::decode(&encoded[..]).expect("a key and a value")
    }

    fn check(value_bytes: usize, keys: usize) {
        let reply = RangeResponse {
            header: Some(ResponseHeader { revision: 7, ..Default::default() }),
            kvs: vec![key_value(value_bytes); keys],
            more: true,
            count: 1_000_000,
        };
        let expected = [b"prefix", &reply.encode_to_vec()[..]].concat();
        let length = reply.encoded_len();
        let pieces: Vec<Bytes> = Pieces::new(b"prefix", length, reply).collect();
        assert_eq!(pieces.concat(), expected, "{keys} keys of {value_bytes}");
        let bound = PIECE_BYTES + value_bytes + 64;
        assert!(pieces.iter().all(|piece| piece.len() <= bound), "{keys} keys of {value_bytes}");
    }

    #[test]
    fn the_pieces_are_the_message_and_none_is_much_too_long() {
        for (value_bytes, keys) in [(0, 0), (1, 1), (100, 5_000), (1 << 20, 3), (PIECE_BYTES, 2)] {
            check(value_bytes, keys);
        }
        // Around a piece that ends with the last key.
        for value_bytes in PIECE_BYTES - 64..PIECE_BYTES {
            check(value_bytes, 1);
        }
    }
}
