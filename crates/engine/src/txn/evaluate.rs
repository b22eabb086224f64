//! Carrying out what was checked.

use super::plan::{Plan, View};
use crate::broken::{self, Defect};
use crate::record::Record;
use crate::state::{Put, State};
use crate::types::{
    DeleteRangeRequest, DeleteRangeResult, Operation, OperationResult, PutRequest, PutResult,
    RangeRequest, RangeResult, Revision, TxnRequest, TxnResult,
};

/// Writes that share one revision. Nothing here can be refused any more.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    state: &'a mut State,
    /// The revision of its writes, if it makes any.
    revision: Revision,
    records: Vec<Record>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn begin(state: &'a mut State) -> Self {
        let reused = i64::from(broken::strikes(Defect::ReusedRevision));
        let revision = Revision(state.revision.0 + 1 - reused);
        Self { state, revision, records: Vec::new() }
    }

    /// Raises the state's revision if anything was written. Returns the records, in order.
    pub(crate) fn end(self) -> Vec<Record> {
        if !self.records.is_empty() {
            self.state.revision = self.revision;
        }
        self.records
    }

    /// The revision to answer: the one written, or the current one.
    pub(crate) fn revision(&self) -> Revision {
        if self.records.is_empty() { self.state.revision } else { self.revision }
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> PutResult {
        let position = self.state.index.find(&request.key);
        let current = self.state.index.at(position).and_then(|history| history.live());
        let needed = request.prev_kv || request.ignore_value || request.ignore_lease;
        let previous = current.filter(|_| needed).cloned();
        let kept = previous.as_ref();
        let value = kept.filter(|_| request.ignore_value).map_or(&*request.value, Record::value);
        let lease = kept.filter(|_| request.ignore_lease).map_or(request.lease, Record::lease);
        let put = Put {
            key: &request.key,
            value,
            lease,
            revision: self.revision,
            sub_revision: self.sub_revision(),
        };
        let record = self.state.put_at(position, &put);
        self.records.push(record);
        PutResult { revision: self.revision, previous: previous.filter(|_| request.prev_kv) }
    }

    pub(crate) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResult {
        let deleted = self.state.live_in(&request.range);
        for record in &deleted {
            self.delete(record.key());
        }
        DeleteRangeResult {
            revision: self.revision(),
            deleted: i64::try_from(deleted.len()).unwrap_or(i64::MAX),
            previous: if request.prev_kv { deleted } else { Vec::new() },
        }
    }

    /// Deletes a key that exists.
    fn delete(&mut self, key: &[u8]) {
        let tombstone = Record::tombstone(key, self.revision, self.sub_revision());
        self.state.apply(tombstone.clone());
        self.records.push(tombstone);
    }

    pub(crate) fn run(&mut self, txn: &TxnRequest, plan: &Plan) -> TxnResult {
        let mut result = self.run_branch(txn, plan);
        result.revision = self.revision();
        result
    }

    fn run_branch(&mut self, txn: &TxnRequest, plan: &Plan) -> TxnResult {
        let mut nested = plan.nested.iter();
        let results = txn.branch(plan.succeeded).iter().filter_map(|operation| {
            Some(match operation {
                Operation::Range(range) => OperationResult::Range(self.range(range)),
                Operation::Put(put) => OperationResult::Put(self.put(put)),
                Operation::DeleteRange(delete) => {
                    OperationResult::DeleteRange(self.delete_range(delete))
                }
                Operation::Txn(inner) => {
                    OperationResult::Txn(self.run_branch(inner, nested.next()?))
                }
                Operation::Empty => return None,
            })
        });
        TxnResult { revision: Revision(0), succeeded: plan.succeeded, results: results.collect() }
    }

    fn range(&self, request: &RangeRequest) -> RangeResult {
        let current = self.revision();
        let revision = if request.revision.0 > 0 { request.revision } else { current };
        self.state.range(request, revision, current)
    }

    fn sub_revision(&self) -> u32 {
        u32::try_from(self.records.len()).expect("the log refuses entries long before 2^32 records")
    }
}

/// Runs a transaction without writes on a state that need not be the writer's.
pub(crate) fn read_only(view: &View<'_>, txn: &TxnRequest, plan: &Plan) -> TxnResult {
    let mut nested = plan.nested.iter();
    let results = txn.branch(plan.succeeded).iter().filter_map(|operation| match operation {
        Operation::Range(request) => {
            let wanted = request.revision;
            let revision = if wanted.0 > 0 { wanted } else { view.revision };
            Some(OperationResult::Range(view.state.range(request, revision, view.revision)))
        }
        Operation::Txn(inner) => {
            let mut result = read_only(view, inner, nested.next()?);
            result.revision = Revision(0);
            Some(OperationResult::Txn(result))
        }
        Operation::Put(_) | Operation::DeleteRange(_) | Operation::Empty => None,
    });
    let results = results.collect();
    TxnResult { revision: view.revision, succeeded: plan.succeeded, results }
}

impl TxnResult {
    /// How many ranges were read, those of nested transactions among them.
    pub(crate) fn ranges(&self) -> u64 {
        let of_one = |result: &OperationResult| match result {
            OperationResult::Range(_) => 1,
            OperationResult::Txn(nested) => nested.ranges(),
            OperationResult::Put(_) | OperationResult::DeleteRange(_) => 0,
        };
        self.results.iter().map(of_one).sum()
    }
}

impl TxnRequest {
    /// The operations run when its compares hold, or do not.
    pub(crate) fn branch(&self, succeeded: bool) -> &[Operation] {
        if succeeded { &self.success } else { &self.failure }
    }

    /// Whether no branch, nested ones included, can write: then it needs no writer.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|operation| match operation {
            Operation::Range(_) => true,
            Operation::Txn(nested) => nested.is_read_only(),
            Operation::Put(_) | Operation::DeleteRange(_) | Operation::Empty => false,
        })
    }
}
