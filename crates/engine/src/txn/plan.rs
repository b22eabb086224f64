//! Choosing a transaction's branches and checking them against the state before it.

use super::compare;
use crate::error::Error;
use crate::record::Record;
use crate::state::{Span, State};
use crate::types::{KeyRange, LeaseId, Operation, PutRequest, RangeRequest, Revision, TxnRequest};

/// The state as a command sees it: the writer's, or the published one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) revision: Revision,
    pub(crate) compact_revision: Revision,
}

impl<'a> View<'a> {
    /// What the writer has applied.
    pub(crate) fn applied(state: &'a State) -> Self {
        Self { state, revision: state.revision, compact_revision: state.compact_revision }
    }

    /// What readers may see.
    pub(crate) fn published(state: &'a State) -> Self {
        let published = state.published;
        let (revision, compact_revision) = (published.revision, published.compact_revision);
        Self { state, revision, compact_revision }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&'a Record> {
        self.state.index.get(key).and_then(|history| history.at(self.revision))
    }
}

/// The branches that a transaction takes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) succeeded: bool,
    /// Of the nested transactions in the branch taken, in order.
    pub(crate) nested: Vec<Plan>,
}

impl Plan {
    /// Compares, nested ones too, see the state before the transaction. Only the branch taken is
    /// checked.
    pub(crate) fn new(view: &View<'_>, txn: &TxnRequest) -> Result<Self, Error> {
        Self::make(view, txn, &mut Vec::new())
    }

    /// `deleted` collects the ranges that were deleted on the way here.
    fn make<'t>(
        view: &View<'_>,
        txn: &'t TxnRequest,
        deleted: &mut Vec<&'t KeyRange>,
    ) -> Result<Self, Error> {
        let succeeded = txn.compares.iter().all(|condition| compare::holds(view, condition));
        let mut nested = Vec::new();
        for operation in txn.branch(succeeded) {
            match operation {
                Operation::Range(range) => check_revision(view, range)?,
                Operation::Put(put) => {
                    check_put(view, put)?;
                    // The duplicate check lets "delete every key from here on" and a put of such a
                    // key pass; etcd panics when that put relies on what was deleted.
                    let gone = || deleted.iter().any(|range| covers(range, &put.key));
                    if (put.ignore_value || put.ignore_lease) && gone() {
                        return Err(Error::KeyNotFound);
                    }
                }
                Operation::DeleteRange(delete) => deleted.push(&delete.range),
                Operation::Txn(inner) => nested.push(Self::make(view, inner, deleted)?),
                Operation::Empty => return Err(Error::KeyNotFound),
            }
        }
        Ok(Self { succeeded, nested })
    }
}

/// A put's lease is checked before its key.
pub(crate) fn check_put(view: &View<'_>, put: &PutRequest) -> Result<(), Error> {
    if put.lease != LeaseId::NONE && view.state.leases.live(put.lease).is_none() {
        return Err(Error::LeaseNotFound);
    }
    if (put.ignore_value || put.ignore_lease) && view.get(&put.key).is_none() {
        return Err(Error::KeyNotFound);
    }
    Ok(())
}

/// Inside a transaction a negative revision is not "the latest" but compared with the compaction,
/// which starts at -1 (as in etcd).
fn check_revision(view: &View<'_>, range: &RangeRequest) -> Result<(), Error> {
    if range.revision.0 == 0 {
        Ok(())
    } else if range.revision > view.revision {
        Err(Error::FutureRevision { current: view.revision })
    } else if range.revision < view.compact_revision {
        Err(Error::Compacted { compact_revision: view.compact_revision })
    } else {
        Ok(())
    }
}

fn covers(range: &KeyRange, key: &[u8]) -> bool {
    match Span::of(range) {
        Span::Key(only) => only == key,
        Span::Interval(from, end) => from <= key && end.is_none_or(|end| key < end),
    }
}
