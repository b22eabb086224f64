//! Requests: etcd's messages into the engine's commands.
//!
//! etcd checks a request in a fixed order and reports the first thing wrong. The engine checks in
//! the same order; only what its types cannot express (a sort option that does not exist) is
//! decided here, in a way that keeps the order.

use bytes::Bytes;
use decube_engine::{
    Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, LeaseId, Operation,
    PutRequest, RangeRequest, Revision, SortOrder, SortTarget, TxnRequest, WatchId, WatchRequest,
};
use tonic::Status;

use crate::status;
use crate::wire::etcdserverpb as pb;

/// A read; refused when its sort option is none that etcd knows.
pub(crate) fn range(request: pb::RangeRequest) -> Result<RangeRequest, Status> {
    // An empty key is reported before a bad sort option, and by the engine.
    let sort = sort_option(&request)
        .or(request.key.is_empty().then_some((SortOrder::None, SortTarget::Key)))
        .ok_or_else(status::invalid_sort_option)?;
    Ok(range_sorted(request, sort))
}

fn range_sorted(
    request: pb::RangeRequest,
    (sort_order, sort_target): (SortOrder, SortTarget),
) -> RangeRequest {
    RangeRequest {
        range: KeyRange { key: request.key, end: request.range_end },
        limit: request.limit,
        revision: Revision(request.revision),
        sort_order,
        sort_target,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    }
}

fn sort_option(request: &pb::RangeRequest) -> Option<(SortOrder, SortTarget)> {
    use pb::range_request::{SortOrder as Order, SortTarget as Target};
    let order = match Order::try_from(request.sort_order).ok()? {
        Order::None => SortOrder::None,
        Order::Ascend => SortOrder::Ascend,
        Order::Descend => SortOrder::Descend,
    };
    let target = match Target::try_from(request.sort_target).ok()? {
        Target::Key => SortTarget::Key,
        Target::Version => SortTarget::Version,
        Target::Create => SortTarget::CreateRevision,
        Target::Mod => SortTarget::ModRevision,
        Target::Value => SortTarget::Value,
    };
    Some((order, target))
}

