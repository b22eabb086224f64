//! One command against the writer's view of the state: its answer and its log entry.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::queue::Work;
use crate::broken::{self, Defect};
use crate::entry::Entry;
use crate::error::Error;
use crate::lease::{Lease, TTL_S_MAX};
use crate::log::ENTRY_BYTES_MAX;
use crate::options::Options;
use crate::state::{Span, State};
use crate::txn::{Plan, RECORD_BYTES_OVERHEAD, Transaction, View, check_put, read_only};
use crate::types::{
    Alarm, AlarmKind, Command, DeleteRangeRequest, LeaseId, Operation, Outcome, PutRequest,
    PutResult, Revision, TxnRequest,
};

/// What became of a command.
pub(crate) enum Evaluated {
    /// The answer, and what to log if it changed anything.
    Done(Result<Outcome, Error>, Option<Entry>),
    /// It needs what came before it to be published first.
    Later,
}

/// What evaluating depends on beside the state.
pub(crate) struct Evaluator {
    pub(crate) lease_ttl_s_min: i64,
    pub(crate) quota_bytes: Option<u64>,
    /// In whose name alarms are raised.
    member_id: u64,
    pub(crate) monotonic: Duration,
    pub(crate) wall: Duration,
    random: RandomState,
    leases_chosen: u64,
}

impl Evaluator {
    pub(crate) fn new(options: &Options, member_id: u64) -> Self {
        Self {
            lease_ttl_s_min: options.lease_ttl_s_min,
            quota_bytes: options.quota_bytes,
            member_id,
            monotonic: Duration::ZERO,
            wall: Duration::ZERO,
            random: RandomState::new(),
            leases_chosen: 0,
        }
    }

    pub(crate) fn evaluate(&mut self, state: &mut State, work: &Work) -> Evaluated {
        let evaluated = match work {
            Work::Expire(id) => self.expire(state, *id),
            Work::Command(command) => match command {
                Command::Put(put) => self.put(state, put),
                Command::DeleteRange(delete) => delete_range(state, delete),
                Command::Txn(txn) => self.txn(state, txn),
                Command::Compact(revision) => compact(state, *revision),
                Command::LeaseGrant { id, .. } if state.leases.is_ending(*id) => {
                    return Evaluated::Later;
                }
                Command::LeaseGrant { id, ttl_s } => self.grant(state, *id, *ttl_s),
                Command::LeaseRevoke { id } => revoke(state, *id),
                Command::LeaseKeepAlive { id } => Ok(self.keep_alive(state, *id)),
                Command::Alarm { alarm, raised } => Ok(set_alarm(state, *alarm, *raised)),
            },
            Work::CopyRevision(revision, txn) => copy_revision(state, *revision, txn),
            Work::Copy(_) | Work::Stand(_) | Work::Install(_) => return Evaluated::Later,
        };
        match evaluated {
            Ok((outcome, entry)) => {
                state.sequence += u64::from(entry.is_some());
                Evaluated::Done(Ok(outcome), entry)
            }
            Err(error) => {
                let raises = matches!(error, Error::NoSpace);
                let entry = if raises { self.raise_no_space(state) } else { None };
                state.sequence += u64::from(entry.is_some());
                Evaluated::Done(Err(error), entry)
            }
        }
    }

    fn put(&self, state: &mut State, put: &PutRequest) -> Changed {
        self.check_room(state, put_cost(put))?;
        check_put(&View::applied(state), put)?;
        if broken::strikes(Defect::LostWrite) {
            let revision = Revision(state.revision.0 + 1);
            return Ok((Outcome::Put(PutResult { revision, previous: None }), None));
        }
        let mut transaction = Transaction::begin(state);
        let result = transaction.put(put);
        Ok((Outcome::Put(result), write(transaction)))
    }

    fn txn(&self, state: &mut State, txn: &TxnRequest) -> Changed {
        self.check_room(state, txn_cost(txn))?;
        let view = View::applied(state);
        let plan = Plan::new(&view, txn)?;
        if txn.is_read_only() {
            return Ok((Outcome::Txn(read_only(&view, txn, &plan)), None));
        }
        write_txn(state, txn, &plan)
    }

