//! Checksums of a real etcd 3.7.1 that was given the same commands (`etcdctl endpoint hashkv`).

mod support;

use decube_engine::{
    Command, Compare, CompareOperator, CompareTarget, Engine, Error, Operation, Revision,
};
use support::{delete, engine, put, put_request, range, range_to, txn};

/// Hash, revision hashed, and the compaction it starts from.
fn hash(engine: &Engine, revision: i64) -> (u32, i64, i64) {
    let result = engine.hash_kv(Revision(revision)).expect("a readable revision");
    assert_eq!(result.revision, engine.revision());
    (result.hash, result.hash_revision.0, result.compact_revision.0)
}

fn compact(engine: &Engine, revision: i64) {
    engine.execute(Command::Compact(Revision(revision))).expect("a compaction");
}

/// Waits until the compaction's own hash is there; it answers with the compaction before.
fn wait_for_compaction_hash(engine: &Engine, revision: i64, before: i64) -> (u32, i64, i64) {
    for _ in 0..1_000_000 {
        let found = hash(engine, revision);
        if found.2 == before {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("no hash of compaction {revision}: {:?}", hash(engine, revision));
}

#[test]
fn the_checksum_is_etcds_before_and_after_compactions() {
    let engine = engine();
    assert_eq!(hash(&engine, 0), (1_084_519_789, 1, -1));
    put(&engine, "a", "1");
    put(&engine, "b", "2");
    put(&engine, "a", "3");
    assert_eq!(hash(&engine, 0), (2_069_675_932, 4, -1));
    assert_eq!(hash(&engine, 2), (2_587_454_935, 2, -1));
    delete(&engine, "a");
    put(&engine, "c", "");
    put(&engine, "a", "again");
    assert_eq!(hash(&engine, 0), (1_258_620_337, 7, -1));
    write_three_keys_at_once(&engine);
    assert_eq!(hash(&engine, 0), (1_832_395_977, 8, -1));

    compact(&engine, 4);
    assert_eq!(wait_for_compaction_hash(&engine, 4, -1), (2_069_675_932, 4, -1));
    assert_eq!(hash(&engine, 0), (71_685_051, 8, 4));
    assert_eq!(hash(&engine, 6), (3_545_813_561, 6, 4));
    let below = engine.hash_kv(Revision(3));
    assert!(matches!(below, Err(Error::Compacted { compact_revision: Revision(4) })));
    let ahead = engine.hash_kv(Revision(9));
    assert!(matches!(ahead, Err(Error::FutureRevision { current: Revision(8) })));

    compact(&engine, 5);
    assert_eq!(wait_for_compaction_hash(&engine, 5, 4), (2_051_293_682, 5, 4));
    assert_eq!(hash(&engine, 0), (2_687_881_058, 8, 5));
    assert_eq!(hash(&engine, 4), (2_069_675_932, 4, -1), "remembered");
    assert_eq!(hash(&engine, 7), (148_728_903, 7, 5));
}

#[test]
fn a_store_whose_keys_are_all_deleted_hashes_as_if_nothing_were_compacted() {
    let engine = engine();
    put(&engine, "a", "1");
    put(&engine, "b", "2");
    put(&engine, "a", "3");
    delete(&engine, "a");
    put(&engine, "c", "");
    put(&engine, "a", "again");
    write_three_keys_at_once(&engine);
    compact(&engine, 4);
    compact(&engine, 5);
    put(&engine, "f", "1");
    engine.execute(Command::DeleteRange(range_to("a", "\0").into_delete())).unwrap();
    assert_eq!(hash(&engine, 0), (3_723_562_652, 10, 5));
    compact(&engine, 9);
    assert_eq!(hash(&engine, 0), (2_361_145_948, 10, 9));
    assert_eq!(wait_for_compaction_hash(&engine, 9, 5), (1_769_950_128, 9, 5));
}

fn write_three_keys_at_once(engine: &Engine) {
    let absent = Compare {
        range: range("zz").into_range(),
        operator: CompareOperator::Equal,
        target: CompareTarget::ModRevision(0),
    };
    let operations = vec![
        Operation::Put(put_request("d", "1")),
        Operation::Put(put_request("e", "2")),
        Operation::DeleteRange(range("b").into_delete()),
    ];
    engine.execute(Command::Txn(txn(&[absent], operations))).expect("a transaction");
}

#[test]
fn a_tombstone_at_the_compacted_revision_counts_as_kept() {
    let engine = engine();
    put(&engine, "a", "1");
    compact(&engine, 2);
    delete(&engine, "a");
    put(&engine, "d", "1");
    delete(&engine, "d");
    compact(&engine, 5);
    assert_eq!(wait_for_compaction_hash(&engine, 5, 2), (2_697_550_991, 5, 2));
    assert_eq!(hash(&engine, 0), (1_084_519_789, 5, 5));
    put(&engine, "a", "2");
    assert_eq!(hash(&engine, 0), (1_866_131_224, 6, 5));
}
