//! What watchers are handed.

#[path = "support/bell.rs"]
mod bell;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bell::Bell;
use decube_engine::{
    Command, Engine, Event, KeyRange, Notify, Operation, Options, Outcome, Revision, Storage,
    WatchId, WatchItem, WatchRefused, WatchRequest, WatchStream,
};
use parking_lot::{Condvar, Mutex};
use support::{delete, engine, put, put_request, range, range_to, txn};

const ALL: usize = usize::MAX;

struct Client {
    stream: WatchStream,
    bell: Arc<Bell>,
}

impl Client {
    fn of(engine: &Engine) -> Self {
        let bell = Arc::new(Bell::default());
        let stream = engine.watch_stream(Arc::clone(&bell) as Arc<dyn Notify>);
        let stream = stream.expect("an open store");
        Self { stream, bell }
    }

    fn watch(&self, range: KeyRange, start: i64) -> WatchId {
        let request = WatchRequest {
            range,
            start_revision: Revision(start),
            prev_kv: true,
            ..WatchRequest::default()
        };
        self.stream.create(request).expect("a watcher").0
    }

    /// Takes what there is, waiting for it.
    fn take(&self, bytes_max: usize) -> Vec<WatchItem> {
        loop {
            let items = self.stream.take(bytes_max);
            if !items.is_empty() {
                return items;
            }
            assert!(self.bell.wait(), "nothing came");
        }
    }

    /// Takes until this many events came.
    fn events(&self, count: usize) -> Vec<(WatchId, Event)> {
        let mut all = Vec::new();
        while all.len() < count {
            for item in self.take(ALL) {
                let WatchItem::Events { id, events, .. } = item else { panic!("got {item:?}") };
                all.extend(events.into_iter().map(|event| (id, event)));
            }
        }
        all
    }
}

fn shown(events: &[(WatchId, Event)]) -> Vec<String> {
    let show = |(id, event): &(WatchId, Event)| {
        let record = &event.record;
        let value = if record.is_tombstone() {
            "-".into()
        } else {
            String::from_utf8_lossy(record.value())
        };
        let before = event
            .previous
            .as_ref()
            .map_or("none".into(), |record| String::from_utf8_lossy(record.value()));
        format!(
            "{} {}@{} {value} was {before}",
            id.0,
            String::from_utf8_lossy(record.key()),
            record.mod_revision().0
        )
    };
    events.iter().map(show).collect()
}

#[test]
fn a_watcher_from_now_gets_what_comes_and_nothing_before() {
    let engine = engine();
    put(&engine, "a", "1");
    let client = Client::of(&engine);
    client.watch(range("a").into_range(), 0);
    put(&engine, "b", "other");
    put(&engine, "a", "2");
    delete(&engine, "a");
    assert_eq!(shown(&client.events(2)), ["0 a@4 2 was 1", "0 a@5 - was 2"]);
}

#[test]
fn a_watcher_from_the_past_reads_history_and_then_goes_on() {
    let engine = engine();
    for value in ["1", "2", "3"] {
        put(&engine, "a", value);
    }
    for interval in [false, true] {
        let client = Client::of(&engine);
        let keys = if interval { range_to("a", "b") } else { range("a") };
        client.watch(keys.into_range(), 3);
        assert_eq!(shown(&client.events(2)), ["0 a@3 2 was 1", "0 a@4 3 was 2"]);
    }
    let client = Client::of(&engine);
    client.watch(range_to("a", "\0").into_range(), 4);
    client.events(1);
    put(&engine, "a", "4");
    assert_eq!(shown(&client.events(1)), ["0 a@5 4 was 3"]);
}

