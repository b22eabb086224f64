//! The file `role`: what this member is to its peers. Layout in `docs/store-format.md`, section 2a.

use std::time::Duration;

use bytes::{Buf, BufMut};

use super::Identity;
use super::failure::{IoFailure, Named};
use super::files::{Files, read_header};
use super::header::{FileHeader, FileKind, HEADER_BYTES};
use super::window::Window;
use crate::error::OpenError;
use crate::options::Options;
use crate::role::{Role, Standing, TERMS_MAX, TermStart};
use crate::types::Revision;

/// Role, number of terms, and the checksum behind them.
const FIXED_BYTES: usize = 12;
const TERM_BYTES: usize = 24;

impl Standing {
    /// What the member is when its store is opened: as the file says, or as it is told at its first
    /// start with peers.
    pub(crate) fn open(
        options: &Options,
        files: &Files,
        identity: Identity,
    ) -> Result<Self, OpenError> {
        let mut standing = Self::read(files, identity)?.unwrap_or_default();
        if standing.role == Role::Standalone && options.role != Role::Standalone {
            standing.role = options.role;
            standing.write(files, identity, options.clock.wall())?;
        }
        Ok(standing)
    }

    /// Reads the file; `None` if there is none, as on a store that never had peers and was not made
    /// out of an image.
    fn read(files: &Files, identity: Identity) -> Result<Option<Self>, OpenError> {
        let path = files.role_path();
        let file = match files.open(&path) {
            Err(failure) if failure.source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            file => file?,
        };
        let header = FileHeader::decode(&read_header(&*file, &path)?, FileKind::Role, &path)?;
        let damaged = |reason: &str| OpenError::Corrupt {
            path: path.clone(),
            offset: HEADER_BYTES as u64,
            reason: reason.to_owned(),
        };
        if header.identity.member_id != identity.member_id {
            return Err(damaged("it belongs to another store than the identity file names"));
        }
        let length = FIXED_BYTES + TERMS_MAX * TERM_BYTES;
        let mut window = Window::with_chunk(&*file, length);
        let body = window.at(HEADER_BYTES as u64, length).named("read", &path)?;
        decode(body).map(Some).ok_or_else(|| damaged("its checksum is wrong"))
    }

    /// Replaces the file, durably.
    pub(crate) fn write(
        &self,
        files: &Files,
        identity: Identity,
        now: Duration,
    ) -> Result<(), IoFailure> {
        let header = FileHeader {
            kind: FileKind::Role,
            salt: 0,
            identity,
            sequence: 0,
            revision: Revision(0),
            created_at: now,
        };
        let mut bytes = header.encode().to_vec();
        bytes.extend(encode(self));
        let unfinished = files.unfinished_log_path("role");
        // One that an earlier failure left.
        drop(files.remove(&unfinished));
        let file = files.create(&unfinished, 0)?;
        file.write_all_at(0, &bytes).named("write", &unfinished)?;
        file.sync_data().named("sync", &unfinished)?;
        files.install(&unfinished, &files.role_path())
    }
}

fn encode(standing: &Standing) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED_BYTES + standing.terms.len() * TERM_BYTES);
    bytes.put_u32_le(match standing.role {
        Role::Standalone => 0,
        Role::Primary => 1,
        Role::Standby => 2,
    });
    bytes.put_u32_le(u32::try_from(standing.terms.len()).unwrap_or(u32::MAX));
    for start in &standing.terms {
        bytes.put_u64_le(start.term);
        bytes.put_u64_le(start.raised_by);
        bytes.put_u64_le(start.after_sequence);
    }
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    bytes
}

fn decode(bytes: &[u8]) -> Option<Standing> {
    let (mut body, mut checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if checksum.try_get_u32_le().ok()? != crc32c::crc32c(body) {
        return None;
    }
    let role = match body.try_get_u32_le().ok()? {
        0 => Role::Standalone,
        1 => Role::Primary,
        2 => Role::Standby,
        _ => return None,
    };
    let count = body.try_get_u32_le().ok()? as usize;
    let mut terms = Vec::new();
    for _ in 0..count.min(TERMS_MAX) {
        terms.push(TermStart {
            term: body.try_get_u64_le().ok()?,
            raised_by: body.try_get_u64_le().ok()?,
            after_sequence: body.try_get_u64_le().ok()?,
        });
    }
    (body.is_empty() && terms.len() == count).then_some(Standing { role, terms })
}

/// A role file's bytes behind its header.
#[cfg(test)]
pub(crate) fn sample() -> Vec<u8> {
    let start = TermStart { term: 2, raised_by: 3, after_sequence: 4 };
    encode(&Standing { role: Role::Standby, terms: vec![start] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_as_written_and_damage_is_seen() {
        let bytes = sample();
        let read = decode(&bytes).unwrap();
        assert_eq!(encode(&read), bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None);
            assert_eq!(decode(&bytes[..at]), None);
        }
    }
}
