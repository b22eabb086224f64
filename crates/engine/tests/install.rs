//! Installing an image in a running store: a restore, a re-seed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use decube_engine::vfs::{Crash, Errno, Fault, Faulty};
use decube_engine::{
    Command, Engine, Error, InstallError, InstallMode, Installed, LeaseId, LogLocation,
    ManualClock, Notify, OpenError, Options, Revision, Role, Storage, WatchItem, WatchRequest,
};
use support::{delete, engine, get, keys, put, put_request, range_at, range_to};

struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

fn options(disk: &Faulty) -> Options {
    let vfs = Arc::new(disk.clone());
    let (log_dir, checkpoint_dir) = (PathBuf::from("/store/log"), PathBuf::from("/store/data"));
    let mut options = Options::new(Storage::Log(LogLocation { log_dir, checkpoint_dir, vfs }));
    options.segment_bytes = 4_000;
    options.clock = Arc::new(ManualClock::new());
    options
}

fn durable(disk: &Faulty) -> Engine {
    Engine::open(options(disk)).unwrap()
}

fn standby(disk: &Faulty) -> Engine {
    Engine::open(Options { role: Role::Standby, ..options(disk) }).unwrap()
}

/// All bytes of an image.
fn image(engine: &Engine, history: bool) -> Vec<u8> {
    let mut image = engine.image(history).unwrap();
    let mut bytes = Vec::new();
    loop {
        let piece = image.take(1 << 20).unwrap();
        if piece.is_empty() {
            return bytes;
        }
        bytes.extend(piece);
    }
}

fn install(engine: &Engine, mode: InstallMode, bytes: &[u8]) -> Result<Installed, InstallError> {
    let mut installer = engine.installer(mode)?;
    for piece in bytes.chunks(1_000) {
        installer.push(piece)?;
    }
    installer.commit()
}

fn restore(engine: &Engine, bytes: &[u8]) -> Installed {
    install(engine, InstallMode::Restore, bytes).unwrap()
}

/// A store with a past, and an image of it as it was before its last writes.
fn with_a_past(engine: &Engine) -> Vec<u8> {
    for key in 0..20 {
        put(engine, &format!("key-{key:02}"), "old");
    }
    delete(engine, "key-03");
    let bytes = image(engine, false);
    put(engine, "key-05", "new");
    put(engine, "late", "new");
    delete(engine, "key-07");
    bytes
}

fn names(engine: &Engine) -> Vec<String> {
    keys(engine, "\0", "\0")
}

fn value(engine: &Engine, key: &str) -> Option<String> {
    get(engine, key, 0).map(|record| String::from_utf8(record.value().to_vec()).unwrap())
}

fn hash(engine: &Engine) -> (u32, i64, i64) {
    let hash = engine.hash_kv(Revision(0)).unwrap();
    (hash.hash, hash.compact_revision.0, hash.revision.0)
}

#[test]
fn a_restore_brings_back_the_data_above_every_revision_that_was_handed_out() {
    let disk = Faulty::new(1);
    for engine in [engine(), durable(&disk)] {
        let bytes = with_a_past(&engine);
        let before = engine.revision().0;
        let installed = restore(&engine, &bytes);
        assert_eq!(installed.revision, Revision(before + 2));
        assert_eq!(engine.revision(), installed.revision);
        assert_eq!(names(&engine).len(), 19);
        assert_eq!(value(&engine, "key-05").as_deref(), Some("old"));
        assert_eq!(value(&engine, "late"), None);
        for gone in [before, before + 1] {
            let error = engine.range(&range_at("key-05", gone)).unwrap_err();
            let Error::Compacted { compact_revision } = error else { panic!("{error}") };
            assert_eq!(compact_revision, installed.revision);
        }
        assert_eq!(put(&engine, "key-05", "after"), before + 3);
        assert_eq!(get(&engine, "key-05", 0).unwrap().version(), 2, "it is the same key");
        assert_eq!(engine.status().log_sequence, installed.sequence + 1);
    }
}

#[test]
fn what_was_restored_and_written_after_it_is_there_after_a_restart() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    let identity = engine.status().cluster_id;
    restore(&engine, &bytes);
    for round in 0..50 {
        put(&engine, "key-01", &format!("{round}"));
    }
    let (wanted, sequence) = (hash(&engine), engine.status().log_sequence);
    engine.close();
    let engine = durable(&disk.crash(Crash::PowerLost));
    assert_eq!(hash(&engine), wanted);
    assert_eq!(engine.status().log_sequence, sequence);
    assert_eq!(engine.status().cluster_id, identity);
    assert_eq!(value(&engine, "key-01").as_deref(), Some("49"));
    restore(&engine, &bytes);
    restore(&engine, &bytes);
    assert_eq!(names(&engine).len(), 19);
}

