//! Short forms for the tests: text keys, one call a command.
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;

use bytes::Bytes;
use decube_engine::{
    Answer, Command, Compare, DeleteRangeRequest, Engine, KeyRange, Mailbox, Operation, Options,
    Outcome, PutRequest, RangeRequest, Record, Revision, Storage, TxnRequest,
};
use parking_lot::{Condvar, Mutex};

pub(crate) fn engine() -> Engine {
    Engine::open(Options::new(Storage::Memory)).expect("a memory store opens")
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Keys, to be made into what needs them.
#[derive(Clone)]
pub(crate) struct Keys(KeyRange);

pub(crate) fn range(key: &str) -> Keys {
    Keys(KeyRange { key: bytes(key), end: Bytes::new() })
}

pub(crate) fn range_to(key: &str, end: &str) -> Keys {
    Keys(KeyRange { key: bytes(key), end: bytes(end) })
}

impl Keys {
    pub(crate) fn into_range(self) -> KeyRange {
        self.0
    }

    pub(crate) fn into_delete(self) -> DeleteRangeRequest {
        DeleteRangeRequest { range: self.0, prev_kv: false }
    }
}

pub(crate) fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() }
}

pub(crate) fn range_request(key: &str) -> RangeRequest {
    range_at(key, 0)
}

pub(crate) fn range_at(key: &str, revision: i64) -> RangeRequest {
    RangeRequest {
        range: range(key).into_range(),
        revision: Revision(revision),
        ..RangeRequest::default()
    }
}

pub(crate) fn txn(compares: &[Compare], success: Vec<Operation>) -> TxnRequest {
    TxnRequest { compares: compares.to_vec(), success, failure: Vec::new() }
}

/// Puts and returns the revision.
pub(crate) fn put(engine: &Engine, key: &str, value: &str) -> i64 {
    match engine.execute(Command::Put(put_request(key, value))) {
        Ok(Outcome::Put(result)) => result.revision.0,
        other => panic!("a put was answered by {other:?}"),
    }
}

/// Deletes a key and returns how many there were, and the revision.
pub(crate) fn delete(engine: &Engine, key: &str) -> (i64, i64) {
    match engine.execute(Command::DeleteRange(range(key).into_delete())) {
        Ok(Outcome::DeleteRange(result)) => (result.deleted, result.revision.0),
        other => panic!("a delete was answered by {other:?}"),
    }
}

pub(crate) fn get(engine: &Engine, key: &str, revision: i64) -> Option<Record> {
    let result = engine.range(&range_at(key, revision)).expect("a readable revision");
    result.records.into_iter().next()
}

pub(crate) fn keys(engine: &Engine, key: &str, end: &str) -> Vec<String> {
    let request =
        RangeRequest { range: range_to(key, end).into_range(), ..RangeRequest::default() };
    let result = engine.range(&request).expect("a readable range");
    result.records.iter().map(|record| String::from_utf8_lossy(record.key()).into()).collect()
}

/// Collects answers; can be made to hold up the writer in a delivery.
#[derive(Default)]
pub(crate) struct Collector {
    batches: Mutex<Vec<Vec<Answer>>>,
    held: Mutex<bool>,
    released: Condvar,
}

impl Collector {
    pub(crate) fn hold(&self) {
        *self.held.lock() = true;
    }

    pub(crate) fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }

    /// Of each delivery.
    pub(crate) fn tickets(&self) -> Vec<Vec<u64>> {
        let batches = self.batches.lock();
        batches.iter().map(|batch| batch.iter().map(|answer| answer.ticket).collect()).collect()
    }

    pub(crate) fn answers(self: Arc<Self>) -> Vec<Answer> {
        std::mem::take(&mut *self.batches.lock()).into_iter().flatten().collect()
    }
}

impl Mailbox for Collector {
    fn deliver(&self, answers: Vec<Answer>) {
        let mut held = self.held.lock();
        while *held {
            self.released.wait(&mut held);
        }
        self.batches.lock().push(answers);
    }
}

/// Waits for what threads of the engine's do by themselves.
pub(crate) fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        std::thread::yield_now();
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    panic!("it did not come");
}
