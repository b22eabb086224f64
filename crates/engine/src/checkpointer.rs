//! The thread beside the writer that keeps the log short: checkpoints and housekeeping.
//!
//! A checkpoint is the image of one published revision, read in slices while writes go on: newer
//! versions are skipped. While it is read no compaction begins that the image does not know of.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::entry::ImageItem;
use crate::log::{CheckpointWriter, IoFailure, Upkeep};
use crate::store::Store;
use crate::types::Revision;

/// Records handed to the file before the writer is let in.
const SLICE_KEYS: usize = 1_024;

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
    running: bool,
    closed: bool,
    failures: u64,
    failure: Option<Arc<str>>,
}

/// A checkpoint to be written, with what cannot be read from the state later.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) writer: CheckpointWriter,
    pub(crate) revision: Revision,
    pub(crate) leases: Vec<ImageItem>,
}

impl Checkpointer {
    /// Called by the writer between two groups: the job speaks of what is published now.
    pub(crate) fn start(&self, job: Job) {
        self.inner.lock().waiting = Some(job);
        self.changed.notify_all();
    }

    /// Waits until no checkpoint is due or running. What the caller published before is part of
    /// every checkpoint that starts after this returned.
    pub(crate) fn wait_until_idle(&self) {
        let mut inner = self.inner.lock();
        while (inner.running || inner.waiting.is_some()) && !inner.closed {
            self.changed.wait(&mut inner);
        }
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
            inner.running = true;
            drop(inner);
            self.note(self.write(store, job));
            inner = self.inner.lock();
            inner.running = false;
            self.changed.notify_all();
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

    /// Gives up, leaving nothing behind, when the store is closed meanwhile.
    fn write(&self, store: &Store, job: Job) -> Result<(), IoFailure> {
        let Job { mut writer, revision, leases } = job;
        for lease in &leases {
            writer.push(lease)?;
        }
        let mut resume = Some(Box::<[u8]>::default());
        while let Some(from) = resume {
            if self.inner.lock().closed {
                return Ok(());
            }
            let mut records = Vec::new();
            let state = store.state.read();
            let mut entries = state.index.range(&from, None);
            for entry in entries.by_ref().take(SLICE_KEYS) {
                let known = entry.versions().filter(|record| record.mod_revision() <= revision);
                records.extend(known.cloned());
            }
            resume = entries.next().map(|entry| entry.key().into());
            drop(entries);
            drop(state);
            for record in records {
                writer.push(&ImageItem::Record(record))?;
            }
        }
        writer.finish().map(drop)
    }
}
