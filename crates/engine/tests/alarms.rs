//! The quota, and the alarm that it raises: as etcd's, which was tried beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use decube_engine::vfs::{Crash, Faulty};
use decube_engine::{
    Alarm, AlarmKind, Command, Engine, Error, InstallMode, LeaseId, LogLocation, Operation,
    Options, Outcome, Revision, Storage, TxnRequest,
};
use support::{delete, get, put, put_request, range, range_request};

const QUOTA_BYTES: u64 = 100_000;

fn open(disk: &Faulty) -> Engine {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location));
    options.quota_bytes = Some(QUOTA_BYTES);
    options.checkpoint_bytes_min = 1_000;
    options.segment_bytes = 1 << 17;
    Engine::open(options).unwrap()
}

/// Writes until it is refused.
fn fill(engine: &Engine) {
    for number in 0..100 {
        let value = "v".repeat(10_000);
        let result = engine.execute(Command::Put(put_request(&format!("big-{number}"), &value)));
        if matches!(result, Err(Error::NoSpace)) {
            return;
        }
        result.unwrap();
    }
    panic!("the quota was never met");
}

fn refused(engine: &Engine, command: Command) {
    let error = engine.execute(command).unwrap_err();
    assert!(matches!(error, Error::NoSpace), "{error}");
}

fn our_alarm(engine: &Engine) -> Alarm {
    Alarm { member_id: engine.status().member_id, kind: AlarmKind::NoSpace }
}

fn end(engine: &Engine, alarm: Alarm) -> Option<Alarm> {
    match engine.execute(Command::Alarm { alarm, raised: false }).unwrap() {
        Outcome::Alarm { alarm, .. } => alarm,
        other => panic!("{other:?}"),
    }
}

fn txn(success: Vec<Operation>, failure: Vec<Operation>) -> Command {
    Command::Txn(TxnRequest { compares: Vec::new(), success, failure })
}

#[test]
fn the_first_write_above_the_quota_raises_an_alarm_that_refuses_even_small_ones() {
    let engine = open(&Faulty::new(1));
    engine.execute(Command::LeaseGrant { id: LeaseId(1), ttl_s: 100 }).unwrap();
    assert_eq!(engine.status().alarms, []);
    fill(&engine);
    assert_eq!(engine.status().alarms, [our_alarm(&engine)]);
    let small = || put_request("small", "");
    refused(&engine, Command::Put(small()));
    let mut unleased = small();
    unleased.lease = LeaseId(99);
    refused(&engine, Command::Put(unleased));
    refused(&engine, txn(vec![], vec![Operation::Put(small())]));
    let nested = TxnRequest { success: vec![Operation::Put(small())], ..TxnRequest::default() };
    refused(&engine, txn(vec![Operation::Txn(nested)], vec![]));
    refused(&engine, Command::LeaseGrant { id: LeaseId(2), ttl_s: 100 });
}

#[test]
fn what_needs_no_room_goes_on_under_the_alarm() {
    let engine = open(&Faulty::new(1));
    engine.execute(Command::LeaseGrant { id: LeaseId(1), ttl_s: 100 }).unwrap();
    fill(&engine);
    assert_eq!(delete(&engine, "big-0").0, 1);
    let deletes = vec![Operation::DeleteRange(range("big-1").into_delete())];
    engine.execute(txn(deletes, vec![Operation::Range(range_request("big-2"))])).unwrap();
    assert!(get(&engine, "big-2", 0).is_some());
    engine.execute(Command::LeaseKeepAlive { id: LeaseId(1) }).unwrap();
    engine.execute(Command::LeaseRevoke { id: LeaseId(1) }).unwrap();
    engine.execute(Command::Compact(engine.revision())).unwrap();
}

#[test]
fn room_alone_does_not_end_the_alarm_and_ending_it_alone_makes_no_room() {
    let engine = open(&Faulty::new(1));
    fill(&engine);
    let alarm = our_alarm(&engine);
    assert_eq!(end(&engine, alarm), Some(alarm));
    refused(&engine, Command::Put(put_request("big", &"v".repeat(20_000))));
    assert_eq!(engine.status().alarms, [alarm], "it is raised again");
    for number in 0..9 {
        delete(&engine, &format!("big-{number}"));
    }
    engine.execute(Command::Compact(engine.revision())).unwrap();
    while engine.status().db_size_bytes > QUOTA_BYTES / 2 {
        std::thread::yield_now();
    }
    refused(&engine, Command::Put(put_request("small", "")));
    assert_eq!(end(&engine, alarm), Some(alarm));
    assert_eq!(end(&engine, alarm), None, "there is none any more");
    put(&engine, "small", "");
    assert_eq!(engine.status().alarms, []);
}

#[test]
fn an_alarm_survives_any_end_of_the_process_in_the_log_and_in_a_checkpoint() {
    let disk = Faulty::new(1);
    let engine = open(&disk);
    fill(&engine);
    let raised = engine.status().alarms;
    let found = disk.crash(Crash::PowerLost);
    let engine = open(&found);
    assert_eq!(engine.status().alarms, raised);
    refused(&engine, Command::Put(put_request("small", "")));
    for number in 0..9 {
        delete(&engine, &format!("big-{number}"));
    }
    let sequence = engine.status().log_sequence;
    engine.close();
    let engine = open(&found);
    assert_eq!((engine.status().alarms, engine.status().log_sequence), (raised, sequence));
}

#[test]
fn an_operator_may_raise_an_alarm_and_a_restore_ends_it() {
    let engine = open(&Faulty::new(1));
    put(&engine, "key", "");
    let mut image = engine.image(false).unwrap();
    let bytes = image.take(usize::MAX).unwrap();
    let alarm = Alarm { member_id: 5, kind: AlarmKind::NoSpace };
    for _ in 0..2 {
        let outcome = engine.execute(Command::Alarm { alarm, raised: true }).unwrap();
        let revision = Revision(2);
        assert!(matches!(outcome, Outcome::Alarm { alarm: Some(told), revision: at }
                if told == alarm && at == revision));
    }
    refused(&engine, Command::Put(put_request("small", "")));
    let with_alarm = engine.image(false).unwrap().take(usize::MAX).unwrap();
    for bytes in [bytes, with_alarm] {
        let mut installer = engine.installer(InstallMode::Restore).unwrap();
        installer.push(&bytes).unwrap();
        installer.commit().unwrap();
        assert_eq!(engine.status().alarms, []);
        put(&engine, "small", "");
    }
}
