//! A standby: its log is a copy of the primary's, frame by frame.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::log::{CopiedFrame, FollowError, FrameReader};
use decube_engine::vfs::{Crash, Errno, Fault, Faulty};
use decube_engine::{
    Answer, Command, Counts, Engine, Error, InstallMode, KeyRange, LeaseId, LogLocation, Mailbox,
    ManualClock, Notify, Operation, Options, Outcome, PutRequest, Revision, Role, Standing,
    Storage, TermStart, TxnRequest, WatchItem, WatchRequest,
};
use parking_lot::{Condvar, Mutex};
use support::{bytes, delete, get, put, put_request, txn};

struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

/// Waits for the one answer.
#[derive(Default)]
struct Box1 {
    answer: Mutex<Option<Answer>>,
    came: Condvar,
}

impl Mailbox for Box1 {
    fn deliver(&self, answers: Vec<Answer>) {
        *self.answer.lock() = answers.into_iter().next();
        self.came.notify_all();
    }
}

fn copy(standby: &Engine, frames: Vec<CopiedFrame>) -> Result<u64, Error> {
    let waiting = Arc::new(Box1::default());
    standby.copy(frames, &(Arc::clone(&waiting) as Arc<dyn Mailbox>), 0)?;
    let mut answer = waiting.answer.lock();
    while answer.is_none() {
        waiting.came.wait(&mut answer);
    }
    match answer.take().expect("it came").result? {
        Outcome::Copied { sequence } => Ok(sequence),
        other => panic!("answered by {other:?}"),
    }
}

/// The frames of a log from one on, in pieces of about so many bytes.
fn frames(engine: &Engine, from: u64, piece_bytes: usize) -> Vec<Vec<CopiedFrame>> {
    let mut follower = engine.follow(from, Arc::new(Silent)).expect("the log reaches back");
    let mut reader = FrameReader::default();
    let mut pieces = Vec::new();
    while let Some(batch) = follower.take(piece_bytes).expect("the log can be read") {
        pieces.push(reader.push(&batch.bytes).expect("frames"));
    }
    pieces
}

fn catch_up(primary: &Engine, standby: &Engine) {
    let from = standby.status().log_sequence + 1;
    for piece in frames(primary, from, 2_000) {
        copy(standby, piece).expect("the frames fit");
    }
}

fn options(disk: &Faulty, role: Role) -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location));
    options.segment_bytes = 32 << 10;
    options.role = role;
    options
}

fn primary(seed: u64) -> Engine {
    Engine::open(options(&Faulty::new(seed), Role::Primary)).expect("it succeeds")
}

fn standby(seed: u64) -> Engine {
    Engine::open(options(&Faulty::new(seed), Role::Standby)).expect("it succeeds")
}

fn lease_put(key: &str, lease: i64) -> Command {
    Command::Put(PutRequest { lease: LeaseId(lease), ..put_request(key, "leased") })
}

/// Everything that a log carries.
fn write_of_every_kind(engine: &Engine) {
    for number in 0..100 {
        put(engine, &format!("k{}", number % 30), &format!("value {number}"));
    }
    delete(engine, "k3");
    let puts = ["t1", "t2", "t3"].map(|key| Operation::Put(put_request(key, "together")));
    engine.execute(Command::Txn(txn(&[], puts.to_vec()))).expect("it succeeds");
    for lease in 1..=3 {
        engine.execute(Command::LeaseGrant { id: LeaseId(lease), ttl_s: 60 }).expect("it succeeds");
        engine.execute(lease_put(&format!("l{lease}"), lease)).expect("it succeeds");
    }
    engine.execute(Command::LeaseKeepAlive { id: LeaseId(1) }).expect("it succeeds");
    engine.execute(Command::LeaseRevoke { id: LeaseId(2) }).expect("it succeeds");
    engine.execute(Command::LeaseGrant { id: LeaseId(2), ttl_s: 90 }).expect("it succeeds");
    engine.execute(Command::Compact(Revision(50))).expect("it succeeds");
    put(engine, "after", "compaction");
}

