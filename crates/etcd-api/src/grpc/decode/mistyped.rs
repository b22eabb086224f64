//! A message without the fields whose bytes are of another type than they are declared with.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost::bytes::Buf as _;
use prost::encoding::{decode_varint, encode_varint};
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::{Label, Type};

/// Messages within each other; etcd's are three, and transactions in transactions.
const DEPTH_MAX: usize = 16;

/// Of a key: how its value lies on the wire.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const GROUP_START: u64 = 3;
const GROUP_END: u64 = 4;
const FOUR_BYTES: u64 = 5;

/// A field as it is declared.
struct Field {
    wire_type: u64,
    /// Its numbers may stand one behind the other, with one key.
    is_packable: bool,
    /// What it is a message of.
    message: Option<String>,
}

type Fields = HashMap<u64, Field>;

/// The fields of all messages of the port, by the messages' full names.
static MESSAGES: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(crate::wire::DESCRIPTORS).unwrap_or_default().file;
    let of_file = |file: prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        file.message_type.into_iter().map(move |message| {
            let fields = message.field.iter().map(|field| {
                (u64::try_from(field.number()).unwrap_or_default(), Field::declared(field))
            });
            (format!("{package}.{}", message.name()), fields.collect())
        })
    };
    files.into_iter().flat_map(of_file).collect()
});

impl Field {
    fn declared(field: &prost_types::FieldDescriptorProto) -> Self {
        let wire_type = match field.r#type() {
            Type::Double | Type::Fixed64 | Type::Sfixed64 => EIGHT_BYTES,
            Type::Float | Type::Fixed32 | Type::Sfixed32 => FOUR_BYTES,
            Type::String | Type::Bytes | Type::Message => LENGTH_DELIMITED,
            Type::Group => GROUP_START,
            _ => VARINT,
        };
        Self {
            wire_type,
            is_packable: field.label() == Label::Repeated && wire_type != LENGTH_DELIMITED,
            message: (field.r#type() == Type::Message)
                .then(|| field.type_name().trim_start_matches('.').to_owned()),
        }
    }

    fn takes(&self, wire_type: u64) -> bool {
        wire_type == self.wire_type || self.is_packable && wire_type == LENGTH_DELIMITED
    }
}

/// The message of this name without such fields; `None`: it is none whatever they are.
pub(super) fn without(name: &str, message: &[u8]) -> Option<Vec<u8>> {
    reduced(MESSAGES.get(name)?, message, DEPTH_MAX)
}

fn reduced(fields: &Fields, mut message: &[u8], depth: usize) -> Option<Vec<u8>> {
    let depth = depth.checked_sub(1)?;
    let mut kept = Vec::with_capacity(message.len());
    while !message.is_empty() {
        let start = message;
        let (number, wire_type) = key(&mut message)?;
        let key_bytes = start.get(..start.len() - message.len())?;
        let value = value(&mut message, (number, wire_type), depth)?;
        match fields.get(&number) {
            Some(field) if !field.takes(wire_type) => {}
            Some(Field { message: Some(name), .. }) => {
                let nested = reduced(MESSAGES.get(name)?, value, depth)?;
                kept.extend_from_slice(key_bytes);
                encode_varint(nested.len() as u64, &mut kept);
                kept.extend(nested);
            }
            _ => kept.extend_from_slice(start.get(..start.len() - message.len())?),
        }
    }
    Some(kept)
}

fn key(message: &mut &[u8]) -> Option<(u64, u64)> {
    let key = decode_varint(message).ok()?;
    Some((key >> 3, key & 7)).filter(|(number, _)| *number > 0)
}

/// Takes a value from the front; without what says its length.
fn value<'a>(message: &mut &'a [u8], of: (u64, u64), depth: usize) -> Option<&'a [u8]> {
    let before = *message;
    let length = match of.1 {
        VARINT => {
            decode_varint(message).ok()?;
            return before.get(..before.len() - message.len());
        }
        EIGHT_BYTES => 8,
        FOUR_BYTES => 4,
        LENGTH_DELIMITED => usize::try_from(decode_varint(message).ok()?).ok()?,
        GROUP_START => {
            let depth = depth.checked_sub(1)?;
            loop {
                let within = key(message)?;
                if within == (of.0, GROUP_END) {
                    return before.get(..before.len() - message.len());
                }
                value(message, within, depth)?;
            }
        }
        _ => return None,
    };
    let value = message.get(..length)?;
    message.advance(length);
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TXN: &str = "etcdserverpb.TxnRequest";

    fn check(name: &str, message: &[u8], expected: &[u8]) {
        let found = without(&format!("etcdserverpb.{name}"), message);
        assert_eq!(found.as_deref(), Some(expected), "{name} of {message:x?}");
    }

    #[test]
    fn fields_of_any_other_type_go_and_all_else_stays() {
        let key = b"\x0a\x01k";
        for mistyped in [
            &b"\x1a\x01k"[..],
            b"\x19\0\0\0\0\0\0\0\x01",
            b"\x1d\0\0\0\x01",
            b"\x0b\x08\x01\x13\x14\x0c",
            b"\x3a\x01k",
        ] {
            check("RangeRequest", &[key, mistyped, key].concat(), &key.repeat(2));
        }
        // Of no number that is known: a text, and a group.
        let unknown = b"\xa2\x06\x02zz\xa3\x06\x08\x01\xa4\x06";
        check("RangeRequest", unknown, unknown);
        // Many numbers with one key where there may be many, and one.
        let filters = b"\x2a\x02\0\x01\x28\x01";
        check("WatchCreateRequest", filters, filters);
        check("WatchCreateRequest", b"\x2d\0\0\0\x01", b"");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for message in [&b"\0\0"[..], b"\x0e", b"\x0f", b"\x0c", b"\x0a\x05k", b"\x0b", b"\x18\xff"]
        {
            assert_eq!(without("etcdserverpb.RangeRequest", message), None, "{message:x?}");
        }
        let mut nested = b"\x10\x07".to_vec();
        for _ in 0..DEPTH_MAX {
            let length = u8::try_from(nested.len()).unwrap();
            nested = [&[0x12, length + 2, 0x22, length], &nested[..]].concat();
        }
        assert_eq!(without(TXN, &nested), None, "too deep");
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_and_once_is_enough(message in vec(any::<u8>(), 0..100)) {
            if let Some(kept) = without(TXN, &message) {
                prop_assert!(kept.len() <= message.len());
                prop_assert_eq!(without(TXN, &kept), Some(kept));
            }
        }
    }
}
