//! The thread that waits for leases to run out.
//!
//! It holds one deadline a lease, as it was when last looked at: a renewal does not touch the heap,
//! the deadline is looked up again when it comes. The writer has the last word: it checks once more
//! when it gets to the expiry, so that a renewal that came first wins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::store::Store;
use crate::types::LeaseId;
use crate::writer::{Job, Work};

/// Expiries that may wait for the writer at once, so that thousands of leases that run out together
/// do not hold up everybody else's writes.
const IN_FLIGHT_MAX: usize = 256;

/// What the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    deadlines: BinaryHeap<Reverse<(Duration, LeaseId)>>,
    in_flight: usize,
    closed: bool,
}

impl Expiry {
    /// Notes a new lease.
    pub(crate) fn watch(&self, id: LeaseId, deadline: Duration) {
        let mut inner = self.inner.lock();
        let earliest = inner.deadlines.peek().is_none_or(|Reverse((first, _))| deadline < *first);
        inner.deadlines.push(Reverse((deadline, id)));
        drop(inner);
        if earliest {
            self.wake.notify_one();
        }
    }

    /// The writer dealt with an expiry; `renewed` is the new deadline if there is one.
    pub(crate) fn done(&self, id: LeaseId, renewed: Option<Duration>) {
        let mut inner = self.inner.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        inner.deadlines.extend(renewed.map(|deadline| Reverse((deadline, id))));
        let wake = inner.in_flight == 0 || renewed.is_some();
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Time moved by hand.
    pub(crate) fn look_again(&self) {
        let _inner = self.inner.lock();
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_one();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        while let Some(due) = self.wait_until_due(store) {
            for id in due {
                let deadline = store.state.read().leases.live(id).map(|lease| lease.deadline);
                let Some(deadline) = deadline else {
                    self.done(id, None);
                    continue;
                };
                if deadline > store.clock.monotonic() {
                    self.done(id, Some(deadline));
                } else if store.queue.put(Job { work: Work::Expire(id), reply: None }).is_err() {
                    return;
                }
            }
        }
    }

    /// Waits until a deadline is over and takes all that are, within the bound; `None` when closed.
    fn wait_until_due(&self, store: &Store) -> Option<Vec<LeaseId>> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            let now = store.clock.monotonic();
            let mut due = Vec::new();
            let room = |inner: &Inner| inner.in_flight < IN_FLIGHT_MAX;
            while room(&inner)
                && inner.deadlines.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now)
                && let Some(Reverse((_, id))) = inner.deadlines.pop()
            {
                inner.in_flight += 1;
                due.push(id);
            }
            if !due.is_empty() {
                return Some(due);
            }
            match inner.deadlines.peek().map(|Reverse((deadline, _))| *deadline) {
                Some(deadline) if room(&inner) => {
                    let left = deadline.saturating_sub(now).min(WAIT_MAX);
                    self.wake.wait_for(&mut inner, left);
                }
                _ => self.wake.wait(&mut inner),
            }
        }
    }
}

/// Longer waits overflow the operating system's clock; leases may live for centuries.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
