//! The thread beside the writer that keeps the log short: checkpoints and housekeeping.
//!
//! A checkpoint is the image of one published revision, read while writes go on
//! ([`crate::image::Walk`]). One thread reads, which takes the state's lock for a moment again and
//! again. Another makes the file; it takes none, and steps back for what is served.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::background::step_back;
use crate::entry::ImageItem;
use crate::error::{Error, told_by_panic};
use crate::image::{Walk, WalkEnd};
use crate::log::{CheckpointWriter, IoFailure, Named as _, Upkeep};
use crate::store::Store;

/// How often the log's housekeeping runs.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Slices of a walk that wait to be written.
const SLICES_WAITING: usize = 2;

/// What the thread that makes the file is told: what comes next, or that it was all. A channel that
/// ends before that gives the file up.
type Slice = Option<Vec<ImageItem>>;

/// What the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Checkpointer {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Nobody wants what is being made any more. Set and cleared with the lock held.
    in_vain: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Option<Job>,
    /// The last one is waiting, or being made.
    is_ending: bool,
    is_closed: bool,
    failures: u64,
    failure: Option<Arc<str>>,
}

/// A checkpoint to be written, and the walk over the state that it is of.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) writer: CheckpointWriter,
    pub(crate) walk: Walk,
}

impl Checkpointer {
    /// Called by the writer between two groups: the job speaks of what is published now.
    pub(crate) fn start(&self, job: Job) {
        self.inner.lock().waiting = Some(job);
        self.changed.notify_all();
    }

    /// Called by the writer behind the last group: what is being made is in vain.
    pub(crate) fn start_last(&self, job: Job) {
        let mut inner = self.inner.lock();
        self.in_vain.store(true, Ordering::Relaxed);
        inner.is_ending = true;
        inner.waiting = Some(job);
        self.changed.notify_all();
    }

    /// How often it failed, and why the last time. A failure costs disk space, not data.
    pub(crate) fn failures(&self) -> (u64, Option<Arc<str>>) {
        let inner = self.inner.lock();
        (inner.failures, inner.failure.clone())
    }

    /// The state is being replaced by another.
    pub(crate) fn forget(&self) {
        let _inner = self.inner.lock();
        self.in_vain.store(true, Ordering::Relaxed);
    }

    /// Waits for the last checkpoint, but not for long, and for no other.
    pub(crate) fn close(&self, patience: Duration) {
        let mut inner = self.inner.lock();
        self.changed.wait_while_for(&mut inner, |inner| inner.is_ending, patience);
        inner.is_closed = true;
        self.in_vain.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store, upkeep: &Upkeep) {
        let mut inner = self.inner.lock();
        while !inner.is_closed {
            let Some(job) = inner.waiting.take() else {
                drop(inner);
                if let Err(lost) = upkeep.check_locks() {
                    store.queue.refuse(Error::Latched { reason: lost.reason() });
                }
                let has_more = self.try_to(|| upkeep.run()) && upkeep.has_more();
                inner = self.inner.lock();
                if inner.waiting.is_none() && !inner.is_closed && !has_more {
                    self.changed.wait_for(&mut inner, UPKEEP_INTERVAL);
                }
                continue;
            };
            self.in_vain.store(false, Ordering::Relaxed);
            let is_last = inner.is_ending;
            drop(inner);
            self.try_to(|| self.write(store, job));
            // The next may be due already, and nobody write any more.
            store.queue.nudge();
            inner = self.inner.lock();
            if is_last {
                inner.is_ending = false;
                self.changed.notify_all();
            }
        }
        // A job that nobody will do must not keep the log's files.
        inner.waiting = None;
    }

    /// A panic is a failure like others: this thread changes nothing of the state, and has more to do.
    /// Returns whether it succeeded.
    fn try_to(&self, work: impl FnOnce() -> Result<(), IoFailure>) -> bool {
        let reason = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => return true,
            Ok(Err(failure)) => failure.reason(),
            Err(panic) => told_by_panic("storage thread", &*panic),
        };
        let mut inner = self.inner.lock();
        inner.failures += 1;
        inner.failure = Some(reason);
        false
    }

    /// Gives up, leaving nothing behind, when the store is closed or replaced meanwhile.
    fn write(&self, store: &Store, job: Job) -> Result<(), IoFailure> {
        let Job { mut writer, walk } = job;
        writer.begin()?;
        let path = writer.path();
        let made = thread::scope(|scope| {
            let (slices, coming) = sync_channel(SLICES_WAITING);
            let making = thread::Builder::new().name("decube-encode".into());
            let making = making.spawn_scoped(scope, || make(&mut writer, coming, &self.in_vain));
            let making = making.named("write", &path)?;
            let read = self.read(store, walk, &slices);
            drop(slices);
            let made = making.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            read.map_err(io::Error::other).named("read the state for", &path)?;
            Ok(made)
        });
        made?.map_or(Ok(()), |bytes| writer.put_in_place(bytes))
    }

    /// Hands on the slices of a walk, until nobody wants them, and ends it: compactions wait for it.
    /// Fails when one could not wait.
    fn read(
        &self,
        store: &Store,
        mut walk: Walk,
        slices: &SyncSender<Slice>,
    ) -> Result<(), WalkEnd> {
        loop {
            let slice = match walk.next(store).inspect_err(|_| self.forget()) {
                Err(WalkEnd::Replaced) => return Ok(()),
                slice => slice?,
            };
            let ends = slice.is_none();
            if slices.send(slice).is_err() || ends || self.in_vain.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

/// Writes what comes; returns the file's length, or nothing if it is in vain.
fn make(
    writer: &mut CheckpointWriter,
    coming: Receiver<Slice>,
    in_vain: &AtomicBool,
) -> Result<Option<u64>, IoFailure> {
    if writer.is_gentle() {
        step_back();
    }
    for slice in coming {
        let Some(items) = slice else { return writer.complete(in_vain) };
        for item in &items {
            if in_vain.load(Ordering::Relaxed) {
                return Ok(None);
            }
            writer.push(item)?;
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "checkpointer_tests.rs"]
mod tests;