fn assert_equal(a: &Engine, b: &Engine) {
    let (of_a, of_b) = (a.status(), b.status());
    assert_eq!(
        (of_a.revision, of_a.compact_revision, of_a.log_sequence, of_a.keys),
        (of_b.revision, of_b.compact_revision, of_b.log_sequence, of_b.keys)
    );
    assert_eq!(
        a.hash_kv(Revision(0)).expect("it succeeds"),
        b.hash_kv(Revision(0)).expect("it succeeds")
    );
    assert_eq!(a.leases(), b.leases());
    for id in a.leases() {
        let keys = |engine: &Engine| engine.lease_status(id, true).expect("it succeeds").keys;
        assert_eq!(keys(a), keys(b));
    }
}

/// What was written, as far as a copy of it tells.
fn written(counts: &Counts) -> Counts {
    let Counts { puts, put_bytes, deletes, txns, .. } = *counts;
    let Counts { leases_granted, leases_revoked, leases_renewed, .. } = *counts;
    let leases = Counts { leases_granted, leases_revoked, leases_renewed, ..Counts::default() };
    Counts { puts, put_bytes, deletes, txns, ..leases }
}

#[test]
fn a_standby_holds_what_the_primary_holds_before_and_after_a_restart() {
    let primary = primary(1);
    let disk = Faulty::new(2);
    let standby = Engine::open(options(&disk, Role::Standby)).unwrap();
    write_of_every_kind(&primary);
    catch_up(&primary, &standby);
    assert_equal(&primary, &standby);
    let copied = standby.meters().counts();
    assert_eq!(written(&copied), written(&primary.meters().counts()));
    assert_eq!((copied.puts, copied.leases_granted, copied.leases_revoked), (107, 4, 1));
    drop(standby);
    let standby = Engine::open(options(&disk, Role::Standalone)).unwrap();
    assert_eq!(standby.standing().role, Role::Standby, "the store knows better than the options");
    put(&primary, "later", "x");
    catch_up(&primary, &standby);
    assert_equal(&primary, &standby);
}

#[test]
fn a_standby_checkpoints_compacts_and_can_be_followed_itself() {
    let primary = primary(3);
    let disk = Faulty::new(4);
    let mut small = options(&disk, Role::Standby);
    small.checkpoint_bytes_min = 16 << 10;
    let middle = Engine::open(small.clone()).unwrap();
    for number in 0..2_000 {
        put(&primary, &format!("k{}", number % 10), &"x".repeat(200));
        if number % 500 == 499 {
            primary.execute(Command::Compact(primary.revision())).unwrap();
            catch_up(&primary, &middle);
        }
    }
    catch_up(&primary, &middle);
    assert_equal(&primary, &middle);
    drop(middle);
    let middle = Engine::open(small).unwrap();
    assert!(middle.recovered().checkpoint_sequence > 0, "{:?}", middle.recovered());
    assert_equal(&primary, &middle);
    put(&primary, "more", "x");
    catch_up(&primary, &middle);
    let from = middle.recovered().sequence + 1;
    assert_eq!(frames(&middle, from, 2_000).concat().len(), 1);
}

#[test]
fn following_a_standby_ends_when_it_is_seeded_with_another_history() {
    let (first, second) = (primary(1), primary(2));
    let disk = Faulty::new(3);
    let middle = Engine::open(options(&disk, Role::Standby)).unwrap();
    put(&second, "key", "of the second");
    for _ in 0..10 {
        put(&first, "key", "of the first");
    }
    catch_up(&first, &middle);
    let mut image = second.image(true).unwrap();
    let mut installer = middle.installer(InstallMode::Reseed).unwrap();
    installer.push(&image.take(1 << 20).unwrap()).unwrap();
    let next = middle.status().log_sequence + 1;
    let mut follower = middle.follow(next, Arc::new(Silent)).unwrap();
    assert!(follower.take(1).unwrap().is_none(), "nothing new");
    installer.commit().unwrap();
    for _ in 0..20 {
        put(&second, "key", "of the second");
    }
    catch_up(&second, &middle);
    assert!(middle.status().log_sequence > next);
    let ended = follower.take(1);
    assert!(matches!(ended, Err(FollowError::TooOld { .. })), "got {ended:?}");
}

