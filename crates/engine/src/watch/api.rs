//! What a watcher asks for and gets. A [`WatchStream`] carries many watchers, as etcd's does.

use std::sync::Arc;

use super::events::Events;
use crate::error::Error;
use crate::record::Record;
use crate::types::{KeyRange, Revision};

/// The identity of a watcher within its stream; not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

/// Asks for a watcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchRequest {
    /// Which keys; an interval that can hold none is refused.
    pub range: KeyRange,
    /// The first revision wanted; 0 means from the next one on.
    pub start_revision: Revision,
    /// The identity wanted; `None` lets the stream choose.
    pub id: Option<WatchId>,
    /// Send each key's state before the event along.
    pub prev_kv: bool,
    /// Leave puts out.
    pub no_put: bool,
    /// Leave deletes out.
    pub no_delete: bool,
}

/// Why a watcher was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefused {
    /// The interval can hold no key.
    #[error("watcher range is empty")]
    EmptyRange,
    /// The stream has a watcher of this identity.
    #[error("duplicate watch ID provided on the WatchStream")]
    DuplicateId,
    /// A negative start revision.
    #[error("required revision has been compacted")]
    NegativeStart,
    /// The stream holds as many watchers as it may.
    #[error("too many watchers on one stream")]
    TooManyWatchers,
    /// The stream has ended, as it tells.
    #[error("the store is closed")]
    Closed,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The new version, or the tombstone.
    pub record: Record,
    /// The state before, if asked for, there was one, and it is not compacted.
    pub previous: Option<Record>,
}

/// What a stream hands out, in order for each watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchItem {
    /// Whole revisions of events, oldest first. `revision` is the store's when they were gathered.
    Events { id: WatchId, revision: Revision, events: Events },
    /// Everything up to and including `revision` was handed out; `id` is `None` in the answer to a
    /// request about the whole stream.
    Progress { id: Option<WatchId>, revision: Revision },
    /// The watcher wanted history that is gone; it gets nothing more until it is cancelled.
    Compacted { id: WatchId, compact_revision: Revision },
    /// The store closed; nothing follows.
    Closed,
    /// Handing out events failed, and with it the store ([`Error::Latched`]); events before this may
    /// be missing, and nothing follows.
    Latched { reason: Arc<str> },
}

impl WatchItem {
    /// The last item of a stream that ends for this reason.
    pub(crate) fn end(reason: &Error) -> Self {
        match reason {
            Error::Latched { reason } => Self::Latched { reason: Arc::clone(reason) },
            _ => Self::Closed,
        }
    }

    /// Whether nothing follows.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::Closed | Self::Latched { .. })
    }
}

/// Told when a stream that was empty has something to take. Called from the engine's threads: it
/// must return quickly, never block and never call back into the engine.
pub trait Notify: Send + Sync + 'static {
    /// Something can be taken.
    fn notify(&self);
}