    fn grant(&mut self, state: &mut State, id: LeaseId, ttl_s: i64) -> Changed {
        self.check_room(state, RECORD_BYTES_OVERHEAD)?;
        if ttl_s > TTL_S_MAX {
            return Err(Error::LeaseTtlTooLarge);
        }
        let id = if id == LeaseId::NONE { self.choose_lease_id(state) } else { id };
        if state.leases.live(id).is_some() {
            return Err(Error::LeaseExists { id });
        }
        let ttl_s = ttl_s.max(self.lease_ttl_s_min);
        let mut lease = Lease::new(ttl_s, state.sequence + 1);
        lease.renew(self.monotonic, self.wall);
        let entry = Entry::LeaseGrant { id, ttl_s, expires_at: lease.expires_at };
        state.leases.grant(id, lease);
        Ok((Outcome::LeaseGrant { id, ttl_s, revision: state.revision }, Some(entry)))
    }

    /// A lease whose time is over is not renewed, even if its keys are still there.
    fn keep_alive(&self, state: &mut State, id: LeaseId) -> (Outcome, Option<Entry>) {
        let revision = state.revision;
        match state.leases.live_mut(id).filter(|lease| lease.deadline > self.monotonic) {
            Some(lease) => {
                lease.renew(self.monotonic, self.wall);
                let entry = Entry::LeaseKeepAlive { id, expires_at: lease.expires_at };
                let outcome = Outcome::LeaseKeepAlive { id, ttl_s: lease.ttl_s, revision };
                (outcome, Some(entry))
            }
            None => (Outcome::LeaseKeepAlive { id, ttl_s: 0, revision }, None),
        }
    }

    /// Nobody waits for the answer: a lease that was renewed or ended meanwhile is no error.
    fn expire(&self, state: &mut State, id: LeaseId) -> Changed {
        match state.leases.live(id) {
            Some(lease) if lease.deadline <= self.monotonic => revoke(state, id),
            _ => Ok((Outcome::LeaseRevoke { revision: state.revision }, None)),
        }
    }

    /// Positive, as etcd's are, and not in use.
    fn choose_lease_id(&mut self, state: &State) -> LeaseId {
        loop {
            self.leases_chosen += 1;
            let id = LeaseId((self.random.hash_one(self.leases_chosen) >> 1).cast_signed());
            let free = state.leases.live(id).is_none() && !state.leases.is_ending(id);
            if id != LeaseId::NONE && free {
                return id;
            }
        }
    }

    /// As in etcd this comes before anything else is looked at. What needs no room passes, so that
    /// there is a way out.
    fn check_room(&self, state: &State, more_bytes: usize) -> Result<(), Error> {
        let bytes = state.size.bytes.saturating_add(more_bytes) as u64;
        let full = self.quota_bytes.is_some_and(|quota| bytes >= quota);
        if more_bytes > 0 && (full || state.alarms.no_space()) {
            return Err(Error::NoSpace);
        }
        Ok(())
    }

    /// The first refusal for the quota raises an alarm. Until it is ended every further one is
    /// refused, even if there is room again.
    fn raise_no_space(&self, state: &mut State) -> Option<Entry> {
        let alarm = Alarm { member_id: self.member_id, kind: AlarmKind::NoSpace };
        if state.alarms.no_space() {
            return None;
        }
        state.alarms.set(alarm, true);
        Some(Entry::Alarm { alarm, raised: true })
    }
}

type Changed = Result<(Outcome, Option<Entry>), Error>;

/// Applies writes as exactly this revision, unless it is here already.
fn copy_revision(state: &mut State, revision: Revision, txn: &TxnRequest) -> Changed {
    let wanted = Revision(state.revision.0 + 1);
    if revision < wanted {
        return Ok((Outcome::Stands, None));
    }
    if revision > wanted {
        return Err(Error::RevisionGap { wanted });
    }
    let plan = Plan::new(&View::applied(state), txn)?;
    write_txn(state, txn, &plan)
}

fn write_txn(state: &mut State, txn: &TxnRequest, plan: &Plan) -> Changed {
    check_log_bytes(state, plan_put_log_bytes(state, txn, plan), |state| {
        plan_delete_bytes(state, txn, plan)
    })?;
    let mut transaction = Transaction::begin(state);
    let result = transaction.run(txn, plan);
    Ok((Outcome::Txn(result), write(transaction)))
}

fn write(transaction: Transaction<'_>) -> Option<Entry> {
    let revision = transaction.revision();
    let records = transaction.end();
    (!records.is_empty()).then_some(Entry::Write { revision, records })
}

fn delete_range(state: &mut State, delete: &DeleteRangeRequest) -> Changed {
    check_log_bytes(state, 0, |state| delete_bytes(state, delete))?;
    let mut transaction = Transaction::begin(state);
    let result = transaction.delete_range(delete);
    Ok((Outcome::DeleteRange(result), write(transaction)))
}

