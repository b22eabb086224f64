//! What the engine counts and times.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decube_engine::vfs::{Errno, Fault, Faulty};
use decube_engine::{
    Clock, Command, CommandKind, Counts, Engine, InstallMode, LeaseId, LogLocation, ManualClock,
    Notify, Operation, Options, Outcome, PutRequest, Revision, Storage, WatchRequest,
};
use support::{delete, engine, get, put, put_request, range, range_request, txn, wait_until};

fn on(disk: &Faulty, clock: Arc<dyn Clock>) -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    Options { clock, ..Options::new(Storage::Log(location)) }
}

fn run(engine: &Engine, command: Command) -> Outcome {
    engine.execute(command).expect("it is carried out")
}

/// Compares what the commands add to the counts of an empty store.
fn check(commands: &[Command], expected: Counts) {
    let engine = engine();
    for command in commands {
        run(&engine, command.clone());
    }
    assert_eq!(engine.meters().counts(), Counts { leader_changes: 1, ..expected }, "{commands:?}");
}

fn put_of(key: &str, value: &str) -> Command {
    Command::Put(put_request(key, value))
}

#[test]
fn operations_are_counted_however_they_are_asked_for() {
    let read = || Operation::Range(range_request("a"));
    let write = || Operation::Put(put_request("a", "12"));
    let removal = || Operation::DeleteRange(range("a").into_delete());
    let of = |operations: Vec<Operation>| Command::Txn(txn(&[], operations));
    check(&[put_of("ab", "cde"), put_of("ab", "")], Counts { puts: 2, put_bytes: 7, ..none() });
    // Whether or not there was anything to delete.
    check(&[Command::DeleteRange(range("a").into_delete())], Counts { deletes: 1, ..none() });
    check(&[of(vec![write()])], Counts { puts: 1, put_bytes: 3, ..none() });
    let two = Counts { puts: 1, put_bytes: 3, ranges: 1, txns: 1, ..none() };
    check(&[of(vec![write(), read()])], two);
    check(&[of(vec![removal(), read()])], Counts { deletes: 1, ranges: 1, txns: 1, ..none() });
    let nested = Operation::Txn(txn(&[], vec![write(), read()]));
    let both = Counts { puts: 1, put_bytes: 3, ranges: 2, txns: 1, ..none() };
    check(&[of(vec![nested, read()])], both);
    // It never comes to the writer.
    check(&[of(vec![read(), read()])], Counts { ranges: 2, txns: 1, ..none() });
}

fn none() -> Counts {
    Counts::default()
}

#[test]
fn reads_are_counted_and_a_read_in_chunks_is_one() {
    let engine = engine();
    get(&engine, "a", 0);
    let mut chunks = engine.range_chunks(range("a").into_range(), Revision(0)).expect("a range");
    chunks.next(1, 1).expect("a chunk");
    assert_eq!(engine.meters().counts().ranges, 2);
}

#[test]
fn leases_are_counted_with_what_they_were_granted_and_how_they_ended() {
    let clock = Arc::new(ManualClock::new());
    let options = Options { clock: Arc::clone(&clock) as _, ..Options::new(Storage::Memory) };
    let engine = Engine::open(options).expect("a memory store opens");
    for (id, ttl_s) in [(1, 60), (2, 100)] {
        run(&engine, Command::LeaseGrant { id: LeaseId(id), ttl_s });
        for key in ["a", "b", "c"] {
            let key = format!("{key}{id}");
            let put = PutRequest { lease: LeaseId(id), ..put_request(&key, "") };
            run(&engine, Command::Put(put));
        }
    }
    run(&engine, Command::LeaseKeepAlive { id: LeaseId(2) });
    run(&engine, Command::LeaseKeepAlive { id: LeaseId(3) });
    run(&engine, Command::LeaseRevoke { id: LeaseId(1) });
    let before = engine.meters().counts();
    let leases = (before.leases_granted, before.leases_renewed, before.leases_revoked);
    assert_eq!(leases, (2, 1, 1));
    assert_eq!((before.deletes, before.txns, before.leases_expired), (3, 1, 0));
    clock.advance(Duration::from_secs(101));
    wait_until(|| engine.meters().counts().leases_expired == 1);
    let after = engine.meters().counts();
    assert_eq!((after.deletes, after.txns, after.leases_revoked), (6, 2, 2));
    let ttls = engine.meters().lease_ttls_s.observed();
    let seen: Vec<_> = ttls.buckets.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!((seen, ttls.sum), (vec![&(64, 1), &(128, 1)], 160));
}

/// It is so much later at each look.
#[derive(Debug)]
struct Ticking {
    tick: Duration,
    looks: AtomicU64,
}