#[test]
fn a_range_that_is_read_in_chunks_does_not_go_on_in_another_state() {
    let (first, second) = (Faulty::new(1), Faulty::new(2));
    let (primary, second) = (durable(&first), standby(&second));
    put(&primary, "a", "1");
    put(&primary, "b", "1");
    let bytes = image(&primary, true);
    let engines = [(primary, InstallMode::Restore), (second, InstallMode::Reseed)];
    for (engine, mode) in engines {
        let mut chunks = engine.range_chunks(range_to("a", "z").into_range(), Revision(0)).unwrap();
        install(&engine, mode, &bytes).unwrap();
        assert!(matches!(chunks.next(1, 1), Err(Error::Compacted { .. })), "{mode:?}");
    }
}

#[test]
fn every_watcher_is_told_that_what_it_wants_is_compacted_after_all_that_was_published() {
    let engine = engine();
    let bytes = with_a_past(&engine);
    let last = engine.revision().0;
    let stream = engine.watch_stream(Arc::new(Silent)).unwrap();
    let watch = |start: i64| {
        let range = range_to("\0", "\0").into_range();
        let start_revision = Revision(start);
        let request = WatchRequest { range, start_revision, ..WatchRequest::default() };
        stream.create(request).unwrap().0
    };
    let (synced, behind, future) = (watch(0), watch(2), watch(last + 1_000));
    put(&engine, "last", "event");
    let installed = restore(&engine, &bytes);
    let mut told = Vec::new();
    let mut events = 0;
    loop {
        let items = stream.take(usize::MAX);
        if items.is_empty() {
            break;
        }
        for item in items {
            match item {
                WatchItem::Compacted { id, compact_revision } => {
                    assert_eq!(compact_revision, installed.revision);
                    told.push(id);
                }
                WatchItem::Events { id, events: some, .. } => {
                    assert!(!told.contains(&id), "events after the end");
                    events += usize::from(id == synced) * some.len();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    told.sort();
    assert_eq!(told, [synced, behind, future]);
    assert_eq!(events, 1, "what was published before was handed out");

    let (anew, _) = (watch(installed.revision.0 + 1), put(&engine, "next", ""));
    let mut items = Vec::new();
    while items.is_empty() {
        thread::yield_now();
        items = stream.take(usize::MAX);
    }
    assert!(matches!(&items[..], [WatchItem::Events { id, .. }] if *id == anew), "{items:?}");
}

#[test]
fn what_is_published_right_before_a_restore_is_handed_out_before_the_end() {
    let engine = engine();
    let bytes = with_a_past(&engine);
    for _ in 0..200 {
        let stream = engine.watch_stream(Arc::new(Silent)).unwrap();
        let range = range_to("\0", "\0").into_range();
        stream.create(WatchRequest { range, ..WatchRequest::default() }).unwrap();
        put(&engine, "last", "");
        restore(&engine, &bytes);
        let items = stream.take(usize::MAX);
        assert!(
            matches!(&items[..], [WatchItem::Events { .. }, WatchItem::Compacted { .. }]),
            "{items:?}"
        );
    }
}

#[test]
fn a_watch_that_resumes_after_the_last_revision_it_saw_misses_nothing_silently() {
    let engine = engine();
    let bytes = with_a_past(&engine);
    let seen = engine.revision().0;
    restore(&engine, &bytes);
    let stream = engine.watch_stream(Arc::new(Silent)).unwrap();
    let range = range_to("\0", "\0").into_range();
    let start_revision = Revision(seen + 1);
    stream.create(WatchRequest { range, start_revision, ..WatchRequest::default() }).unwrap();
    let items = stream.take(usize::MAX);
    assert!(matches!(&items[..], [WatchItem::Compacted { .. }]), "{items:?}");
}

#[test]
fn leases_go_on_with_what_they_had_left_when_the_image_was_made() {
    let clock = Arc::new(ManualClock::new());
    let disk = Faulty::new(1);
    let timed = || Options { clock: Arc::<ManualClock>::clone(&clock), ..options(&disk) };
    let engine = Engine::open(timed()).unwrap();
    engine.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 100 }).unwrap();
    let mut leased = put_request("leased", "");
    leased.lease = LeaseId(7);
    engine.execute(Command::Put(leased)).unwrap();
    clock.advance(Duration::from_secs(30));
    let bytes = image(&engine, false);
    engine.execute(Command::LeaseRevoke { id: LeaseId(7) }).unwrap();
    engine.execute(Command::LeaseGrant { id: LeaseId(8), ttl_s: 100 }).unwrap();
    clock.advance(Duration::from_secs(10_000));
    restore(&engine, &bytes);
    assert_eq!(engine.leases(), [LeaseId(7)]);
    let status = engine.lease_status(LeaseId(7), true).unwrap();
    assert_eq!((status.remaining_ttl_s, status.granted_ttl_s), (70, 100));
    assert_eq!(status.keys, [b"leased"]);
    engine.close();
    let engine = Engine::open(timed()).unwrap();
    assert_eq!(engine.lease_status(LeaseId(7), false).unwrap().remaining_ttl_s, 70);
    clock.advance(Duration::from_secs(71));
    while value(&engine, "leased").is_some() {
        thread::yield_now();
    }
}

#[test]
fn an_image_that_is_damaged_or_cut_short_changes_nothing() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    let (wanted, files) = (hash(&engine), disk.files());
    let refused = |bytes: &[u8]| {
        let error = install(&engine, InstallMode::Restore, bytes).unwrap_err();
        assert!(matches!(error, InstallError::Image(_)), "{error}");
    };
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        refused(&damaged);
        refused(&bytes[..at]);
    }
    refused(&[&bytes[..], b"more"].concat());
    drop(engine.installer(InstallMode::Restore).unwrap());
    assert_eq!(hash(&engine), wanted);
    assert_eq!(disk.files(), files, "something was left on the disk");
}

