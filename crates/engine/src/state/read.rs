//! Reading a range of keys at one revision.
//!
//! A range is read in slices, so that a long one does not keep the writer out: the lock is let go
//! between two slices and the scan goes on after the last key, at the same revision.

use std::cmp::Ordering;

use super::State;
use crate::record::Record;
use crate::types::{KeyRange, RangeRequest, RangeResult, Revision, SortOrder, SortTarget};

/// A [`KeyRange`], resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'a> {
    /// Just this key.
    Key(&'a [u8]),
    /// From a key up to but without another, or to the last key. Empty if they are not in order.
    Interval(&'a [u8], Option<&'a [u8]>),
}

impl<'a> Span<'a> {
    pub(crate) fn of(range: &'a KeyRange) -> Self {
        match range.end.as_ref() {
            [] => Self::Key(&range.key),
            [0] => Self::Interval(&range.key, None),
            end => Self::Interval(&range.key, Some(end)),
        }
    }
}

/// A range read in progress.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    request: &'a RangeRequest,
    revision: Revision,
    /// The key to go on from; `None` before the first slice.
    resume: Option<Box<[u8]>>,
    records_max: usize,
    records: Vec<Record>,
    count: i64,
}

impl<'a> Scan<'a> {
    /// `revision` is resolved: not zero, not compacted, not in the future.
    pub(crate) fn new(request: &'a RangeRequest, revision: Revision) -> Self {
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let records_max = match limit {
            _ if request.count_only => 0,
            0 => usize::MAX,
            _ if sorts(request) || filters(request) => usize::MAX,
            limit => limit.saturating_add(1),
        };
        Self { request, revision, resume: None, records_max, records: Vec::new(), count: 0 }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// Looks at up to `keys_max` more keys; true when the range is read.
    pub(crate) fn slice(&mut self, state: &State, keys_max: usize) -> bool {
        let (from, end) = match Span::of(&self.request.range) {
            Span::Key(key) => {
                self.take(state.index.get(key).and_then(|history| history.at(self.revision)));
                return true;
            }
            Span::Interval(from, end) => (from, end),
        };
        let resume = self.resume.take();
        let mut entries = state.index.range(resume.as_deref().unwrap_or(from), end);
        for entry in entries.by_ref().take(keys_max) {
            self.take(entry.at(self.revision));
        }
        self.resume = entries.next().map(|entry| entry.key().into());
        self.resume.is_none()
    }

    /// Filters, sorts and cuts what was read. `current` is the store's revision.
    pub(crate) fn finish(self, current: Revision) -> RangeResult {
        let Self { request, mut records, count, .. } = self;
        if filters(request) {
            records.retain(|record| passes(request, record));
        }
        if request.sort_target != SortTarget::Key || request.sort_order == SortOrder::Descend {
            sort(&mut records, request);
        }
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let more = limit > 0 && records.len() > limit;
        if more {
            records.truncate(limit);
        }
        RangeResult { revision: current, records, count, more }
    }

    fn take(&mut self, version: Option<&Record>) {
        let Some(record) = version else { return };
        self.count += 1;
        if self.records.len() < self.records_max {
            self.records.push(record.clone());
        }
    }
}

impl State {
    /// Reads a whole range at once, as a transaction does.
    pub(crate) fn range(
        &self,
        request: &RangeRequest,
        revision: Revision,
        current: Revision,
    ) -> RangeResult {
        let mut scan = Scan::new(request, revision);
        scan.slice(self, usize::MAX);
        scan.finish(current)
    }

    /// The live keys of a range in the writer's view, in order.
    pub(crate) fn live_in(&self, range: &KeyRange) -> Vec<Record> {
        match Span::of(range) {
            Span::Key(key) => self.live(key).cloned().into_iter().collect(),
            Span::Interval(from, end) => {
                self.index.range(from, end).filter_map(|entry| entry.live().cloned()).collect()
            }
        }
    }
}

/// Whether the answer's order must be known before the limit can cut it. A target without an order
/// does not count: etcd takes the first keys in key order then, and sorts those.
fn sorts(request: &RangeRequest) -> bool {
    match request.sort_order {
        SortOrder::None => false,
        SortOrder::Ascend => request.sort_target != SortTarget::Key,
        SortOrder::Descend => true,
    }
}

fn filters(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, record: &Record) -> bool {
    let within = |number: Revision, min: i64, max: i64| {
        (min == 0 || number.0 >= min) && (max == 0 || number.0 <= max)
    };
    within(record.mod_revision(), request.min_mod_revision, request.max_mod_revision)
        && within(
            record.create_revision(),
            request.min_create_revision,
            request.max_create_revision,
        )
}

/// Stable, so that equal ones stay in key order. (etcd's own order among equal ones is undefined.)
fn sort(records: &mut [Record], request: &RangeRequest) {
    let compare = |a: &Record, b: &Record| -> Ordering {
        match request.sort_target {
            SortTarget::Key => a.key().cmp(b.key()),
            SortTarget::Version => a.version().cmp(&b.version()),
            SortTarget::CreateRevision => a.create_revision().cmp(&b.create_revision()),
            SortTarget::ModRevision => a.mod_revision().cmp(&b.mod_revision()),
            SortTarget::Value => a.value().cmp(b.value()),
        }
    };
    match request.sort_order {
        SortOrder::Descend => records.sort_by(|a, b| compare(b, a)),
        SortOrder::None | SortOrder::Ascend => records.sort_by(compare),
    }
}
