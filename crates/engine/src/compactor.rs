//! The thread that drops what compactions made unreachable, slice by slice, and answers those who
//! wait for that.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLockWriteGuard};

use crate::error::Error;
use crate::hash_kv::REMEMBERED_MAX;
use crate::mailbox::Answer;
use crate::state::Retired;
use crate::store::Store;
use crate::types::{Outcome, Revision};
use crate::writer::Reply;

/// Changes dropped before the writer, and whoever reads in one piece, are let in.
const SLICE_CHANGES: usize = 128;

/// Slices before those are let in who read in several pieces, as the whole of a large store. Each
/// may take long: with fewer slices between two of them what is dropped would fall behind what is
/// written.
const SLICES: usize = 4;

/// A slice that took longer was itself interrupted.
const REST_MAX: Duration = Duration::from_millis(10);

/// What the thread waits for.
#[derive(Default)]
pub(crate) struct Compactor {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Due>,
    is_dropping: bool,
    /// Since the thread took what it drops.
    is_replaced: bool,
    /// Of this state; zero if nothing was.
    dropped_through: Revision,
    /// Those who want to know when all through a revision is dropped.
    askers: Vec<(Revision, Reply)>,
    /// Why nothing is dropped any more.
    ended: Option<Error>,
}

/// A published compaction that is not dropped yet.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// The one before it.
    from: Revision,
    through: Revision,
    /// Of the state that it is of.
    generation: u64,
}

