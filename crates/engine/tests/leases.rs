//! Leases: granting, renewing, running out, and the keys that go with them.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use decube_engine::vfs::Faulty;
use decube_engine::{
    Clock, Command, Engine, Error, LeaseId, LogLocation, Mailbox, ManualClock, Options, Outcome,
    PutRequest, Revision, Storage,
};
use parking_lot::{Condvar, Mutex};
use support::{Collector, delete, get, put, put_request};

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let mut options = Options::new(Storage::Memory);
    options.clock = Arc::clone(&clock) as _;
    (Engine::open(options).expect("a memory store opens"), clock)
}

fn grant(engine: &Engine, id: i64, ttl_s: i64) -> Result<(LeaseId, i64), Error> {
    match engine.execute(Command::LeaseGrant { id: LeaseId(id), ttl_s })? {
        Outcome::LeaseGrant { id, ttl_s, .. } => Ok((id, ttl_s)),
        other => panic!("a grant was answered by {other:?}"),
    }
}

fn keep_alive(engine: &Engine, id: i64) -> i64 {
    match engine.execute(Command::LeaseKeepAlive { id: LeaseId(id) }) {
        Ok(Outcome::LeaseKeepAlive { ttl_s, .. }) => ttl_s,
        other => panic!("a keep-alive was answered by {other:?}"),
    }
}

fn put_leased(engine: &Engine, key: &str, lease: i64) {
    let request = PutRequest { lease: LeaseId(lease), ..put_request(key, "x") };
    engine.execute(Command::Put(request)).expect("a put with a lease");
}

fn lease_keys(engine: &Engine, id: i64) -> Vec<String> {
    let keys = engine.lease_status(LeaseId(id), true).expect("a live lease").keys;
    keys.iter().map(|key| String::from_utf8_lossy(key).into()).collect()
}

