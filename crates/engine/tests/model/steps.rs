//! Random commands over few keys, so that they meet.

use decube_engine::{
    Command, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, LeaseId,
    Operation, PutRequest, RangeRequest, Revision, SortOrder, SortTarget, TxnRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Command(Command),
    /// With the revision relative to the current one, if it is not absolute.
    Range(RangeRequest, Back),
    Compact(Back),
    /// Opens a watcher, takes all it gets, and drops it.
    Watch(KeyRange, Back),
    /// Lets so many seconds pass.
    Wait(u64),
    /// Closes the store and opens it again.
    Reopen,
}

/// A revision so far behind the current one; negative ones are ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back(pub(crate) i64);

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..60)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => put().prop_map(|put| Step::Command(Command::Put(put))),
        4 => delete().prop_map(|delete| Step::Command(Command::DeleteRange(delete))),
        6 => txn(2).prop_map(|txn| Step::Command(Command::Txn(txn))),
        5 => (range_request(), back()).prop_map(|(range, back)| Step::Range(range, back)),
        2 => back().prop_map(Step::Compact),
        3 => (range(), back()).prop_map(|(range, back)| Step::Watch(range, back)),
        2 => (lease(), 0..30_i64)
            .prop_map(|(id, ttl_s)| Step::Command(Command::LeaseGrant { id, ttl_s })),
        1 => lease().prop_map(|id| Step::Command(Command::LeaseRevoke { id })),
        2 => lease().prop_map(|id| Step::Command(Command::LeaseKeepAlive { id })),
        2 => (0..15_u64).prop_map(Step::Wait),
        1 => Just(Step::Reopen),
    ]
}

fn back() -> impl Strategy<Value = Back> {
    (-1..12_i64).prop_map(Back)
}

fn key() -> impl Strategy<Value = bytes::Bytes> {
    "[a-e]|[a-c][a-c]".prop_map(bytes::Bytes::from)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (1..4_i64).prop_map(LeaseId)
}

fn range() -> impl Strategy<Value = KeyRange> {
    let end = prop_oneof![
        3 => Just(bytes::Bytes::new()),
        2 => key(),
        1 => Just(bytes::Bytes::from_static(b"\0")),
    ];
    (key(), end).prop_map(|(key, end)| KeyRange { key, end })
}

fn put() -> impl Strategy<Value = PutRequest> {
    let lease = prop_oneof![3 => Just(LeaseId::NONE), 1 => lease()];
    let flags = prop_oneof![6 => Just((false, false)), 1 => any::<(bool, bool)>()];
    (key(), "[v-z]{0,3}", lease, any::<bool>(), flags).prop_map(
        |(key, value, lease, prev_kv, (ignore_value, ignore_lease))| PutRequest {
            key,
            value: if ignore_value { "".into() } else { value.into() },
            lease: if ignore_lease { LeaseId::NONE } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteRangeRequest> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRangeRequest { range, prev_kv })
}

fn range_request() -> impl Strategy<Value = RangeRequest> {
    let order =
        prop_oneof![Just(SortOrder::None), Just(SortOrder::Ascend), Just(SortOrder::Descend)];
    let target = prop_oneof![
        3 => Just(SortTarget::Key),
        1 => Just(SortTarget::Version),
        1 => Just(SortTarget::CreateRevision),
        1 => Just(SortTarget::ModRevision),
        1 => Just(SortTarget::Value),
    ];
    let bound = || prop_oneof![5 => Just(0_i64), 1 => 1..20_i64];
    let bounds = (bound(), bound(), bound(), bound());
    (range(), -1..4_i64, order, target, any::<bool>(), bounds).prop_map(
        |(range, limit, sort_order, sort_target, count_only, bounds)| RangeRequest {
            range,
            limit,
            revision: Revision(0),
            sort_order,
            sort_target,
            keys_only: false,
            count_only: count_only && limit == 1,
            min_mod_revision: bounds.0,
            max_mod_revision: bounds.1,
            min_create_revision: bounds.2,
            max_create_revision: bounds.3,
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let operator = prop_oneof![
        3 => Just(CompareOperator::Equal),
        1 => Just(CompareOperator::NotEqual),
        1 => Just(CompareOperator::Greater),
        1 => Just(CompareOperator::Less),
        1 => Just(CompareOperator::Unknown),
    ];
    let target = prop_oneof![
        (0..3_i64).prop_map(CompareTarget::Version),
        (0..20_i64).prop_map(CompareTarget::CreateRevision),
        (0..20_i64).prop_map(CompareTarget::ModRevision),
        (0..4_i64).prop_map(CompareTarget::Lease),
        "[v-z]{0,1}".prop_map(|value| CompareTarget::Value(value.into())),
    ];
    (range(), operator, target).prop_map(|(range, operator, target)| Compare {
        range,
        operator,
        target,
    })
}

fn txn(depth: u32) -> BoxedStrategy<TxnRequest> {
    let in_txn = (range_request(), -3..25_i64).prop_map(|(range, revision)| {
        // Most reads inside a transaction are of the latest revision.
        let revision = Revision(if revision > 12 { 0 } else { revision });
        Operation::Range(RangeRequest { revision, ..range })
    });
    let leaf = prop_oneof![
        2 => in_txn,
        4 => put().prop_map(Operation::Put),
        2 => delete().prop_map(Operation::DeleteRange),
    ];
    let operation = if depth == 0 {
        leaf.boxed()
    } else {
        prop_oneof![6 => leaf, 1 => txn(depth - 1).prop_map(Operation::Txn)].boxed()
    };
    (vec(compare(), 0..2), vec(operation.clone(), 0..4), vec(operation, 0..3))
        .prop_map(|(compares, success, failure)| TxnRequest { compares, success, failure })
        .boxed()
}
