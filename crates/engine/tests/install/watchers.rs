//! Who was at work with the state before: watchers, readers, and leases.

use super::*;

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
fn leases_lose_no_time_while_their_image_comes() {
    let clock = Arc::new(ManualClock::new());
    let mut options = Options::new(Storage::Memory);
    options.clock = Arc::<ManualClock>::clone(&clock);
    let engine = Engine::open(options).unwrap();
    engine.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 10 }).unwrap();
    let bytes = image(&engine, false);
    let mut installer = engine.installer(InstallMode::Restore).unwrap();
    installer.push(&bytes).unwrap();
    clock.advance(Duration::from_secs(60));
    installer.commit().unwrap();
    assert_eq!(engine.lease_status(LeaseId(7), false).unwrap().remaining_ttl_s, 10);
}
