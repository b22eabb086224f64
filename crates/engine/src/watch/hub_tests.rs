//! What becomes of the watchers when handing out events fails.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::engine::Engine;
use crate::options::{Options, Storage};
use crate::types::{Command, KeyRange, Outcome, PutRequest, RangeRequest};
use crate::watch::{Notify, WatchRequest, WatchStream};

/// Longer than it takes to be told on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Panics when it is told.
struct Trap;

impl Notify for Trap {
    fn notify(&self) {
        panic!("trapped");
    }
}

struct Told(Mutex<Sender<()>>);

impl Notify for Told {
    fn notify(&self) {
        let _ = self.0.lock().send(());
    }
}

fn put(engine: &Engine, key: &'static str) -> Result<Outcome, Error> {
    engine.execute(Command::Put(PutRequest { key: key.into(), ..PutRequest::default() }))
}

fn watching(engine: &Engine, key: &'static str, notify: Arc<dyn Notify>) -> WatchStream {
    let stream = engine.watch_stream(notify).expect("a stream");
    let range = KeyRange { key: key.into(), ..KeyRange::default() };
    stream.create(WatchRequest { range, ..WatchRequest::default() }).expect("a watcher");
    stream
}

fn bystander(engine: &Engine) -> (WatchStream, Receiver<()>) {
    let (sender, told) = channel();
    (watching(engine, "other", Arc::new(Told(Mutex::new(sender)))), told)
}

fn is_latched(error: &Error) -> bool {
    matches!(error, Error::Latched { reason } if reason.contains("watch hub panicked: trapped"))
}

#[test]
fn a_panic_while_events_are_handed_out_latches_the_store_and_ends_all_streams() {
    let engine = Engine::open(Options::new(Storage::Memory)).expect("a memory store opens");
    let trapped = watching(&engine, "trap", Arc::new(Trap));
    let (other, told) = bystander(&engine);
    put(&engine, "trap").expect("it is durable before it is handed out");
    told.recv_timeout(PATIENCE).expect("the stream ends");
    for stream in [&trapped, &other] {
        let items = stream.take(usize::MAX);
        let Some(WatchItem::Latched { reason }) = items.last() else { panic!("got {items:?}") };
        assert!(reason.contains("watch hub panicked: trapped"), "{reason}");
    }
    assert!(is_latched(&put(&engine, "other").expect_err("the store is latched")));
    let refused = engine.watch_stream(Arc::new(Trap)).expect_err("the store is latched");
    assert!(is_latched(&refused));
    let range = KeyRange { key: "trap".into(), ..KeyRange::default() };
    let read = engine.range(&RangeRequest { range, ..RangeRequest::default() });
    assert_eq!(read.expect("reads go on").records.len(), 1);
}
