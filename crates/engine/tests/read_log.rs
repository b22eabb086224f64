//! What the log of a store that does not run says was done.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decube_engine::vfs::{Crash, Faulty};
use decube_engine::{
    Command, Engine, Entry, Frame, LeaseId, LogLocation, OpenError, Options, Revision, Storage,
    read_log,
};
use support::{delete, put, put_request};

const DIR: &str = "/store";

fn open(disk: &Faulty) -> Engine {
    let vfs = Arc::new(disk.clone());
    let (log_dir, checkpoint_dir) = (PathBuf::from(DIR), PathBuf::from(DIR));
    let mut options = Options::new(Storage::Log(LogLocation { log_dir, checkpoint_dir, vfs }));
    options.segment_bytes = 4_000;
    Engine::open(options).unwrap()
}

fn read(disk: &Faulty) -> Result<Vec<(Frame, Revision)>, OpenError> {
    let mut found = Vec::new();
    read_log(disk, Path::new(DIR), |frame, revision| {
        found.push((frame, revision));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Kind, revision and keys, short.
fn told((frame, revision): &(Frame, Revision)) -> String {
    let text = match &frame.entry {
        Entry::Write { records, .. } => {
            let key = |record: &decube_engine::Record| {
                let sign = if record.is_tombstone() { '-' } else { '+' };
                format!("{sign}{}", record.key().escape_ascii())
            };
            records.iter().map(key).collect::<Vec<_>>().join(" ")
        }
        Entry::LeaseGrant { id, .. } => format!("grant {}", id.0),
        Entry::LeaseEnd { id, .. } => format!("end {}", id.0),
        Entry::Compact { revision } => format!("compact {}", revision.0),
        other => format!("{other:?}"),
    };
    format!("{} {text}", revision.0)
}

#[test]
fn the_log_tells_what_was_done_in_order_through_crashes_and_segments() {
    let disk = Faulty::new(1);
    let engine = open(&disk);
    engine.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 60 }).unwrap();
    let mut leased = put_request("a", "1");
    leased.lease = LeaseId(7);
    engine.execute(Command::Put(leased)).unwrap();
    put(&engine, "b", "1");
    delete(&engine, "nothing");
    delete(&engine, "b");
    let disk = disk.crash(Crash::PowerLost);
    let engine = open(&disk);
    engine.execute(Command::LeaseRevoke { id: LeaseId(7) }).unwrap();
    engine.execute(Command::Compact(Revision(3))).unwrap();
    for _ in 0..200 {
        put(&engine, "c", "long enough for more than one segment");
    }
    engine.close();
    let found = read(&disk).unwrap();
    let first: Vec<_> = found.iter().take(7).map(told).collect();
    assert_eq!(first, ["1 grant 7", "2 +a", "3 +b", "4 -b", "5 end 7", "5 compact 3", "6 +c"]);
    let sequences: Vec<_> = found.iter().map(|(frame, _)| frame.sequence).collect();
    assert_eq!(sequences, (1..=206).collect::<Vec<_>>());
    assert_eq!(found.last().map(|(_, revision)| revision.0), Some(205));
}

#[test]
fn the_log_of_a_running_store_is_left_alone() {
    let disk = Faulty::new(1);
    let engine = open(&disk);
    assert!(matches!(read(&disk), Err(OpenError::Locked { .. })));
    engine.close();
    assert_eq!(read(&disk).unwrap(), []);
}