/// Waits until the writer has done what the lease thread asked it for.
fn wait_until_gone(engine: &Engine, id: i64) {
    for _ in 0..1_000_000 {
        if engine.lease_status(LeaseId(id), false).is_err() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("lease {id} did not run out: {:?}", engine.lease_status(LeaseId(id), true));
}

#[test]
fn a_grant_raises_short_ttls_and_refuses_long_ones_before_duplicates() {
    let (engine, _) = engine();
    assert_eq!(grant(&engine, 7, -5).unwrap(), (LeaseId(7), 2));
    assert_eq!(grant(&engine, -7, 60).unwrap(), (LeaseId(-7), 60));
    assert!(matches!(grant(&engine, 7, 9_000_000_001), Err(Error::LeaseTtlTooLarge)));
    assert!(matches!(grant(&engine, 7, 60), Err(Error::LeaseExists { id: LeaseId(7) })));
    let (chosen, _) = grant(&engine, 0, 60).unwrap();
    assert!(chosen.0 > 0);
    assert_eq!(engine.leases(), [LeaseId(-7), LeaseId(7), chosen]);
    assert_eq!(engine.revision(), Revision(1));
}

#[test]
fn keys_move_with_their_last_put() {
    let (engine, _) = engine();
    grant(&engine, 1, 60).unwrap();
    grant(&engine, 2, 60).unwrap();
    put_leased(&engine, "a", 1);
    put_leased(&engine, "b", 1);
    put_leased(&engine, "c", 1);
    assert_eq!(lease_keys(&engine, 1), ["a", "b", "c"]);
    put_leased(&engine, "a", 2);
    put(&engine, "b", "detached");
    delete(&engine, "c");
    assert_eq!(lease_keys(&engine, 1), [""; 0]);
    assert_eq!(lease_keys(&engine, 2), ["a"]);
}

#[test]
fn a_revoke_deletes_its_keys_in_one_revision() {
    let (engine, _) = engine();
    grant(&engine, 1, 60).unwrap();
    put_leased(&engine, "b", 1);
    put_leased(&engine, "a", 1);
    let Ok(Outcome::LeaseRevoke { revision }) =
        engine.execute(Command::LeaseRevoke { id: LeaseId(1) })
    else {
        panic!()
    };
    assert_eq!((revision, engine.revision()), (Revision(4), Revision(4)));
    assert!(get(&engine, "a", 0).is_none() && get(&engine, "b", 0).is_none());
    let again = engine.execute(Command::LeaseRevoke { id: LeaseId(1) });
    assert!(matches!(again, Err(Error::LeaseNotFound)));
    grant(&engine, 2, 60).unwrap();
    engine.execute(Command::LeaseRevoke { id: LeaseId(2) }).unwrap();
    assert_eq!(engine.revision(), Revision(4), "a lease without keys makes no revision");
}

#[test]
fn an_identity_can_be_granted_again_right_after_it_was_revoked() {
    let (engine, _) = engine();
    grant(&engine, 1, 60).unwrap();
    put_leased(&engine, "a", 1);
    let collector = Arc::new(Collector::default());
    let mailbox = Arc::clone(&collector) as Arc<dyn Mailbox>;
    let submit = |ticket, command| engine.submit(command, &mailbox, ticket).unwrap();
    collector.hold();
    submit(0, Command::Put(put_request("b", "")));
    while engine.revision() < Revision(3) {
        std::thread::yield_now(); // The writer has published and hangs in the delivery.
    }
    submit(1, Command::LeaseRevoke { id: LeaseId(1) });
    submit(2, Command::LeaseGrant { id: LeaseId(1), ttl_s: 30 });
    submit(3, Command::Put(PutRequest { lease: LeaseId(1), ..put_request("c", "") }));
    collector.release();
    engine.close();
    for answer in collector.answers() {
        assert!(answer.result.is_ok(), "{answer:?}");
    }
}

#[test]
fn a_lease_runs_out_and_takes_its_keys_along() {
    let (engine, clock) = engine();
    grant(&engine, 1, 10).unwrap();
    grant(&engine, 2, 60).unwrap();
    put_leased(&engine, "b", 1);
    put_leased(&engine, "a", 1);
    put_leased(&engine, "c", 2);
    clock.advance(Duration::from_millis(9_500));
    assert_eq!(engine.lease_status(LeaseId(1), false).unwrap().remaining_ttl_s, 0);
    clock.advance(Duration::from_millis(500));
    wait_until_gone(&engine, 1);
    assert_eq!(engine.revision(), Revision(5));
    assert!(get(&engine, "a", 0).is_none() && get(&engine, "b", 0).is_none());
    assert_eq!(lease_keys(&engine, 2), ["c"]);
}

#[test]
fn a_renewed_lease_lives_on_and_a_dead_one_is_not_renewed() {
    let (engine, clock) = engine();
    grant(&engine, 1, 10).unwrap();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(9));
        assert_eq!(keep_alive(&engine, 1), 10);
    }
    assert_eq!(engine.lease_status(LeaseId(1), false).unwrap().remaining_ttl_s, 10);
    clock.advance(Duration::from_secs(10));
    assert_eq!(keep_alive(&engine, 1), 0);
    wait_until_gone(&engine, 1);
    assert_eq!(keep_alive(&engine, 1), 0);
}

/// Holds up the thread of the leases where it looks at the time for the second time from a moment
/// on: it has taken what is due then, and is about to see whether that was renewed.
struct HoldingClock {
    time: ManualClock,
    from: Duration,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    looks: u32,
    released: bool,
}

impl HoldingClock {
    fn wait_until_held(&self) {
        let mut held = self.held.lock();
        while held.looks < 2 {
            self.changed.wait(&mut held);
        }
    }

    fn release(&self) {
        self.held.lock().released = true;
        self.changed.notify_all();
    }
}

impl Clock for HoldingClock {
    fn monotonic(&self) -> Duration {
        let now = self.time.monotonic();
        if thread::current().name() == Some("decube-leases") && now >= self.from {
            let mut held = self.held.lock();
            held.looks += 1;
            self.changed.notify_all();
            while held.looks > 1 && !held.released {
                self.changed.wait(&mut held);
            }
        }
        now
    }

    fn wall(&self) -> Duration {
        self.time.wall()
    }

    fn on_move(&self, look_again: Box<dyn Fn() + Send + Sync>) {
        self.time.on_move(look_again);
    }
}

#[test]
fn a_lease_that_is_granted_anew_while_the_old_one_is_looked_at_runs_out_in_its_own_time() {
    let seconds = Duration::from_secs;
    let (time, from) = (ManualClock::new(), seconds(100));
    let (held, changed) = Default::default();
    let clock = Arc::new(HoldingClock { time, from, held, changed });
    let mut options = Options::new(Storage::Memory);
    options.clock = Arc::clone(&clock) as _;
    let engine = Engine::open(options).unwrap();
    grant(&engine, 7, 100).unwrap();
    clock.time.advance(seconds(50));
    assert_eq!(keep_alive(&engine, 7), 100);
    clock.time.advance(seconds(50));
    clock.wait_until_held();
    engine.execute(Command::LeaseRevoke { id: LeaseId(7) }).unwrap();
    grant(&engine, 7, 10).unwrap();
    clock.release();
    clock.time.advance(seconds(10));
    wait_until_gone(&engine, 7);
}