#[test]
fn repeats_are_ignored_and_gaps_are_refused_with_what_is_wanted() {
    let (primary, standby) = (primary(5), standby(6));
    for number in 0..10 {
        put(&primary, &format!("k{number}"), "x");
    }
    let all = frames(&primary, 1, 1 << 20).concat();
    assert_eq!(copy(&standby, all[..4].to_vec()).unwrap(), 4);
    assert_eq!(copy(&standby, all[..2].to_vec()).unwrap(), 4);
    let gap = copy(&standby, all[6..].to_vec()).unwrap_err();
    assert!(matches!(gap, Error::FrameGap { wanted: 5 }), "{gap}");
    assert_eq!(copy(&standby, all[2..].to_vec()).unwrap(), 10);
    assert_equal(&primary, &standby);
}

#[test]
fn a_frame_of_another_history_is_refused_and_changes_nothing() {
    let (primary, other, standby) = (primary(7), primary(8), standby(9));
    put(&primary, "a", "1");
    catch_up(&primary, &standby);
    other.execute(Command::LeaseGrant { id: LeaseId(1), ttl_s: 60 }).unwrap();
    other.execute(Command::LeaseKeepAlive { id: LeaseId(1) }).unwrap();
    let theirs = frames(&other, 2, 1 << 20).concat();
    let unfit = copy(&standby, theirs).unwrap_err();
    assert!(matches!(unfit, Error::FrameUnfit { sequence: 2, .. }), "{unfit}");
    assert_equal(&primary, &standby);
    put(&primary, "a", "2");
    catch_up(&primary, &standby);
    assert_equal(&primary, &standby);
}

#[test]
fn a_standby_refuses_commands_and_a_primary_refuses_frames() {
    let (primary, standby) = (primary(10), standby(11));
    put(&primary, "a", "1");
    catch_up(&primary, &standby);
    let refused = standby.execute(Command::Put(put_request("a", "2"))).unwrap_err();
    assert!(matches!(refused, Error::NotPrimary), "{refused}");
    assert_eq!(get(&standby, "a", 0).unwrap().value(), b"1");
    let refused = copy(&primary, frames(&primary, 1, 1 << 20).concat()).unwrap_err();
    assert!(matches!(refused, Error::NotStandby), "{refused}");
}

#[test]
fn revisions_that_come_as_writes_are_applied_as_exactly_those() {
    let standby = standby(2);
    let writes = |key: &str| TxnRequest {
        success: vec![Operation::Put(put_request(key, "v"))],
        ..TxnRequest::default()
    };
    let next = standby.revision().0 + 1;
    assert_eq!(standby.copy_revision(Revision(next), writes("a")).unwrap(), Revision(next));
    assert_eq!(standby.copy_revision(Revision(next), writes("other")).unwrap(), Revision(next));
    let gap = standby.copy_revision(Revision(next + 2), writes("b")).unwrap_err();
    assert!(matches!(gap, Error::RevisionGap { wanted } if wanted.0 == next + 1), "{gap}");
    assert_eq!(standby.revision(), Revision(next), "a gap and a repeat change nothing");
    let refused = primary(3).copy_revision(Revision(2), writes("a")).unwrap_err();
    assert!(matches!(refused, Error::NotStandby), "{refused}");
}

#[test]
fn only_the_primary_ends_leases_by_time() {
    let clock = Arc::new(ManualClock::new());
    let open = |seed, role| {
        let mut options = options(&Faulty::new(seed), role);
        options.clock = Arc::<ManualClock>::clone(&clock);
        Engine::open(options).unwrap()
    };
    let (primary, standby) = (open(12, Role::Primary), open(13, Role::Standby));
    primary.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 10 }).unwrap();
    primary.execute(lease_put("a", 7)).unwrap();
    catch_up(&primary, &standby);
    clock.advance(Duration::from_secs(11));
    while !primary.leases().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(standby.leases(), [LeaseId(7)]);
    assert_eq!(standby.lease_status(LeaseId(7), false).unwrap().remaining_ttl_s, 0);
    catch_up(&primary, &standby);
    assert!(standby.leases().is_empty());
    assert!(get(&standby, "a", 0).is_none());
}