#[test]
fn watchers_of_one_key_share_events_and_each_gets_what_it_wants() {
    let engine = engine();
    put(&engine, "a", "1");
    let client = Client::of(&engine);
    let watch = |request: WatchRequest| {
        let range = range("a").into_range();
        client.stream.create(WatchRequest { range, ..request }).expect("a watcher").0
    };
    let all = || WatchRequest::default();
    watch(all());
    watch(WatchRequest { prev_kv: true, ..all() });
    watch(WatchRequest { no_put: true, ..all() });
    watch(WatchRequest { no_delete: true, ..all() });
    watch(WatchRequest { start_revision: Revision(4), ..all() });
    watch(WatchRequest { no_put: true, no_delete: true, ..all() });
    watch(all());
    put(&engine, "a", "2");
    delete(&engine, "a");
    // Hands everything out.
    client.stream.request_progress(None);
    let mut shares = Vec::new();
    let mut events = Vec::new();
    for item in client.take(ALL) {
        let WatchItem::Events { id, events: of_watcher, .. } = item else { continue };
        events.extend(of_watcher.iter().cloned().map(|event| (id, event)));
        shares.push((id.0, of_watcher));
    }
    events.sort_by_key(|(id, _)| *id);
    assert_eq!(
        shown(&events),
        [
            "0 a@3 2 was none",
            "0 a@4 - was none",
            "1 a@3 2 was 1",
            "1 a@4 - was 2",
            "2 a@4 - was none",
            "3 a@3 2 was none",
            "4 a@4 - was none",
            "6 a@3 2 was none",
            "6 a@4 - was none",
        ]
    );
    let of = |id| &shares.iter().find(|(other, _)| *other == id).expect("it has events").1;
    assert!(of(0).are_shared_with(of(6)));
    assert!(!of(0).are_shared_with(of(1)));
    assert!(!of(2).are_shared_with(of(4)), "made for a watcher of its own");
}

#[test]
fn a_watcher_from_the_future_waits_silently() {
    let engine = engine();
    let client = Client::of(&engine);
    client.watch(range("a").into_range(), 4);
    client.stream.request_progress(None);
    put(&engine, "a", "2");
    put(&engine, "a", "3");
    put(&engine, "a", "4");
    assert_eq!(shown(&client.events(1)), ["0 a@4 4 was 3"]);
}

#[test]
fn a_watcher_from_the_next_revision_misses_nothing_that_is_published_while_it_is_made() {
    let engine = engine();
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let write = || {
            while writing.load(Ordering::Relaxed) {
                put(&engine, "key", "value");
            }
        };
        (0..2).for_each(|_| drop(scope.spawn(write)));
        // It keeps the hub at work, whose lock is what a new watcher waits for.
        let (busy, client) = (Client::of(&engine), Client::of(&engine));
        busy.watch(range_to("\0", "\0").into_range(), 0);
        for _ in 0..2_000 {
            let next = engine.revision().0 + 1;
            let id = client.watch(range_to("\0", "\0").into_range(), next);
            let first = client.events(1).swap_remove(0).1.record.mod_revision();
            client.stream.cancel(id);
            while !client.stream.take(ALL).is_empty() {}
            if first.0 != next {
                writing.store(false, Ordering::Relaxed);
                panic!("the first event is of {}, not of {next}", first.0);
            }
            drop(busy.stream.take(ALL));
        }
        writing.store(false, Ordering::Relaxed);
    });
}

#[test]
fn events_of_one_transaction_travel_together() {
    let engine = engine();
    let client = Client::of(&engine);
    client.watch(range_to("a", "z").into_range(), 0);
    let puts = ["a", "b", "c"].map(|key| Operation::Put(put_request(key, "x"))).to_vec();
    engine.execute(Command::Txn(txn(&[], puts))).unwrap();
    let items = client.take(1);
    let [WatchItem::Events { events, .. }] = &items[..] else { panic!("got {items:?}") };
    assert_eq!(events.len(), 3);
}

#[test]
fn both_changes_of_a_key_in_one_transaction_have_the_state_before_it() {
    let engine = engine();
    put(&engine, "a", "old");
    let client = Client::of(&engine);
    client.watch(range("a").into_range(), 0);
    let write = txn(&[], vec![Operation::Put(put_request("a", "new"))]);
    let remove = txn(&[], vec![Operation::DeleteRange(range("a").into_delete())]);
    let both = txn(&[], vec![Operation::Txn(write), Operation::Txn(remove)]);
    engine.execute(Command::Txn(both)).unwrap();
    let expected = ["0 a@3 new was old", "0 a@3 - was old"];
    assert_eq!(shown(&client.events(2)), expected);
    let late = Client::of(&engine);
    late.watch(range("a").into_range(), 3);
    assert_eq!(shown(&late.events(2)), expected);
}

