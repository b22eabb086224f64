//! The log on a disk that fails: a scripted run, with a fault at each of its IO calls, and each way
//! a process can end. Recovery keeps all that was acknowledged, possibly whole entries after it,
//! and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "crash/dice.rs"]
mod dice;
#[path = "support/effort.rs"]
mod effort;
#[path = "crash/script.rs"]
mod script;
#[path = "crash/tape.rs"]
mod tape;

use decube_engine::Error;
use decube_engine::vfs::{Crash, Errno, Fault, Faulty};

use dice::Dice;
use script::History;
use tape::Tape;

const CRASHES: [Crash; 3] = [Crash::Process, Crash::PowerLost, Crash::PowerTorn];
const FAULTS: [Fault; 4] = [
    Fault::Halt,
    Fault::Fail(Errno::Io),
    Fault::Fail(Errno::NoSpace),
    Fault::Short(Errno::NoSpace),
];
const STEPS: u64 = 12;

/// The scripts to try: a few, or many.
fn seeds(few: u64) -> std::ops::Range<u64> {
    0..few * effort::effort()
}

/// Runs the script of this seed on a new disk, with a fault at one call (0: none).
fn run(seed: u64, call: u64, fault: Fault) -> (Faulty, History, Result<(), Error>) {
    let disk = Faulty::new(seed);
    disk.inject(call, fault);
    let mut history = History::new();
    let ended = match Tape::open(&disk) {
        Ok((log, _)) => history.run(log, STEPS, seed),
        Err(_) => Ok(()),
    };
    (disk, history, ended)
}

/// Recovers, runs a second script, ends it without warning, and recovers again: the first crash
/// must not have left anything that comes to light later.
fn recover_twice(disk: &Faulty, history: &mut History, seed: u64) -> Result<(), String> {
    let log = history.recover(disk)?;
    history.run(log, 3, seed).map_err(|error| format!("second run: {error}"))?;
    for crash in CRASHES {
        let mut history =
            History { written: history.written.clone(), acknowledged: history.acknowledged };
        history
            .recover(&disk.crash(crash))
            .map_err(|error| format!("second recovery, {crash:?}: {error}"))?;
    }
    Ok(())
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    for seed in seeds(1) {
        let (whole, ..) = run(seed, 0, Fault::Halt);
        for call in 1..=whole.calls() {
            for fault in FAULTS {
                for crash in CRASHES {
                    let (disk, mut history, _) = run(seed, call, fault);
                    let found = disk.crash(crash);
                    recover_twice(&found, &mut history, call).unwrap_or_else(|error| {
                        panic!(
                            "seed {seed}, {fault:?} at call {call} ({}), {crash:?}: {error}",
                            whole.describe(call)
                        )
                    });
                }
            }
        }
    }
}

#[test]
fn a_crash_at_any_call_of_recovery_loses_nothing_either() {
    for seed in seeds(3) {
        let (whole, ..) = run(seed, 0, Fault::Halt);
        let mut dice = Dice(seed);
        for _ in 0..3 {
            let (disk, history, _) = run(seed, dice.roll(whole.calls()) + 1, Fault::Halt);
            let first = CRASHES[usize::try_from(dice.roll(3)).unwrap()];
            crash_in_recovery(&disk.crash(first), &history, seed);
        }
    }
}

/// Puts a fault at each call of the recovery of this disk, ends that too, and recovers.
fn crash_in_recovery(disk: &Faulty, history: &History, seed: u64) {
    let whole = disk.crash(Crash::Process);
    drop(Tape::open(&whole).unwrap());
    for call in 1..=whole.calls() {
        for (fault, crash) in
            FAULTS.into_iter().flat_map(|fault| CRASHES.map(|crash| (fault, crash)))
        {
            let found = disk.crash(Crash::Process);
            found.inject(call, fault);
            drop(Tape::open(&found));
            let mut history =
                History { written: history.written.clone(), acknowledged: history.acknowledged };
            recover_twice(&found.crash(crash), &mut history, call).unwrap_or_else(|error| {
                panic!(
                    "seed {seed}, {fault:?} at call {call} ({}) of recovery, {crash:?}: {error}",
                    whole.describe(call)
                )
            });
        }
    }
}

#[test]
fn after_an_io_error_the_log_refuses_to_go_on_and_says_why() {
    for fault in [Fault::Fail(Errno::NoSpace), Fault::Short(Errno::NoSpace)] {
        let disk = Faulty::new(1);
        let (mut log, _) = Tape::open(&disk).unwrap();
        let wall = std::time::Duration::ZERO;
        log.append(&tape::entry(1, 9), wall).unwrap();
        disk.inject(disk.calls() + 1, fault);
        let reason = match log.commit().unwrap_err() {
            Error::Latched { reason } => reason,
            other => panic!("{other}"),
        };
        assert_eq!(
            &*reason,
            "write /store/log/00000000000000000001.log: No space left on device (os error 28)"
        );
        let calls = disk.calls();
        assert!(matches!(log.append(&tape::entry(2, 9), wall), Err(Error::Latched { .. })));
        assert!(matches!(log.commit(), Err(Error::Latched { .. })));
        assert!(matches!(log.close(), Err(Error::Latched { .. })));
        assert_eq!(disk.calls(), calls, "it touched the disk again");
    }
}

#[test]
fn a_full_disk_stops_the_log_and_room_brings_it_back() {
    let disk = Faulty::new(2);
    disk.set_capacity(20_000);
    let mut history = History::new();
    let log = history.recover(&disk).unwrap();
    let stopped = history.run(log, 100, 2).unwrap_err();
    assert!(stopped.to_string().contains("No space left on device"), "{stopped}");
    let acknowledged = history.acknowledged;
    disk.set_capacity(u64::MAX);
    let log = history.recover(&disk).unwrap();
    assert!(history.acknowledged >= acknowledged && acknowledged > 0);
    history.run(log, 100, 3).unwrap();
}

#[test]
fn a_failed_checkpoint_leaves_the_log_going() {
    let (whole, ..) = run(5, 0, Fault::Halt);
    let checkpoints =
        (1..=whole.calls()).filter(|call| whole.describe(*call).contains(".checkpoint"));
    let mut count = 0;
    for call in checkpoints {
        let (_, history, ended) = run(5, call, Fault::Fail(Errno::Io));
        ended.unwrap();
        assert_eq!(history.acknowledged, history.written.len() as u64);
        count += 1;
    }
    assert!(count > 5, "the script should write checkpoints");
}
