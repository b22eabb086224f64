//! Following the store's log as its engine's callers see it, and waking those who do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::log::{FollowError, FrameBatch, LogFollower};
use crate::store::Store;
use crate::watch::Notify;

/// Hands out the store's frames in order, as they become durable. Dropping it ends it.
pub struct Follower {
    log: LogFollower,
    notify: Arc<dyn Notify>,
    store: Weak<Store>,
}

impl Follower {
    pub(crate) fn new(log: LogFollower, notify: Arc<dyn Notify>, store: &Arc<Store>) -> Self {
        store.followers.join(&notify);
        Self { log, notify, store: Arc::downgrade(store) }
    }

    /// The sequence number of the frame that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.log.next_sequence()
    }

    /// The next frames, about `bytes_max` bytes of them and at least one; `None` when everything
    /// durable was handed out: then the notification tells when to ask again. May read a file.
    pub fn take(&mut self, bytes_max: usize) -> Result<Option<FrameBatch>, FollowError> {
        let store = self.store.upgrade().ok_or(FollowError::Closed)?;
        store.check_open().map_err(|_closed| FollowError::Closed)?;
        self.log.take(bytes_max)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.followers.leave(&self.notify);
        }
    }
}

/// Who is told that there are new frames.
#[derive(Default)]
pub(crate) struct Followers {
    /// So that the writer looks no further when nobody follows.
    count: AtomicUsize,
    list: Mutex<Vec<Arc<dyn Notify>>>,
}

impl Followers {
    fn join(&self, notify: &Arc<dyn Notify>) {
        self.list.lock().push(Arc::clone(notify));
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self, notify: &Arc<dyn Notify>) {
        let mut list = self.list.lock();
        if let Some(at) = list.iter().position(|other| Arc::ptr_eq(other, notify)) {
            list.swap_remove(at);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// There are new frames, or the store is closed.
    pub(crate) fn wake(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            for notify in self.list.lock().clone() {
                notify.notify();
            }
        }
    }
}
