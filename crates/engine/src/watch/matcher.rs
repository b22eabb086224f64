//! Which watchers a key concerns.
//!
//! Watchers of one key are found by hash. Intervals are kept sorted by their first key, equal ones
//! once, as an implicit balanced tree: the node in the middle of a stretch knows the furthest end in
//! the stretch, so that whole stretches that end before a key are passed over.

use std::collections::HashMap;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::state::Span;
use crate::types::KeyRange;

/// Finds watchers, each known by a number.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    keys: HashMap<Bytes, Watchers>,
    intervals: Vec<Interval>,
    /// Whether `furthest_end` of the intervals is to be computed anew.
    stale: bool,
}

/// Of the same range: most often one.
type Watchers = SmallVec<[usize; 2]>;

#[derive(Debug)]
struct Interval {
    from: Bytes,
    end: End,
    watchers: Watchers,
    furthest_end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Bytes),
    Open,
}

impl End {
    fn is_beyond(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < end.as_ref(),
            Self::Open => true,
        }
    }
}

impl Matcher {
    pub(crate) fn insert(&mut self, range: &KeyRange, watcher: usize) {
        let Some(end) = interval_end(range) else {
            self.keys.entry(range.key.clone()).or_default().push(watcher);
            return;
        };
        match self.search(range, &end) {
            Ok(at) => {
                if let Some(interval) = self.intervals.get_mut(at) {
                    interval.watchers.push(watcher);
                }
            }
            Err(at) => {
                let from = range.key.clone();
                let interval =
                    Interval { from, furthest_end: end.clone(), end, watchers: smallvec![watcher] };
                self.intervals.insert(at, interval);
                self.stale = true;
            }
        }
    }

    pub(crate) fn remove(&mut self, range: &KeyRange, watcher: usize) {
        let Some(end) = interval_end(range) else {
            if let Some(watchers) = self.keys.get_mut(&range.key) {
                remove_one(watchers, watcher);
                if watchers.is_empty() {
                    self.keys.remove(&range.key);
                }
            }
            return;
        };
        let Ok(at) = self.search(range, &end) else { return };
        let Some(interval) = self.intervals.get_mut(at) else { return };
        remove_one(&mut interval.watchers, watcher);
        if interval.watchers.is_empty() {
            self.intervals.remove(at);
            self.stale = true;
        }
    }

    /// Makes it ready for [`Self::find`], after watchers came or went.
    pub(crate) fn settle(&mut self) {
        if self.stale {
            refresh(&mut self.intervals);
            self.stale = false;
        }
    }

    /// Calls `found` for each range that holds a key, with all watchers of that range: the same
    /// piece of memory for the same range.
    pub(crate) fn find<'a>(&'a self, key: &[u8], mut found: impl FnMut(&'a [usize])) {
        debug_assert!(!self.stale, "watchers came or went since it was made ready");
        if let Some(watchers) = self.keys.get(key) {
            found(watchers);
        }
        stab(&self.intervals, key, &mut found);
    }

    fn search(&self, range: &KeyRange, end: &End) -> Result<usize, usize> {
        self.intervals.binary_search_by(|interval| {
            interval.from.cmp(&range.key).then_with(|| interval.end.cmp(end))
        })
    }
}

/// `None` for a single key.
fn interval_end(range: &KeyRange) -> Option<End> {
    match Span::of(range) {
        Span::Key(_) => None,
        Span::Interval(_, None) => Some(End::Open),
        Span::Interval(_, Some(_)) => Some(End::Before(range.end.clone())),
    }
}

fn remove_one(watchers: &mut Watchers, watcher: usize) {
    if let Some(at) = watchers.iter().position(|other| *other == watcher) {
        watchers.swap_remove(at);
    }
}

fn refresh(stretch: &mut [Interval]) -> Option<End> {
    let (left, rest) = stretch.split_at_mut(stretch.len() / 2);
    let (middle, right) = rest.split_first_mut()?;
    let furthest = refresh(left).into_iter().chain(refresh(right)).max();
    middle.furthest_end = furthest.map_or(middle.end.clone(), |end| end.max(middle.end.clone()));
    Some(middle.furthest_end.clone())
}

fn stab<'a>(stretch: &'a [Interval], key: &[u8], found: &mut impl FnMut(&'a [usize])) {
    let (left, rest) = stretch.split_at(stretch.len() / 2);
    let Some((middle, right)) = rest.split_first() else { return };
    if !middle.furthest_end.is_beyond(key) {
        return;
    }
    stab(left, key, found);
    if *middle.from <= *key {
        if middle.end.is_beyond(key) {
            found(&middle.watchers);
        }
        stab(right, key, found);
    }
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
