//! What readers may see when, and what happens when the log fails.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use decube_engine::vfs::{Errno, Fault, Faulty, Vfs as _};
use decube_engine::{
    Answer, Clock, Command, Engine, Error, LeaseId, LogLocation, Mailbox, Operation, Options,
    RangeRequest, Record, Revision, Role, Storage,
};
use parking_lot::{Condvar, Mutex};
use support::{Collector, engine, get, put, put_request, range_to, txn, wait_until};

fn on(disk: &Faulty) -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location));
    options.segment_bytes = 64 << 10;
    options
}

#[test]
fn readers_never_see_half_a_transaction() {
    let engine = engine();
    let write = |number: i64| {
        let value = number.to_string();
        let puts = ["a", "b", "c"].map(|key| Operation::Put(put_request(key, &value)));
        Command::Txn(txn(&[], puts.to_vec()))
    };
    engine.execute(write(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let range = range_to("a", "d").into_range();
                let request = RangeRequest { range, ..RangeRequest::default() };
                while !done.load(Ordering::Relaxed) {
                    let before = engine.revision();
                    let result = engine.range(&request).unwrap();
                    let values: Vec<&[u8]> = result.records.iter().map(Record::value).collect();
                    assert!(values.len() == 3 && values.iter().all(|value| *value == values[0]));
                    assert!(before <= result.revision && result.revision <= engine.revision());
                }
            });
        }
        for number in 1..1_000 {
            engine.execute(write(number)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_failed_sync_stops_all_writes_and_no_reads() {
    let disk = Faulty::new(3);
    let engine = Engine::open(on(&disk)).unwrap();
    put(&engine, "a", "1");
    // More than one: the file for the next segment is made at a time of its own.
    for call in 1..=8 {
        disk.inject(disk.calls() + call, Fault::Fail(Errno::Io));
    }
    let failed = engine.execute(Command::Put(put_request("a", "2"))).unwrap_err();
    let Error::Latched { reason } = &failed else { panic!("got {failed}") };
    assert!(reason.contains("/store"), "{reason}");
    let later = engine.execute(Command::Put(put_request("a", "3"))).unwrap_err();
    assert!(matches!(later, Error::Latched { .. }), "{later}");
    assert_eq!(get(&engine, "a", 0).unwrap().value(), b"1");
    assert_eq!(engine.revision(), Revision(2));
    engine.close();
}

#[test]
fn a_closed_store_refuses_and_opens_again_with_everything() {
    let disk = Faulty::new(5);
    let engine = Engine::open(on(&disk)).unwrap();
    for number in 0..100 {
        put(&engine, &format!("k{number}"), "x");
    }
    let second = Engine::open(on(&disk));
    assert!(second.is_err(), "a second opening is refused");
    engine.close();
    engine.close();
    assert!(matches!(engine.execute(Command::Put(put_request("a", "1"))), Err(Error::Closed)));
    assert!(matches!(engine.range(&support::range_request("a")), Err(Error::Closed)));
    let again = Engine::open(on(&disk)).unwrap();
    assert_eq!(again.revision(), Revision(101));
    assert_eq!(again.status().keys, 100);
    assert_eq!(
        (again.status().cluster_id, again.status().member_id),
        (engine.status().cluster_id, engine.status().member_id)
    );
}

/// The sequence number of the newest checkpoint; 0 without one.
fn newest_checkpoint(disk: &Faulty) -> u64 {
    let names = disk.list(Path::new("/store")).expect("it is there");
    let numbers = names.iter().filter_map(|name| name.strip_suffix(".checkpoint")?.parse().ok());
    numbers.max().unwrap_or_default()
}

#[test]
fn a_store_that_is_closed_leaves_little_log_to_replay() {
    let disk = Faulty::new(6);
    let mut options = on(&disk);
    options.checkpoint_bytes_min = 20_000;
    // Of the first a checkpoint is made in any case. Then one is due again after as much log, and worth
    // while for whoever closes the store after a quarter of that.
    for (keys, value_bytes, is_written) in
        [(1, 100_000, true), (10, 1_000, false), (40, 1_000, true), (10, 1_000, false)]
    {
        let engine = Engine::open(options.clone()).unwrap();
        for number in 0..keys {
            put(&engine, &format!("k{number}"), &"x".repeat(value_bytes));
        }
        let last = engine.status().log_sequence;
        engine.close();
        let newest = newest_checkpoint(&disk);
        assert_eq!(newest == last, is_written, "{newest} {last}");
    }
    let engine = Engine::open(options).unwrap();
    assert_eq!(engine.revision(), Revision(62));
    assert_eq!(get(&engine, "k9", 0).unwrap().version(), 3);
}

#[test]
fn a_state_that_a_compaction_made_small_is_soon_written() {
    let disk = Faulty::new(7);
    let mut options = on(&disk);
    options.checkpoint_bytes_min = 20_000;
    options.checkpoint_entries_min = 0;
    let engine = Engine::open(options).unwrap();
    put(&engine, "a", &"x".repeat(200_000));
    wait_until(|| newest_checkpoint(&disk) > 0);
    let of_the_large = newest_checkpoint(&disk);
    put(&engine, "a", "small");
    for _ in 0..30 {
        put(&engine, "b", &"x".repeat(1_000));
    }
    assert_eq!(newest_checkpoint(&disk), of_the_large);
    engine.execute(Command::Compact(engine.revision())).unwrap();
    wait_until(|| newest_checkpoint(&disk) > of_the_large);
    engine.close();
}

/// Holds up whoever writes a long image.
#[derive(Default)]
struct Hold {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Hold {
    fn end(&self) {
        *self.is_over.lock() = true;
        self.changed.notify_all();
    }
}

impl Clock for Hold {
    fn monotonic(&self) -> Duration {
        if std::thread::current().name() == Some("decube-image") {
            self.changed.wait_while(&mut self.is_over.lock(), |is_over| !*is_over);
        }
        Duration::ZERO
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn what_became_due_beside_a_checkpoint_is_written_behind_it_though_nobody_writes() {
    let disk = Faulty::new(8);
    let hold = Arc::new(Hold::default());
    let mut options = on(&disk);
    options.clock = Arc::<Hold>::clone(&hold);
    (options.checkpoint_bytes_min, options.checkpoint_entries_min) = (1, 1);
    let engine = Engine::open(options).unwrap();
    for key in ["first", "beside", "beside"] {
        put(&engine, key, &"x".repeat(1 << 20));
    }
    let meanwhile = newest_checkpoint(&disk);
    hold.end();
    assert_eq!(meanwhile, 0);
    wait_until(|| newest_checkpoint(&disk) == 3);
    engine.close();
}

#[test]
fn commands_that_wait_are_committed_together_and_a_full_queue_refuses() {
    let mut options = Options::new(Storage::Memory);
    options.queue_length_max = 10;
    let engine = Engine::open(options).unwrap();
    let collector = Arc::new(Collector::default());
    let mailbox = Arc::clone(&collector) as Arc<dyn Mailbox>;
    let submit = |ticket| engine.submit(Command::Put(put_request("a", "1")), &mailbox, ticket);
    collector.hold();
    submit(0).unwrap();
    while engine.revision() < Revision(2) {
        std::thread::yield_now(); // The writer has published and hangs in the delivery.
    }
    for ticket in 1..=10 {
        submit(ticket).unwrap();
    }
    assert!(matches!(submit(11), Err(Error::TooManyRequests)));
    collector.release();
    engine.close();
    let expected: Vec<Vec<u64>> = vec![vec![0], (1..=10).collect()];
    assert_eq!(collector.tickets(), expected);
}

#[test]
fn a_member_with_a_full_queue_becomes_a_standby_behind_what_is_queued() {
    let mut options = on(&Faulty::new(1));
    options.queue_length_max = 10;
    options.role = Role::Primary;
    let engine = Engine::open(options).unwrap();
    let collector = Arc::new(Collector::default());
    let mailbox = Arc::clone(&collector) as Arc<dyn Mailbox>;
    let submit = |ticket| engine.submit(Command::Put(put_request("a", "1")), &mailbox, ticket);
    let revision = engine.revision();
    collector.hold();
    submit(0).unwrap();
    while engine.revision() == revision {
        std::thread::yield_now(); // The writer has published and hangs in the delivery.
    }
    for ticket in 1..=10 {
        submit(ticket).unwrap();
    }
    assert!(matches!(submit(11), Err(Error::TooManyRequests)));
    let demoting = engine.clone();
    let demoted = std::thread::spawn(move || demoting.demote());
    while engine.takes_writes() {
        std::thread::yield_now();
    }
    collector.release();
    demoted.join().unwrap().unwrap();
    assert_eq!(engine.standing().role, Role::Standby);
}

#[test]
fn a_queue_is_full_by_the_bytes_in_it_too_but_an_empty_one_takes_any_command() {
    let mut options = Options::new(Storage::Memory);
    options.queue_bytes_max = 10_000;
    let engine = Engine::open(options).unwrap();
    let collector = Arc::new(Collector::default());
    let mailbox = Arc::clone(&collector) as Arc<dyn Mailbox>;
    let large = || Operation::Put(put_request("a", &"v".repeat(4_000)));
    let submit = |puts: Vec<Operation>| {
        let nested = Operation::Txn(txn(&[], puts));
        engine.submit(Command::Txn(txn(&[], vec![nested])), &mailbox, 0)
    };
    let value = "v".repeat(20_000);
    engine.execute(Command::Put(put_request("larger", &value))).unwrap();
    let revision = engine.revision();
    collector.hold();
    submit(vec![large()]).unwrap();
    while engine.revision() <= revision {
        std::thread::yield_now(); // The writer has published and hangs in the delivery.
    }
    submit(vec![large()]).unwrap();
    submit(vec![large()]).unwrap();
    assert!(matches!(submit(vec![large()]), Err(Error::TooManyRequests)));
    engine.submit(Command::LeaseRevoke { id: LeaseId(9) }, &mailbox, 0).unwrap();
    collector.release();
    while collector.tickets().len() < 2 {
        std::thread::yield_now();
    }
    submit(vec![large()]).unwrap();
}

#[test]
fn a_panic_in_the_writer_is_answered_and_stops_all_writes() {
    struct Panics;
    impl Mailbox for Panics {
        fn deliver(&self, _: Vec<Answer>) {
            panic!("a mailbox broke");
        }
    }
    let engine = engine();
    let mailbox: Arc<dyn Mailbox> = Arc::new(Panics);
    engine.submit(Command::Put(put_request("a", "1")), &mailbox, 0).unwrap();
    let after = || engine.execute(Command::Put(put_request("b", "1")));
    let refused = after().and_then(|_in_the_same_group| after());
    let Err(Error::Latched { reason }) = refused else { panic!("got {refused:?}") };
    assert!(reason.contains("a mailbox broke"), "{reason}");
    assert_eq!(get(&engine, "a", 0).unwrap().value(), b"1");
}

#[test]
fn a_long_read_sees_one_revision_whatever_is_written_and_compacted_meanwhile() {
    let engine = engine();
    let both = |number: i64| {
        let value = number.to_string();
        let puts = ["a", "z"].map(|key| Operation::Put(put_request(key, &value)));
        Command::Txn(txn(&[], puts.to_vec()))
    };
    engine.execute(both(0)).unwrap();
    for hundred in 0..500 {
        let key = |number: i32| format!("k{hundred:03}{number:02}");
        let puts = (0..100).map(|number| Operation::Put(put_request(&key(number), "x")));
        engine.execute(Command::Txn(txn(&[], puts.collect()))).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let range = range_to("a", "\0").into_range();
            let request = RangeRequest { range, ..RangeRequest::default() };
            for _ in 0..50 {
                let result = engine.range(&request).unwrap();
                assert_eq!(result.count, 50_002);
                let (first, last) = (&result.records[0], &result.records[50_001]);
                assert_eq!(first.value(), last.value());
            }
            done.store(true, Ordering::Relaxed);
        });
        for number in 1.. {
            let bytes = || engine.status().db_size_bytes;
            let before = bytes();
            engine.execute(both(number)).unwrap();
            engine.execute(Command::Compact(engine.revision())).unwrap();
            // Wait until the old versions are dropped; the new may be a few bytes longer.
            while bytes() > before + 16 && !done.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

fn remove_all(disk: &Faulty) {
    for name in disk.list(Path::new("/store")).expect("it is there") {
        disk.remove(&Path::new("/store").join(name)).expect("nobody else removes it");
    }
}

#[test]
fn a_store_notices_by_itself_that_its_directory_is_gone() {
    let disk = Faulty::new(12);
    let engine = Engine::open(on(&disk)).unwrap();
    remove_all(&disk);
    wait_until(|| matches!(engine.check_writes(), Err(Error::Latched { .. })));
}

#[test]
fn a_store_whose_directory_is_gone_takes_no_more_writes_and_touches_nothing_there() {
    let disk = Faulty::new(11);
    let engine = Engine::open(on(&disk)).unwrap();
    put(&engine, "a", "1");
    remove_all(&disk);
    // Who comes next finds nothing, and nobody who keeps him out.
    let next = Engine::open(on(&disk)).unwrap();
    let refused = loop {
        match engine.execute(Command::Put(put_request("b", &"x".repeat(10_000)))) {
            Ok(_) => {}
            Err(refused) => break refused.to_string(),
        }
    };
    assert!(refused.contains("hold /store/lock: the data directory was removed"), "{refused}");
    assert_eq!(get(&engine, "a", 0).unwrap().value(), b"1");
    put(&next, "c", "3");
    engine.close();
    next.close();
    let next = Engine::open(on(&disk)).unwrap();
    assert!(get(&next, "a", 0).is_none() && get(&next, "c", 0).is_some());
}
