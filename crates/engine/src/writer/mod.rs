//! The one thread that changes the store: group commit.
//!
//! It takes all commands that wait, evaluates them in order above the published revision, logs what
//! they changed with one write and one `fdatasync`, publishes, and only then answers. An IO error or
//! a panic latches the store: what is queued and what comes later is refused, reads go on.

mod answers;
mod copies;
mod effects;
mod evaluate;
mod install;
mod queue;
mod stopwatch;
mod tally;
mod weight;

pub(crate) use copies::Copies;
pub(crate) use queue::{Job, Queue, Reply, Work};

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::answers::Answers;
use self::copies::{Applied, Target};
use self::effects::Effects;
use self::evaluate::{Evaluated, Evaluator};
use self::stopwatch::Stopwatch;
use crate::checkpointer;
use crate::entry::Entry;
use crate::error::Error;
use crate::image::{Extent, Walk};
use crate::log::{CopiedFrame, Log};
use crate::options::Options;
use crate::role::Role;
use crate::state::{Moment, State};
use crate::store::Store;
use crate::types::Outcome;

/// Commands evaluated before readers are let in.
const SLICE_COMMANDS: usize = 128;

/// A group that logs more is committed before the next slice is evaluated.
const GROUP_LOG_BYTES: usize = 8 << 20;

pub(crate) struct Writer {
    store: Arc<Store>,
    log: Option<Log>,
    evaluator: Evaluator,
    batch_commands_max: usize,
    /// Of the group being made durable.
    answers: Answers,
    effects: Effects,
}

/// What the log keeps of a job.
enum Logged {
    Entry(Entry),
    Copy(CopiedFrame),
}

/// What became of a job in a slice.
enum Step {
    Done(Result<Outcome, Error>),
    /// The slice ends here; the job goes on in the next.
    More,
    /// The group ends before it.
    Later,
}

impl Writer {
    pub(crate) fn new(store: Arc<Store>, log: Option<Log>, options: &Options) -> Self {
        let member_id = store.identity().member_id;
        Self {
            store,
            log,
            evaluator: Evaluator::new(options, member_id),
            batch_commands_max: options.batch_commands_max.max(1),
            answers: Answers::default(),
            effects: Effects::default(),
        }
    }

