//! What commands do, as etcd 3.7.1 answers them (its texts and oddities are noted where they differ
//! from what one would expect).

mod support;

use decube_engine::{
    Command, Compare, CompareOperator, CompareTarget, Error, LeaseId, Operation, OperationResult,
    Outcome, PutRequest, Revision,
};
use support::{delete, engine, get, keys, put, range, range_to, txn};

#[test]
fn a_fresh_store_is_at_revision_one_and_every_write_raises_it() {
    let engine = engine();
    assert_eq!(engine.revision(), Revision(1));
    assert_eq!(put(&engine, "a", "1"), 2);
    assert_eq!(put(&engine, "a", "2"), 3);
    let record = get(&engine, "a", 0).unwrap();
    assert_eq!(
        (record.create_revision(), record.mod_revision(), record.version()),
        (Revision(2), Revision(3), 2)
    );
    assert_eq!(get(&engine, "a", 2).unwrap().value(), b"1");
}

#[test]
fn a_deleted_key_starts_a_new_generation() {
    let engine = engine();
    put(&engine, "a", "1");
    assert_eq!(delete(&engine, "a"), (1, 3));
    assert!(get(&engine, "a", 0).is_none());
    put(&engine, "a", "2");
    let record = get(&engine, "a", 0).unwrap();
    assert_eq!((record.create_revision(), record.version()), (Revision(4), 1));
    assert!(get(&engine, "a", 3).is_none());
    assert_eq!(get(&engine, "a", 2).unwrap().value(), b"1");
}

#[test]
fn deleting_many_keys_is_one_revision_and_deleting_none_is_no_revision() {
    let engine = engine();
    for key in ["a", "b", "c", "d"] {
        put(&engine, key, "x");
    }
    let Ok(Outcome::DeleteRange(result)) =
        engine.execute(Command::DeleteRange(range_to("b", "d").into_delete()))
    else {
        panic!("a delete was refused")
    };
    assert_eq!((result.deleted, result.revision), (2, Revision(6)));
    assert_eq!(delete(&engine, "zzz"), (0, 6));
    assert_eq!(keys(&engine, "a", "\0"), ["a", "d"]);
}

#[test]
fn operations_run_in_order_and_see_earlier_writes() {
    let engine = engine();
    let request = txn(
        &[],
        vec![
            Operation::Put(support::put_request("a", "1")),
            Operation::Range(support::range_request("a")),
            Operation::DeleteRange(range("b").into_delete()),
            Operation::Range(support::range_request("b")),
        ],
    );
    let Ok(Outcome::Txn(result)) = engine.execute(Command::Txn(request)) else { panic!() };
    assert_eq!(result.revision, Revision(2));
    let OperationResult::Range(read) = &result.results[1] else { panic!() };
    assert_eq!((read.revision, read.count), (Revision(2), 1));
}

#[test]
fn nested_compares_see_the_state_before_the_transaction() {
    let engine = engine();
    let absent = Compare {
        range: range("a").into_range(),
        operator: CompareOperator::Equal,
        target: CompareTarget::Version(0),
    };
    let inner = txn(&[absent], vec![Operation::Put(support::put_request("b", "was absent"))]);
    let outer =
        txn(&[], vec![Operation::Put(support::put_request("a", "1")), Operation::Txn(inner)]);
    engine.execute(Command::Txn(outer)).unwrap();
    assert_eq!(get(&engine, "b", 0).unwrap().value(), b"was absent");
    assert_eq!(engine.revision(), Revision(2));
}

#[test]
fn a_put_that_relies_on_a_key_deleted_in_the_same_transaction_is_refused() {
    // `[a, "\0")` passes etcd's duplicate check as an empty interval; etcd panics on this one.
    let engine = engine();
    put(&engine, "a", "1");
    let keep = PutRequest { ignore_value: true, ..support::put_request("a", "") };
    let request = txn(
        &[],
        vec![Operation::DeleteRange(range_to("a", "\0").into_delete()), Operation::Put(keep)],
    );
    let refused = engine.execute(Command::Txn(request)).unwrap_err();
    assert!(matches!(refused, Error::KeyNotFound), "{refused}");
    assert_eq!(get(&engine, "a", 0).unwrap().value(), b"1");
}

