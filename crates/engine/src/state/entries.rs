//! The keys of one leaf of the index: a sorted array that is searched without touching records.

use std::cmp::Ordering;

use super::key_history::KeyHistory;

/// Sorted entries with the heads of their keys beside them.
///
/// With the keys `/pods/a1`, `/pods/a2`, `/pods/b` the prefix is `/pods/` and the heads are `a1`,
/// `a2`, `b`, each as a big-endian number filled up with zeros: they order as the keys do, except
/// that keys whose difference is further on have equal heads.
#[derive(Debug)]
pub(crate) struct Entries {
    /// What all keys start with; not necessarily the longest such.
    prefix: Box<[u8]>,
    heads: Vec<u64>,
    entries: Vec<KeyHistory>,
}

impl Entries {
    pub(crate) fn of(entries: Vec<KeyHistory>) -> Self {
        let mut new = Self { prefix: Box::default(), heads: Vec::new(), entries };
        new.compute_heads();
        new
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn as_slice(&self) -> &[KeyHistory] {
        &self.entries
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&KeyHistory> {
        self.entries.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut KeyHistory> {
        self.entries.get_mut(slot)
    }

    /// Where a key is, or would be.
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return Err(if *key < *self.prefix { 0 } else { self.entries.len() });
        };
        let head = head(rest);
        let start = self.heads.partition_point(|other| *other < head);
        let same = self.heads.get(start..).unwrap_or_default();
        let end = start + same.partition_point(|other| *other == head);
        let same = self.entries.get(start..end).unwrap_or_default();
        let found = same.binary_search_by(|entry| compare_behind(entry, self.prefix.len(), rest));
        found.map(|slot| start + slot).map_err(|slot| start + slot)
    }

    pub(crate) fn insert(&mut self, slot: usize, entry: KeyHistory) {
        match entry.key().strip_prefix(&*self.prefix) {
            Some(rest) => {
                self.heads.insert(slot, head(rest));
                self.entries.insert(slot, entry);
            }
            None => {
                self.entries.insert(slot, entry);
                self.compute_heads();
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.heads.remove(slot);
        self.entries.remove(slot);
    }

    pub(crate) fn split_off(&mut self, at: usize) -> Vec<KeyHistory> {
        let upper = self.entries.split_off(at);
        self.compute_heads();
        upper
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.compute_heads();
    }

    fn compute_heads(&mut self) {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return };
        let pairs = first.key().iter().zip(last.key());
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.prefix = first.key().iter().copied().take(shared).collect();
        self.heads.clear();
        let behind = |entry: &KeyHistory| head(entry.key().get(shared..).unwrap_or_default());
        self.heads.extend(self.entries.iter().map(behind));
    }
}

fn compare_behind(entry: &KeyHistory, prefix_length: usize, rest: &[u8]) -> Ordering {
    entry.key().get(prefix_length..).unwrap_or_default().cmp(rest)
}

fn head(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (byte, of_key) in bytes.iter_mut().zip(rest) {
        *byte = *of_key;
    }
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
