//! One pass over new changes: for whom they are, put together once for all who want the same.
//!
//! With a thousand watchers of a key the work for each of them decides what a change costs. So a
//! change is looked up once for each range and not for each watcher, its event is made once for each
//! kind of wish, and a watcher is handed a pointer to it.

use std::collections::HashMap;

use super::events::Events;
use super::interest::Kinds;
use super::matcher::Matcher;
use super::outbox::events_bytes;
use crate::broken::{self, Defect};
use crate::state::Change;
use crate::types::Revision;

/// The changes of one range.
pub(super) struct Matched<'a> {
    /// All who watch it; some may want none of the changes.
    pub(super) watchers: &'a [usize],
    changes: Vec<&'a Change>,
    made: Vec<(Kinds, Share)>,
}

/// What a watcher gets.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) events: Events,
    pub(super) bytes: usize,
}

/// The changes by the ranges that hold their keys.
pub(super) fn by_range<'a>(matcher: &'a Matcher, changes: &'a [Change]) -> Vec<Matched<'a>> {
    let mut ranges: Vec<Matched<'a>> = Vec::new();
    let mut places = HashMap::new();
    for change in changes {
        matcher.find(change.record.key(), |watchers| {
            if broken::strikes(Defect::LostEvent) {
                return;
            }
            let place = *places.entry(watchers.as_ptr()).or_insert(ranges.len());
            match ranges.get_mut(place) {
                Some(range) => range.changes.push(change),
                None => {
                    ranges.push(Matched { watchers, changes: vec![change], made: Vec::new() });
                }
            }
        });
    }
    ranges
}

impl Matched<'_> {
    /// What a watcher gets that wants these kinds and nothing before `first`, if that is anything.
    pub(super) fn share(&mut self, kinds: Kinds, first: Revision) -> Option<Share> {
        let oldest = self.changes.first()?.record.mod_revision();
        let from_all = first <= oldest;
        if from_all && let Some((_, share)) = self.made.iter().find(|(other, _)| *other == kinds) {
            return (share.bytes > 0).then(|| share.clone());
        }
        let events = kinds.events_of(self.changes.iter().copied(), first);
        let bytes = if events.is_empty() { 0 } else { events_bytes(&events) };
        let share = Share { events: events.into(), bytes };
        if from_all {
            self.made.push((kinds, share.clone()));
        }
        (bytes > 0).then_some(share)
    }
}
