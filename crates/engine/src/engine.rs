//! The store as its callers see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::chunks::RangeChunks;
use crate::entry::ImageHead;
use crate::error::{Error, OpenError};
use crate::follow::Follower;
use crate::hash_kv::hash_kv;
use crate::image::Image;
use crate::install::InstallError;
use crate::log::{FollowError, Identity, Installation, Journal, Log, Recovered};
use crate::mailbox::{Answer, Mailbox};
use crate::meters::Meters;
use crate::options::{Options, Storage};
use crate::state::{Loader, State};
use crate::store::Store;
use crate::txn::{check_txn, validate};
use crate::types::{
    Command, HashKv, Held, KeyRange, LeaseId, LeaseStatus, Outcome, RangeRequest, RangeResult,
    Revision, Status, TxnRequest, TxnResult,
};
use crate::watch::{Limits, Notify, WatchStream};
use crate::writer::{Job, Work, Writer};

/// What closing a store waits for its last checkpoint, which only makes the next start shorter.
const LAST_CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// A running store. Cheap to clone; the last clone dropped closes it.
#[derive(Clone)]
pub struct Engine {
    running: Arc<Running>,
}

/// Closes the store when the last handle goes. The threads hold the store, not this.
struct Running {
    store: Arc<Store>,
    recovered: Recovered,
    /// Of a store with a log.
    journal: Option<Journal>,
    txn_operations_max: usize,
    watch_limits: Limits,
    /// The writer's is the first.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Gives back the state before the last installation.
    dropping: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Opens a store, recovering what its log holds, and starts its threads.
    #[expect(clippy::needless_pass_by_value, reason = "the store keeps parts of them")]
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let (state, log) = load(&options)?;
        let identity = log.as_ref().map_or_else(Identity::random, Log::identity);
        let term = log.as_ref().map_or(1, Log::term);
        let standing = log.as_ref().map(|log| log.standing().clone()).unwrap_or_default();
        let upkeep = log.as_ref().map(Log::upkeep);
        let journal = log.as_ref().map(Log::journal);
        let recovered = log.as_ref().map(|log| log.recovered().clone()).unwrap_or_default();
        let store = Arc::new(Store::new(state, identity, term, &options));
        store.stand(&standing);
        let writer = Writer::new(Arc::clone(&store), log, &options);
        let running = Running::new(Arc::clone(&store), recovered, journal, &options);
        running.start("decube-writer", move |_| writer.run())?;
        running.start("decube-leases", |store| store.expiry.run(store))?;
        running.start("decube-compact", |store| store.compactor.run(store))?;
        running.start("decube-watch", |store| store.hub.run(store))?;
        if let Some(upkeep) = upkeep {
            running.start("decube-storage", move |store| store.checkpointer.run(store, &upkeep))?;
        }
        let engine = Self { running: Arc::new(running) };
        let promoted = engine.finish_promotion();
        promoted.map_err(|source| OpenError::Promotion { source: Box::new(source) })?;
        Ok(engine)
    }

    /// Queues a command; the mailbox gets the answer under `ticket` once it is durable. Refuses at
    /// once, without queueing, what is malformed ([`Error::KeyEmpty`], [`Error::DuplicateKey`], ..),
    /// and with [`Error::TooManyRequests`] when the queue is full.
    pub fn submit(
        &self,
        command: Command,
        mailbox: &Arc<dyn Mailbox>,
        ticket: u64,
    ) -> Result<(), Error> {
        validate(&command, self.running.txn_operations_max)?;
        if !self.running.store.takes_writes() {
            return Err(Error::NotPrimary);
        }
        let reply = Some((Arc::clone(mailbox), ticket));
        let queued = self.running.store.queue.put(Job { work: Work::Command(command), reply });
        if let Err(Error::Latched { .. }) = &queued {
            self.running.store.meters.fail(1);
        }
        queued
    }

    /// Submits and waits for the answer.
    pub fn execute(&self, command: Command) -> Result<Outcome, Error> {
        if let Command::Txn(txn) = &command
            && txn.is_read_only()
        {
            return self.read_txn(txn).map(Outcome::Txn);
        }
        Waiting::for_answer(|mailbox| self.submit(command, mailbox, 0))
    }

    /// Delivers an answer under `ticket` when all that a compaction through this revision made
    /// unreachable is dropped from memory, which is after the compaction itself was answered.
    pub fn tell_when_dropped(
        &self,
        through: Revision,
        mailbox: &Arc<dyn Mailbox>,
        ticket: u64,
    ) -> Result<(), Error> {
        self.store().compactor.tell_when_dropped(through, (Arc::clone(mailbox), ticket))
    }

    /// Queues work of the store's own making and waits for the answer.
    pub(crate) fn ask(&self, work: Work) -> Result<Outcome, Error> {
        Waiting::for_answer(|mailbox| {
            let reply = Some((Arc::clone(mailbox), 0));
            self.store().queue.put(Job { work, reply })
        })
    }

    /// The file of an image that is to be installed; none in a store without a log.
    pub(crate) fn begin_install(
        &self,
        head: &ImageHead,
    ) -> Result<Option<Installation>, InstallError> {
        let Some(journal) = &self.running.journal else { return Ok(None) };
        let file = journal.begin_install(head).ok_or(Error::Closed)?;
        Ok(Some(file?))
    }

    /// Drops a state that was replaced. Nobody has to wait while a large one is given back, but who
    /// replaces the next, and who closes the store.
    pub(crate) fn give_back(&self, state: State) {
        let mut dropping = self.running.dropping.lock();
        drop(dropping.take().map(JoinHandle::join));
        let thread = thread::Builder::new().name("decube-drop".into()).spawn(move || drop(state));
        *dropping = thread.ok();
    }

    pub(crate) fn journal(&self) -> Option<&Journal> {
        self.running.journal.as_ref()
    }

    pub(crate) fn has_log(&self) -> bool {
        self.journal().is_some()
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.running.store
    }

    /// Reads at one revision. Never waits for the disk; never sees what is not yet durable.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResult, Error> {
        self.running.store.check_open()?;
        self.running.store.range(request)
    }

    /// Opens a range, to be read in chunks in key order at one revision: the latest for zero or
    /// less. What compactions meanwhile take away is refused then ([`Error::Compacted`]).
    pub fn range_chunks(&self, range: KeyRange, revision: Revision) -> Result<RangeChunks, Error> {
        self.running.store.check_open()?;
        RangeChunks::open(&self.running.store, range, revision)
    }

    /// Runs a transaction that [`TxnRequest::is_read_only`] on the caller's thread, as
    /// [`Engine::range`] reads. (Queued it would give the same answer, later.)
    pub fn read_txn(&self, txn: &TxnRequest) -> Result<TxnResult, Error> {
        self.running.store.check_open()?;
        check_txn(txn, self.running.txn_operations_max)?;
        self.running.store.read_txn(txn)
    }

    /// Whether writes are taken at all: not after [`Error::Latched`], though reads go on.
    pub fn check_writes(&self) -> Result<(), Error> {
        self.running.store.queue.check_open()
    }

    /// The latest durable revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.running.store.revision()
    }

    /// What the store is and how big.
    #[must_use]
    pub fn status(&self) -> Status {
        self.running.store.status()
    }

    /// What was counted and timed since the store was opened.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.running.store.meters
    }

    /// What watch streams and images hold at this moment.
    #[must_use]
    pub fn held(&self) -> Held {
        let store = &self.running.store;
        let (watch_streams, events_waiting) = store.hub.waiting();
        let installing = store.meters.installing.load(Ordering::Relaxed);
        Held { watch_streams, events_waiting, images: store.pins.len(), installing }
    }

    /// Who the store is. A standby's cluster becomes its primary's when it is seeded.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.running.store.identity()
    }

    /// A checksum over the kept history up to `revision` (zero: the current one).
    pub fn hash_kv(&self, revision: Revision) -> Result<HashKv, Error> {
        self.running.store.check_open()?;
        hash_kv(&self.running.store, revision)
    }

    /// A lease as it stands, with its keys on request; [`Error::LeaseNotFound`] if there is none.
    pub fn lease_status(&self, id: LeaseId, with_keys: bool) -> Result<LeaseStatus, Error> {
        self.running.store.check_open()?;
        self.running.store.lease_status(id, with_keys)
    }

    /// All live leases, in order.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        self.running.store.leases()
    }

    /// All live leases, the one that runs out first before the others.
    #[must_use]
    pub fn leases_by_expiry(&self) -> Vec<LeaseId> {
        self.running.store.leases_by_expiry()
    }

    /// Opens a stream of watchers; `notify` is told when it has something to take.
    pub fn watch_stream(&self, notify: Arc<dyn Notify>) -> Result<WatchStream, Error> {
        self.running.store.check_open()?;
        let limits = self.running.watch_limits;
        WatchStream::open(&self.running.store, notify, limits)
    }

    /// Follows the log from a sequence number on, which may be the one that comes next; `notify` is
    /// told when there are new frames, and when the store is closed. A follower never holds up the
    /// writer: one that is too far behind finds its frames gone ([`FollowError::TooOld`]).
    pub fn follow(&self, from: u64, notify: Arc<dyn Notify>) -> Result<Follower, FollowError> {
        self.running.store.check_open().map_err(|_closed| FollowError::Closed)?;
        let journal = self.running.journal.as_ref().ok_or(FollowError::NoLog)?;
        Ok(Follower::new(journal.follow(from)?, notify, &self.running.store))
    }

    /// Opens an image of what is published now: a checkpoint file's bytes, to be taken piece by
    /// piece while writes go on. With `history` it holds all that [`Engine::hash_kv`] covers; else
    /// what is live, as after a compaction at its revision. While it is open a compaction is taken
    /// at once but drops nothing; an image that nobody reads from for a minute is given up then.
    pub fn image(&self, history: bool) -> Result<Image, Error> {
        self.running.store.check_open()?;
        Image::open(&self.running.store, history)
    }

    /// What opening found and did; all zero for a memory store.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.running.recovered
    }

    /// Stops taking commands, makes what is queued durable, answers it, ends the watches and lets
    /// go of the lock file. Later calls fail with [`Error::Closed`]. Closing twice is fine.
    pub fn close(&self) {
        self.running.close();
    }
}

