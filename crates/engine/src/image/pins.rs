//! What keeps a compaction from dropping history that an image has yet to read.
//!
//! A pin names the compaction that its image knows of. A later one is taken at once but drops
//! nothing while the pin lasts, unless nobody has read from the image for a minute: then the pin is
//! lost, and the image with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;
use crate::types::Revision;

/// After so long without a read a pin stands in no compaction's way.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Open images, checkpoints among them.
const PINS_MAX: usize = 64;

/// All pins of a store. Its lock is a leaf.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    pins: HashMap<u64, Held>,
    next_id: u64,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    compact_revision: Revision,
    touched: Duration,
}

/// A pin, held until dropped or lost.
#[derive(Debug)]
pub(crate) struct Pin {
    id: u64,
    pins: Arc<Pins>,
}

/// The pin stood idle, and a compaction needed it gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinLost;

impl Pins {
    /// Holds what a compaction after `compact_revision`, which is published, would drop. To be
    /// called with the state's lock held. `None` when there are too many.
    pub(crate) fn hold(self: &Arc<Self>, compact_revision: Revision, now: Duration) -> Option<Pin> {
        let mut inner = self.inner.lock();
        if inner.pins.len() >= PINS_MAX {
            inner.pins.retain(|_, held| !held.is_idle(now));
        }
        if inner.pins.len() >= PINS_MAX {
            return None;
        }
        inner.next_id += 1;
        let id = inner.next_id;
        inner.pins.insert(id, Held { compact_revision, touched: now });
        drop(inner);
        Some(Pin { id, pins: Arc::clone(self) })
    }

    /// Waits until no pin is left that does not know of the compaction through this revision.
    pub(crate) fn wait_until_free(&self, through: Revision, clock: &dyn Clock) {
        let mut inner = self.inner.lock();
        while !inner.closed {
            let now = clock.monotonic();
            inner.pins.retain(|_, held| held.compact_revision >= through || !held.is_idle(now));
            let holders = inner.pins.values().filter(|held| held.compact_revision < through);
            let Some(touched) = holders.map(|held| held.touched).min() else { return };
            let left = (touched + IDLE_MAX).saturating_sub(now);
            self.changed.wait_for(&mut inner, left);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().pins.len()
    }

    /// Time moved by hand.
    pub(crate) fn look_again(&self) {
        let _inner = self.inner.lock();
        self.changed.notify_all();
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Held {
    fn is_idle(&self, now: Duration) -> bool {
        now.saturating_sub(self.touched) >= IDLE_MAX
    }
}

impl Pin {
    /// Somebody reads. With the state's lock held: a pin is lost before anything is dropped.
    pub(crate) fn touch(&self, now: Duration) -> Result<(), PinLost> {
        let mut inner = self.pins.inner.lock();
        inner.pins.get_mut(&self.id).ok_or(PinLost)?.touched = now;
        Ok(())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.inner.lock().pins.remove(&self.id);
        self.pins.changed.notify_all();
    }
}
