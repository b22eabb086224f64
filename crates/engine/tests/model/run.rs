//! Runs steps against both and compares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Faulty;
use decube_engine::{
    Command, Engine, Error, KeyRange, LeaseId, LogLocation, ManualClock, Notify, OperationResult,
    Options, Outcome, RangeRequest, RangeResult, Record, Revision, Storage, TxnResult, Version,
    WatchItem, WatchRequest, WatchStream,
};

use crate::reference::{Happened, Reference, contains};
use crate::steps::{Back, Step};

/// When the store is closed and opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reopening {
    Never,
    WhenToldTo,
    AfterEveryStep,
}

/// A store on a disk in memory, with segments and checkpoints so small that they come often.
pub(crate) fn disk() -> Storage {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(Faulty::new(1));
    Storage::Log(LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs })
}

struct Quiet;

impl Notify for Quiet {
    fn notify(&self) {}
}

struct Run {
    options: Options,
    clock: Arc<ManualClock>,
    engine: Engine,
    model: Reference,
    /// Watches everything from the last opening on.
    standing: WatchStream,
    /// How many of the model's changes it was handed or did not ask for.
    handed: usize,
}

pub(crate) fn run(storage: &Storage, steps: &[Step], reopening: Reopening) {
    let mut run = Run::new(storage);
    let empty_bytes = run.engine.status().db_size_bytes;
    for step in steps {
        run.step(step, reopening);
        if reopening == Reopening::AfterEveryStep {
            run.reopen();
        }
        run.check();
    }
    run.wait_until_compacted(empty_bytes);
}

impl Run {
    fn new(storage: &Storage) -> Self {
        let clock = Arc::new(ManualClock::new());
        let mut options = Options::new(storage.clone());
        options.clock = Arc::clone(&clock) as _;
        options.segment_bytes = 4_096;
        options.checkpoint_bytes_min = 512;
        options.watch_queue_bytes_max = 300;
        let engine = Engine::open(options.clone()).expect("a fresh store opens");
        let standing = watch_all(&engine, 0);
        Self { options, clock, engine, model: Reference::new(), standing, handed: 0 }
    }

    fn step(&mut self, step: &Step, reopening: Reopening) {
        match step {
            Step::Command(command) => self.command(command),
            Step::Compact(back) => {
                let revision = Revision(self.revision(*back));
                self.command(&Command::Compact(revision));
            }
            Step::Range(request, back) => {
                let revision = Revision(self.revision(*back));
                let request = RangeRequest { revision, ..request.clone() };
                let got = self.engine.range(&request);
                let got = got.map_or_else(|error| refused(&error), |result| range_text(&result));
                assert_eq!(got, self.model.read(&request), "{request:?}");
            }
            Step::Watch(range, back) => self.watch(range, self.revision(*back)),
            Step::Wait(seconds) => {
                // Second by second, so that the order in which leases end is the model's.
                for _ in 0..*seconds {
                    self.model.wait(1);
                    self.clock.advance(Duration::from_secs(1));
                    self.wait_for_expiries();
                }
            }
            Step::Reopen if reopening == Reopening::Never => {}
            Step::Reopen => self.reopen(),
        }
    }

    fn revision(&self, Back(back): Back) -> i64 {
        (self.model.revision - back).max(1)
    }

    fn command(&mut self, command: &Command) {
        let got = self.engine.execute(command.clone());
        let got = got.map_or_else(|error| refused(&error), |outcome| outcome_text(&outcome));
        assert_eq!(got, self.model.command(command), "{command:?}");
    }

    fn wait_for_expiries(&self) {
        let live: Vec<LeaseId> = self.model.leases.keys().map(|id| LeaseId(*id)).collect();
        for _ in 0..10_000_000 {
            if self.engine.leases() == live {
                return;
            }
            std::thread::yield_now();
        }
        panic!("leases {:?} where the model has {live:?}", self.engine.leases());
    }