/// The state, and the log that goes on from it.
fn load(options: &Options) -> Result<(State, Option<Log>), OpenError> {
    let Storage::Log(location) = &options.storage else { return Ok((State::new(), None)) };
    let mut loader = Loader::new(&*options.clock);
    let log = Log::open(options, location, &mut loader)?;
    Ok((loader.finish(), Some(log)))
}

impl Running {
    fn new(
        store: Arc<Store>,
        recovered: Recovered,
        journal: Option<Journal>,
        options: &Options,
    ) -> Self {
        let of_clock = Arc::downgrade(&store);
        store.clock.on_move(Box::new(move || {
            of_clock.upgrade().iter().for_each(|store| {
                store.expiry.look_again();
                store.pins.look_again();
            });
        }));
        let watch_limits = Limits {
            watchers_max: options.watchers_per_stream_max,
            queue_bytes_max: options.watch_queue_bytes_max,
        };
        let txn_operations_max = options.txn_operations_max;
        let (threads, dropping) = Default::default();
        Self { store, recovered, journal, txn_operations_max, watch_limits, threads, dropping }
    }

    fn start(
        &self,
        name: &'static str,
        body: impl FnOnce(&Store) + Send + 'static,
    ) -> Result<(), OpenError> {
        let store = Arc::clone(&self.store);
        let thread = thread::Builder::new().name(name.into()).spawn(move || body(&store));
        let thread = thread.map_err(|source| OpenError::Thread { name, source })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// The writer goes first: what it still publishes is handed to the watchers.
    fn close(&self) {
        let mut threads = self.threads.lock();
        self.store.refuse_all();
        // A panic of those that change the state, or hand it out, was caught and latched; the others'
        // is theirs alone.
        let mut join = |thread: JoinHandle<()>| drop(thread.join());
        let mut threads = threads.drain(..);
        threads.next().into_iter().for_each(&mut join);
        self.store.hub.close(&self.store);
        self.store.followers.wake();
        self.store.expiry.close();
        self.store.checkpointer.close(LAST_CHECKPOINT_TIMEOUT);
        self.store.pins.close();
        self.store.compactor.close();
        threads.for_each(&mut join);
        self.dropping.lock().take().into_iter().for_each(join);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}

/// The mailbox of one waiting caller.
#[derive(Default)]
struct Waiting {
    answer: Mutex<Option<Answer>>,
    arrived: Condvar,
}

impl Waiting {
    fn for_answer(
        submit: impl FnOnce(&Arc<dyn Mailbox>) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let waiting = Arc::new(Self::default());
        submit(&(Arc::clone(&waiting) as Arc<dyn Mailbox>))?;
        waiting.wait()
    }

    fn wait(&self) -> Result<Outcome, Error> {
        let mut answer = self.answer.lock();
        loop {
            if let Some(answer) = answer.take() {
                return answer.result;
            }
            self.arrived.wait(&mut answer);
        }
    }
}

impl Mailbox for Waiting {
    fn deliver(&self, answers: Vec<Answer>) {
        *self.answer.lock() = answers.into_iter().next();
        self.arrived.notify_one();
    }
}