#[test]
fn a_standby_takes_no_restore_and_a_primary_no_reseed() {
    let disk = Faulty::new(1);
    let bytes = with_a_past(&engine());
    let error = install(&standby(&disk), InstallMode::Restore, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Refused(Error::NotPrimary)), "{error}");
    let error = install(&engine(), InstallMode::Reseed, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Refused(Error::NotStandby)), "{error}");
}

#[test]
fn a_reseeded_standby_is_what_the_primary_is_and_of_its_cluster() {
    let primary = durable(&Faulty::new(1));
    with_a_past(&primary);
    primary.execute(Command::Compact(Revision(10))).unwrap();
    let disk = Faulty::new(2);
    let second = standby(&disk);
    let member_id = second.status().member_id;
    install(&second, InstallMode::Reseed, &image(&primary, true)).unwrap();
    put(&primary, "more", "");
    // Again, over what the first one left; and back, over a log that is ahead of the image.
    let more = image(&primary, true);
    for bytes in [&more, &more] {
        install(&second, InstallMode::Reseed, bytes).unwrap();
    }
    let check = |second: &Engine| {
        assert_eq!(hash(second), hash(&primary));
        let (ours, theirs) = (second.status(), primary.status());
        assert_eq!(ours.log_sequence, theirs.log_sequence);
        assert_eq!(ours.cluster_id, theirs.cluster_id);
        assert_eq!(ours.member_id, member_id);
    };
    check(&second);
    second.close();
    check(&standby(&disk));
}

#[test]
fn writes_that_come_meanwhile_wait_and_are_done_on_what_was_restored() {
    let engine = engine();
    let bytes = with_a_past(&engine);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (engine, stop) = (engine.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let revision = put(&engine, &format!("writer-{writer}"), "");
                    assert!(revision > last, "{revision} after {last}");
                    last = revision;
                }
                last
            })
        })
        .collect();
    let mut revisions = vec![0];
    for _ in 0..20 {
        let installed = restore(&engine, &bytes);
        assert!(installed.revision.0 > revisions[revisions.len() - 1]);
        revisions.push(installed.revision.0);
    }
    stop.store(true, Ordering::Relaxed);
    let restored = revisions[revisions.len() - 1];
    for (writer, handle) in writers.into_iter().enumerate() {
        let last = handle.join().unwrap();
        let found = get(&engine, &format!("writer-{writer}"), 0);
        let kept = found.map(|record| record.mod_revision().0);
        assert_eq!(kept, (last > restored).then_some(last));
    }
}

#[test]
fn a_compaction_and_a_checkpoint_of_the_state_before_touch_nothing_of_the_one_after() {
    let disk = Faulty::new(1);
    let mut options = options(&disk);
    options.checkpoint_bytes_min = 1;
    let engine = Engine::open(options).unwrap();
    let bytes = with_a_past(&engine);
    let wanted = names(&restored_twin(&bytes));
    for _ in 0..30 {
        for round in 0..10 {
            put(&engine, &format!("busy-{round}"), &"v".repeat(300));
        }
        engine.execute(Command::Compact(engine.revision())).unwrap();
        restore(&engine, &bytes);
        assert_eq!(names(&engine), wanted);
    }
    engine.close();
    assert_eq!(names(&durable(&disk)), wanted);
}

fn restored_twin(bytes: &[u8]) -> Engine {
    let twin = engine();
    restore(&twin, bytes);
    twin
}