    /// The thread's body: until the queue is closed and drained.
    pub(crate) fn run(mut self) {
        let mut jobs = VecDeque::new();
        loop {
            match self.store.queue.take(&mut jobs, self.batch_commands_max) {
                Ok(()) => {}
                // As after a crash: what is in memory is not to be trusted, what the log has is.
                Err(Error::Latched { .. }) => return,
                Err(_closed) => break,
            }
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit_all(&mut jobs)));
            if let Err(error) = committed.unwrap_or_else(|panic| Err(latched_by(&*panic))) {
                self.latch(&error, &mut jobs);
                return;
            }
        }
        let last = self.last_checkpoint();
        match self.log.take().map(Log::close) {
            Some(Err(error)) => self.latch(&error, &mut jobs),
            _ => last.into_iter().for_each(|job| self.store.checkpointer.start_last(job)),
        }
    }

    /// Works through the jobs in groups, as few as possible. Without any it only looks whether a
    /// checkpoint is due by now.
    fn commit_all(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), Error> {
        while !jobs.is_empty() {
            // What waits was let in before; the state may be half done since.
            if let Err(latched @ Error::Latched { .. }) = self.store.queue.check_open() {
                return Err(latched);
            }
            self.stand(jobs)?;
            self.install(jobs)?;
            self.evaluator.monotonic = self.store.clock.monotonic();
            self.evaluator.wall = self.store.clock.wall();
            while !jobs.is_empty() && self.evaluate_slice(jobs)? {}
            if let Some(log) = &mut self.log {
                log.commit()?;
            }
            self.publish();
            self.time_commit();
            self.store.hub.published();
            self.store.followers.wake();
            self.answers.deliver().map_err(|panic| latched_by(&*panic))?;
        }
        self.start_checkpoint_if_due();
        Ok(())
    }

    /// Evaluates some jobs and hands what they changed to the log; false when the group has to be
    /// published before the next. What another thread's panic left is looked at here, with the lock
    /// held: that thread tells it to the queue a moment later, and a group has several slices.
    fn evaluate_slice(&mut self, jobs: &mut VecDeque<Job>) -> Result<bool, Error> {
        let mut logged = Vec::new();
        let store = Arc::clone(&self.store);
        let mut state = store.state.write();
        if state.is_half_done() {
            let reason = "a panic ended a change of the store in its middle".into();
            return Err(Error::Latched { reason });
        }
        let go_on = state.change(|state| self.evaluate_some(state, jobs, &mut logged));
        drop(state);
        let Some(log) = &mut self.log else { return Ok(go_on) };
        for logged in &logged {
            match logged {
                Logged::Entry(entry) => {
                    log.append(entry, self.evaluator.wall).map_err(refused_by_log)?;
                }
                Logged::Copy(frame) => log.append_copy(frame)?,
            }
        }
        Ok(go_on && log.buffered_bytes() < GROUP_LOG_BYTES)
    }

    /// The part of it that changes the state.
    fn evaluate_some(
        &mut self,
        state: &mut State,
        jobs: &mut VecDeque<Job>,
        logged: &mut Vec<Logged>,
    ) -> bool {
        let store = Arc::clone(&self.store);
        let mut stopwatch = Stopwatch::start(&store);
        for _ in 0..SLICE_COMMANDS {
            // The job stays in the queue while it is evaluated: a panic must not lose who waits.
            let Some(job) = jobs.front_mut() else { break };
            // What it logs decides which frames fit behind it.
            let parts = matches!(job.work, Work::CopyRevision(..));
            let kind = stopwatch::kind_of(&job.work);
            match self.step(state, &mut job.work, logged) {
                Step::Done(result) => {
                    stopwatch.lap(kind, result.is_ok());
                    let reply = jobs.pop_front().and_then(|job| job.reply);
                    self.answers.push(reply, result);
                    if parts {
                        break;
                    }
                }
                Step::More => break,
                Step::Later => return false,
            }
        }
        true
    }

    fn is_standby(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.standing().role == Role::Standby)
    }

    fn step(&mut self, state: &mut State, work: &mut Work, logged: &mut Vec<Logged>) -> Step {
        let writes = self.store.takes_writes();
        match work {
            Work::Command(_) if !writes => Step::Done(Err(Error::NotPrimary)),
            // The primary ends its leases, and its log says so.
            Work::Expire(id) if !writes => {
                self.effects.expiries.push((*id, None));
                Step::Done(Ok(Outcome::Stands))
            }
            Work::Copy(copies) => {
                let Some(log) = &self.log else { return Step::Done(Err(Error::NoLog)) };
                if log.standing().role != Role::Standby {
                    return Step::Done(Err(Error::NotStandby));
                }
                let Evaluator { monotonic, wall, .. } = self.evaluator;
                let now = Moment { monotonic, wall };
                let term = log.term();
                let mut target = Target { state, term, now, effects: &mut self.effects };
                match copies.apply(&mut target, |frame| logged.push(Logged::Copy(frame))) {
                    Applied::Done(result) => Step::Done(result),
                    Applied::More => Step::More,
                    Applied::Later => Step::Later,
                }
            }
            Work::CopyRevision(..) if !self.is_standby() => Step::Done(Err(Error::NotStandby)),
            Work::Stand(_) | Work::Install(_) => Step::Later,
            _ => {
                let keys = state.size.keys;
                match self.evaluator.evaluate(state, work) {
                    Evaluated::Done(result, entry) => {
                        self.effects.note(work, entry.as_ref(), state);
                        if let Ok(outcome) = &result {
                            let keys_gone = keys.saturating_sub(state.size.keys);
                            self.effects.tally.note(work, outcome, entry.as_ref(), keys_gone);
                        }
                        logged.extend(entry.map(Logged::Entry));
                        Step::Done(result)
                    }
                    Evaluated::Later => Step::Later,
                }
            }
        }
    }

    /// Changes the member's role if that is what comes next. Nothing is in flight now.
    fn stand(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), Error> {
        while let Some(Job { work: Work::Stand(standing), .. }) = jobs.front() {
            let result = match &mut self.log {
                Some(log) => {
                    log.stand(standing)?;
                    self.store.stand(standing);
                    Ok(Outcome::Stands)
                }
                None => Err(Error::NoLog),
            };
            let reply = jobs.pop_front().and_then(|job| job.reply);
            self.answers.push(reply, result);
        }
        Ok(())
    }

    fn publish(&mut self) {
        let compacted = self.store.publish(self.log.as_ref().map(Log::term));
        if let Some(log) = &self.log {
            self.store.counters.log_bytes.store(log.bytes_written(), Ordering::Relaxed);
        }
        std::mem::take(&mut self.effects).publish(&self.store, compacted);
    }

    /// A group that had nothing to log says nothing about the disk.
    fn time_commit(&mut self) {
        let meters = &self.store.meters;
        if let Some(log) = &mut self.log {
            let Some(times) = log.take_commit_times() else { return };
            meters.log_write.observe_time(times.write);
            meters.log_sync.observe_time(times.sync);
        }
        let taken = self.evaluator.monotonic;
        meters.commit.observe_time(self.store.clock.monotonic().saturating_sub(taken));
    }

    fn start_checkpoint_if_due(&self) {
        if let Some(job) = self.checkpoint_if(Log::checkpoint_due) {
            self.store.checkpointer.start(job);
        }
    }

    /// The one that saves whoever opens the store again from replaying much log.
    fn last_checkpoint(&self) -> Option<checkpointer::Job> {
        let checkpointer::Job { writer, walk } = self.checkpoint_if(Log::checkpoint_saves_time)?;
        Some(checkpointer::Job { writer: writer.hurry(), walk })
    }

    /// Begins one, if it is wanted of a state that takes about so many bytes.
    fn checkpoint_if(&self, wanted: fn(&Log, u64) -> bool) -> Option<checkpointer::Job> {
        let log = self.log.as_ref()?;
        let state = self.store.state.read();
        if !wanted(log, state.image_bytes()) {
            return None;
        }
        // With too many images open there is none to be had now; it stays wanted.
        let walk = Walk::begin(&self.store, &state, Extent::History).ok()?;
        drop(state);
        Some(checkpointer::Job { writer: log.begin_checkpoint(*walk.head()), walk })
    }

    /// Refuses what was evaluated but not published, what is taken and what is queued.
    fn latch(&mut self, error: &Error, jobs: &mut VecDeque<Job>) {
        self.store.queue.refuse(error.clone());
        let meters = &self.store.meters;
        meters.fail(self.answers.refuse(error));
        loop {
            for job in jobs.drain(..) {
                meters.fail(u64::from(job.reply.is_some()));
                self.answers.push(job.reply, Err(error.clone()));
            }
            // Whoever panics over this has been told.
            drop(self.answers.deliver());
            if self.store.queue.take(jobs, usize::MAX).is_err() {
                return;
            }
        }
    }
}

/// The state has what the log refused: there is no way on, and it is nobody's request that is to be
/// blamed from now on.
fn refused_by_log(error: Error) -> Error {
    match error {
        Error::Latched { .. } => error,
        other => Error::Latched { reason: format!("the log refused an entry: {other}").into() },
    }
}

fn latched_by(panic: &(dyn Any + Send)) -> Error {
    Error::latched_by_panic("writer", panic)
}
