//! One digest on its way, block by block.

use sha2::block_api::compress256;

use super::{BLOCK_BYTES, Block, Sha256, State};

/// Square roots of the first primes: what SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Bytes of the length at the end of the last block.
const LENGTH_BYTES: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    state: State,
    /// The beginning of a block.
    begun: Block,
    begun_bytes: usize,
    bytes: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self { state: INITIAL, begun: [0; BLOCK_BYTES], begun_bytes: 0, bytes: 0 }
    }
}

impl Stream {
    /// Counts the next bytes and completes the block that was begun, if there is one; returns those
    /// behind it.
    pub(crate) fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.bytes += bytes.len() as u64;
        if self.begun_bytes == 0 {
            return bytes;
        }
        let (_, room) = self.begun.split_at_mut(self.begun_bytes);
        let (first, rest) = bytes.split_at(room.len().min(bytes.len()));
        room.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        self.begun_bytes += first.len();
        if self.begun_bytes == BLOCK_BYTES {
            compress256(&mut self.state, &[self.begun]);
            self.begun_bytes = 0;
        }
        rest
    }

    /// Takes those behind it: none, while it is not complete.
    pub(crate) fn absorb(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.begun.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.begun_bytes += rest.len();
    }

    /// For blocks that were compressed elsewhere.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Adds the padding: a bit, zeros, and the length in bits.
    pub(crate) fn finish(mut self) -> Sha256 {
        let bits = (self.bytes * 8).to_be_bytes();
        let zeros = BLOCK_BYTES + BLOCK_BYTES - 1 - LENGTH_BYTES - self.begun_bytes;
        let mut padding = vec![0x80];
        padding.resize(1 + zeros % BLOCK_BYTES, 0);
        padding.extend(bits);
        let rest = self.fill(&padding);
        self.absorb(rest);
        let mut digest = Sha256::default();
        let (words, _) = digest.as_chunks_mut();
        words.iter_mut().zip(self.state).for_each(|(to, word)| *to = word.to_be_bytes());
        digest
    }
}
