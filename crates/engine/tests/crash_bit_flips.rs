//! A bit flips in a file of the store. Whatever bit it is: the store is refused with the file's
//! name, or what it serves is exactly what was acknowledged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "crash/dice.rs"]
mod dice;
#[path = "crash/script.rs"]
mod script;
#[path = "crash/tape.rs"]
mod tape;

use std::path::Path;

use decube_engine::OpenError;
use decube_engine::vfs::{Crash, Faulty};

use script::History;
use tape::Tape;

/// A disk with several segments and two checkpoints, and what is on it.
fn disk(seed: u64, close: bool) -> (Faulty, History) {
    let disk = Faulty::new(seed);
    let mut history = History::new();
    for round in 0..3 {
        let log = history.recover(&disk).unwrap();
        history.run(log, 12, seed + round).unwrap();
    }
    let mut log = history.recover(&disk).unwrap();
    for sequence in history.acknowledged + 1..=history.acknowledged + 5 {
        history.written.push(tape::entry(sequence, 115 + sequence * 11));
        log.append(history.written.last().unwrap(), std::time::Duration::ZERO).unwrap();
        history.acknowledged = log.commit().unwrap();
    }
    if close {
        log.close().unwrap();
    }
    (disk.crash(Crash::PowerLost), history)
}

/// Flips bits, one at a time, all over the files: so many in each.
fn flip_everywhere(close: bool, flips_per_file: u64) {
    let (disk, history) = disk(40, close);
    let files = disk.files();
    let precious = [".log", ".checkpoint", "identity"];
    for suffix in precious {
        let mut refused = 0;
        let named = files.iter().filter(|(path, _)| path.to_str().unwrap().ends_with(suffix));
        for (path, bytes) in named {
            // An odd stride meets every bit of a byte.
            let stride = usize::try_from((bytes * 8 / flips_per_file) | 1).unwrap();
            for bit in (0..bytes * 8).step_by(stride) {
                let damaged = disk.crash(Crash::PowerLost);
                assert!(damaged.flip_bit(path, bit));
                refused += u32::from(!check(&damaged, &history, path, bit));
            }
        }
        assert!(refused > 0, "no damage of any {suffix} was noticed");
    }
}

/// Opens a damaged store; true if it serves all there was, false if it refuses as it should.
fn check(damaged: &Faulty, history: &History, path: &Path, bit: u64) -> bool {
    let place = format!("bit {bit} of {}", path.display());
    match Tape::open(damaged) {
        Ok((log, tape)) => {
            let found = tape.prefix_of(&history.written).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(found, history.acknowledged, "{place}: {:?}", log.recovered());
            true
        }
        Err(OpenError::Corrupt { path: named, offset, .. }) => {
            assert_eq!(named, *path, "{place}");
            assert!(offset <= bit / 8, "{place} was named as byte {offset}");
            false
        }
        Err(error) => panic!("{place}: {error:?}"),
    }
}

#[test]
fn a_bit_flipped_after_a_clean_close_is_never_served() {
    flip_everywhere(true, 300);
}

#[test]
fn a_bit_flipped_after_a_loss_of_power_is_never_served() {
    flip_everywhere(false, 290);
}

#[test]
fn a_damaged_checkpoint_is_set_aside_when_the_older_one_and_the_log_reach_as_far() {
    let disk = Faulty::new(40);
    let mut history = History::new();
    let (mut options, location) = tape::options(&disk);
    options.log_retention_bytes = u64::MAX;
    options.log_retention = std::time::Duration::MAX;
    let (log, _) = Tape::open_with(&options, &location).unwrap();
    history.run(log, 40, 7).unwrap();
    let files = disk.files();
    let checkpoints: Vec<_> =
        files.iter().filter(|(path, _)| path.to_str().unwrap().ends_with(".checkpoint")).collect();
    let [_, (newest, bytes)] = checkpoints[..] else { panic!("{checkpoints:?}") };
    assert!(disk.flip_bit(newest, bytes * 4));
    let (log, tape) = Tape::open(&disk).unwrap();
    history.accept(&log, &tape).unwrap();
    let [(aside, reason)] = &log.recovered().checkpoints_set_aside[..] else {
        panic!("{:?}", log.recovered());
    };
    assert_eq!(aside.to_str().unwrap(), format!("{}.damaged", newest.display()));
    assert!(reason.contains("is damaged at byte"), "{reason}");
    drop(log);
    let (log, _) = Tape::open(&disk).unwrap();
    assert_eq!(log.recovered().checkpoints_set_aside, []);
}
