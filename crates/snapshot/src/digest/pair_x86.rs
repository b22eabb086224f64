//! Two states at once by the SHA extensions of x86.
//!
//! `sha256rnds2` makes two rounds; its result is there four cycles later, and another may begin
//! after two. So the rounds of a second state fit between those of the first. `sha256msg1` and `msg2`
//! make the schedule, which depends on the block alone: both states take it.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32,
};
use std::sync::LazyLock;

use super::{Block, State};

/// Cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

static SUPPORTED: LazyLock<bool> =
    LazyLock::new(|| is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1"));

/// A state as the instructions have it: a, b, e, f and c, d, g, h.
#[derive(Clone, Copy)]
struct Halves {
    abef: __m128i,
    cdgh: __m128i,
}

/// Takes the blocks into both states, if this processor can.
pub(crate) fn compress(first: &mut State, second: &mut State, blocks: &[Block]) -> bool {
    if *SUPPORTED {
        // SAFETY: the processor has the features.
        unsafe { compress_both(first, second, blocks) };
    }
    *SUPPORTED
}

#[target_feature(enable = "sha,sse4.1")]
fn compress_both(first: &mut State, second: &mut State, blocks: &[Block]) {
    let (mut a, mut b) = (load(first), load(second));
    for block in blocks {
        let before = (a, b);
        let mut schedule = words(block);
        for (number, round) in ROUNDS.as_chunks().0.iter().enumerate() {
            let [w0, w1, w2, w3] = schedule;
            let [k0, k1, k2, k3] = round.map(u32::cast_signed);
            let input = _mm_add_epi32(w0, _mm_set_epi32(k3, k2, k1, k0));
            rounds(&mut a, &mut b, input);
            // The last sixteen rounds take the words that are there already.
            let next = if number < 12 { extend(w0, w1, w2, w3) } else { w0 };
            schedule = [w1, w2, w3, next];
        }
        (a, b) = (a.plus(before.0), b.plus(before.1));
    }
    (*first, *second) = (store(a), store(b));
}

/// Four rounds of both.
#[target_feature(enable = "sha,sse4.1")]
fn rounds(a: &mut Halves, b: &mut Halves, input: __m128i) {
    a.cdgh = _mm_sha256rnds2_epu32(a.cdgh, a.abef, input);
    b.cdgh = _mm_sha256rnds2_epu32(b.cdgh, b.abef, input);
    let input = _mm_shuffle_epi32(input, 0x0e);
    a.abef = _mm_sha256rnds2_epu32(a.abef, a.cdgh, input);
    b.abef = _mm_sha256rnds2_epu32(b.abef, b.cdgh, input);
}

/// The four words of the schedule behind these sixteen.
#[target_feature(enable = "sha,sse4.1")]
fn extend(w0: __m128i, w1: __m128i, w2: __m128i, w3: __m128i) -> __m128i {
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    _mm_sha256msg2_epu32(sum, w3)
}

/// A block's sixteen words.
#[target_feature(enable = "sse4.1")]
fn words(block: &Block) -> [__m128i; 4] {
    let mut words = block.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    let mut next = || words.next().unwrap_or_default().cast_signed();
    core::array::from_fn(|_| {
        let [w0, w1, w2, w3] = [next(), next(), next(), next()];
        _mm_set_epi32(w3, w2, w1, w0)
    })
}

impl Halves {
    #[target_feature(enable = "sse4.1")]
    fn plus(self, other: Self) -> Self {
        Self {
            abef: _mm_add_epi32(self.abef, other.abef),
            cdgh: _mm_add_epi32(self.cdgh, other.cdgh),
        }
    }
}

#[expect(clippy::many_single_char_names, reason = "the standard's")]
#[target_feature(enable = "sse4.1")]
fn load(state: &State) -> Halves {
    let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
    Halves { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
}

#[target_feature(enable = "sse4.1")]
fn store(Halves { abef, cdgh }: Halves) -> State {
    [
        _mm_extract_epi32(abef, 3),
        _mm_extract_epi32(abef, 2),
        _mm_extract_epi32(cdgh, 3),
        _mm_extract_epi32(cdgh, 2),
        _mm_extract_epi32(abef, 1),
        _mm_extract_epi32(abef, 0),
        _mm_extract_epi32(cdgh, 1),
        _mm_extract_epi32(cdgh, 0),
    ]
    .map(i32::cast_unsigned)
}
