//! Ranges that are read in chunks: together what one read gives, whatever goes on between them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use decube_engine::{
    Command, Engine, Error, KeyRange, RangeChunks, RangeRequest, Record, Revision,
};
use support::{delete, engine, put, range, range_to};

const KEYS: usize = 5_000;

/// More keys than are looked at in one go, most of them deleted in one long row.
fn filled() -> Engine {
    let engine = engine();
    for key in 0..KEYS {
        put(&engine, &format!("{key:04}"), "v");
    }
    let row = range_to("0100", "4900").into_delete();
    engine.execute(Command::DeleteRange(row)).unwrap();
    engine
}

fn chunks(engine: &Engine, range: KeyRange, revision: i64) -> RangeChunks {
    engine.range_chunks(range, Revision(revision)).unwrap()
}

/// All that is left, read so many at a time.
fn rest(chunks: &mut RangeChunks, records_max: usize) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let chunk = chunks.next(records_max, usize::MAX).unwrap();
        assert!(chunk.records.len() == records_max || !chunk.more, "a chunk is full or the last");
        records.extend(chunk.records);
        if !chunk.more {
            assert!(chunks.next(1, 1).unwrap().records.is_empty(), "nothing is behind the last");
            return records;
        }
    }
}

fn check(engine: &Engine, range: &KeyRange, revision: i64) {
    let revision = Revision(revision);
    let request = RangeRequest { range: range.clone(), revision, ..RangeRequest::default() };
    let whole = engine.range(&request).unwrap();
    for records_max in [1, 7, 2_048, usize::MAX] {
        let mut chunks = chunks(engine, range.clone(), revision.0);
        assert_eq!(rest(&mut chunks, records_max), whole.records, "{range:?}, {records_max}");
        assert_eq!(chunks.store_revision(), whole.revision);
    }
    let mut chunks = chunks(engine, range.clone(), revision.0);
    let first = chunks.next(10, usize::MAX).unwrap().records.len();
    assert_eq!(i64::try_from(first).unwrap() + chunks.count_rest().unwrap(), whole.count);
}

#[test]
fn the_chunks_of_a_range_are_what_one_read_gives() {
    let engine = filled();
    let before_the_delete = i64::try_from(KEYS).unwrap() + 1;
    for keys in [
        range("0007"),
        range("0500"),
        range_to("\0", "\0"),
        range_to("0050", "4950"),
        range_to("0200", "0300"),
        range_to("9", "\0"),
        range_to("2", "1"),
    ] {
        let range = keys.into_range();
        check(&engine, &range, 0);
        check(&engine, &range, before_the_delete);
    }
}

#[test]
fn a_chunk_ends_with_the_record_that_fills_it() {
    let engine = filled();
    let mut chunks = chunks(&engine, range_to("\0", "\0").into_range(), 0);
    let record_bytes = chunks.next(1, 0).unwrap().records[0].message().len();
    let full = chunks.next(10, 2 * record_bytes + 1).unwrap();
    assert_eq!((full.records.len(), full.more), (3, true));
    assert_eq!(rest(&mut chunks, 50).len(), 196);
}

#[test]
fn what_is_written_meanwhile_is_not_read() {
    let engine = filled();
    let mut chunks = chunks(&engine, range_to("\0", "\0").into_range(), 0);
    let first = chunks.next(10, usize::MAX).unwrap();
    put(&engine, "0050", "changed");
    put(&engine, "00505", "new");
    delete(&engine, "4950");
    let records: Vec<_> = first.records.into_iter().chain(rest(&mut chunks, 30)).collect();
    assert_eq!(records.len(), 200);
    assert!(records.iter().all(|record| record.value() == b"v"));
}

#[test]
fn a_compaction_meanwhile_is_told() {
    let engine = filled();
    let revision = engine.revision();
    let mut pinned = chunks(&engine, range_to("\0", "\0").into_range(), 0);
    pinned.next(10, usize::MAX).unwrap();
    engine.execute(Command::Compact(revision)).unwrap();
    pinned.next(10, usize::MAX).expect("what is at the compaction is there");
    put(&engine, "0000", "more");
    engine.execute(Command::Compact(engine.revision())).unwrap();
    for _ in 0..2 {
        let told = [pinned.next(10, usize::MAX).unwrap_err(), pinned.count_rest().unwrap_err()];
        assert!(told.iter().all(|told| matches!(told, Error::Compacted { compact_revision }
            if *compact_revision == engine.revision())));
    }
}

#[test]
fn what_cannot_be_read_is_refused_at_once() {
    let engine = filled();
    let open = |range: KeyRange, revision| {
        engine.range_chunks(range, Revision(revision)).map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(KeyRange::default(), 0), Error::KeyEmpty));
    let future = open(range("a").into_range(), engine.revision().0 + 1);
    assert!(matches!(future, Error::FutureRevision { .. }));
    engine.execute(Command::Compact(Revision(9))).unwrap();
    let compacted = open(range("a").into_range(), 8);
    assert!(matches!(compacted, Error::Compacted { compact_revision: Revision(9) }));
}
