//! What the engine's threads and its callers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::checkpointer::Checkpointer;
use crate::clock::Clock;
use crate::compactor::Compactor;
use crate::entry::ImageHead;
use crate::error::Error;
use crate::follow::Followers;
use crate::hash_kv::CompactionHashes;
use crate::image::Pins;
use crate::lease::Expiry;
use crate::log::Identity;
use crate::meters::Meters;
use crate::options::Options;
use crate::role::{Role, Standing};
use crate::state::{Scan, State};
use crate::txn::{Plan, View, check_range, read_only};
use crate::types::{
    LeaseId, LeaseStatus, RangeRequest, RangeResult, Revision, Status, TxnRequest, TxnResult,
};
use crate::watch::Hub;
use crate::writer::Queue;

/// What an image of no keys takes, a page for its head. `etcdctl endpoint status` divides by the
/// size, so it must not be zero.
const IMAGE_BYTES_MIN: u64 = 4_096;

/// Keys that a read looks at before it lets the writer in.
const SLICE_KEYS: usize = 2_048;

/// Why no writes are taken; any of them is enough.
mod closed {
    /// By the role, or because the log is not in the member's own term yet.
    pub(super) const BY_ROLE: u8 = 1;
    /// By hand, until the role is told anew.
    pub(super) const BY_HAND: u8 = 2;
}

/// Lock order: `promoting`, then `changing`, then `pin`, then a watch stream's own, then the hub's,
/// then `state`. The queue's, the expiry's and the compactor's locks are leaves, held for moments.
pub(crate) struct Store {
    pub(crate) state: RwLock<State>,
    /// Held for reading by who reads one revision in several slices: nothing readable is dropped
    /// meanwhile. Held for writing by each slice of a compaction, and while the state is replaced.
    pub(crate) pin: RwLock<()>,
    /// The published revision, for those who need no more than it.
    revision: AtomicI64,
    closed: AtomicBool,
    pub(crate) queue: Queue,
    /// Open images. What they have yet to read is not dropped.
    pub(crate) pins: Arc<Pins>,
    pub(crate) expiry: Expiry,
    pub(crate) compactor: Compactor,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) hashes: CompactionHashes,
    pub(crate) hub: Hub,
    pub(crate) followers: Followers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    pub(crate) meters: Meters,
    /// Changes when the image of another store is installed.
    identity: Mutex<Identity>,
    /// Held from reading the standing until what follows from it is durable, so that nobody takes
    /// back what he did not see; and while an image takes the place of the state.
    pub(crate) changing: Mutex<()>,
    /// Held while the image of a promotion is written.
    pub(crate) promoting: Mutex<()>,
    /// What this member is to its peers, and whether it takes writes at this moment: a member that
    /// is about to become a standby takes none before that is durable.
    standing: Mutex<Standing>,
    gate: AtomicU8,
    /// Of the last entry that is published.
    term: AtomicU64,
    quota_bytes: Option<u64>,
}

/// Since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
}

