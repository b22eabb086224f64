//! The 64 bytes that every file of the store but the lock begins with.
//!
//! Their place for magic, version and checksum is a promise to all versions to come: an old program
//! can tell a newer file from a damaged one. Layout in `docs/store-format.md`, section 2.

use std::path::Path;
use std::time::Duration;

use bytes::{Buf, BufMut};

use crate::error::OpenError;
use crate::log::Identity;
use crate::types::Revision;

/// The version that is written, and the newest that is read.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a header; what a file holds starts here.
pub(crate) const HEADER_BYTES: usize = 64;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Identity,
    Segment,
    Checkpoint,
    Role,
    Side,
}

impl FileKind {
    fn magic(self) -> [u8; 8] {
        *match self {
            Self::Identity => b"DECUBEID",
            Self::Segment => b"DECUBELG",
            Self::Checkpoint => b"DECUBECP",
            Self::Role => b"DECUBERO",
            Self::Side => b"DECUBESF",
        }
    }
}

/// Why bytes are no header of the kind wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BadHeader {
    Damaged(&'static str),
    Newer { found: u32, supported: u32 },
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    /// Begins every checksum in the file, so that bytes of another file never pass for this one's.
    pub(crate) salt: u32,
    pub(crate) identity: Identity,
    /// Of a segment its first, of a checkpoint its last sequence number; else 0.
    pub(crate) sequence: u64,
    /// The store's revision before a segment's first frame, or as of a checkpoint; else 0.
    pub(crate) revision: Revision,
    /// Wall time.
    pub(crate) created_at: Duration,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut out = &mut bytes[..];
        out.put_slice(&self.kind.magic());
        out.put_u32_le(FORMAT_VERSION);
        out.put_u32_le(self.salt);
        out.put_u64_le(self.identity.cluster_id);
        out.put_u64_le(self.identity.member_id);
        out.put_u64_le(self.sequence);
        out.put_i64_le(self.revision.0);
        out.put_u64_le(nanoseconds(self.created_at));
        seal(&mut bytes);
        bytes
    }

    /// Reads the header of the file at `path`, which should be of this kind.
    pub(crate) fn decode(bytes: &[u8], kind: FileKind, path: &Path) -> Result<Self, OpenError> {
        Self::parse(bytes, kind).map_err(|bad| match bad {
            BadHeader::Damaged(reason) => {
                OpenError::Corrupt { path: path.to_owned(), offset: 0, reason: reason.to_owned() }
            }
            BadHeader::Newer { found, supported } => {
                OpenError::NewerFormat { path: path.to_owned(), found, supported }
            }
        })
    }

    /// Reads a header, which should be of this kind.
    pub(crate) fn parse(bytes: &[u8], kind: FileKind) -> Result<Self, BadHeader> {
        let short = |_| BadHeader::Damaged("the header is cut short");
        let (mut body, mut checksum) = bytes
            .split_at_checked(HEADER_BYTES - 4)
            .ok_or(BadHeader::Damaged("the header is cut short"))?;
        if checksum.try_get_u32_le().map_err(short)? != crc32c::crc32c(body) {
            return Err(BadHeader::Damaged("the header's checksum is wrong"));
        }
        let mut magic = [0; 8];
        body.try_copy_to_slice(&mut magic).map_err(short)?;
        if magic != kind.magic() {
            return Err(BadHeader::Damaged("it is another kind of file"));
        }
        let found = body.try_get_u32_le().map_err(short)?;
        if found > FORMAT_VERSION {
            return Err(BadHeader::Newer { found, supported: FORMAT_VERSION });
        }
        Ok(Self {
            kind,
            salt: body.try_get_u32_le().map_err(short)?,
            identity: Identity {
                cluster_id: body.try_get_u64_le().map_err(short)?,
                member_id: body.try_get_u64_le().map_err(short)?,
            },
            sequence: body.try_get_u64_le().map_err(short)?,
            revision: Revision(body.try_get_i64_le().map_err(short)?),
            created_at: Duration::from_nanos(body.try_get_u64_le().map_err(short)?),
        })
    }
}

/// A moment as the files keep it: nanoseconds since the Unix epoch, at most the year 2554.
pub(crate) fn nanoseconds(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes the checksum of a header into its last four bytes.
fn seal(bytes: &mut [u8; HEADER_BYTES]) {
    let (body, mut checksum) = bytes.split_at_mut(HEADER_BYTES - 4);
    checksum.put_u32_le(crc32c::crc32c(body));
}

/// A header with something in every field.
#[cfg(test)]
pub(crate) fn sample(kind: FileKind) -> FileHeader {
    FileHeader {
        kind,
        salt: 0x0102_0304,
        identity: Identity { cluster_id: 0x1111_2222_3333_4444, member_id: 5 },
        sequence: 42,
        revision: Revision(17),
        created_at: Duration::from_nanos(1_700_000_000_123_456_789),
    }
}

/// Makes a file claim to be of the next version.
#[cfg(test)]
pub(crate) fn raise_version(file: &dyn crate::vfs::VfsFile) {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(0, &mut bytes).unwrap();
    bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    seal(&mut bytes);
    file.write_all_at(0, &bytes).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        sample(FileKind::Segment)
    }

    #[test]
    fn a_header_reads_back_as_written() {
        let read = FileHeader::decode(&header().encode(), FileKind::Segment, Path::new("f"));
        assert_eq!(read.unwrap(), header());
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        let flipped = FileHeader::decode(&bytes, FileKind::Segment, Path::new("f"));
        assert!(matches!(flipped, Err(OpenError::Corrupt { offset: 0, .. })));
        seal(&mut bytes);
        let newer = FileHeader::decode(&bytes, FileKind::Segment, Path::new("f"));
        assert!(matches!(newer, Err(OpenError::NewerFormat { found: 2, supported: 1, .. })));
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let read = FileHeader::decode(&header().encode(), FileKind::Checkpoint, Path::new("f"));
        assert!(matches!(read, Err(OpenError::Corrupt { .. })));
    }
}
