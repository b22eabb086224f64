use super::*;
use crate::record::Record;

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

fn outbox() -> Outbox {
    Outbox::new(1 << 20, Arc::new(Nobody))
}

fn push(outbox: &Outbox, id: i64, revision: i64, key_bytes: usize) {
    let record = Record::tombstone(&vec![b'k'; key_bytes], Revision(revision), 0);
    let events = vec![Event { record, previous: None }];
    assert!(outbox.push_events(WatchId(id), Revision(revision), events));
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
    let outbox = outbox();
    for revision in 2..5 {
        push(&outbox, 1, revision, 1);
        push(&outbox, 2, revision, 1);
    }
    assert_eq!(take(&outbox, 1), [(1, 4, vec![2, 3, 4])]);
    push(&outbox, 1, 5, 1);
    push(&outbox, 2, 5, 1);
    assert_eq!(take(&outbox, usize::MAX), [(2, 5, vec![2, 3, 4, 5]), (1, 5, vec![5])]);
    push(&outbox, 2, 6, 1);
    assert_eq!(take(&outbox, usize::MAX), [(2, 6, vec![6])]);
}

#[test]
fn events_do_not_overtake_news_of_progress() {
    let outbox = outbox();
    push(&outbox, 1, 2, 1);
    outbox.push_progress(None, Revision(2));
    push(&outbox, 1, 3, 1);
    push(&outbox, 1, 4, 1);
    assert_eq!(take(&outbox, usize::MAX), [(1, 2, vec![2]), (-1, 2, vec![]), (1, 4, vec![3, 4])]);
}

#[test]
fn nothing_joins_what_is_large_already_nor_what_is_another_watchers_now() {
    let outbox = outbox();
    push(&outbox, 1, 2, JOINED_BYTES_MAX);
    push(&outbox, 1, 3, 1);
    push(&outbox, 2, 3, 1);
    outbox.forget(WatchId(1));
    push(&outbox, 2, 4, 1);
    push(&outbox, 1, 5, 1);
    assert_eq!(take(&outbox, usize::MAX), [(2, 3, vec![3]), (2, 4, vec![4]), (1, 5, vec![5])]);
}

#[test]
fn what_joined_is_counted_and_given_back() {
    let outbox = outbox();
    for revision in 2..100 {
        push(&outbox, 1, revision, 100);
    }
    let waiting = outbox.inner.lock().bytes;
    assert!(waiting > 98 * 100);
    assert_eq!(outbox.take(usize::MAX).bytes, waiting);
    assert_eq!(outbox.inner.lock().bytes, 0);
}
