//! Reading history for a watcher that is behind, one bounded batch at a time.

use super::events::Events;
use super::interest::Interest;
use crate::state::{Batch, Change, KeyHistory, Span};
use crate::store::Store;
use crate::types::Revision;

/// A batch of a watcher's history.
pub(crate) enum Batched {
    /// All of its events from the revision asked for through `through`.
    Events { events: Events, through: Revision, published: Revision },
    /// Some of it is gone.
    Compacted(Revision),
    /// All of it is: another state took the place of the one that the watcher was made on.
    Replaced,
}

/// Reads on from `next`, in the state of this generation.
pub(crate) fn read(store: &Store, interest: &Interest, next: Revision, generation: u64) -> Batched {
    let state = store.state.read();
    if state.generation != generation {
        return Batched::Replaced;
    }
    let published = state.published.revision;
    let compact_revision = state.published.compact_revision;
    if next < compact_revision {
        return Batched::Compacted(compact_revision);
    }
    let (mut changes, through) = match Span::of(&interest.range) {
        Span::Key(key) => match state.index.get(key) {
            Some(history) => read_key(history, next, published),
            None => (Vec::new(), published),
        },
        Span::Interval(..) => state.history.read(next, published, |record| interest.wants(record)),
    };
    drop(state);
    // At the compacted revision itself the state before may not have been dropped yet.
    for change in changes.iter_mut().take_while(|c| c.record.mod_revision() <= compact_revision) {
        change.previous = None;
    }
    let events = interest.kinds.events_of(&changes, next).into();
    Batched::Events { events, through, published }
}

/// The changes of one key are its kept versions: no need to look at everybody else's.
fn read_key(history: &KeyHistory, next: Revision, published: Revision) -> (Vec<Change>, Revision) {
    let mut batch = Batch::default();
    let mut last = Revision(next.0 - 1);
    for record in history.versions_from(next) {
        let revision = record.mod_revision();
        if revision > published {
            break;
        }
        if revision != last && batch.is_full() {
            return (batch.changes, last);
        }
        last = revision;
        let created = record.create_revision() == revision;
        let before = Revision(revision.0 - 1);
        let previous = history.at(before).filter(|_| !created).cloned();
        batch.push(Change { record: record.clone(), previous });
    }
    (batch.changes, published.max(last))
}
