//! Who a store is: two random numbers in a file of their own, and in every other file's header, so
//! that directories of two stores that were mixed up are refused.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use super::failure::IoFailure;
use super::files::{Files, read_header, write_header};
use super::header::{FileHeader, FileKind};
use crate::error::OpenError;
use crate::types::Revision;

/// Who a store is. Made at its creation, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the store; random, never zero.
    pub cluster_id: u64,
    /// Of this member of it; random, never zero.
    pub member_id: u64,
}

impl Identity {
    /// A new store's.
    pub(crate) fn random() -> Self {
        Self { cluster_id: random_nonzero(), member_id: random_nonzero() }
    }

    /// Reads the identity file.
    pub(crate) fn read(files: &Files) -> Result<Self, OpenError> {
        let path = files.identity_path();
        let header = read_header(&*files.open(&path)?, &path)?;
        Ok(FileHeader::decode(&header, FileKind::Identity, &path)?.identity)
    }

    /// Writes the identity file, durably.
    pub(crate) fn write(&self, files: &Files, created_at: Duration) -> Result<(), IoFailure> {
        let header = FileHeader {
            kind: FileKind::Identity,
            salt: 0,
            identity: *self,
            sequence: 0,
            revision: Revision(0),
            created_at,
        };
        let unfinished = files.unfinished_log_path("identity");
        write_header(&*files.create(&unfinished, 0)?, &unfinished, &header)?;
        files.install(&unfinished, &files.identity_path())
    }
}

/// The salt of a new file.
pub(crate) fn random_salt() -> u32 {
    let [a, b, c, d, ..] = random_nonzero().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Random bits from the operating system, by way of the keys that the standard library draws for
/// its hash maps: the one source of randomness that needs no unsafe code and no further crate.
fn random_nonzero() -> u64 {
    loop {
        let number = std::hash::RandomState::new().build_hasher().finish();
        if number != 0 {
            return number;
        }
    }
}
