//! A sorted array of what has keys, searched without touching them.
//!
//! A search that compared with keys wherever they are would wait for memory at each step. So their
//! heads stand beside them: the eight bytes of each key that follow what all of them start with.
//! Where those are equal, as of `/pods/here/a` and `/pods/here/b` beside `/pods/there/a`, checksums tell
//! whether a key is there, and which it is. Mostly no key but the one that is found is looked at.

use std::cmp::Ordering;
use std::ops::Range;

use crc32c::crc32c;

/// How many are in one. Tests of this crate reach every level of the index with few keys.
const LENGTH_MAX: usize = if cfg!(test) { 32 } else { 256 };

/// Heads that are looked at one after the other: they lie in two lines of a cache.
const STRIDE: usize = 16;

/// What is sorted by its key.
pub(crate) trait Keyed {
    /// Its place among others, and theirs, hang on it.
    fn key(&self) -> &[u8];
}

/// Sorted items with the heads and checksums of their keys beside them.
///
/// With the keys `/pods/a1`, `/pods/a2`, `/pods/b` the prefix is `/pods/` and the heads are `a1`,
/// `a2`, `b`, each as a big-endian number filled up with zeros: they order as the keys do, except
/// that keys whose difference is further on have equal heads.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    /// What all keys start with; not necessarily the longest such.
    prefix: Box<[u8]>,
    heads: Vec<u64>,
    checksums: Vec<u16>,
    items: Vec<T>,
}

impl<T: Keyed> Sorted<T> {
    pub(crate) fn of(items: Vec<T>) -> Self {
        let prefix = Box::default();
        let mut new = Self { prefix, heads: Vec::new(), checksums: Vec::new(), items };
        new.compute();
        new
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.items.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.items.get_mut(slot)
    }

    /// Where a key is, or would be.
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return Err(if *key < *self.prefix { 0 } else { self.items.len() });
        };
        let head = head(rest);
        let start = below(&self.heads, head);
        let same = self.heads.get(start..).unwrap_or_default();
        let end = start + same.iter().take_while(|other| **other == head).count();
        if end - start > 1
            && let Some(slot) = self.slot_among(start..end, key)
        {
            return Ok(slot);
        }
        let same = self.items.get(start..end).unwrap_or_default();
        let found = same.binary_search_by(|item| compare_behind(item, self.prefix.len(), rest));
        found.map(|slot| start + slot).map_err(|slot| start + slot)
    }

    /// Inserts where [`Sorted::search`] says. Returns what is to stand behind this one if it was full.
    /// Keys that arrive in ascending order leave full ones behind instead of half-empty ones.
    pub(crate) fn insert(&mut self, slot: usize, item: T) -> Option<Self> {
        if self.len() < LENGTH_MAX {
            self.insert_within(slot, item);
            return None;
        }
        if slot == self.len() {
            return Some(Self::of(vec![item]));
        }
        let mut upper = Self::of(self.items.split_off(LENGTH_MAX / 2));
        self.compute();
        match slot.checked_sub(LENGTH_MAX / 2) {
            Some(upper_slot) => upper.insert_within(upper_slot, item),
            None => self.insert_within(slot, item),
        }
        Some(upper)
    }

    pub(crate) fn remove(&mut self, slot: usize) -> T {
        self.heads.remove(slot);
        self.checksums.remove(slot);
        self.items.remove(slot)
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.items.retain_mut(keep);
        if self.heads.len() != self.items.len() {
            self.compute();
        }
    }

    /// Changes the key of an item, not its place.
    pub(crate) fn change(&mut self, slot: usize, change: impl FnOnce(&mut T)) {
        self.items.get_mut(slot).map(change);
        self.compute();
    }

    /// Whether little is left here, and what stands behind this has room in it.
    pub(crate) fn may_take_in(&self, next: &Self) -> bool {
        self.len() < LENGTH_MAX / 4 && self.len() + next.len() <= LENGTH_MAX / 2
    }

    /// Takes in what stands behind this.
    pub(crate) fn take_in(&mut self, next: Self) {
        self.items.extend(next.items);
        self.compute();
    }

    /// Where the key is, if it is one of those.
    fn slot_among(&self, mut slots: Range<usize>, key: &[u8]) -> Option<usize> {
        let checksum = checksum(key);
        slots.find(|&slot| {
            self.checksums.get(slot) == Some(&checksum)
                && self.items.get(slot).is_some_and(|item| item.key() == key)
        })
    }

    fn insert_within(&mut self, slot: usize, item: T) {
        let key = item.key();
        let head = key.strip_prefix(&*self.prefix).map(head);
        let checksum = checksum(key);
        self.items.insert(slot, item);
        match head {
            Some(head) => {
                self.heads.insert(slot, head);
                self.checksums.insert(slot, checksum);
            }
            None => self.compute(),
        }
    }

    /// Computes anew what stands beside the items.
    fn compute(&mut self) {
        self.heads.clear();
        self.checksums.clear();
        let (Some(first), Some(last)) = (self.items.first(), self.items.last()) else { return };
        let pairs = first.key().iter().zip(last.key());
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.prefix = first.key().iter().copied().take(shared).collect();
        for key in self.items.iter().map(Keyed::key) {
            self.heads.push(head(key.get(shared..).unwrap_or_default()));
            self.checksums.push(checksum(key));
        }
    }
}

fn compare_behind(item: &impl Keyed, prefix_length: usize, rest: &[u8]) -> Ordering {
    item.key().get(prefix_length..).unwrap_or_default().cmp(rest)
}

/// How many of these sorted heads are below `head`.
///
/// A binary search would wait for memory at each step. The last heads of all strides are looked at
/// at once instead, and then one stride.
fn below(heads: &[u64], head: u64) -> usize {
    let (strides, _) = heads.as_chunks::<STRIDE>();
    let start = STRIDE * strides.iter().filter(|[.., last]| *last < head).count();
    start + heads.iter().skip(start).take(STRIDE).filter(|other| **other < head).count()
}

fn head(rest: &[u8]) -> u64 {
    let padded = || {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(rest).for_each(|(byte, of_key)| *byte = *of_key);
        bytes
    };
    u64::from_be_bytes(rest.first_chunk().copied().unwrap_or_else(padded))
}

fn checksum(key: &[u8]) -> u16 {
    let [low, high, ..] = crc32c(key).to_le_bytes();
    u16::from_le_bytes([low, high])
}
