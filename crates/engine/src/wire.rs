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

/// Takes a field that [`put_bytes`] wrote; empty if that wrote nothing. `None` if it is malformed, or
/// would have been written in another way.
pub(crate) fn expect_bytes<'a>(input: &mut &'a [u8], field: u8) -> Option<&'a [u8]> {
    if take_tag(input, field << 3 | 2).is_none() {
        return Some(&[]);
    }
    let length = usize::try_from(expect_number(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

/// Takes a field that [`put_varint`] wrote, as [`expect_bytes`] does.
pub(crate) fn expect_varint(input: &mut &[u8], field: u8) -> Option<i64> {
    if take_tag(input, field << 3).is_none() {
        return Some(0);
    }
    Some(expect_number(input)?.cast_signed())
}

/// A varint that is not zero and no longer than it has to be.
fn expect_number(input: &mut &[u8]) -> Option<u64> {
    let before = input.len();
    let number = read_varint(input)?;
    let bytes = (u64::BITS - number.leading_zeros()).div_ceil(7);
    (before - input.len() == bytes as usize).then_some(number)
}

/// Takes a varint off the front; `None` if it is cut short or longer than 64 bits.
pub(crate) fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        if shift == 63 && byte > 1 {
            return None;
        }
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

/// `None`, and nothing taken, if another is there.
fn take_tag(input: &mut &[u8], tag: u8) -> Option<()> {
    let (&first, rest) = input.split_first()?;
    (first == tag).then(|| *input = rest)
}

fn read_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}
