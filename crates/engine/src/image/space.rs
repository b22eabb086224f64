//! Memory whose bytes a disk can take from where they lie.

use crate::vfs::DISK_BLOCK_BYTES;

/// Bytes that grow like a vector's. As long as there is room for them they begin where a disk's
/// block can.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// Behind `lead` bytes that do not count.
    vec: Vec<u8>,
    lead: usize,
}

impl Space {
    /// With room for so many bytes; only those that are used cost memory.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut vec = Vec::<u8>::with_capacity(bytes + DISK_BLOCK_BYTES);
        let lead = vec.as_ptr().align_offset(DISK_BLOCK_BYTES).min(DISK_BLOCK_BYTES);
        vec.resize(lead, 0);
        Self { vec, lead }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.vec.get(self.lead..).unwrap_or_default()
    }

    /// What to append to. Never to be cut: the bytes may not begin at its own beginning.
    pub(crate) fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.vec
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.vec.get_mut(self.lead..).unwrap_or_default()
    }

    pub(crate) fn truncate(&mut self, bytes: usize) {
        self.vec.truncate(self.lead + bytes);
    }

    /// How much there is room for without another place in memory.
    pub(crate) fn room(&self) -> usize {
        self.vec.capacity() - self.lead
    }

    /// The same bytes where they are to begin: bytes that outgrew their room have moved.
    pub(crate) fn aligned(self) -> Self {
        if self.bytes().as_ptr().addr().is_multiple_of(DISK_BLOCK_BYTES) {
            return self;
        }
        let mut moved = Self::with_room(self.bytes().len());
        moved.vec.extend_from_slice(self.bytes());
        moved
    }
}

impl From<Vec<u8>> for Space {
    fn from(vec: Vec<u8>) -> Self {
        Self { vec, lead: 0 }
    }
}

impl From<Space> for Vec<u8> {
    fn from(Space { mut vec, lead }: Space) -> Self {
        vec.drain(..lead);
        vec
    }
}
