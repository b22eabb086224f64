//! The little of protobuf that a record needs: etcd's `mvccpb.KeyValue`, written and read by hand.
//!
//! Fields with their default value are left out, as every protobuf encoder does; that makes the
//! bytes equal to etcd's, which `HashKV` depends on.

/// Appends a length-delimited field, or nothing if it is empty.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(field << 3 | 2);
        write_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// Appends a varint field, or nothing if it is zero. Negative numbers take ten bytes.
pub(crate) fn put_varint(out: &mut Vec<u8>, field: u8, number: i64) {
    if number != 0 {
        out.push(field << 3);
        write_varint(out, number.cast_unsigned());
    }
}

/// Appends a varint.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The fields of a `KeyValue` that are not known from elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyValueFields<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) create_revision: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

impl<'a> KeyValueFields<'a> {
    /// Reads a message; `None` if it is malformed or holds an unknown field.
    pub(crate) fn parse(mut message: &'a [u8]) -> Option<Self> {
        let mut fields = Self::default();
        while !message.is_empty() {
            let tag = read_varint(&mut message)?;
            match tag {
                0x0a => fields.key = read_bytes(&mut message)?,
                0x10 => fields.create_revision = read_varint(&mut message)?.cast_signed(),
                0x18 => {
                    read_varint(&mut message)?;
                }
                0x20 => fields.version = read_varint(&mut message)?.cast_signed(),
                0x2a => fields.value = read_bytes(&mut message)?,
                0x30 => fields.lease = read_varint(&mut message)?.cast_signed(),
                _ => return None,
            }
        }
        Some(fields)
    }
}

/// Takes a varint off the front; `None` if it is cut short or longer than 64 bits.
pub(crate) fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes a length-delimited field off the front; empty, and nothing taken, if another is there.
pub(crate) fn take_bytes<'a>(input: &mut &'a [u8], field: u8) -> &'a [u8] {
    let mut rest = *input;
    let found = take_tag(&mut rest, field << 3 | 2).and_then(|()| read_bytes(&mut rest));
    found.inspect(|_| *input = rest).unwrap_or_default()
}

/// Takes a varint field off the front; zero, and nothing taken, if another is there.
pub(crate) fn take_varint(input: &mut &[u8], field: u8) -> i64 {
    let mut rest = *input;
    let found = take_tag(&mut rest, field << 3).and_then(|()| read_varint(&mut rest));
    found.inspect(|_| *input = rest).unwrap_or_default().cast_signed()
}

fn take_tag(input: &mut &[u8], tag: u8) -> Option<()> {
    let (&first, rest) = input.split_first()?;
    *input = rest;
    (first == tag).then_some(())
}

fn read_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}