#[test]
fn watchers_of_a_standby_get_what_the_primary_wrote() {
    let (primary, standby) = (primary(14), standby(15));
    let stream = standby.watch_stream(Arc::new(Silent)).unwrap();
    let range = KeyRange { key: bytes("a"), end: bytes("b") };
    stream.create(WatchRequest { range, ..WatchRequest::default() }).unwrap();
    let revisions: Vec<_> =
        (0..5).map(|number| put(&primary, &format!("a{number}"), "x")).collect();
    catch_up(&primary, &standby);
    let mut seen = Vec::new();
    while seen.len() < revisions.len() {
        for item in stream.take(1 << 20) {
            if let WatchItem::Events { events, .. } = item {
                seen.extend(events.iter().map(|event| event.record.mod_revision().0));
            }
        }
    }
    assert_eq!(seen, revisions);
}

fn term(term: u64, raised_by: u64, after_sequence: u64) -> TermStart {
    TermStart { term, raised_by, after_sequence }
}

#[test]
fn a_primary_that_meets_a_higher_term_stops_writing_for_good() {
    let disk = Faulty::new(16);
    let engine = Engine::open(options(&disk, Role::Primary)).unwrap();
    put(&engine, "a", "1");
    assert!(!engine.meet(&[]).unwrap());
    put(&engine, "a", "2");
    assert!(engine.meet(&[term(2, 99, 1)]).unwrap());
    let refused = engine.execute(Command::Put(put_request("a", "3"))).unwrap_err();
    assert!(matches!(refused, Error::NotPrimary), "{refused}");
    drop(engine);
    let disk = disk.crash(Crash::PowerLost);
    let engine = Engine::open(options(&disk, Role::Primary)).unwrap();
    let standing = Standing { role: Role::Standby, terms: vec![term(2, 99, 1)] };
    assert_eq!(engine.standing(), standing);
    assert_eq!(engine.standing().end_of(1), Some(1));
    assert!(!engine.meet(&[term(2, 99, 1)]).unwrap());
    assert!(matches!(engine.execute(Command::Put(put_request("a", "3"))), Err(Error::NotPrimary)));
}

#[test]
fn a_role_that_cannot_be_made_durable_stops_the_store() {
    let disk = Faulty::new(17);
    let engine = Engine::open(options(&disk, Role::Primary)).unwrap();
    put(&engine, "a", "1");
    for call in 1..=8 {
        disk.inject(disk.calls() + call, Fault::Fail(Errno::Io));
    }
    assert!(matches!(engine.meet(&[term(2, 99, 1)]), Err(Error::Latched { .. })));
    assert!(engine.execute(Command::Put(put_request("a", "2"))).is_err());
}

#[test]
fn a_failing_disk_stops_a_standby_and_a_restart_goes_on() {
    let primary = primary(18);
    write_of_every_kind(&primary);
    let disk = Faulty::new(19);
    let standby = Engine::open(options(&disk, Role::Standby)).unwrap();
    let pieces = frames(&primary, 1, 2_000);
    for piece in &pieces[..2] {
        copy(&standby, piece.clone()).unwrap();
    }
    // More than one: the file for the next segment is made at a time of its own.
    for call in 1..=8 {
        disk.inject(disk.calls() + call, Fault::Fail(Errno::Io));
    }
    let failed = copy(&standby, pieces[2].clone()).unwrap_err();
    assert!(matches!(failed, Error::Latched { .. }), "{failed}");
    drop(standby);
    let disk = disk.crash(Crash::PowerLost);
    let standby = Engine::open(options(&disk, Role::Standby)).unwrap();
    catch_up(&primary, &standby);
    assert_equal(&primary, &standby);
}

#[test]
fn a_store_in_memory_has_no_role() {
    let engine = support::engine();
    assert!(matches!(engine.demote(), Err(Error::NoLog)));
    assert!(matches!(copy(&engine, Vec::new()), Err(Error::NoLog)));
    put(&engine, "a", "1");
}