    fn reopen(&mut self) {
        self.engine.close();
        self.engine = Engine::open(self.options.clone()).expect("a closed store opens");
        self.standing = watch_all(&self.engine, 0);
        self.handed = self.model.happened.len();
    }

    fn watch(&self, range: &KeyRange, start: i64) {
        let stream = self.engine.watch_stream(Arc::new(Quiet)).expect("an open store");
        let start_revision = Revision(start);
        let request = WatchRequest {
            range: range.clone(),
            start_revision,
            prev_kv: true,
            ..Default::default()
        };
        let empty = !range.end.is_empty() && range.end != "\0" && range.key >= range.end;
        assert_eq!(stream.create(request).is_err(), empty);
        if empty {
            return;
        }
        let of_start = |h: &&Happened| h.at == start;
        let twice = self.model.happened.iter().filter(of_start).any(|first| {
            let same = |h: &&Happened| h.key == first.key && h.sub != first.sub;
            self.model.happened.iter().filter(of_start).any(|h| same(&h))
        });
        if start == self.model.compacted && twice {
            return; // Whether the superseded change is gone already depends on the compactor.
        }
        let expected = if start < self.model.compacted {
            vec![format!("compacted {}", self.model.compacted)]
        } else {
            let wanted = |h: &&Happened| h.at >= start && contains(range, &h.key);
            let changes = self.model.happened.iter().filter(wanted);
            changes.map(|happened| self.event_text(happened)).collect()
        };
        assert_eq!(drain(&stream, expected.len(), true), expected, "{range:?} from {start}");
    }

    fn event_text(&self, happened: &Happened) -> String {
        let known = happened.create != happened.at && happened.at > self.model.compacted;
        let before = self.model.at(&happened.key, happened.at - 1).filter(|_| known);
        format!("{} was {:?}", happened.text(), before.map(Happened::text))
    }

    /// Nothing unreachable stays in memory.
    fn wait_until_compacted(&self, empty_bytes: u64) {
        let kept: usize = self.model.kept().map(|kept| record(kept).size_bytes()).sum();
        let bytes = empty_bytes + kept as u64;
        for turn in 0..30_000 {
            if self.engine.status().db_size_bytes == bytes {
                return;
            }
            // Mostly it is there at once; on a busy machine it may take the better part of a second.
            match turn {
                ..1_000 => std::thread::yield_now(),
                _ => std::thread::park_timeout(Duration::from_millis(1)),
            }
        }
        panic!("{} bytes where the model keeps {bytes}", self.engine.status().db_size_bytes);
    }

    /// What can be seen after every step.
    fn check(&mut self) {
        let status = self.engine.status();
        let model = &self.model;
        assert_eq!(
            (status.revision.0, status.compact_revision.0),
            (model.revision, model.compacted)
        );
        let all = KeyRange { key: "\0".into(), end: "\0".into() };
        let request = RangeRequest { range: all, ..RangeRequest::default() };
        let got = range_text(&self.engine.range(&request).expect("the latest revision"));
        assert_eq!(got, model.read(&request));
        assert_eq!(status.keys, model.range(&request.range, model.revision).len() as u64);
        for (id, lease) in &model.leases {
            let status = self.engine.lease_status(LeaseId(*id), true).expect("a live lease");
            assert_eq!(status.granted_ttl_s, lease.ttl_s);
            assert_eq!(status.remaining_ttl_s, lease.deadline_s - model.now_s);
            assert_eq!(status.keys, model.lease_keys(*id));
        }
        let new = model.happened.iter().skip(self.handed);
        let expected: Vec<String> = new.map(|h| format!("{} was None", h.text())).collect();
        assert_eq!(drain(&self.standing, expected.len(), false), expected, "as it happens");
        self.handed = model.happened.len();
    }
}

