//! What a watcher wants to see.

use super::api::{Event, WatchRefused, WatchRequest};
use crate::record::Record;
use crate::state::{Change, Span};
use crate::types::{KeyRange, Revision};

/// The part of a request that does not change while the watcher lives.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) range: KeyRange,
    pub(crate) kinds: Kinds,
}

/// What it wants of the changes of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds {
    prev_kv: bool,
    no_put: bool,
    no_delete: bool,
}

impl Interest {
    /// An empty first key means the smallest there can be (as in etcd).
    pub(crate) fn of(request: WatchRequest) -> Result<Self, WatchRefused> {
        let WatchRequest { mut range, prev_kv, no_put, no_delete, .. } = request;
        if range.key.is_empty() {
            range.key = bytes::Bytes::from_static(b"\0");
        }
        match Span::of(&range) {
            Span::Interval(from, Some(end)) if from >= end => Err(WatchRefused::EmptyRange),
            _ => Ok(Self { range, kinds: Kinds { prev_kv, no_put, no_delete } }),
        }
    }

    pub(crate) fn wants(&self, record: &Record) -> bool {
        let key = record.key();
        let in_range = match Span::of(&self.range) {
            Span::Key(only) => only == key,
            Span::Interval(from, end) => from <= key && end.is_none_or(|end| key < end),
        };
        in_range && self.kinds.include(record)
    }
}

impl Kinds {
    fn include(self, record: &Record) -> bool {
        if record.is_tombstone() { !self.no_delete } else { !self.no_put }
    }

    /// The events that changes are for a watcher that wants nothing before `first`; of their keys
    /// it is known that they are wanted.
    pub(crate) fn events_of<'a>(
        self,
        changes: impl IntoIterator<Item = &'a Change>,
        first: Revision,
    ) -> Vec<Event> {
        let wanted = changes
            .into_iter()
            .filter(|change| change.record.mod_revision() >= first && self.include(&change.record));
        wanted.map(|change| self.event(change)).collect()
    }

    fn event(self, change: &Change) -> Event {
        let previous = if self.prev_kv { change.previous.clone() } else { None };
        Event { record: change.record.clone(), previous }
    }
}
