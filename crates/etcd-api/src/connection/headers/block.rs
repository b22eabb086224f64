//! A header block, as far as `:authority` can be in it (RFC 7541, section 6).
//!
//! Nothing is kept from one block to the next: what stands in the dynamic table was a literal
//! before, and what is to be found is literals.

use std::ops::Range;

use super::huffman;

/// The fields of a request that come before all others (RFC 9113, section 8.3.1, and RFC 8441), and
/// changes of the table's size.
const LOOKED_AT_MAX: usize = 8;

const AUTHORITY: &[u8] = b":authority";
/// Of the static table.
const AUTHORITY_INDEX: usize = 1;

/// A number may have so many bytes beyond the first: more than any length takes.
const NUMBER_BYTES_MAX: usize = 4;

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The value of `:authority`, as a literal.
    Authority(Literal),
    /// None, or none that can be read.
    Nothing,
    /// It ends before it can be said.
    Cut,
}

/// A string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where it is in the block.
    pub(super) at: Range<usize>,
    pub(super) is_huffman: bool,
}

/// Looks for it in the first bytes of a block.
pub(super) fn find_authority(block: &[u8]) -> Found {
    let mut walk = Walk { block, at: 0 };
    for _ in 0..LOOKED_AT_MAX {
        match walk.next() {
            Ok(None) => {}
            Ok(Some(value)) => return Found::Authority(value),
            Err(end) => return end,
        }
    }
    Found::Nothing
}

struct Walk<'a> {
    block: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    /// Goes on by one field, and returns its value if it is the one.
    fn next(&mut self) -> Result<Option<Literal>, Found> {
        let prefix_bits = match self.block.get(self.at) {
            None => return Err(Found::Cut),
            // Of a table, with name and value.
            Some(0x80..) => {
                self.number(7)?;
                return Ok(None);
            }
            Some(0x40..) => 6,
            // The table's size.
            Some(0x20..) => {
                self.number(5)?;
                return Ok(None);
            }
            Some(_) => 4,
        };
        let is_authority = match self.number(prefix_bits)? {
            0 => {
                let name = self.string()?;
                self.is_authority(&name)
            }
            index => index == AUTHORITY_INDEX,
        };
        let value = self.string()?;
        Ok(is_authority.then_some(value))
    }

    fn is_authority(&self, name: &Literal) -> bool {
        let bytes = self.block.get(name.at.clone()).unwrap_or_default();
        match name.is_huffman {
            // No code is longer than the byte for each of its letters.
            true if bytes.len() > AUTHORITY.len() => false,
            true => huffman::decode(bytes).as_deref() == Some(AUTHORITY),
            false => bytes == AUTHORITY,
        }
    }

    /// A number that begins in the last bits of a byte (section 5.1).
    fn number(&mut self, prefix_bits: u32) -> Result<usize, Found> {
        let prefix_max = (1 << prefix_bits) - 1;
        let mut number = usize::from(self.byte()?) & prefix_max;
        if number < prefix_max {
            return Ok(number);
        }
        for nth in 0..NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << (7 * nth);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Found::Nothing)
    }

    /// Section 5.2.
    fn string(&mut self) -> Result<Literal, Found> {
        let is_huffman = self.block.get(self.at).is_some_and(|byte| *byte >= 0x80);
        let length = self.number(7)?;
        let at = self.at..self.at + length;
        if at.end > self.block.len() {
            return Err(Found::Cut);
        }
        self.at = at.end;
        Ok(Literal { at, is_huffman })
    }

    fn byte(&mut self) -> Result<u8, Found> {
        let byte = self.block.get(self.at).copied().ok_or(Found::Cut)?;
        self.at += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn check(block: &[u8], value: &[u8]) {
        let Found::Authority(found) = find_authority(block) else { panic!("not in {block:x?}") };
        assert_eq!(&block[found.at], value);
        for cut in 0..block.len() - 1 {
            let found = find_authority(&block[..cut]);
            assert!(matches!(found, Found::Cut), "of {cut} bytes of {block:x?}: {found:?}");
        }
    }

    #[test]
    fn it_is_found_in_every_representation_and_only_when_it_is_whole() {
        for first in [b'\x41', b'\x01', b'\x11'] {
            check(&[&[first], &b"\x03a,b"[..]].concat(), b"a,b");
        }
        for first in [b'\x40', b'\x00', b'\x10'] {
            check(&[&[first], &b"\x0a:authority\x03a,b"[..]].concat(), b"a,b");
            let huffman = b"\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f\x03a,b";
            check(&[&[first], &huffman[..]].concat(), b"a,b");
        }
        // Behind a change of the size, `:method`, `:scheme` and `:path`.
        check(b"\x3f\xe1\x1f\x83\x86\x44\x02/a\x41\x03a,b", b"a,b");
    }

    #[test]
    fn a_literal_of_another_name_or_an_indexed_field_is_none() {
        for block in
            [&b"\x81"[..], b"\xbe", b"\x44\x02/a", b"\x40\x01a\x01b", b"\x40\x0a:authoritx\x01b"]
        {
            assert_eq!(find_authority(&block.repeat(LOOKED_AT_MAX)), Found::Nothing, "{block:x?}");
        }
        // Too late to be of any meaning.
        assert_eq!(
            find_authority(&[&b"\x83".repeat(8), &b"\x41\x03a,b"[..]].concat()),
            Found::Nothing
        );
        assert_eq!(find_authority(b"\x41\x7f\xff\xff\xff\xff\x0f"), Found::Nothing);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(block in vec(any::<u8>(), 0..200)) {
            if let Found::Authority(value) = find_authority(&block) {
                prop_assert!(block.get(value.at).is_some());
            }
        }
    }
}