#[test]
fn a_watch_below_the_compaction_is_told_so_and_one_exactly_there_works() {
    let engine = engine();
    put(&engine, "a", "1");
    delete(&engine, "a");
    put(&engine, "b", "1");
    engine.execute(Command::Compact(Revision(3))).unwrap();
    let client = Client::of(&engine);
    let below = client.watch(range("a").into_range(), 2);
    assert_eq!(
        client.take(ALL),
        [WatchItem::Compacted { id: below, compact_revision: Revision(3) }]
    );
    client.stream.request_progress(None);
    let at = client.watch(range("a").into_range(), 3);
    assert_eq!(shown(&client.events(1)), [format!("{} a@3 - was none", at.0)]);
    assert!(client.stream.cancel(below));
    assert!(!client.stream.cancel(below));
}

#[test]
fn progress_comes_behind_the_events_it_speaks_for() {
    let engine = engine();
    let client = Client::of(&engine);
    client.stream.request_progress(None);
    let id = client.watch(range("a").into_range(), 0);
    put(&engine, "a", "1");
    client.stream.request_progress(None);
    client.stream.request_progress(Some(id));
    let mut items = Vec::new();
    while items.len() < 3 {
        items.extend(client.take(ALL));
    }
    let [WatchItem::Events { .. }, whole, one] = &items[..] else { panic!("got {items:?}") };
    assert_eq!(*whole, WatchItem::Progress { id: None, revision: Revision(2) });
    assert_eq!(*one, WatchItem::Progress { id: Some(id), revision: Revision(2) });
}

#[test]
fn refusals_name_their_reason() {
    let engine = engine();
    let client = Client::of(&engine);
    let refused = |range: KeyRange, start: i64, id: Option<i64>| {
        let id = id.map(WatchId);
        let request =
            WatchRequest { range, start_revision: Revision(start), id, ..WatchRequest::default() };
        client.stream.create(request).unwrap_err()
    };
    assert_eq!(refused(range_to("b", "a").into_range(), 0, None), WatchRefused::EmptyRange);
    assert_eq!(refused(range("a").into_range(), -1, None), WatchRefused::NegativeStart);
    assert_eq!(client.watch(range("a").into_range(), 0), WatchId(0));
    assert_eq!(refused(range("a").into_range(), 0, Some(0)), WatchRefused::DuplicateId);
}

#[test]
fn closing_the_store_ends_the_stream_after_the_last_event() {
    let engine = engine();
    let client = Client::of(&engine);
    client.watch(range("a").into_range(), 0);
    put(&engine, "a", "1");
    engine.close();
    let mut items = Vec::new();
    while items.len() < 2 {
        items.extend(client.take(ALL));
    }
    assert!(matches!(items[..], [WatchItem::Events { .. }, WatchItem::Closed]), "got {items:?}");
}

/// A consumer with a tiny queue that reads a little at a time, while another thread writes and a
/// third compacts what everybody has seen.
#[test]
fn a_slow_consumer_gets_every_event_exactly_once() {
    const WRITES: i64 = 20_000;
    let mut options = Options::new(Storage::Memory);
    options.watch_queue_bytes_max = 2_000;
    let engine = Engine::open(options).unwrap();
    let slow = Client::of(&engine);
    let exact = slow.watch(range("k3").into_range(), 0);
    let all = slow.watch(range_to("k", "l").into_range(), 0);
    let seen = Arc::new(Mutex::new(1_i64));

    thread::scope(|scope| {
        scope.spawn(|| {
            for write in 0..WRITES {
                put(&engine, &format!("k{}", write % 10), &write.to_string());
            }
        });
        let compacted_to = Arc::clone(&seen);
        scope.spawn(|| {
            let compacted_to = compacted_to;
            loop {
                let through = *compacted_to.lock();
                match engine.execute(Command::Compact(Revision(through))) {
                    Ok(Outcome::Compact { .. }) | Err(_) => thread::yield_now(),
                    Ok(other) => panic!("answered by {other:?}"),
                }
                if through >= WRITES {
                    return;
                }
            }
        });
        let mut last = [1_i64, 1];
        let mut counts = [0_i64, 0];
        while counts != [WRITES / 10, WRITES] {
            for item in slow.take(500) {
                let WatchItem::Events { id, events, .. } = item else { panic!("got {item:?}") };
                let which = usize::from(id == all);
                assert!(id == all || id == exact);
                for event in events {
                    let revision = event.record.mod_revision().0;
                    assert!(revision > last[which], "{revision} after {}", last[which]);
                    last[which] = revision;
                    counts[which] += 1;
                }
            }
            let both = last[0].min(last[1]);
            *seen.lock() = both;
        }
        *seen.lock() = WRITES;
    });
}

