//! Commands on their way to the writer.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::copies::Copies;
use crate::error::Error;
use crate::install::Install;
use crate::mailbox::Mailbox;
use crate::role::Standing;
use crate::types::{Command, LeaseId, Revision, TxnRequest};

/// What the writer does.
#[derive(Debug)]
pub(crate) enum Work {
    /// Somebody asked for it.
    Command(Command),
    /// A lease seems to have run out.
    Expire(LeaseId),
    /// Frames of the primary's log.
    Copy(Copies),
    /// One revision of the primary, told as writes and not as a frame.
    CopyRevision(Revision, TxnRequest),
    /// The member's role changes. Done between two groups.
    Stand(Standing),
    /// Another state takes the place of this one. Done between two groups too.
    Install(Box<Install>),
}

/// Who asked, and under which ticket.
pub(crate) type Reply = (Arc<dyn Mailbox>, u64);

/// One thing to do and whom to tell; the store's own threads wait for no answer.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: Option<Reply>,
}

impl Job {
    /// Others are as many as those who make them, and a member that is full of writes has to be able
    /// to become a standby.
    fn is_of_a_client(&self) -> bool {
        let is_asked = matches!(self.work, Work::Command(_) | Work::CopyRevision(..));
        is_asked && self.reply.is_some()
    }
}

/// A bounded queue with one taker. Putting something in costs a system call only when the taker
/// sleeps.
pub(crate) struct Queue {
    length_max: usize,
    bytes_max: usize,
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Of all of them.
    bytes: usize,
    taker_sleeps: bool,
    is_nudged: bool,
    refusal: Option<Error>,
}

impl Queue {
    pub(crate) fn new(length_max: usize, bytes_max: usize) -> Self {
        Self { length_max, bytes_max, inner: Mutex::default(), wake: Condvar::new() }
    }

    /// Refuses when the queue is full or no longer open; an empty one takes a command of any size.
    /// The store's own jobs always fit: their number is bounded by those who make them.
    pub(crate) fn put(&self, job: Job) -> Result<(), Error> {
        let bytes = job.work.bytes();
        let mut inner = self.inner.lock();
        if let Some(refusal) = &inner.refusal {
            return Err(refusal.clone());
        }
        let too_long = inner.jobs.len() >= self.length_max;
        let too_large = inner.bytes + bytes > self.bytes_max && inner.bytes > 0;
        if (too_long || too_large) && job.is_of_a_client() {
            return Err(Error::TooManyRequests);
        }
        inner.bytes += bytes;
        inner.jobs.push_back(job);
        self.wake_taker(inner);
        Ok(())
    }

    /// Has the taker look around, if no job does.
    pub(crate) fn nudge(&self) {
        let mut inner = self.inner.lock();
        inner.is_nudged = true;
        self.wake_taker(inner);
    }

    /// Waits for jobs, or a nudge, and takes up to `jobs_max` into `taken`, which is empty. Fails with
    /// the reason why none come any more when all were taken.
    pub(crate) fn take(&self, taken: &mut VecDeque<Job>, jobs_max: usize) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        while inner.jobs.is_empty() {
            if let Some(refusal) = &inner.refusal {
                return Err(refusal.clone());
            }
            if std::mem::take(&mut inner.is_nudged) {
                return Ok(());
            }
            inner.taker_sleeps = true;
            self.wake.wait(&mut inner);
        }
        inner.taker_sleeps = false;
        if inner.jobs.len() <= jobs_max {
            std::mem::swap(&mut inner.jobs, taken);
            inner.bytes = 0;
        } else {
            taken.extend(inner.jobs.drain(..jobs_max));
            inner.bytes -= taken.iter().map(|job| job.work.bytes()).sum::<usize>();
        }
        Ok(())
    }

    /// Lets nothing more in; what is queued can still be taken. The first reason stays.
    pub(crate) fn refuse(&self, reason: Error) {
        let mut inner = self.inner.lock();
        inner.refusal.get_or_insert(reason);
        self.wake_taker(inner);
    }

    /// The reason why nothing more is let in.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        self.inner.lock().refusal.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().jobs.len()
    }

    fn wake_taker(&self, mut inner: MutexGuard<'_, Inner>) {
        let sleeps = std::mem::take(&mut inner.taker_sleeps);
        drop(inner);
        if sleeps {
            self.wake.notify_one();
        }
    }
}