#[test]
fn one_key_is_written_once_in_a_transaction() {
    let engine = engine();
    let twice = txn(
        &[],
        vec![
            Operation::Put(support::put_request("a", "1")),
            Operation::Put(support::put_request("a", "2")),
        ],
    );
    assert!(matches!(engine.execute(Command::Txn(twice)), Err(Error::DuplicateKey)));
    let inside_delete = txn(
        &[],
        vec![
            Operation::DeleteRange(range_to("a", "c").into_delete()),
            Operation::Put(support::put_request("b", "2")),
        ],
    );
    assert!(matches!(engine.execute(Command::Txn(inside_delete)), Err(Error::DuplicateKey)));
    let nested =
        |key: &str| Operation::Txn(txn(&[], vec![Operation::Put(support::put_request(key, "1"))]));
    let below_and_outside =
        txn(&[], vec![nested("a"), Operation::Put(support::put_request("a", "2"))]);
    assert!(matches!(engine.execute(Command::Txn(below_and_outside)), Err(Error::DuplicateKey)));
    assert_eq!(engine.revision(), Revision(1));
}

#[test]
fn a_put_and_a_delete_of_one_key_in_two_nested_transactions_share_a_revision() {
    let engine = engine();
    let write = txn(&[], vec![Operation::Put(support::put_request("a", "1"))]);
    let remove = txn(&[], vec![Operation::DeleteRange(range("a").into_delete())]);
    let both = txn(&[], vec![Operation::Txn(write), Operation::Txn(remove)]);
    engine.execute(Command::Txn(both)).unwrap();
    assert!(get(&engine, "a", 0).is_none());
    assert_eq!(engine.revision(), Revision(2));
}

#[test]
fn a_refused_operation_leaves_no_trace_of_the_ones_before() {
    let engine = engine();
    let unknown_lease = PutRequest { lease: LeaseId(7), ..support::put_request("b", "2") };
    let request = txn(
        &[],
        vec![Operation::Put(support::put_request("a", "1")), Operation::Put(unknown_lease)],
    );
    assert!(matches!(engine.execute(Command::Txn(request)), Err(Error::LeaseNotFound)));
    assert!(get(&engine, "a", 0).is_none());
    assert_eq!(engine.revision(), Revision(1));
}

#[test]
fn a_nested_transaction_may_use_what_the_outer_one_left() {
    let engine = engine();
    let reads = |count: usize| {
        (0..count).map(|_| Operation::Range(support::range_request("a"))).collect::<Vec<_>>()
    };
    let mut outer = txn(&[], reads(99));
    outer.success.push(Operation::Txn(txn(&[], reads(28))));
    assert!(engine.execute(Command::Txn(outer.clone())).is_ok());
    *outer.success.last_mut().unwrap() = Operation::Txn(txn(&[], reads(29)));
    assert!(matches!(engine.execute(Command::Txn(outer)), Err(Error::TooManyOperations)));
}

#[test]
fn compaction_refuses_what_is_behind_and_ahead_of_it() {
    let engine = engine();
    put(&engine, "a", "1");
    put(&engine, "a", "2");
    let compact = |revision| engine.execute(Command::Compact(Revision(revision)));
    assert!(compact(0).is_ok(), "the quirk of a fresh store");
    assert!(matches!(compact(0), Err(Error::Compacted { compact_revision: Revision(0) })));
    assert!(matches!(compact(4), Err(Error::FutureRevision { current: Revision(3) })));
    assert!(compact(3).is_ok());
    assert_eq!(get(&engine, "a", 3).unwrap().value(), b"2");
    let request = support::range_at("a", 2);
    assert!(matches!(
        engine.range(&request),
        Err(Error::Compacted { compact_revision: Revision(3) })
    ));
    let request = support::range_at("a", 4);
    assert!(matches!(engine.range(&request), Err(Error::FutureRevision { current: Revision(3) })));
}

/// A small request can rewrite large values; the log has no room for more than 256 MiB at once, and
/// what it refuses after it was carried out would stop the store.
#[test]
fn a_transaction_that_keeps_more_than_an_entry_can_hold_is_refused_and_changes_nothing() {
    let engine = engine();
    let value = bytes::Bytes::from(vec![7; 90 << 20]);
    let large = ["a", "b", "c"]
        .map(|key| PutRequest { value: value.clone(), ..support::put_request(key, "") });
    for put in &large {
        engine.execute(Command::Put(put.clone())).unwrap();
    }
    let keep = |put: &PutRequest| {
        Operation::Put(PutRequest { value: bytes::Bytes::new(), ignore_value: true, ..put.clone() })
    };
    let two = large.iter().take(2).map(keep).collect();
    assert!(engine.execute(Command::Txn(txn(&[], two))).is_ok());
    let nested = |put| Operation::Txn(txn(&[], vec![keep(put)]));
    let three = large.iter().map(nested).collect();
    let refused = engine.execute(Command::Txn(txn(&[], three)));
    assert!(matches!(refused, Err(Error::RequestTooLarge)), "{:?}", refused.err());
    assert_eq!(engine.revision(), Revision(5));
}
