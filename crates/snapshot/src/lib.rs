//! The parts of snapshots that are worth native code: digests, and files written and read past them.
//!
//! Knows no engine: what an image is, and what becomes of it, is for others to say.

mod ahead;
mod background;
mod digest;
mod parts;
mod pipeline;

pub use ahead::{FileRead, FilesAhead, Stopped};
pub use digest::{Digest, PartsDigest, Sha256};
pub use parts::{Part, PartsWriter};
