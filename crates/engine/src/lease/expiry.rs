//! The thread that waits for leases to run out.
//!
//! It holds one deadline a live lease, as it was when last looked at: a renewal does not touch it,
//! it is looked up again when it comes. The writer has the last word: it checks once more when it
//! gets to the expiry, so that a renewal that came first wins.

use std::collections::{BTreeSet, HashMap};
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
    deadlines: Deadlines,
    in_flight: usize,
    closed: bool,
}

/// At most one a lease, the earliest first.
#[derive(Debug, Default)]
struct Deadlines {
    in_order: BTreeSet<(Duration, LeaseId)>,
    of_lease: HashMap<LeaseId, Duration>,
}

impl Deadlines {
    fn first(&self) -> Option<Duration> {
        self.in_order.first().map(|(deadline, _)| *deadline)
    }

    fn set(&mut self, id: LeaseId, deadline: Duration) {
        self.remove(id);
        self.of_lease.insert(id, deadline);
        self.in_order.insert((deadline, id));
    }

    fn remove(&mut self, id: LeaseId) {
        if let Some(deadline) = self.of_lease.remove(&id) {
            self.in_order.remove(&(deadline, id));
        }
    }

    /// The lease of the first deadline, if that is over.
    fn take_due(&mut self, now: Duration) -> Option<LeaseId> {
        let (_, id) = *self.in_order.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(id);
        Some(id)
    }
}

impl Expiry {
    /// Notes a new lease.
    pub(crate) fn watch(&self, id: LeaseId, deadline: Duration) {
        let mut inner = self.inner.lock();
        let earliest = inner.deadlines.first().is_none_or(|first| deadline < first);
        inner.deadlines.set(id, deadline);
        drop(inner);
        if earliest {
            self.wake.notify_one();
        }
    }

    /// A lease ended before its time.
    pub(crate) fn forget(&self, id: LeaseId) {
        self.inner.lock().deadlines.remove(id);
    }

    /// An expiry was dealt with; `renewed` is the new deadline if there is one. What was noted since
    /// it was taken is of a lease that was granted anew, or of another state, and newer.
    pub(crate) fn done(&self, id: LeaseId, renewed: Option<Duration>) {
        let mut inner = self.inner.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        if let Some(deadline) = renewed
            && !inner.deadlines.of_lease.contains_key(&id)
        {
            inner.deadlines.set(id, deadline);
        }
        let wake = inner.in_flight == 0 || renewed.is_some();
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Forgets all deadlines.
    pub(crate) fn clear(&self) {
        self.inner.lock().deadlines = Deadlines::default();
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
                && let Some(id) = inner.deadlines.take_due(now)
            {
                inner.in_flight += 1;
                due.push(id);
            }
            if !due.is_empty() {
                return Some(due);
            }
            match inner.deadlines.first() {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::Identity;
    use crate::options::{Options, Storage};
    use crate::state::State;
    use crate::types::Command;
    use crate::writer::Writer;

    #[test]
    fn nothing_is_kept_of_leases_that_ended_before_their_time() {
        let options = Options::new(Storage::Memory);
        let store = Arc::new(Store::new(State::new(), Identity::random(), 1, &options));
        let id = LeaseId(7);
        for _ in 0..3 {
            let grant = Work::Command(Command::LeaseGrant { id, ttl_s: 100 });
            let revoke = Work::Command(Command::LeaseRevoke { id });
            // Of one that was renewed just before it ends.
            for work in [grant, Work::Expire(id), revoke] {
                store.queue.put(Job { work, reply: None }).unwrap();
            }
        }
        store.refuse_all();
        Writer::new(Arc::clone(&store), None, &options).run();
        let inner = store.expiry.inner.lock();
        assert!(store.leases().is_empty());
        assert_eq!(inner.deadlines.in_order.len(), 0);
        assert_eq!(inner.deadlines.of_lease.len(), 0);
    }
}