#[test]
fn a_wall_clock_that_jumps_ends_no_lease() {
    let (engine, clock) = engine();
    grant(&engine, 1, 10).unwrap();
    clock.jump_wall(Duration::from_secs(1_000_000));
    clock.advance(Duration::from_secs(5));
    assert_eq!(engine.lease_status(LeaseId(1), false).unwrap().remaining_ttl_s, 5);
}

#[test]
fn thousands_of_leases_run_out_together() {
    let (engine, clock) = engine();
    for id in 1..=3_000 {
        grant(&engine, id, 10).unwrap();
        put_leased(&engine, &format!("k{id}"), id);
    }
    clock.advance(Duration::from_secs(10));
    for id in 1..=3_000 {
        wait_until_gone(&engine, id);
    }
    assert_eq!((engine.status().keys, engine.status().leases), (0, 0));
    assert_eq!(engine.revision(), Revision(1 + 2 * 3_000));
}

#[test]
fn a_restart_keeps_the_remaining_time_by_the_wall_clock_and_never_extends_it() {
    let disk = Faulty::new(1);
    let open = |clock: &Arc<ManualClock>| {
        let dir = PathBuf::from("/store");
        let vfs = Arc::new(disk.clone());
        let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
        let mut options = Options::new(Storage::Log(location));
        options.clock = Arc::clone(clock) as _;
        options.segment_bytes = 64 << 10;
        Engine::open(options).unwrap()
    };
    let left = |engine: &Engine| {
        engine.lease_status(LeaseId(1), false).map(|status| status.remaining_ttl_s)
    };
    let clock = Arc::new(ManualClock::new());
    clock.jump_wall(Duration::from_secs(1_000));
    let engine = open(&clock);
    grant(&engine, 1, 100).unwrap();
    grant(&engine, 2, 65).unwrap();
    clock.advance(Duration::from_secs(20));
    keep_alive(&engine, 1);
    clock.advance(Duration::from_secs(30));
    engine.close();

    clock.jump_wall(Duration::from_secs(10));
    let engine = open(&clock);
    assert_eq!(left(&engine).unwrap(), 60, "10 s passed while it was closed");
    engine.close();

    clock.jump_wall(Duration::from_secs(10));
    let engine = open(&clock);
    wait_until_gone(&engine, 2);
    engine.close();

    let set_back = Arc::new(ManualClock::new());
    let engine = open(&set_back);
    assert_eq!(left(&engine).unwrap(), 100, "a clock that was set back gives no more than the TTL");
    set_back.advance(Duration::from_secs(100));
    wait_until_gone(&engine, 1);
}

#[test]
fn the_end_of_a_lease_takes_the_same_room_in_the_log_however_many_keys_it_has() {
    let disk = Faulty::new(1);
    let dir = PathBuf::from("/store");
    let open = |disk: &Faulty| {
        let vfs = Arc::new(disk.clone());
        let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir.clone(), vfs };
        let mut options = Options::new(Storage::Log(location));
        options.segment_bytes = 1 << 16;
        Engine::open(options).expect("nothing is damaged")
    };
    let engine = open(&disk);
    let id = LeaseId(7);
    engine.execute(Command::LeaseGrant { id, ttl_s: 100 }).expect("a lease");
    for key in 0..300 {
        let mut leased = put_request(&format!("a rather long name of key {key}"), "");
        leased.lease = id;
        engine.execute(Command::Put(leased)).expect("a put");
    }
    let before = engine.status();
    engine.execute(Command::LeaseRevoke { id }).expect("the end of the lease");
    let after = engine.status();
    assert!(after.log_bytes - before.log_bytes < 100);
    assert_eq!((after.keys, after.revision.0), (0, before.revision.0 + 1));
    let hash = engine.hash_kv(Revision(0)).expect("a hash");
    engine.close();
    let engine = open(&disk);
    assert_eq!(engine.hash_kv(Revision(0)).expect("a hash"), hash);
}