impl Compactor {
    /// A compaction through a revision is durable and published; `from` was the one before it.
    pub(crate) fn start(&self, generation: u64, from: Revision, through: Revision) {
        let mut inner = self.inner.lock();
        inner.waiting.push_back(Due { from, through, generation });
        // Of so many the older hashes would be forgotten before anyone could ask for them, and the
        // newest compaction drops what all of them drop.
        if inner.waiting.len() > REMEMBERED_MAX {
            inner.waiting.pop_front();
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Answers when nothing that a compaction through this revision made unreachable is left.
    pub(crate) fn tell_when_dropped(&self, through: Revision, reply: Reply) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if let Some(reason) = &inner.ended {
            return Err(reason.clone());
        }
        inner.askers.push((through, reply));
        let answered = inner.take_answered();
        drop(inner);
        answer(answered, || Ok(()));
        Ok(())
    }

    /// The state is being replaced by another.
    pub(crate) fn forget(&self) {
        let mut inner = self.inner.lock();
        inner.waiting.clear();
        inner.is_replaced = true;
        inner.dropped_through = Revision(0);
        let answered = inner.take_answered();
        drop(inner);
        answer(answered, || Ok(()));
    }

    pub(crate) fn close(&self) {
        self.end(&Error::Closed);
    }

    /// Whoever waits, or is going to, is told why it is in vain. The first reason stays.
    fn end(&self, reason: &Error) {
        let mut inner = self.inner.lock();
        inner.ended.get_or_insert_with(|| reason.clone());
        let askers = std::mem::take(&mut inner.askers);
        drop(inner);
        answer(askers, || Err(reason.clone()));
        self.wake.notify_one();
    }

    /// The thread's body. A panic in the middle of the state latches the store.
    pub(crate) fn run(&self, store: &Store) {
        let ran = catch_unwind(AssertUnwindSafe(|| self.drop_what_is_due(store)));
        if let Err(panic) = ran {
            let latched = Error::latched_by_panic("compactor", &*panic);
            store.queue.refuse(latched.clone());
            self.end(&latched);
        }
    }

    fn drop_what_is_due(&self, store: &Store) {
        while let Some(due) = self.wait() {
            store.pins.wait_until_free(due.through, &*store.clock);
            // Synced watchers must not lose what they have not been handed yet.
            store.hub.drain(store);
            if remember(store, due) {
                self.retire(store, due);
            }
            self.finish(due.through);
            // A smaller state is sooner written than a large one.
            store.queue.nudge();
        }
    }

    /// Goes on until all is dropped, the state is another, or nothing is to be dropped any more.
    fn retire(&self, store: &Store, due: Due) {
        let mut progress = Retired::new(due.through);
        let (clock, meters) = (&*store.clock, &store.meters);
        let started = clock.monotonic();
        let mut slice = || {
            let begun = clock.monotonic();
            let mut state = store.state.write();
            let locked = clock.monotonic();
            let replaced = state.generation != due.generation;
            let done = replaced || state.change(|state| state.retire(&mut progress, SLICE_CHANGES));
            // Whoever waits comes first; this thread would be back before he wakes.
            RwLockWriteGuard::unlock_fair(state);
            let ended = clock.monotonic();
            meters.compaction_slice.observe_time(ended.saturating_sub(locked));
            done || self.rest(ended.saturating_sub(begun))
        };
        loop {
            let pin = store.pin.write();
            let done = (0..SLICES).any(|_| slice());
            RwLockWriteGuard::unlock_fair(pin);
            if done {
                break;
            }
        }
        meters.compacted(
            clock.monotonic().saturating_sub(started),
            progress.versions(),
            clock.wall(),
        );
    }

    /// Leaves the processor to others for as long as a slice took; true when nothing is to be dropped
    /// any more. A thread that is seldom busy is seldom interrupted with the lock held.
    fn rest(&self, took: Duration) -> bool {
        let mut inner = self.inner.lock();
        if inner.ended.is_none() {
            self.wake.wait_for(&mut inner, took.min(REST_MAX));
        }
        inner.ended.is_some()
    }

    fn finish(&self, through: Revision) {
        let mut inner = self.inner.lock();
        inner.is_dropping = false;
        // Of another state, which may have come just now, nothing was dropped.
        inner.dropped_through = if inner.is_replaced { Revision(0) } else { through };
        let answered = inner.take_answered();
        drop(inner);
        answer(answered, || Ok(()));
    }

    fn wait(&self) -> Option<Due> {
        let mut inner = self.inner.lock();
        loop {
            if inner.ended.is_some() {
                return None;
            }
            if let Some(next) = inner.waiting.pop_front() {
                inner.is_dropping = true;
                inner.is_replaced = false;
                return Some(next);
            }
            self.wake.wait(&mut inner);
        }
    }
}

impl Inner {
    /// Those who wait for nothing any more.
    fn take_answered(&mut self) -> Vec<(Revision, Reply)> {
        let idle = !self.is_dropping && self.waiting.is_empty();
        let dropped = |through: Revision| idle || through <= self.dropped_through;
        self.askers.extract_if(.., |(through, _)| dropped(*through)).collect()
    }
}

fn answer(askers: Vec<(Revision, Reply)>, result: impl Fn() -> Result<(), Error>) {
    for (revision, (mailbox, ticket)) in askers {
        let result = result().map(|()| Outcome::Compact { revision });
        mailbox.deliver(vec![Answer { ticket, result }]);
    }
}

/// Makes the hash of what is to be dropped; false if the state is another by now.
fn remember(store: &Store, due: Due) -> bool {
    let _pin = store.pin.read();
    let current = store.state.read().generation == due.generation;
    if current {
        store.hashes.remember(store, due.from, due.through);
    }
    current
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::engine::Engine;
    use crate::mailbox::Mailbox;
    use crate::options::{Options, Storage};
    use crate::types::{Command, LeaseId};
    use crate::writer::{Job, Work};

    /// Longer than an answer takes on the slowest machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Panics in the compactor's thread.
    struct Trap(ManualClock);

    impl Clock for Trap {
        fn monotonic(&self) -> Duration {
            assert_ne!(thread::current().name(), Some("decube-compact"), "trapped");
            self.0.monotonic()
        }

        fn wall(&self) -> Duration {
            self.0.wall()
        }
    }

    fn trapped() -> Engine {
        let mut options = Options::new(Storage::Memory);
        options.clock = Arc::new(Trap(ManualClock::new()));
        Engine::open(options).expect("a memory store opens")
    }

    fn latched(error: &Error) -> bool {
        matches!(error, Error::Latched { reason } if reason.contains("compactor panicked"))
    }

    /// Queues a command when the compaction is published, and holds the writer up until the store is
    /// latched.
    struct UntilLatched(Arc<Store>, Arc<dyn Mailbox>);

    impl Mailbox for UntilLatched {
        fn deliver(&self, _: Vec<Answer>) {
            let Self(store, next) = self;
            let grant = Command::LeaseGrant { id: LeaseId::NONE, ttl_s: 60 };
            let (work, reply) = (Work::Command(grant), Some((Arc::clone(next), 1)));
            if let Err(refused) = store.queue.put(Job { work, reply }) {
                next.deliver(vec![Answer { ticket: 1, result: Err(refused) }]);
            }
            while store.queue.check_open().is_ok() {
                thread::yield_now();
            }
        }
    }

    struct Answered(Mutex<Sender<Answer>>);

    impl Mailbox for Answered {
        fn deliver(&self, answers: Vec<Answer>) {
            for answer in answers {
                let _ = self.0.lock().send(answer);
            }
        }
    }

    #[test]
    fn what_was_dropped_of_a_state_that_is_replaced_answers_nobody_who_asks_about_the_next() {
        let compactor = Compactor::default();
        compactor.start(0, Revision(-1), Revision(100));
        compactor.wait().expect("what is due");
        compactor.forget();
        compactor.finish(Revision(100));
        compactor.start(1, Revision(-1), Revision(50));
        let (sender, answers) = channel();
        let mailbox: Arc<dyn Mailbox> = Arc::new(Answered(Mutex::new(sender)));
        compactor.tell_when_dropped(Revision(50), (mailbox, 1)).expect("nothing has ended");
        assert!(answers.try_recv().is_err(), "nothing is dropped of it yet");
        compactor.wait().expect("what is due");
        compactor.finish(Revision(50));
        assert!(answers.try_recv().is_ok());
    }

    #[test]
    fn a_panic_of_the_compactor_latches_the_store_and_leaves_nobody_waiting() {
        let engine = trapped();
        let (sender, answers) = channel();
        let mailbox: Arc<dyn Mailbox> = Arc::new(Answered(Mutex::new(sender)));
        engine.execute(Command::Compact(Revision(1))).expect("a compaction");
        // It may have happened already.
        let refused = match engine.tell_when_dropped(Revision(1), &mailbox, 1) {
            Ok(()) => answers.recv_timeout(PATIENCE).expect("an answer").result.map(drop),
            refused => refused,
        };
        assert!(latched(&refused.expect_err("nothing was dropped")));
        let refused = engine.execute(Command::Compact(Revision(1)));
        assert!(latched(&refused.expect_err("the store is latched")));
    }

    #[test]
    fn what_waits_when_the_compactor_panics_is_refused() {
        let engine = trapped();
        let (sender, answers) = channel();
        let mailbox = Arc::new(Answered(Mutex::new(sender)));
        let store = Arc::clone(engine.store());
        let holding: Arc<dyn Mailbox> = Arc::new(UntilLatched(store, mailbox));
        engine.submit(Command::Compact(Revision(1)), &holding, 0).expect("it is open");
        let refused = answers.recv_timeout(PATIENCE).expect("an answer").result;
        assert!(latched(&refused.expect_err("the state is half done")));
    }

    #[test]
    fn nothing_is_evaluated_on_what_a_panic_left_though_nobody_told_it_yet() {
        let engine = trapped();
        let change = || engine.store().state.write().change(|_| panic!("in its middle"));
        catch_unwind(AssertUnwindSafe(change)).expect_err("it panics");
        let grant = Command::LeaseGrant { id: LeaseId::NONE, ttl_s: 60 };
        let refused = engine.execute(grant).expect_err("the state is half done");
        assert!(matches!(refused, Error::Latched { .. }), "{refused}");
        assert!(engine.leases().is_empty());
    }
}
