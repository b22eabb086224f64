//! Watchers while another state takes the place of the store's.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::engine::Engine;
use crate::entry::ImageHead;
use crate::options::{Options, Storage};
use crate::state::{Put, State};
use crate::types::{Command, KeyRange, LeaseId, PutRequest};
use crate::watch::Event;

const ALL: usize = usize::MAX;

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

fn engine() -> Engine {
    Engine::open(Options::new(Storage::Memory)).unwrap()
}

fn watch(stream: &WatchStream, start: i64) -> WatchId {
    let range = KeyRange { key: b"\0"[..].into(), end: b"\0"[..].into() };
    let start_revision = Revision(start);
    stream.create(WatchRequest { range, start_revision, ..WatchRequest::default() }).unwrap().0
}

fn put(engine: &Engine, value: &'static str) {
    let put = PutRequest { key: "key".into(), value: value.into(), ..PutRequest::default() };
    engine.execute(Command::Put(put)).unwrap();
}

/// With one key, which each revision wrote.
fn state(revisions: i64, value: &'static str) -> State {
    let mut state = State::new();
    for revision in 2..=revisions {
        let position = state.index.find(b"key");
        state.put_at(
            position,
            &Put {
                key: b"key",
                value: value.as_bytes(),
                lease: LeaseId::NONE,
                revision: Revision(revision),
                sub_revision: 0,
            },
        );
    }
    state
}

/// As an installation does, while nothing is written.
fn replace(engine: &Engine, state: State, revision: i64, compact_revision: i64) {
    let store = engine.store();
    let head = ImageHead {
        sequence: engine.status().log_sequence + 1,
        term: 1,
        revision: Revision(revision),
        compact_revision: Revision(compact_revision),
    };
    drop(store.replace(state, &head, store.identity()));
}

/// Takes on from these items until the watcher is told that its state is gone; returns its events.
fn events_until_ended(mut items: Vec<WatchItem>, stream: &WatchStream) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        for item in items {
            match item {
                WatchItem::Events { events, .. } => all.extend(events),
                WatchItem::Compacted { .. } => return all,
                other => panic!("nobody asked for {other:?}"),
            }
        }
        items = stream.take(1);
    }
}

#[test]
fn a_watcher_gets_nothing_behind_the_news_that_its_state_is_gone() {
    const ROUNDS: usize = 3_000;
    let engine = engine();
    let stream = engine.watch_stream(Arc::new(Nobody)).unwrap();
    let (begin, end) = (Barrier::new(2), Barrier::new(2));
    let mut late = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                begin.wait();
                put(&engine, "old");
                let above = engine.revision().0 + 2;
                replace(&engine, State::new(), above, above);
                end.wait();
            }
        });
        for _ in 0..ROUNDS {
            let id = watch(&stream, 0);
            begin.wait();
            events_until_ended(Vec::new(), &stream);
            end.wait();
            late.extend(stream.take(ALL));
            stream.cancel(id);
        }
    });
    assert_eq!(late, [], "of {ROUNDS} rounds");
}

#[test]
fn a_watcher_that_is_behind_neither_reads_another_state_nor_joins_its_hub() {
    const ROUNDS: i64 = 300;
    const REVISIONS: i64 = 500;
    let engine = engine();
    for round in 0..ROUNDS {
        replace(&engine, state(REVISIONS, "old"), REVISIONS, -1);
        let next = state(REVISIONS / 2, "new");
        let stream = engine.watch_stream(Arc::new(Nobody)).unwrap();
        watch(&stream, 2);
        let begin = Barrier::new(2);
        let first = thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                replace(&engine, next, REVISIONS / 2, -1);
            });
            begin.wait();
            stream.take(1)
        });
        let after = engine.watch_stream(Arc::new(Nobody)).unwrap();
        watch(&after, 0);
        put(&engine, "after");
        engine.store().hub.drain(engine.store());
        assert_ne!(after.take(ALL), [], "an event was lost in round {round}");
        let is_old = |event: &Event| event.record.value() == b"old";
        assert!(events_until_ended(first, &stream).iter().all(is_old), "in round {round}");
    }
}