fn compact(state: &mut State, revision: Revision) -> Changed {
    if revision <= state.compact_revision {
        return Err(Error::Compacted { compact_revision: state.compact_revision });
    }
    if revision > state.revision {
        return Err(Error::FutureRevision { current: state.revision });
    }
    state.compact_revision = revision;
    Ok((Outcome::Compact { revision: state.revision }, Some(Entry::Compact { revision })))
}

fn revoke(state: &mut State, id: LeaseId) -> Changed {
    if state.leases.live(id).is_none() {
        return Err(Error::LeaseNotFound);
    }
    state.end_lease(id);
    let revision = state.revision;
    Ok((Outcome::LeaseRevoke { revision }, Some(Entry::LeaseEnd { id, revision })))
}

fn set_alarm(state: &mut State, alarm: Alarm, raised: bool) -> (Outcome, Option<Entry>) {
    let was = state.alarms.is_raised(alarm);
    let entry = (was != raised).then_some(Entry::Alarm { alarm, raised });
    state.alarms.set(alarm, raised);
    let told = (was || raised).then_some(alarm);
    (Outcome::Alarm { alarm: told, revision: state.revision }, entry)
}

/// What a put is taken to need, whatever it finds.
fn put_cost(put: &PutRequest) -> usize {
    RECORD_BYTES_OVERHEAD + put.key.len() + put.value.len()
}

/// Of both branches the one that needs more, whichever is taken (as in etcd).
fn txn_cost(txn: &TxnRequest) -> usize {
    let cost = |operation: &Operation| match operation {
        Operation::Put(put) => put_cost(put),
        Operation::Txn(nested) => txn_cost(nested),
        Operation::Range(_) | Operation::DeleteRange(_) | Operation::Empty => 0,
    };
    let of_branch = |operations: &[Operation]| operations.iter().map(cost).sum();
    usize::max(of_branch(&txn.success), of_branch(&txn.failure))
}

/// An entry that the log refuses would stop the store: it is refused before it is carried out. The
/// log's limit can be met by deletes only when the store itself is that large; their exact sum, which
/// walks the ranges, is made only then.
fn check_log_bytes(
    state: &State,
    put_bytes: usize,
    delete_bytes: impl Fn(&State) -> usize,
) -> Result<(), Error> {
    let left = ENTRY_BYTES_MAX.checked_sub(put_bytes).ok_or(Error::RequestTooLarge)?;
    let most = state.size.keys.saturating_mul(RECORD_BYTES_OVERHEAD) + state.size.bytes_in_use;
    if most > left && delete_bytes(state) > left {
        return Err(Error::RequestTooLarge);
    }
    Ok(())
}

/// Of what a put adds: with `ignore_value` that is the value it finds, however small the request.
fn put_bytes(state: &State, put: &PutRequest) -> usize {
    let kept = if put.ignore_value { state.live(&put.key) } else { None };
    put.key.len() + kept.map_or(put.value.len(), |record| record.value().len())
}

fn delete_bytes(state: &State, delete: &DeleteRangeRequest) -> usize {
    match Span::of(&delete.range) {
        Span::Key(key) => key.len() + RECORD_BYTES_OVERHEAD,
        Span::Interval(from, end) => {
            let live = state.index.range(from, end).filter(|entry| entry.live().is_some());
            live.map(|entry| entry.key().len() + RECORD_BYTES_OVERHEAD).sum()
        }
    }
}

fn plan_delete_bytes(state: &State, txn: &TxnRequest, plan: &Plan) -> usize {
    sum_over_plan(txn, plan, &|operation| match operation {
        Operation::DeleteRange(delete) => delete_bytes(state, delete),
        _ => 0,
    })
}

/// The most that the puts cost in the log. What one nested transaction puts the next may delete.
fn plan_put_log_bytes(state: &State, txn: &TxnRequest, plan: &Plan) -> usize {
    sum_over_plan(txn, plan, &|operation| match operation {
        Operation::Put(put) => put_bytes(state, put) + put.key.len() + 2 * RECORD_BYTES_OVERHEAD,
        _ => 0,
    })
}

fn sum_over_plan(txn: &TxnRequest, plan: &Plan, bytes: &dyn Fn(&Operation) -> usize) -> usize {
    let mut nested = plan.nested.iter();
    let of_one = |operation: &Operation| match operation {
        Operation::Txn(inner) => nested.next().map_or(0, |plan| sum_over_plan(inner, plan, bytes)),
        other => bytes(other),
    };
    txn.branch(plan.succeeded).iter().map(of_one).fold(0, usize::saturating_add)
}
