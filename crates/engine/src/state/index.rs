//! All keys in order, each with its versions.
//!
//! Two levels of sorted arrays: leaves of up to [`LEAF_LENGTH_MAX`] keys under one array of leaves.
//! An entry holds no copy of its key (the record has it), which a `BTreeMap` would need; for a
//! million keys of 70 bytes that saves 100 MB.
//!
//! A search that compared with keys in records would wait for memory at each step. So each leaf
//! carries a copy of its lowest key, its fence, and apart from its entries their heads: the eight
//! bytes of each key that follow what all keys of the leaf have in common. Mostly one record is
//! touched, to confirm.

use std::cmp::Ordering;

use super::entries::Entries;
use super::key_history::KeyHistory;
use crate::record::Record;

const LEAF_LENGTH_MAX: usize = 256;

/// An ordered map from key to [`KeyHistory`].
#[derive(Debug, Default)]
pub(crate) struct Index {
    leaves: Vec<Leaf>,
}

/// Invariant: never empty; all keys are at or above the fence and below the next leaf's. The first
/// leaf's fence does not matter: it takes every key below the second's.
#[derive(Debug)]
struct Leaf {
    fence: Box<[u8]>,
    entries: Entries,
}

/// Where a key is, or would be. Valid until the index changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    leaf: usize,
    slot: Result<usize, usize>,
}

impl Index {
    pub(crate) fn find(&self, key: &[u8]) -> Position {
        let leaf = self.leaves.partition_point(|leaf| *leaf.fence <= *key).saturating_sub(1);
        let slot = self.leaves.get(leaf).map_or(Err(0), |leaf| leaf.entries.search(key));
        Position { leaf, slot }
    }

    /// [`Index::find`] for keys that come in order, each at the end.
    pub(crate) fn find_at_end(&self, key: &[u8]) -> Position {
        let Some(leaf) = self.leaves.last() else { return self.find(key) };
        let length = leaf.entries.len();
        let last = leaf.entries.get(length.saturating_sub(1));
        let slot = match last.map(|last| last.key().cmp(key)) {
            Some(Ordering::Less) => Err(length),
            Some(Ordering::Equal) => Ok(length - 1),
            Some(Ordering::Greater) | None => return self.find(key),
        };
        Position { leaf: self.leaves.len() - 1, slot }
    }

    /// [`Index::find`] for keys that come in order, as those here do: looks at the entry behind the
    /// one before first.
    pub(crate) fn find_behind(&self, before: Position, key: &[u8]) -> Position {
        let slot = before.slot.map_or_else(|slot| slot, |slot| slot + 1);
        let next = self.leaves.get(before.leaf).and_then(|leaf| leaf.entries.get(slot));
        match next {
            Some(next) if next.key() == key => Position { slot: Ok(slot), ..before },
            _ => self.find(key),
        }
    }

    pub(crate) fn at(&self, position: Position) -> Option<&KeyHistory> {
        self.leaves.get(position.leaf)?.entries.get(position.slot.ok()?)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&KeyHistory> {
        self.at(self.find(key))
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut KeyHistory> {
        let position = self.find(key);
        self.leaves.get_mut(position.leaf)?.entries.get_mut(position.slot.ok()?)
    }

    /// Adds a version where [`Index::find`] says its key belongs.
    pub(crate) fn push_at(&mut self, position: Position, record: Record) {
        let Some(leaf) = self.leaves.get_mut(position.leaf) else {
            let fence = record.key().into();
            self.leaves.push(Leaf { fence, entries: Entries::of(vec![KeyHistory::new(record)]) });
            return;
        };
        match position.slot {
            Ok(slot) => {
                if let Some(entry) = leaf.entries.get_mut(slot) {
                    entry.push(record);
                }
            }
            Err(slot) if leaf.entries.len() < LEAF_LENGTH_MAX => {
                leaf.entries.insert(slot, KeyHistory::new(record));
            }
            Err(slot) => self.split(position.leaf, slot, record),
        }
    }

    /// Removes a key with all its versions.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        let position = self.find(key);
        let (Some(leaf), Ok(slot)) = (self.leaves.get_mut(position.leaf), position.slot) else {
            return;
        };
        leaf.entries.remove(slot);
        if leaf.entries.len() == 0 {
            self.leaves.remove(position.leaf);
        } else {
            self.merge_if_small(position.leaf);
        }
    }

    /// Keeps those keys of which `keep` says so, asked in order.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut KeyHistory) -> bool) {
        for leaf in &mut self.leaves {
            leaf.entries.retain(&mut keep);
        }
        self.leaves.retain(|leaf| leaf.entries.len() > 0);
        for at in 0..self.leaves.len() {
            self.merge_if_small(at);
        }
    }

    /// Entries from `from` on, in key order, up to but without `end` (`None`: to the last).
    pub(crate) fn range<'a>(
        &'a self,
        from: &[u8],
        end: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a KeyHistory> {
        let start = self.find(from);
        let (Ok(slot) | Err(slot)) = start.slot;
        let first =
            self.leaves.get(start.leaf).and_then(|leaf| leaf.entries.as_slice().get(slot..));
        let rest = self.leaves.iter().skip(start.leaf + 1).flat_map(|leaf| leaf.entries.as_slice());
        first
            .unwrap_or_default()
            .iter()
            .chain(rest)
            .take_while(move |entry| end.is_none_or(|end| entry.key() < end))
    }

    /// Splits a full leaf around a new key. Keys that arrive in ascending order leave full leaves
    /// behind instead of half-empty ones.
    fn split(&mut self, at: usize, slot: usize, record: Record) {
        let Some(leaf) = self.leaves.get_mut(at) else { return };
        let new = KeyHistory::new(record);
        let upper = if slot == leaf.entries.len() {
            vec![new]
        } else {
            let mut upper = leaf.entries.split_off(LEAF_LENGTH_MAX / 2);
            match slot.checked_sub(LEAF_LENGTH_MAX / 2) {
                Some(upper_slot) => upper.insert(upper_slot, new),
                None => leaf.entries.insert(slot, new),
            }
            upper
        };
        if let Some(fence) = upper.first().map(|entry| entry.key().into()) {
            self.leaves.insert(at + 1, Leaf { fence, entries: Entries::of(upper) });
        }
    }

    /// Merges a leaf with the next one if little is left of it, and both have room in one.
    fn merge_if_small(&mut self, at: usize) {
        let length = |at: usize| self.leaves.get(at).map_or(usize::MAX, |leaf| leaf.entries.len());
        let (here, next) = (length(at), length(at + 1));
        if here < LEAF_LENGTH_MAX / 4 && here.saturating_add(next) <= LEAF_LENGTH_MAX / 2 {
            let next = self.leaves.remove(at + 1);
            if let Some(leaf) = self.leaves.get_mut(at) {
                leaf.entries.append(next.entries);
            }
        }
    }
}