/// A write.
pub(crate) fn put(request: pb::PutRequest) -> PutRequest {
    PutRequest {
        key: request.key,
        value: request.value,
        lease: LeaseId(request.lease),
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

/// A delete.
pub(crate) fn delete_range(request: pb::DeleteRangeRequest) -> DeleteRangeRequest {
    DeleteRangeRequest {
        range: KeyRange { key: request.key, end: request.range_end },
        prev_kv: request.prev_kv,
    }
}

/// A transaction, ready to submit.
pub(crate) struct Transaction {
    pub(crate) request: TxnRequest,
    /// The first operation that is wrong by itself has a bad sort option. It was replaced by
    /// [`Operation::Empty`], so a refusal as an empty operation means the sort option.
    pub(crate) empty_means_bad_sort: bool,
}

/// What is wrong with the first operation that is wrong, in the order etcd checks them.
#[derive(Clone, Copy, PartialEq)]
enum FirstFault {
    Empty,
    BadSort,
}

/// Translates a transaction and all inside it.
pub(crate) fn transaction(request: pb::TxnRequest) -> Transaction {
    let mut fault = None;
    let request = txn(request, &mut fault);
    Transaction { request, empty_means_bad_sort: fault == Some(FirstFault::BadSort) }
}

fn txn(request: pb::TxnRequest, fault: &mut Option<FirstFault>) -> TxnRequest {
    TxnRequest {
        compares: request.compare.into_iter().map(compare).collect(),
        success: request.success.into_iter().map(|op| operation(op, fault)).collect(),
        failure: request.failure.into_iter().map(|op| operation(op, fault)).collect(),
    }
}

fn operation(operation: pb::RequestOp, fault: &mut Option<FirstFault>) -> Operation {
    use pb::request_op::Request;
    match operation.request {
        Some(Request::RequestRange(request)) => range(request).map_or_else(
            |_bad_sort| {
                fault.get_or_insert(FirstFault::BadSort);
                Operation::Empty
            },
            Operation::Range,
        ),
        Some(Request::RequestPut(request)) => Operation::Put(put(request)),
        Some(Request::RequestDeleteRange(request)) => Operation::DeleteRange(delete_range(request)),
        Some(Request::RequestTxn(request)) => Operation::Txn(txn(request, fault)),
        None => {
            fault.get_or_insert(FirstFault::Empty);
            Operation::Empty
        }
    }
}

fn compare(compare: pb::Compare) -> Compare {
    use pb::compare::{CompareResult, CompareTarget as Target};
    let range = KeyRange { key: compare.key, end: compare.range_end };
    let operator = match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => CompareOperator::Equal,
        Ok(CompareResult::Greater) => CompareOperator::Greater,
        Ok(CompareResult::Less) => CompareOperator::Less,
        Ok(CompareResult::NotEqual) => CompareOperator::NotEqual,
        Err(_) => CompareOperator::Unknown,
    };
    let union = compare.target_union;
    let target = match Target::try_from(compare.target) {
        Ok(Target::Version) => CompareTarget::Version(number(union, Target::Version)),
        Ok(Target::Create) => CompareTarget::CreateRevision(number(union, Target::Create)),
        Ok(Target::Mod) => CompareTarget::ModRevision(number(union, Target::Mod)),
        Ok(Target::Lease) => CompareTarget::Lease(number(union, Target::Lease)),
        Ok(Target::Value) => CompareTarget::Value(match union {
            Some(pb::compare::TargetUnion::Value(value)) => value,
            _ => Bytes::new(),
        }),
        Err(_) => return unknown_target(range, operator),
    };
    Compare { range, operator, target }
}

/// The number the target is compared with; a missing one, or another target's, reads as zero.
fn number(union: Option<pb::compare::TargetUnion>, target: pb::compare::CompareTarget) -> i64 {
    use pb::compare::{CompareTarget as Target, TargetUnion};
    match (target, union) {
        (Target::Version, Some(TargetUnion::Version(number)))
        | (Target::Create, Some(TargetUnion::CreateRevision(number)))
        | (Target::Mod, Some(TargetUnion::ModRevision(number)))
        | (Target::Lease, Some(TargetUnion::Lease(number))) => number,
        _ => 0,
    }
}

/// etcd takes a target it does not know for equal: `EQUAL` (and an unknown operator) holds
/// whatever the key, everything else never does.
fn unknown_target(range: KeyRange, operator: CompareOperator) -> Compare {
    match operator {
        CompareOperator::Equal | CompareOperator::Unknown => {
            Compare { range, operator: CompareOperator::Unknown, target: CompareTarget::Version(0) }
        }
        _ => Compare {
            range,
            operator: CompareOperator::Less,
            target: CompareTarget::Version(i64::MIN),
        },
    }
}

/// A watcher. An empty key stands for the smallest one; unknown filters are passed over.
pub(crate) fn watch(request: pb::WatchCreateRequest) -> WatchRequest {
    use pb::watch_create_request::FilterType;
    let filtered = |filter: FilterType| request.filters.contains(&(filter as i32));
    let (no_put, no_delete) = (filtered(FilterType::Noput), filtered(FilterType::Nodelete));
    let key = if request.key.is_empty() { Bytes::from_static(b"\0") } else { request.key };
    WatchRequest {
        range: KeyRange { key, end: request.range_end },
        start_revision: Revision(request.start_revision),
        id: (request.watch_id != 0).then_some(WatchId(request.watch_id)),
        prev_kv: request.prev_kv,
        no_put,
        no_delete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range_with_sort(sort_order: i32) -> pb::RequestOp {
        let range = pb::RangeRequest { key: "k".into(), sort_order, ..Default::default() };
        pb::RequestOp { request: Some(pb::request_op::Request::RequestRange(range)) }
    }

    fn check_first_fault(success: Vec<pb::RequestOp>, bad_sort_is_first: bool) {
        let txn = transaction(pb::TxnRequest { success, ..Default::default() });
        assert_eq!(txn.empty_means_bad_sort, bad_sort_is_first);
    }

    #[test]
    fn the_first_faulty_operation_decides_what_an_empty_one_means() {
        let empty = pb::RequestOp { request: None };
        check_first_fault(vec![range_with_sort(1)], false);
        check_first_fault(vec![range_with_sort(7)], true);
        check_first_fault(vec![range_with_sort(7), empty.clone()], true);
        check_first_fault(vec![empty, range_with_sort(7)], false);
    }

    #[test]
    fn an_empty_key_is_reported_before_a_bad_sort_option() {
        let request = pb::RangeRequest { sort_target: 9, ..Default::default() };
        assert!(range(request).is_ok(), "left to the engine, which refuses the empty key");
    }

    #[test]
    fn a_mismatched_target_union_compares_with_zero() {
        let mismatched = pb::Compare {
            key: "k".into(),
            target: pb::compare::CompareTarget::Mod as i32,
            target_union: Some(pb::compare::TargetUnion::Version(5)),
            ..Default::default()
        };
        assert_eq!(compare(mismatched).target, CompareTarget::ModRevision(0));
    }
}