/// Holds up who tells it, until it is let go.
#[derive(Default)]
struct Gate {
    arrived: Mutex<bool>,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Notify for Gate {
    fn notify(&self) {
        *self.arrived.lock() = true;
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
    }
}

#[test]
fn a_compaction_drops_nothing_that_a_synced_watcher_was_not_handed() {
    const WRITES: i64 = 100;
    let engine = engine();
    let gate = Arc::new(Gate::default());
    let stream = engine.watch_stream(Arc::clone(&gate) as Arc<dyn Notify>).unwrap();
    let request = WatchRequest { range: range("a").into_range(), ..WatchRequest::default() };
    stream.create(request).unwrap();
    put(&engine, "a", "0");
    while !*gate.arrived.lock() {
        thread::yield_now(); // The hub hangs in the notification of the first event.
    }
    for write in 1..WRITES {
        put(&engine, "a", &write.to_string());
    }
    let full = engine.status().db_size_bytes;
    engine.execute(Command::Compact(Revision(WRITES + 1))).unwrap();
    let dropped_early = (0..2_000).any(|_| {
        thread::yield_now();
        engine.status().db_size_bytes != full
    });
    *gate.open.lock() = true;
    gate.opened.notify_all();
    assert!(!dropped_early, "dropped before it was handed out");
    let mut seen = Vec::new();
    while seen.last() != Some(&(WRITES + 1)) {
        for item in stream.take(ALL) {
            let WatchItem::Events { events, .. } = item else { panic!("got {item:?}") };
            seen.extend(events.iter().map(|event| event.record.mod_revision().0));
        }
    }
    assert!(seen.into_iter().eq(2..=WRITES + 1));
}

#[test]
fn of_a_key_changed_twice_at_the_compacted_revision_the_last_change_stays() {
    let engine = engine();
    let write = txn(&[], vec![Operation::Put(put_request("a", "1"))]);
    let remove = txn(&[], vec![Operation::DeleteRange(range("a").into_delete())]);
    let both = txn(&[], vec![Operation::Txn(write), Operation::Txn(remove)]);
    engine.execute(Command::Txn(both)).unwrap();
    engine.execute(Command::Compact(Revision(2))).unwrap();
    for keys in [range("a"), range_to("a", "b")] {
        let seen = || {
            let client = Client::of(&engine);
            client.watch(keys.clone().into_range(), 2);
            let mut events = client.events(1);
            events.extend(client.stream.take(ALL).into_iter().flat_map(|item| match item {
                WatchItem::Events { id, events, .. } => events.into_iter().map(move |e| (id, e)),
                other => panic!("got {other:?}"),
            }));
            shown(&events)
        };
        let settled = (0..100_000).any(|_| seen() == ["0 a@2 - was none"]);
        assert!(settled, "{:?}", seen());
    }
}

#[test]
fn news_of_the_streams_progress_does_not_speak_for_a_watcher_that_is_made_before_it_is_taken() {
    let engine = engine();
    put(&engine, "a", "2");
    put(&engine, "a", "3");
    let next = engine.revision().0 + 1;
    for (start, is_told) in [(0, true), (2, false), (next, false)] {
        let client = Client::of(&engine);
        client.watch(range("b").into_range(), 0);
        client.stream.request_progress(None);
        client.watch(range("a").into_range(), start);
        let items = client.stream.take(ALL);
        let told = items.iter().any(|item| matches!(item, WatchItem::Progress { .. }));
        assert_eq!(told, is_told, "made from {start}: {items:?}");
    }
}
