//! What a watcher wants to see.

use super::api::{Event, WatchRefused, WatchRequest};
use crate::record::Record;
use crate::state::{Change, Span};
use crate::types::KeyRange;

/// The part of a request that does not change while the watcher lives.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) range: KeyRange,
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
            _ => Ok(Self { range, prev_kv, no_put, no_delete }),
        }
    }

    /// Whether an event of this kind is wanted; the key is known to be.
    pub(crate) fn wants_kind(&self, record: &Record) -> bool {
        if record.is_tombstone() { !self.no_delete } else { !self.no_put }
    }

    pub(crate) fn wants(&self, record: &Record) -> bool {
        let key = record.key();
        let in_range = match Span::of(&self.range) {
            Span::Key(only) => only == key,
            Span::Interval(from, end) => from <= key && end.is_none_or(|end| key < end),
        };
        in_range && self.wants_kind(record)
    }

    pub(crate) fn event(&self, change: &Change) -> Event {
        let previous = if self.prev_kv { change.previous.clone() } else { None };
        Event { record: change.record.clone(), previous }
    }
}