impl Store {
    pub(crate) fn new(state: State, identity: Identity, term: u64, options: &Options) -> Self {
        Self {
            revision: AtomicI64::new(state.published.revision.0),
            closed: AtomicBool::new(false),
            state: RwLock::new(state),
            pin: RwLock::new(()),
            queue: Queue::new(options.queue_length_max, options.queue_bytes_max),
            pins: Arc::default(),
            expiry: Expiry::default(),
            compactor: Compactor::default(),
            checkpointer: Checkpointer::default(),
            hashes: CompactionHashes::default(),
            hub: Hub::default(),
            followers: Followers::default(),
            clock: Arc::clone(&options.clock),
            counters: Counters::default(),
            meters: Meters::new(term),
            identity: Mutex::new(identity),
            changing: Mutex::default(),
            promoting: Mutex::default(),
            standing: Mutex::default(),
            gate: AtomicU8::new(0),
            term: AtomicU64::new(term),
            quota_bytes: options.quota_bytes,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::SeqCst))
    }

    pub(crate) fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    pub(crate) fn term(&self) -> u64 {
        self.term.load(Ordering::SeqCst)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// Whether commands are carried out here at this moment.
    pub(crate) fn takes_writes(&self) -> bool {
        self.gate.load(Ordering::SeqCst) == 0
    }

    /// Takes no more writes; what the member will be is settled by the writer.
    pub(crate) fn close_gate(&self) {
        self.gate.fetch_or(closed::BY_HAND, Ordering::SeqCst);
    }

    /// Takes writes again, if the role allows it.
    pub(crate) fn open_gate(&self) {
        self.gate.fetch_and(!closed::BY_HAND, Ordering::SeqCst);
    }

    /// The member's role is this, durably. One that was promoted takes writes when its log is in
    /// its own term, not before.
    pub(crate) fn stand(&self, standing: &Standing) {
        *self.standing.lock() = standing.clone();
        // At once: one that becomes a standby takes no write in between.
        let gate = if self.role_takes_writes() { 0 } else { closed::BY_ROLE };
        self.gate.store(gate, Ordering::SeqCst);
        self.arm_leases();
    }

    /// The state was replaced, or the role: what follows for writes and leases. A gate that was
    /// closed by hand stays so.
    pub(crate) fn stand_anew(&self) {
        if self.role_takes_writes() {
            self.gate.fetch_and(!closed::BY_ROLE, Ordering::SeqCst);
        } else {
            self.gate.fetch_or(closed::BY_ROLE, Ordering::SeqCst);
        }
        self.arm_leases();
    }

    fn role_takes_writes(&self) -> bool {
        let standing = self.standing();
        standing.role != Role::Standby && standing.term() <= self.term()
    }

    fn arm_leases(&self) {
        self.expiry.clear();
        if self.takes_writes() {
            for (id, deadline) in self.lease_deadlines() {
                self.expiry.watch(id, deadline);
            }
        }
    }

    /// Reads of a latched store go on; of a closed one they do not.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Takes no more commands and no more reads.
    pub(crate) fn refuse_all(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.queue.refuse(Error::Closed);
    }

    /// Makes everything applied visible: it is durable. Returns the compaction before.
    pub(crate) fn publish(&self, term: Option<u64>) -> Revision {
        let mut state = self.state.write();
        if let Some(term) = term {
            self.meters.see_term(term);
            self.term.store(term, Ordering::SeqCst);
        }
        let compacted = state.published.compact_revision;
        state.change(State::publish);
        self.revision.store(state.published.revision.0, Ordering::SeqCst);
        compacted
    }

    /// Puts a loaded state in the place of this one, which is returned. Everything published is
    /// durable, and nothing is applied beyond it.
    pub(crate) fn replace(&self, mut state: State, head: &ImageHead, identity: Identity) -> State {
        state.renumber(head);
        // Nobody is in the middle of a read that goes by revision.
        let _pin = self.pin.write();
        self.compactor.forget();
        self.checkpointer.forget();
        self.hashes.forget();
        self.hub.replace(self, head.compact_revision, || {
            let mut current = self.state.write();
            state.generation = current.generation + 1;
            self.meters.see_term(head.term);
            self.term.store(head.term, Ordering::SeqCst);
            self.revision.store(head.revision.0, Ordering::SeqCst);
            *self.identity.lock() = identity;
            std::mem::replace(&mut *current, state)
        })
    }

    /// Most reads are done in one slice and stand in nobody's way.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResult, Error> {
        check_range(request)?;
        self.meters.reads.count(1);
        let mut state = self.state.read();
        let mut current = state.published.revision;
        let generation = state.generation;
        let mut scan = Scan::new(request, state.readable(request.revision)?);
        if scan.slice(&state, SLICE_KEYS) {
            drop(state);
            return Ok(scan.finish(current));
        }
        drop(state);
        let _pin = self.pin.read();
        state = self.state.read();
        let compacted = scan.revision() < state.published.compact_revision;
        if compacted || state.generation != generation {
            // Compacted or replaced before it was pinned. A read of the latest revision starts again.
            current = state.published.revision;
            scan = Scan::new(request, state.readable(request.revision)?);
        }
        while !scan.slice(&state, SLICE_KEYS) {
            drop(state);
            state = self.state.read();
        }
        drop(state);
        Ok(scan.finish(current))
    }

    pub(crate) fn read_txn(&self, txn: &TxnRequest) -> Result<TxnResult, Error> {
        let state = self.state.read();
        let view = View::published(&state);
        let plan = Plan::new(&view, txn)?;
        let result = read_only(&view, txn, &plan);
        self.meters.reads.count(result.ranges());
        Ok(result)
    }

    pub(crate) fn lease_status(&self, id: LeaseId, with_keys: bool) -> Result<LeaseStatus, Error> {
        let state = self.state.read();
        let published = state.published;
        let lease = state.leases.published(id, published.sequence).ok_or(Error::LeaseNotFound)?;
        let left = lease.deadline.saturating_sub(self.clock.monotonic());
        let keys = if with_keys {
            state.leases.keys(id, &state.index, published.revision)
        } else {
            Vec::new()
        };
        Ok(LeaseStatus {
            id,
            remaining_ttl_s: i64::try_from(left.as_secs()).unwrap_or(i64::MAX).min(lease.ttl_s),
            granted_ttl_s: lease.ttl_s,
            keys,
        })
    }

    pub(crate) fn lease_deadlines(&self) -> Vec<(LeaseId, Duration)> {
        let state = self.state.read();
        let leases = state.leases.all_published(state.published.sequence);
        leases.map(|(id, lease)| (id, lease.deadline)).collect()
    }

    pub(crate) fn leases(&self) -> Vec<LeaseId> {
        let state = self.state.read();
        state.leases.all_published(state.published.sequence).map(|(id, _)| id).collect()
    }

    pub(crate) fn leases_by_expiry(&self) -> Vec<LeaseId> {
        let mut leases: Vec<_> = {
            let state = self.state.read();
            let leases = state.leases.all_published(state.published.sequence);
            leases.map(|(id, lease)| (lease.deadline, id)).collect()
        };
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) fn status(&self) -> Status {
        let (storage_failures, storage_failure) = self.checkpointer.failures();
        let Identity { cluster_id, member_id } = self.identity();
        let state = self.state.read();
        Status {
            storage_failures,
            storage_failure,
            revision: state.published.revision,
            compact_revision: state.published.compact_revision,
            term: self.term().max(self.standing.lock().term()),
            log_sequence: state.published.sequence,
            db_size_bytes: IMAGE_BYTES_MIN + state.size.bytes as u64,
            db_size_in_use_bytes: IMAGE_BYTES_MIN + state.size.bytes_in_use as u64,
            keys: state.size.keys as u64,
            leases: state.leases.len() as u64,
            watchers: self.hub.watchers.load(Ordering::Relaxed) as u64,
            watchers_catching_up: self.hub.catching_up() as u64,
            cluster_id,
            member_id,
            alarms: state.alarms.published().collect(),
            quota_bytes: self.quota_bytes,
            queue_length: self.queue.len() as u64,
            commits: self.counters.commits.load(Ordering::Relaxed),
            commands: self.counters.commands.load(Ordering::Relaxed),
            log_bytes: self.counters.log_bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::options::Storage;

    /// Each has the gap that there must not be, if there is one: some are looked at within it.
    const CHANGES: u64 = 50_000;

    #[test]
    fn a_gate_that_was_closed_by_hand_is_closed_in_every_moment_until_the_role_closes_it() {
        let options = Options::new(Storage::Memory);
        let store = Store::new(State::new(), Identity::random(), 1, &options);
        let standing = |role| Standing { role, ..Standing::default() };
        // Odd from when it is closed by hand until the role has closed it.
        let turn = AtomicU64::new(0);
        let (looked, done) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let watching = scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let before = turn.load(Ordering::SeqCst);
                    let open = store.takes_writes();
                    if before % 2 == 1 && turn.load(Ordering::SeqCst) == before {
                        assert!(!open, "it was open in turn {before}");
                        looked.store(true, Ordering::SeqCst);
                    }
                }
            });
            let enough = || turn.load(Ordering::SeqCst) > CHANGES && looked.load(Ordering::SeqCst);
            while !enough() && !watching.is_finished() {
                store.stand(&standing(Role::Primary));
                store.close_gate();
                turn.fetch_add(1, Ordering::SeqCst);
                store.stand(&standing(Role::Standby));
                turn.fetch_add(1, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
    }
}
