//! SHA-256 of a stream and, in the same pass, of each of the parts that it is cut into.
//!
//! A snapshot names the digest of its image and those of its chunks, which are parts of the image
//! when they are stored as they are. SHA-256 is a chain in which each step waits for the one before:
//! the processor's unit for it is idle most of the time. Two chains over the same blocks fill it,
//! and share the message schedule, so that both digests take about as long as one ([`pair`]).

mod pair;
#[cfg(target_arch = "x86_64")]
mod pair_x86;
mod stream;

use stream::Stream;

const BLOCK_BYTES: usize = 64;

/// A block of SHA-256.
type Block = [u8; BLOCK_BYTES];

/// What SHA-256 carries from block to block.
type State = [u32; 8];

/// The digest itself.
pub type Sha256 = [u8; 32];

/// Digests a stream.
#[derive(Clone, Debug, Default)]
pub struct Digest(Stream);

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.0.fill(bytes);
        self.0.absorb(rest);
    }

    /// Nothing follows.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        self.0.finish()
    }
}

/// Digests a stream, and the part of it since the last [`PartsDigest::cut`].
#[derive(Clone, Debug, Default)]
pub struct PartsDigest {
    whole: Stream,
    part: Stream,
}

impl PartsDigest {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of both. As fast as one digest as long as parts are whole blocks of 64
    /// bytes, but for the last.
    pub fn update(&mut self, bytes: &[u8]) {
        let (mut whole, mut part) = (self.whole.fill(bytes), self.part.fill(bytes));
        if whole.len() == part.len() {
            let (blocks, rest) = whole.as_chunks();
            pair::compress(self.whole.state(), self.part.state(), blocks);
            (whole, part) = (rest, rest);
        }
        self.whole.absorb(whole);
        self.part.absorb(part);
    }

    /// Ends a part: returns its digest, and begins the next.
    pub fn cut(&mut self) -> Sha256 {
        std::mem::take(&mut self.part).finish()
    }

    /// The digest of all parts together.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        self.whole.finish()
    }
}