/// Runs an installation with a fault at each of its calls, and looks what is there afterwards.
fn crash_everywhere(mode: InstallMode, open: fn(&Faulty) -> Engine, bytes: &[u8]) {
    let prepared = |seed: u64| {
        let disk = Faulty::new(seed);
        let engine = durable(&disk);
        with_a_past(&engine);
        engine.close();
        disk
    };
    let disk = prepared(3);
    let engine = open(&disk);
    let (old, first_call) = (hash(&engine), disk.calls());
    install(&engine, mode, bytes).unwrap();
    let (new, calls) = (hash(&engine), disk.calls() - first_call);
    drop(engine);
    let (mut kept, mut replaced) = (0, 0);
    for call in 1..=calls {
        for fault in [Fault::Halt, Fault::Fail(Errno::Io), Fault::Short(Errno::NoSpace)] {
            let disk = prepared(3);
            let engine = open(&disk);
            disk.inject(disk.calls() + call, fault);
            let result = install(&engine, mode, bytes);
            for crash in [Crash::Process, Crash::PowerLost, Crash::PowerTorn] {
                let found = disk.crash(crash);
                let reopened = open(&found);
                let now = hash(&reopened);
                assert!(now == old || now == new, "{fault:?} at {call}: {now:?}");
                match &result {
                    Ok(_) => assert_eq!(now, new, "{fault:?} at {call}"),
                    Err(InstallError::Refused(Error::Latched { .. })) => {}
                    Err(_) if fault == Fault::Halt => {}
                    Err(error) => assert_eq!(now, old, "{fault:?} at {call}: {error}"),
                }
                kept += u32::from(now == old);
                replaced += u32::from(now == new);
                reopened.close();
                assert_eq!(hash(&open(&found.crash(crash))), now, "it did not last");
            }
            engine.close();
        }
    }
    assert!(kept > 20 && replaced > 20, "{kept} {replaced}");
}

#[test]
fn a_crash_at_any_call_leaves_the_old_state_or_the_restored_one() {
    let bytes = with_a_past(&engine());
    crash_everywhere(InstallMode::Restore, durable, &bytes);
}

#[test]
fn a_crash_at_any_call_leaves_the_old_state_or_the_seeded_one() {
    let primary = durable(&Faulty::new(9));
    for round in 0..3 {
        put(&primary, "seed", &round.to_string());
    }
    crash_everywhere(InstallMode::Reseed, standby, &image(&primary, true));
}

#[test]
fn a_crash_while_a_long_image_is_written_leaves_the_old_state_or_the_restored_one() {
    let source = engine();
    for key in 0..10 {
        put(&source, &format!("key-{key}"), &"v".repeat(1 << 20));
    }
    let bytes = image(&source, false);
    let prepared = || {
        let disk = Faulty::new(7);
        let engine = durable(&disk);
        put(&engine, "old", "");
        (disk, engine)
    };
    let push = |engine: &Engine| {
        let mut installer = engine.installer(InstallMode::Restore)?;
        installer.push(&bytes)?;
        installer.commit()
    };
    let (disk, engine) = prepared();
    let first_call = disk.calls();
    push(&engine).unwrap();
    let calls = disk.calls() - first_call;
    assert!(calls > 30, "{calls} calls: it was not synced while it was written");
    let mut kept = 0;
    for (call, fault) in (1..=calls)
        .step_by(5)
        .zip([Fault::Halt, Fault::Fail(Errno::Io), Fault::Short(Errno::NoSpace)].iter().cycle())
    {
        let (disk, engine) = prepared();
        disk.inject(disk.calls() + call, *fault);
        let result = push(&engine);
        let found = names(&durable(&disk.crash(Crash::PowerTorn)));
        match result {
            Ok(_) => assert_eq!(found.len(), 10, "{fault:?} at {call}"),
            Err(InstallError::Refused(Error::Latched { .. })) => {}
            Err(_) if *fault == Fault::Halt => assert!(found == ["old"] || found.len() == 10),
            Err(_) => assert_eq!(found, ["old"], "{fault:?} at {call}"),
        }
        kept += u32::from(found == ["old"]);
    }
    assert!(kept > 2, "{kept}");
}

#[test]
fn a_restored_image_that_is_damaged_later_is_refused_by_its_name_not_gone_behind() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    let installed = restore(&engine, &bytes);
    put(&engine, "after", "");
    engine.close();
    let path = PathBuf::from(format!("/store/data/{:020}.checkpoint", installed.sequence));
    assert!(disk.flip_bit(&path, 8 * 300));
    let refused = Engine::open(options(&disk)).err().unwrap();
    let OpenError::Corrupt { path: named, .. } = refused else { panic!("{refused}") };
    assert_eq!(named, path);
}

#[test]
fn a_disk_without_room_refuses_the_restore_and_the_store_goes_on() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    disk.set_capacity(disk.files().iter().map(|(_, bytes)| bytes).sum());
    let error = install(&engine, InstallMode::Restore, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Io(_)), "{error}");
    disk.set_capacity(u64::MAX);
    put(&engine, "still", "writing");
    restore(&engine, &bytes);
}
