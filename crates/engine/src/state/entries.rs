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
    histories: Vec<KeyHistory>,
}

impl Entries {
    pub(crate) fn of(histories: Vec<KeyHistory>) -> Self {
        let mut new = Self { prefix: Box::default(), heads: Vec::new(), histories };
        new.compute_heads();
        new
    }

    pub(crate) fn len(&self) -> usize {
        self.histories.len()
    }

    pub(crate) fn as_slice(&self) -> &[KeyHistory] {
        &self.histories
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&KeyHistory> {
        self.histories.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut KeyHistory> {
        self.histories.get_mut(slot)
    }

    /// Where a key is, or would be.
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return Err(if *key < *self.prefix { 0 } else { self.histories.len() });
        };
        let head = head(rest);
        let start = self.heads.partition_point(|other| *other < head);
        let same = self.heads.get(start..).unwrap_or_default();
        let end = start + same.partition_point(|other| *other == head);
        let same = self.histories.get(start..end).unwrap_or_default();
        let found = same.binary_search_by(|entry| compare_behind(entry, self.prefix.len(), rest));
        found.map(|slot| start + slot).map_err(|slot| start + slot)
    }

    pub(crate) fn insert(&mut self, slot: usize, entry: KeyHistory) {
        let head = entry.key().strip_prefix(&*self.prefix).map(head);
        self.histories.insert(slot, entry);
        match head {
            Some(head) => self.heads.insert(slot, head),
            None => self.compute_heads(),
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.heads.remove(slot);
        self.histories.remove(slot);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut KeyHistory) -> bool) {
        self.histories.retain_mut(keep);
        if self.heads.len() != self.histories.len() {
            self.compute_heads();
        }
    }

    pub(crate) fn split_off(&mut self, at: usize) -> Vec<KeyHistory> {
        let upper = self.histories.split_off(at);
        self.compute_heads();
        upper
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.histories.extend(other.histories);
        self.compute_heads();
    }

    fn compute_heads(&mut self) {
        let (Some(first), Some(last)) = (self.histories.first(), self.histories.last()) else {
            return self.heads.clear();
        };
        let pairs = first.key().iter().zip(last.key());
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.prefix = first.key().iter().copied().take(shared).collect();
        self.heads.clear();
        let behind = |entry: &KeyHistory| head(entry.key().get(shared..).unwrap_or_default());
        self.heads.extend(self.histories.iter().map(behind));
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