fn watch_all(engine: &Engine, start: i64) -> WatchStream {
    let stream = engine.watch_stream(Arc::new(Quiet)).expect("an open store");
    let range = KeyRange { key: "\0".into(), end: "\0".into() };
    let start_revision = Revision(start);
    let request = WatchRequest { range, start_revision, ..Default::default() };
    stream.create(request).expect("a watcher");
    stream
}

/// Takes little by little until as much came as is expected, and then whatever else is there.
fn drain(stream: &WatchStream, expected: usize, prev_kv: bool) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..10_000_000 {
        let items = stream.take(if prev_kv { 1 } else { 200 });
        if items.is_empty() && texts.len() >= expected {
            return texts;
        }
        for item in items {
            match item {
                WatchItem::Events { events, .. } => texts.extend(events.iter().map(|event| {
                    let before = event.previous.as_ref().map(record_text);
                    format!("{} was {before:?}", record_text(&event.record))
                })),
                WatchItem::Compacted { compact_revision, .. } => {
                    texts.push(format!("compacted {}", compact_revision.0));
                }
                other => panic!("got {other:?}"),
            }
        }
        std::thread::yield_now();
    }
    panic!("only {texts:?} came of {expected}");
}

fn record(happened: &Happened) -> Record {
    let mod_revision = Revision(happened.at);
    let sub_revision = u32::try_from(happened.sub).expect("few changes");
    let Some(value) = &happened.value else {
        return Record::tombstone(&happened.key, mod_revision, sub_revision);
    };
    Record::put(&Version {
        key: &happened.key,
        value,
        create_revision: Revision(happened.create),
        mod_revision,
        sub_revision,
        version: happened.version,
        lease: LeaseId(happened.lease),
    })
}

fn record_text(record: &Record) -> String {
    let happened = Happened {
        key: record.key().to_vec(),
        at: record.mod_revision().0,
        sub: record.sub_revision() as usize,
        create: record.create_revision().0,
        version: record.version(),
        lease: record.lease().0,
        value: (!record.is_tombstone()).then(|| record.value().to_vec()),
    };
    happened.text()
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(record_text).collect()
}

fn range_text(result: &RangeResult) -> String {
    let RangeResult { revision, records, count, more } = result;
    format!("range @{} count {count} more {more} {:?}", revision.0, texts(records))
}

fn txn_text(result: &TxnResult) -> String {
    let of_one = |result: &OperationResult| match result {
        OperationResult::Range(range) => range_text(range),
        OperationResult::Put(put) => outcome_text(&Outcome::Put(put.clone())),
        OperationResult::DeleteRange(delete) => outcome_text(&Outcome::DeleteRange(delete.clone())),
        OperationResult::Txn(txn) => txn_text(txn),
    };
    let texts: Vec<String> = result.results.iter().map(of_one).collect();
    format!("txn {} {texts:?}", result.succeeded)
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Put(put) => {
            format!("put @{} was {:?}", put.revision.0, put.previous.as_ref().map(record_text))
        }
        Outcome::DeleteRange(delete) => {
            let texts = texts(&delete.previous);
            format!("delete @{} {} {texts:?}", delete.revision.0, delete.deleted)
        }
        Outcome::Txn(txn) => format!("{} @{}", txn_text(txn), txn.revision.0),
        Outcome::Compact { revision } => format!("compact @{}", revision.0),
        Outcome::LeaseGrant { id, ttl_s, revision } => {
            format!("grant {} {ttl_s} @{}", id.0, revision.0)
        }
        Outcome::LeaseRevoke { revision } => format!("revoke @{}", revision.0),
        Outcome::LeaseKeepAlive { id, ttl_s, revision } => {
            format!("keep {} {ttl_s} @{}", id.0, revision.0)
        }
        Outcome::Copied { .. } | Outcome::Stands => unreachable!("the model has no peers"),
        Outcome::Alarm { .. } => unreachable!("the model has no alarms"),
    }
}

fn refused(error: &Error) -> String {
    let name = format!("{error:?}");
    let end = name.find([' ', '(']).unwrap_or(name.len());
    format!("refused {}", &name[..end])
}
