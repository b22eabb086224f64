//! Events as they are handed from the hub to its streams: shared by all watchers that want the same.

use std::sync::Arc;
use std::{slice, vec};

use super::api::Event;

/// Events of a watcher, oldest first. Watchers that want the same share them, so that a change of a
/// key with a thousand watchers is put together once.
#[derive(Clone)]
pub struct Events {
    first: Arc<[Event]>,
    /// What joined them while they waited.
    joined: Vec<Arc<[Event]>>,
}

impl Events {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts().map(<[Event]>::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts().all(<[Event]>::is_empty)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.parts().flatten()
    }

    /// Whether these are known to be the same as the other ones, without a look at any of them.
    #[must_use]
    pub fn are_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.first, &other.first)
            && self.joined.len() == other.joined.len()
            && self.joined.iter().zip(&other.joined).all(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
    }

    pub(crate) fn join(&mut self, later: Self) {
        self.joined.push(later.first);
        self.joined.extend(later.joined);
    }

    fn parts(&self) -> impl Iterator<Item = &[Event]> {
        slice::from_ref(&self.first).iter().chain(&self.joined).map(AsRef::as_ref)
    }
}

impl From<Vec<Event>> for Events {
    fn from(events: Vec<Event>) -> Self {
        Self { first: events.into(), joined: Vec::new() }
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = vec::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl PartialEq for Events {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Events {}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
