//! All keys in order, each with its versions.
//!
//! Three levels of sorted arrays: leaves of keys, branches of leaves, and the branches. An entry
//! holds no copy of its key (the record has it), which a `BTreeMap` would need; for a million keys
//! of 70 bytes that saves 100 MB. A leaf has a fence, which parts its keys from those below.

use std::cmp::Ordering;

use super::key_history::KeyHistory;
use super::sorted::{Keyed, Sorted};
use crate::record::Record;

/// An ordered map from key to [`KeyHistory`].
#[derive(Debug, Default)]
pub(crate) struct Index {
    branches: Vec<Branch>,
}

/// Never empty.
type Branch = Sorted<Leaf>;

/// Invariant: never empty; all keys are at or above the fence and below the next leaf's.
#[derive(Debug)]
struct Leaf {
    fence: Box<[u8]>,
    entries: Sorted<KeyHistory>,
}

/// Where a key is, or would be. Valid until the index changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    branch: usize,
    leaf: usize,
    slot: Result<usize, usize>,
}

impl Keyed for Leaf {
    fn key(&self) -> &[u8] {
        &self.fence
    }
}

impl Leaf {
    /// Behind the keys up to `below`. The fence is the shortest that parts them: with the lowest key
    /// for one, of keys that come in descending order behind a full leaf each would get a leaf of
    /// its own, and behind a full branch a branch.
    fn behind(below: &[u8], entries: Sorted<KeyHistory>) -> Self {
        let lowest = entries.get(0).map_or(&[][..], KeyHistory::key);
        let shared = below.iter().zip(lowest).take_while(|(a, b)| a == b).count();
        let fence = lowest.iter().copied().take(shared + 1).collect();
        Self { fence, entries }
    }

    /// A key below it comes to the first leaf. More are to come: not each shall lower it again.
    fn lower_fence(&mut self, key: &[u8]) {
        let pairs = self.fence.iter().zip(key);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.fence = key.iter().copied().take(shared).collect();
    }
}

impl Index {
    pub(crate) fn find(&self, key: &[u8]) -> Position {
        let (branch, leaf) = self.place(key);
        let slot = self.leaf(branch, leaf).map_or(Err(0), |leaf| leaf.entries.search(key));
        Position { branch, leaf, slot }
    }

    /// [`Index::find`] for keys that come in order, each at the end.
    pub(crate) fn find_at_end(&self, key: &[u8]) -> Position {
        let branch = self.branches.len().saturating_sub(1);
        let leaf = self.branches.last().map_or(0, |branch| branch.len().saturating_sub(1));
        let entries = self.leaf(branch, leaf).map_or(&[][..], |leaf| leaf.entries.as_slice());
        let slot = match entries.last().map(|last| last.key().cmp(key)) {
            Some(Ordering::Less) => Err(entries.len()),
            Some(Ordering::Equal) => Ok(entries.len() - 1),
            Some(Ordering::Greater) | None => return self.find(key),
        };
        Position { branch, leaf, slot }
    }

    /// [`Index::find`] for keys that come in order, as those here do: looks at the entry behind the
    /// one before first.
    pub(crate) fn find_behind(&self, before: Position, key: &[u8]) -> Position {
        let slot = before.slot.map_or_else(|slot| slot, |slot| slot + 1);
        let next = self.leaf(before.branch, before.leaf).and_then(|leaf| leaf.entries.get(slot));
        match next {
            Some(next) if next.key() == key => Position { slot: Ok(slot), ..before },
            _ => self.find(key),
        }
    }

