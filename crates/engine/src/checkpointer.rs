//! The thread beside the writer that keeps the log short: checkpoints and housekeeping.
//!
//! A checkpoint is the image of one published revision, read while writes go on
//! ([`crate::image::Walk`]).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::image::Walk;
use crate::log::{CheckpointWriter, IoFailure, Upkeep};
use crate::store::Store;

/// How often the log's housekeeping runs.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Checkpointer {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Option<Job>,
    closed: bool,
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

    /// How often it failed, and why the last time. A failure costs disk space, not data.
    pub(crate) fn failures(&self) -> (u64, Option<Arc<str>>) {
        let inner = self.inner.lock();
        (inner.failures, inner.failure.clone())
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store, upkeep: &Upkeep) {
        let mut inner = self.inner.lock();
        while !inner.closed {
            let Some(job) = inner.waiting.take() else {
                drop(inner);
                self.note(upkeep.run());
                inner = self.inner.lock();
                if inner.waiting.is_none() && !inner.closed {
                    self.changed.wait_for(&mut inner, UPKEEP_INTERVAL);
                }
                continue;
            };
            drop(inner);
            self.note(self.write(store, job));
            inner = self.inner.lock();
        }
        // A job that nobody will do must not keep the log's files.
        inner.waiting = None;
    }

    fn note(&self, result: Result<(), IoFailure>) {
        if let Err(failure) = result {
            let mut inner = self.inner.lock();
            inner.failures += 1;
            inner.failure = Some(failure.reason());
        }
    }

    /// Gives up, leaving nothing behind, when the store is closed or replaced meanwhile.
    fn write(&self, store: &Store, job: Job) -> Result<(), IoFailure> {
        let Job { mut writer, mut walk } = job;
        while let Ok(items) = walk.next(store) {
            let Some(items) = items else { return writer.finish().map(drop) };
            for item in &items {
                writer.push(item)?;
            }
            if self.inner.lock().closed {
                break;
            }
        }
        Ok(())
    }
}
