//! The thread that drops what compactions made unreachable, slice by slice.

use parking_lot::{Condvar, Mutex};

use crate::state::Retired;
use crate::store::Store;
use crate::types::Revision;

/// Changes dropped before readers and the writer are let in.
const SLICE_CHANGES: usize = 512;

/// What the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Compactor {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    wanted: Option<Revision>,
    closed: bool,
}

impl Compactor {
    /// A compaction is durable and published. A later one takes over what is left of it.
    pub(crate) fn start(&self, through: Revision) {
        self.inner.lock().wanted = Some(through);
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_one();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        while let Some(through) = self.wait() {
            // Synced watchers must not lose what they have not been handed yet.
            store.hub.drain(store);
            let mut progress = Retired::new(through);
            loop {
                let pin = store.pin.write();
                let done = store.state.write().retire(&mut progress, SLICE_CHANGES);
                drop(pin);
                if done || self.inner.lock().closed {
                    break;
                }
            }
        }
    }

    fn wait(&self) -> Option<Revision> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(through) = inner.wanted.take() {
                return Some(through);
            }
            self.wake.wait(&mut inner);
        }
    }
}
