//! The bytes of a file, as seen and as durable, and the changes between the two.

use super::random::Random;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A change of a file that no sync has made durable yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// A new length.
    Resize(u64),
}

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

impl Inode {
    /// Does a change where reads see it, and notes it for the next sync. Of a write that is whole
    /// sectors, with what else is in them: a disk is never given less.
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(match change {
            Change::Write(offset, bytes) => {
                let start = position(offset) / SECTOR * SECTOR;
                let end = (position(offset) + bytes.len()).next_multiple_of(SECTOR);
                let seen = self.seen.get(start..end.min(self.seen.len())).unwrap_or_default();
                Change::Write(start as u64, seen.to_vec())
            }
            resize @ Change::Resize(_) => resize,
        });
    }

    /// Makes any part of the pending changes durable and forgets that the rest was pending.
    pub(super) fn settle(&mut self, random: &mut Random) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write(offset, bytes) => {
                    for (start, sector) in sectors(offset, &bytes) {
                        if random.coin() {
                            Change::Write(start, sector.to_vec()).apply(&mut self.durable);
                        }
                    }
                }
                resize @ Change::Resize(_) => {
                    if random.coin() {
                        resize.apply(&mut self.durable);
                    }
                }
            }
        }
    }
}

impl Change {
    /// Does the change.
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Resize(length) => content.resize(position(*length), 0),
            Self::Write(_, bytes) if bytes.is_empty() => {}
            Self::Write(offset, bytes) => {
                let (start, end) = (position(*offset), position(*offset) + bytes.len());
                content.resize(content.len().max(end), 0);
                if let Some(slots) = content.get_mut(start..end) {
                    slots.copy_from_slice(bytes);
                }
            }
        }
    }
}

/// The pieces of a write that a disk takes whole, with their offsets.
fn sectors(offset: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let first = SECTOR - position(offset) % SECTOR;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    let mut pieces = Vec::new();
    let mut start = offset;
    for piece in std::iter::once(head).chain(rest.chunks(SECTOR)) {
        pieces.push((start, piece));
        start += piece.len() as u64;
    }
    pieces
}

/// An offset as an index.
pub(super) fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("a disk in memory is smaller than the address space")
}