impl Clock for Ticking {
    fn monotonic(&self) -> Duration {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        self.tick * u32::try_from(looks).expect("few looks")
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

fn ticking(tick_ms: u64) -> Arc<Ticking> {
    Arc::new(Ticking { tick: Duration::from_millis(tick_ms), looks: AtomicU64::new(0) })
}

#[test]
fn a_commit_is_timed_with_its_write_its_sync_and_its_commands() {
    let engine = Engine::open(on(&Faulty::new(1), ticking(3))).expect("it opens");
    let puts = 5;
    for number in 0..puts {
        put(&engine, "a", &number.to_string());
    }
    let meters = engine.meters();
    let commits = engine.status().commits;
    // Between two looks there are three milliseconds, if nobody else looks meanwhile.
    for times in [meters.log_write.observed(), meters.log_sync.observed()] {
        assert_eq!(times.count(), commits);
        assert!(times.sum >= commits * 3_000_000, "{times:?}");
        assert_eq!(times.buckets[0], (1_000_000, 0), "{times:?}");
    }
    let whole = meters.commit.observed();
    assert_eq!(whole.count(), commits);
    assert!(whole.sum > meters.log_write.observed().sum + meters.log_sync.observed().sum);
    let applied: Vec<_> = meters.applied().filter(|(_, _, times)| times.count() > 0).collect();
    let [(CommandKind::Put, true, times)] = applied.as_slice() else { panic!("{applied:?}") };
    assert_eq!(times.count(), puts);
    assert_eq!(meters.counts().slow_applies, 0);
}

#[test]
fn commands_that_take_long_are_slow_and_refused_ones_are_told_apart() {
    let engine = Engine::open(on(&Faulty::new(2), ticking(101))).expect("it opens");
    put(&engine, "a", "1");
    engine.execute(Command::LeaseRevoke { id: LeaseId(7) }).expect_err("there is none");
    let seen = engine.meters().applied().filter(|(_, _, times)| times.count() > 0);
    let seen: Vec<_> = seen.map(|(kind, succeeded, _)| (kind, succeeded)).collect();
    assert_eq!(seen, [(CommandKind::Put, true), (CommandKind::LeaseRevoke, false)]);
    assert_eq!(engine.meters().counts().slow_applies, 2);
}

#[test]
fn commands_that_come_to_nothing_are_counted_as_failed() {
    let disk = Faulty::new(3);
    let engine = Engine::open(on(&disk, Arc::new(ManualClock::new()))).expect("it opens");
    put(&engine, "a", "1");
    assert_eq!(engine.meters().counts().failed, 0);
    for call in 1..=8 {
        disk.inject(disk.calls() + call, Fault::Fail(Errno::Io));
    }
    for failed in 1..=3 {
        engine.execute(put_of("a", "2")).expect_err("the disk is broken");
        assert_eq!(engine.meters().counts().failed, failed);
    }
}

#[test]
fn a_compaction_tells_how_many_versions_it_dropped_and_when() {
    let clock = Arc::new(ManualClock::new());
    clock.advance(Duration::from_secs(1_000));
    let options = Options { clock, ..Options::new(Storage::Memory) };
    let engine = Engine::open(options).expect("a memory store opens");
    for number in 0..4 {
        put(&engine, "a", &number.to_string());
    }
    put(&engine, "b", "1");
    delete(&engine, "b");
    put(&engine, "c", "1");
    // Three of a, one of b and its tombstone.
    run(&engine, Command::Compact(engine.revision()));
    wait_until(|| engine.meters().compaction.observed().count() == 1);
    let meters = engine.meters();
    wait_until(|| meters.counts().compaction_last_s == 1_000);
    assert_eq!(meters.counts().compaction_versions, 5);
    assert!(meters.compaction_slice.observed().count() >= 1);
}

struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

#[test]
fn what_watchers_have_not_taken_and_images_that_come_and_go_are_told() {
    let engine = engine();
    let stream = engine.watch_stream(Arc::new(Silent)).expect("a stream");
    for _ in 0..2 {
        let keys = range("a").into_range();
        let request = WatchRequest { range: keys, ..WatchRequest::default() };
        stream.create(request).expect("a watcher");
    }
    put(&engine, "a", "1");
    wait_until(|| engine.held().events_waiting == 2);
    assert_eq!(engine.held().watch_streams, 1);
    while engine.held().events_waiting > 0 {
        stream.take(usize::MAX);
    }
    drop(stream);
    assert_eq!((engine.held().watch_streams, engine.held().images), (0, 0));
    let image = engine.image(true).expect("an image");
    assert_eq!(engine.held().images, 1);
    drop(image);
    assert_eq!((engine.held().images, engine.held().installing), (0, 0));
    let installer = engine.installer(InstallMode::Restore).expect("an open store");
    assert_eq!(engine.held().installing, 1);
    drop(installer);
    assert_eq!(engine.held().installing, 0);
}
