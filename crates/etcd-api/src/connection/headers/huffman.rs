//! HPACK's code for strings (RFC 7541, section 5.2 and appendix B).
//!
//! It is canonical: codes of one length follow each other in the order of their bytes. So their
//! lengths are the whole table.

/// Of each byte's code, in bits.
#[rustfmt::skip]
const CODE_BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const BITS_MAX: u8 = 30;

/// The bits behind the last code, all ones, are fewer than a byte's.
const PADDING_BITS_MAX: u8 = 7;

/// What a string says; `None`: it is none.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len() * 8 / 5);
    let mut code = Code::default();
    for byte in encoded {
        for shift in (0..8).rev() {
            code.push(byte >> shift & 1);
            if let Some(symbol) = code.symbol() {
                decoded.push(symbol);
                code = Code::default();
            } else if code.length == BITS_MAX {
                return None;
            }
        }
    }
    let is_padding = code.length <= PADDING_BITS_MAX && code.bits == (1 << code.length) - 1;
    is_padding.then_some(decoded)
}

/// Writes a string of so many letters over `encoded`, which it fills to the last byte; false: there
/// is none.
pub(super) fn fill(encoded: &mut [u8], letters: usize) -> bool {
    /// `a` and `~`, the shortest and one that is longer by a byte.
    const SHORT: (u32, u8) = (0b00011, 5);
    const LONG: (u32, u8) = (0x1ffd, 13);
    // At least one bit in the last byte. What is added comes in bytes, so it ends in that byte.
    let bits_min = (encoded.len() * 8).saturating_sub(7);
    let longer = bits_min.saturating_sub(letters * usize::from(SHORT.1)).div_ceil(8);
    let bits = letters * usize::from(SHORT.1) + longer * 8;
    if longer > letters || bits > encoded.len() * 8 {
        return false;
    }
    encoded.fill(0xff);
    let mut at = 0_usize;
    for letter in 0..letters {
        let (code, length) = if letter < longer { LONG } else { SHORT };
        for shift in (0..length).rev() {
            if code >> shift & 1 == 0
                && let Some(byte) = encoded.get_mut(at / 8)
            {
                *byte &= !(0x80 >> (at % 8));
            }
            at += 1;
        }
    }
    true
}

/// The bits of a code as far as they are read.
#[derive(Default)]
struct Code {
    bits: u32,
    length: u8,
    /// Of the codes of this length: the first one, and how many bytes have shorter ones.
    first: u32,
    shorter: usize,
}

impl Code {
    fn push(&mut self, bit: u8) {
        let same = COUNTS.get(usize::from(self.length)).copied().unwrap_or_default();
        self.first = (self.first + u32::from(same)) << 1;
        self.shorter += usize::from(same);
        self.bits = self.bits << 1 | u32::from(bit);
        self.length += 1;
    }

    fn symbol(&self) -> Option<u8> {
        let same = COUNTS.get(usize::from(self.length)).copied().unwrap_or_default();
        let nth = self.bits.checked_sub(self.first).filter(|nth| *nth < u32::from(same))?;
        BY_CODE.get(self.shorter + nth as usize).copied()
    }
}

/// How many codes there are of each length.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and would tell")]
const COUNTS: [u16; BITS_MAX as usize + 1] = {
    let mut counts = [0; BITS_MAX as usize + 1];
    let mut byte = 0;
    while byte < CODE_BITS.len() {
        counts[CODE_BITS[byte] as usize] += 1;
        byte += 1;
    }
    counts
};

/// The bytes in the order of their codes.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and would tell")]
const BY_CODE: [u8; 256] = {
    let mut ordered = [0; 256];
    let (mut length, mut next) = (0, 0);
    while length <= BITS_MAX {
        let mut byte = 0;
        while byte < CODE_BITS.len() {
            if CODE_BITS[byte] == length {
                #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
                let symbol = byte as u8;
                ordered[next] = symbol;
                next += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    ordered
};

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (encoded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ] {
            assert_eq!(decode(&hex(encoded)).as_deref(), Some(text.as_bytes()));
        }
    }

    #[test]
    fn what_ends_in_the_middle_of_a_code_or_with_a_byte_of_padding_is_none() {
        assert_eq!(decode(&hex("f1e3c2e5f23a6ba0ab90f4")), None);
        assert_eq!(decode(&hex("a8eb10649cbfff")), None);
        assert_eq!(decode(&[0xff; 4]), None, "the code of the end");
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn the_code_has_room_for_the_end_and_no_other() {
        let taken: u32 = CODE_BITS.iter().map(|bits| 1 << (BITS_MAX - bits)).sum();
        assert_eq!(taken, (1 << BITS_MAX) - 1);
    }

    proptest! {
        #[test]
        fn a_string_of_the_same_lengths_is_written_over_any_of_short_codes(letters in vec(0x20_u8..0x7f, 1..60)) {
            let bits: usize = letters.iter().map(|byte| usize::from(CODE_BITS[usize::from(*byte)])).sum();
            let mut encoded = vec![0x55; bits.div_ceil(8)];
            if fill(&mut encoded, letters.len()) {
                let decoded = decode(&encoded).unwrap();
                prop_assert_eq!(decoded.len(), letters.len());
                prop_assert!(decoded.iter().all(|byte| b"a~".contains(byte)));
            } else {
                prop_assert!(bits > letters.len() * 13);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(encoded in vec(any::<u8>(), 0..60)) {
            decode(&encoded);
        }
    }
}
