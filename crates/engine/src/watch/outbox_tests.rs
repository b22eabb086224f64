use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[path = "../../tests/support/bell.rs"]
mod bell;

use bell::Bell;

use super::*;
use crate::record::Record;

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

/// The hub's end of an outbox.
struct Hub {
    outbox: Outbox,
    places: BTreeMap<i64, Place>,
}

fn hub() -> Hub {
    Hub { outbox: Outbox::new(1 << 20, Arc::new(Nobody)), places: BTreeMap::new() }
}

impl Hub {
    fn push(&mut self, id: i64, revision: i64, key_bytes: usize) {
        let place = self.places.entry(id).or_default();
        let mut filling = self.outbox.fill();
        let share = share(revision, key_bytes);
        assert!(filling.push(WatchId(id), Revision(revision), share, place));
        filling.done();
    }
}

fn share(revision: i64, key_bytes: usize) -> (Events, usize) {
    let record = Record::tombstone(&vec![b'k'; key_bytes], Revision(revision), 0);
    let events = Events::from(vec![Event { record, previous: None }]);
    let bytes = events_bytes(events.iter());
    (events, bytes)
}

/// Of each item whose it is, its revision, and those of its events.
fn take(outbox: &Outbox, bytes_max: usize) -> Vec<(i64, i64, Vec<i64>)> {
    let told = |item| match item {
        WatchItem::Events { id, revision, events } => {
            let revisions = events.iter().map(|event| event.record.mod_revision().0);
            (id.0, revision.0, revisions.collect())
        }
        WatchItem::Progress { revision, .. } => (-1, revision.0, vec![]),
        other => panic!("nobody pushed {other:?}"),
    };
    outbox.take(bytes_max).items.into_iter().map(told).collect()
}

#[test]
fn events_join_those_of_their_watcher_that_wait() {
    let mut hub = hub();
    for revision in 2..5 {
        hub.push(1, revision, 1);
        hub.push(2, revision, 1);
    }
    assert_eq!(take(&hub.outbox, 1), [(1, 4, vec![2, 3, 4])]);
    hub.push(1, 5, 1);
    hub.push(2, 5, 1);
    assert_eq!(take(&hub.outbox, usize::MAX), [(2, 5, vec![2, 3, 4, 5]), (1, 5, vec![5])]);
    hub.push(2, 6, 1);
    assert_eq!(take(&hub.outbox, usize::MAX), [(2, 6, vec![6])]);
}

#[test]
fn events_do_not_overtake_news_of_progress() {
    let mut hub = hub();
    hub.push(1, 2, 1);
    hub.outbox.push_progress(None, Revision(2));
    hub.push(1, 3, 1);
    hub.push(1, 4, 1);
    assert_eq!(
        take(&hub.outbox, usize::MAX),
        [(1, 2, vec![2]), (-1, 2, vec![]), (1, 4, vec![3, 4])]
    );
}

#[test]
fn nothing_joins_what_is_large_already_nor_what_is_another_watchers_now() {
    let mut hub = hub();
    hub.push(1, 2, JOINED_BYTES_MAX);
    hub.push(1, 3, 1);
    hub.push(2, 3, 1);
    hub.outbox.forget(WatchId(1));
    hub.push(2, 4, 1);
    hub.push(1, 5, 1);
    assert_eq!(take(&hub.outbox, usize::MAX), [(2, 3, vec![3]), (2, 4, vec![4]), (1, 5, vec![5])]);
}

#[test]
fn what_joined_is_counted_and_given_back() {
    let mut hub = hub();
    for revision in 2..100 {
        hub.push(1, revision, 100);
    }
    let waiting = hub.outbox.inner.lock().bytes;
    assert!(waiting > 98 * 100);
    assert_eq!(hub.outbox.take(usize::MAX).bytes, waiting);
    assert_eq!(hub.outbox.inner.lock().bytes, 0);
}

#[test]
fn the_owner_is_told_of_who_falls_behind_while_the_box_is_emptied() {
    const FALLS: usize = 20_000;
    let bell = Arc::new(Bell::default());
    let outbox = Outbox::new(1, Arc::clone(&bell) as _);
    let fallen = AtomicUsize::new(0);
    let (share, mut place) = (share(2, 1), Place::default());
    let mut push = || {
        let mut filling = outbox.fill();
        let fitted = filling.push(WatchId(1), Revision(2), share.clone(), &mut place);
        filling.done();
        fitted
    };
    let mut push_until_it_falls_behind = |fall: usize| {
        while push() {}
        // As the hub does: it has nothing more for it.
        while fallen.load(Ordering::SeqCst) < fall && !thread::panicking() {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| (1..=FALLS).for_each(&mut push_until_it_falls_behind));
        while fallen.load(Ordering::SeqCst) < FALLS {
            let Taken { items, fallen_behind, .. } = outbox.take(1);
            fallen.fetch_add(fallen_behind.len(), Ordering::SeqCst);
            if !items.is_empty() || !fallen_behind.is_empty() || !outbox.wait_to_be_told() {
                continue;
            }
            if !bell.wait() {
                fallen.store(FALLS, Ordering::SeqCst);
                panic!("nobody told of a watcher that fell behind");
            }
        }
    });
}
