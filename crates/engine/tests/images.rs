//! Images of a running store: exact, whatever goes on beside them, and bounded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Faulty;
use decube_engine::{
    Command, Engine, Error, Image, ImageDecoder, ImageHead, ImageItem, LeaseId, LogLocation,
    ManualClock, Operation, Options, Record, Revision, Storage,
};
use support::{delete, engine, get, put, put_request, range_to, txn, wait_until};

/// The rest of an image, decoded.
struct Contents {
    head: ImageHead,
    leases: Vec<LeaseId>,
    records: Vec<Record>,
}

fn read(image: &mut Image) -> Contents {
    let mut decoder = ImageDecoder::new();
    let (mut leases, mut records) = (Vec::new(), Vec::new());
    loop {
        let bytes = image.take(1_000).unwrap();
        if bytes.is_empty() {
            break;
        }
        decoder
            .feed(&bytes, &mut |item| {
                match item {
                    ImageItem::Lease { id, .. } => leases.push(id),
                    ImageItem::Record(record) => records.push(record),
                    ImageItem::Head(_) | ImageItem::Alarm(_) => {}
                }
                Ok(())
            })
            .unwrap();
    }
    decoder.finish().unwrap();
    Contents { head: decoder.head().unwrap(), leases, records }
}

/// Key, revision, and whether it is a tombstone.
fn short(records: &[Record]) -> Vec<(String, i64, bool)> {
    let one = |record: &Record| {
        let key = String::from_utf8(record.key().to_vec()).unwrap();
        (key, record.mod_revision().0, record.is_tombstone())
    };
    records.iter().map(one).collect()
}

fn compact(engine: &Engine, revision: i64) {
    engine.execute(Command::Compact(Revision(revision))).unwrap();
}

/// Bytes of all kept versions.
fn kept(engine: &Engine) -> u64 {
    engine.status().db_size_bytes
}

#[test]
fn an_image_is_of_its_revision_whatever_is_written_meanwhile() {
    let engine = engine();
    engine.execute(Command::LeaseGrant { id: LeaseId(5), ttl_s: 60 }).unwrap();
    for key in 0..5_000 {
        put(&engine, &format!("key-{key:05}"), &"v".repeat(100));
    }
    delete(&engine, "key-00007");
    let mut image = engine.image(true).unwrap();
    let revision = engine.revision();
    assert_eq!(image.head().revision, revision);
    for key in (0..5_000).step_by(3) {
        put(&engine, &format!("key-{key:05}"), "later");
    }
    put(&engine, "key-99999", "later");
    engine.execute(Command::LeaseGrant { id: LeaseId(6), ttl_s: 60 }).unwrap();
    let contents = read(&mut image);
    assert_eq!(contents.leases, [LeaseId(5)]);
    assert_eq!(contents.records.len(), 5_001);
    assert!(contents.records.iter().all(|record| record.mod_revision() <= revision));
    assert_eq!(image.take(1 << 20).unwrap(), []);
}

#[test]
fn an_image_with_history_has_what_a_compaction_keeps_and_a_live_one_what_is_live() {
    let engine = engine();
    put(&engine, "a", "2");
    put(&engine, "a", "3");
    put(&engine, "b", "4");
    delete(&engine, "b"); // 5
    put(&engine, "a", "6");
    put(&engine, "c", "7");
    delete(&engine, "c"); // 8
    compact(&engine, 5);
    let all = read(&mut engine.image(true).unwrap());
    let expected =
        [("a", 3, false), ("a", 6, false), ("b", 5, true), ("c", 7, false), ("c", 8, true)];
    let expected = expected.map(|(key, revision, gone)| (key.to_owned(), revision, gone));
    assert_eq!(short(&all.records), expected);
    assert_eq!(all.head.compact_revision, Revision(5));

    let live = read(&mut engine.image(false).unwrap());
    assert_eq!(short(&live.records), [("a".to_owned(), 6, false)]);
    assert_eq!((live.head.revision, live.head.compact_revision), (Revision(8), Revision(8)));
}

fn on(disk: &Faulty) -> Engine {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location));
    options.segment_bytes = 1 << 16;
    Engine::open(options).unwrap()
}

