//! Reads a file forwards through one reused buffer, however long what is looked at.

use std::io;

use crate::vfs::VfsFile;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A part of a file in memory.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a dyn VfsFile,
    chunk_bytes: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn VfsFile) -> Self {
        Self::with_chunk(file, CHUNK_BYTES)
    }

    /// Reads at least so many bytes at once.
    pub(crate) fn with_chunk(file: &'a dyn VfsFile, chunk_bytes: usize) -> Self {
        Self { file, chunk_bytes, start: 0, bytes: Vec::new() }
    }

    /// The `length` bytes at `offset`; fewer where the file ends.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        if self.held(offset).is_none_or(|held| held.len() < length) {
            self.load(offset, length.max(self.chunk_bytes))?;
        }
        let held = self.held(offset).unwrap_or_default();
        Ok(held.get(..length).unwrap_or(held))
    }

    fn held(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(skip..)
    }

    fn load(&mut self, offset: u64, length: usize) -> io::Result<()> {
        self.start = offset;
        let left = self.file.len()?.saturating_sub(offset);
        self.bytes.resize(length.min(usize::try_from(left).unwrap_or(length)), 0);
        let mut filled = 0;
        while let Some(rest) = self.bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let result = self.file.read_at(offset + filled as u64, rest);
            match result {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}