    pub(crate) fn at(&self, position: Position) -> Option<&KeyHistory> {
        self.leaf(position.branch, position.leaf)?.entries.get(position.slot.ok()?)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&KeyHistory> {
        self.at(self.find(key))
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut KeyHistory> {
        let Position { branch, leaf, slot } = self.find(key);
        self.branches.get_mut(branch)?.get_mut(leaf)?.entries.get_mut(slot.ok()?)
    }

    /// Adds a version where [`Index::find`] says its key belongs.
    pub(crate) fn push_at(&mut self, position: Position, record: Record) {
        let Some(branch) = self.branches.get_mut(position.branch) else {
            let leaf = Leaf::behind(&[], Sorted::of(vec![KeyHistory::new(record)]));
            return self.branches.push(Sorted::of(vec![leaf]));
        };
        let is_below = |leaf: &Leaf| *record.key() < *leaf.fence;
        if position.slot == Err(0) && branch.get(position.leaf).is_some_and(is_below) {
            branch.change(position.leaf, |leaf| leaf.lower_fence(record.key()));
        }
        let Some(leaf) = branch.get_mut(position.leaf) else { return };
        let upper = match position.slot {
            Ok(slot) => {
                if let Some(entry) = leaf.entries.get_mut(slot) {
                    entry.push(record);
                }
                None
            }
            Err(slot) => leaf.entries.insert(slot, KeyHistory::new(record)),
        };
        let (Some(upper), Some(below)) = (upper, leaf.entries.as_slice().last()) else { return };
        let upper = Leaf::behind(below.key(), upper);
        if let Some(upper) = branch.insert(position.leaf + 1, upper) {
            self.branches.insert(position.branch + 1, upper);
        }
    }

    /// Removes a key with all its versions.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        let Position { branch: at, leaf: leaf_at, slot } = self.find(key);
        let Some(branch) = self.branches.get_mut(at) else { return };
        let (Some(leaf), Ok(slot)) = (branch.get_mut(leaf_at), slot) else { return };
        leaf.entries.remove(slot);
        if leaf.entries.len() == 0 {
            branch.remove(leaf_at);
        } else {
            merge_leaf_if_small(branch, leaf_at);
        }
        self.merge_branch_if_small(at);
    }

    /// Keeps those keys of which `keep` says so, asked in order.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut KeyHistory) -> bool) {
        for branch in &mut self.branches {
            branch.retain(|leaf| {
                leaf.entries.retain(&mut keep);
                leaf.entries.len() > 0
            });
            for leaf in 0..branch.len() {
                merge_leaf_if_small(branch, leaf);
            }
        }
        for branch in (0..self.branches.len()).rev() {
            self.merge_branch_if_small(branch);
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
        let mut branches = self.branches.get(start.branch..).unwrap_or_default().iter();
        let first = branches.next().map_or(&[][..], Sorted::as_slice);
        let leaves = first.iter().skip(start.leaf).chain(branches.flat_map(Sorted::as_slice));
        let mut leaves = leaves.map(|leaf| leaf.entries.as_slice());
        let first = leaves.next().and_then(|entries| entries.get(slot..)).unwrap_or_default();
        let entries = first.iter().chain(leaves.flatten());
        entries.take_while(move |entry| end.is_none_or(|end| entry.key() < end))
    }

    /// Branch and leaf that a key belongs to.
    fn place(&self, key: &[u8]) -> (usize, usize) {
        let is_at_or_below =
            |branch: &Branch| branch.get(0).is_some_and(|leaf| *leaf.fence <= *key);
        let at = self.branches.partition_point(is_at_or_below).saturating_sub(1);
        let found = self.branches.get(at).map_or(Ok(0), |branch| branch.search(key));
        (at, found.unwrap_or_else(|behind| behind.saturating_sub(1)))
    }

    fn leaf(&self, branch: usize, leaf: usize) -> Option<&Leaf> {
        self.branches.get(branch)?.get(leaf)
    }

    /// Removes a branch that is empty, and lets one that is small take in the next.
    fn merge_branch_if_small(&mut self, at: usize) {
        match self.branches.get(at..) {
            Some([branch, ..]) if branch.len() == 0 => drop(self.branches.remove(at)),
            Some([branch, next, ..]) if branch.may_take_in(next) => {
                let next = self.branches.remove(at + 1);
                if let Some(branch) = self.branches.get_mut(at) {
                    branch.take_in(next);
                }
            }
            _ => {}
        }
    }
}

/// Lets a leaf that is small take in the next of its branch.
fn merge_leaf_if_small(branch: &mut Branch, at: usize) {
    let Some([leaf, next, ..]) = branch.as_slice().get(at..) else { return };
    if leaf.entries.may_take_in(&next.entries) {
        let next = branch.remove(at + 1);
        if let Some(leaf) = branch.get_mut(at) {
            leaf.entries.take_in(next.entries);
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