/// Some keys, one of them changed twice in one transaction.
fn write_a_past(engine: &Engine) {
    let nested = |operation| Operation::Txn(txn(&[], vec![operation]));
    let put_and_delete = vec![
        nested(Operation::Put(put_request("a", "twice"))),
        nested(Operation::DeleteRange(range_to("a", "b").into_delete())),
    ];
    put(engine, "a", "");
    put(engine, "b", "");
    engine.execute(Command::Txn(txn(&[], put_and_delete))).unwrap();
    put(engine, "b", "");
    put(engine, "c", "");
    delete(engine, "c");
}

#[test]
fn an_image_is_the_same_before_and_after_a_compaction_that_it_knows_of_has_dropped_anything() {
    for compacted in 2..=7 {
        let disk = Faulty::new(1);
        let engine = on(&disk);
        write_a_past(&engine);
        let pin = engine.image(true).unwrap();
        compact(&engine, compacted);
        let before = read(&mut engine.image(true).unwrap());
        drop(pin);
        engine.close();
        // Replaying the log drops at once.
        let engine = on(&disk);
        let after = read(&mut engine.image(true).unwrap());
        assert_eq!(before.records, after.records, "compacted at {compacted}");
    }
}

#[test]
fn a_compaction_drops_nothing_that_an_open_image_has_yet_to_read() {
    let engine = engine();
    for round in 0..20 {
        put(&engine, "key", &round.to_string());
    }
    let before = kept(&engine);
    let mut image = engine.image(true).unwrap();
    compact(&engine, 21);
    put(&engine, "other", "");
    assert!(matches!(
        engine.range(&support::range_at("key", 20)),
        Err(Error::Compacted { compact_revision: Revision(21) })
    ));
    assert!(kept(&engine) > before, "something was dropped");
    assert_eq!(read(&mut image).records.len(), 20);
    wait_until(|| kept(&engine) < before);
    assert!(get(&engine, "key", 21).is_some());
}

#[test]
fn an_image_that_nobody_reads_for_a_minute_stands_in_no_compactions_way() {
    let clock = Arc::new(ManualClock::new());
    let mut options = Options::new(Storage::Memory);
    options.clock = Arc::<ManualClock>::clone(&clock);
    let engine = Engine::open(options).unwrap();
    for key in 0..3_000 {
        put(&engine, &format!("key-{key}"), "");
        put(&engine, &format!("key-{key}"), "");
    }
    let before = kept(&engine);
    let mut stalled = engine.image(true).unwrap();
    let mut read_on = engine.image(true).unwrap();
    compact(&engine, engine.revision().0);
    clock.advance(Duration::from_secs(40));
    assert!(!read_on.take(1).unwrap().is_empty());
    let mut bytes = 0;
    while bytes < 200_000 {
        bytes += read_on.take(100_000).unwrap().len();
    }
    clock.advance(Duration::from_secs(40));
    drop(read_on);
    wait_until(|| kept(&engine) < before);
    assert!(!stalled.take(1).unwrap().is_empty(), "the head was ready before");
    let lost = stalled.take(1 << 20).unwrap_err();
    assert!(matches!(lost, Error::ImageLost { .. }), "{lost}");
    let again = stalled.take(1 << 20).expect_err("that is not its end");
    assert!(matches!(again, Error::ImageLost { .. }), "{again}");
}

#[test]
fn no_more_of_an_image_is_in_memory_than_is_asked_for() {
    let engine = engine();
    for key in 0..40 {
        let mut put = put_request(&format!("key-{key}"), "");
        put.value = vec![b'v'; 1_000_000].into();
        engine.execute(Command::Put(put)).unwrap();
    }
    let mut image = engine.image(false).unwrap();
    let mut total = 0;
    loop {
        let bytes = image.take(1 << 20).unwrap();
        if bytes.is_empty() {
            break;
        }
        assert!(bytes.len() < 3 << 20, "{}", bytes.len());
        total += bytes.len();
    }
    assert!(total > 40_000_000);
}

#[test]
fn an_image_of_a_closed_store_ends() {
    let engine = engine();
    let mut image = engine.image(true).unwrap();
    engine.close();
    assert!(matches!(image.take(1), Err(Error::Closed)));
    assert!(matches!(engine.image(true), Err(Error::Closed)));
}
