//! A set of key intervals that answers whether a key is in one of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::types::KeyRange;

/// Where an interval ends: before a key, or right behind one (an interval of one key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End<'a>(&'a [u8], bool);

/// Disjoint intervals by their first key.
///
/// Each is read literally, as etcd's duplicate check does: the end `"\0"`, which means "every key
/// from here on" elsewhere, is an ordinary key here and makes the interval empty.
#[derive(Debug, Default)]
pub(crate) struct KeyIntervals<'a> {
    ends: BTreeMap<&'a [u8], End<'a>>,
}

impl<'a> KeyIntervals<'a> {
    pub(crate) fn insert(&mut self, range: &'a KeyRange) {
        let end = match range.end.as_ref() {
            [] => End(&range.key, true),
            end => End(end, false),
        };
        self.insert_interval(&range.key, end);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for (start, end) in other.ends {
            self.insert_interval(start, end);
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.last_up_to(key).is_some_and(|(_, end)| End(key, false) < end)
    }

    /// The last interval that starts at `key` or before.
    fn last_up_to(&self, key: &[u8]) -> Option<(&'a [u8], End<'a>)> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        self.ends.range::<[u8], _>(bounds).next_back().map(|(start, end)| (*start, *end))
    }

    fn insert_interval(&mut self, mut start: &'a [u8], mut end: End<'a>) {
        if end <= End(start, false) {
            return;
        }
        while let Some((other_start, other_end)) = self.last_up_to(end.0) {
            if other_end < End(start, false) {
                break;
            }
            self.ends.remove(other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.ends.insert(start, end);
    }
}

#[cfg(test)]
#[path = "intervals_tests.rs"]
mod tests;
