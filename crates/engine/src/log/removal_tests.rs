use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::PIECE_BYTES;
use crate::clock::{Clock, ManualClock};
use crate::entry::{Entry, Frame, ImageHead, ImageItem};
use crate::log::{Log, Replay};
use crate::options::{LogLocation, Options, Storage};
use crate::record::{Record, Version};
use crate::types::{LeaseId, Revision};
use crate::vfs::{Crash, Errno, Fault, Faulty, Vfs as _};

/// More than is given back at once. Two make a segment.
const VALUE_BYTES: usize = 72 << 10;

/// Takes frames and remembers the last revision.
struct Last(Revision);

impl Replay for Last {
    fn restart(&mut self) {}

    fn item(&mut self, _: ImageItem) -> Result<(), String> {
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        if let Entry::Write { revision, .. } = frame.entry {
            self.0 = revision;
        }
        Ok(())
    }
}

/// Time flies.
#[derive(Default)]
struct Hasty(AtomicU64);

impl Clock for Hasty {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(200, Ordering::Relaxed))
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

fn open(disk: &Faulty) -> (Log, Revision) {
    open_by(disk, Arc::new(ManualClock::new()))
}

fn open_by(disk: &Faulty, clock: Arc<dyn Clock>) -> (Log, Revision) {
    let dir = Path::new("/").to_owned();
    let location =
        LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs: Arc::new(disk.clone()) };
    let mut options = Options::new(Storage::Log(location.clone()));
    options.segment_bytes = PIECE_BYTES * 5 / 2;
    options.covered_segments_max = Some(0);
    options.clock = clock;
    let mut last = Last(Revision(1));
    (Log::open(&options, &location, &mut last).unwrap(), last.0)
}

/// A log of three segments; a checkpoint covers the first two.
fn covered(disk: &Faulty) -> Log {
    covered_by(disk, Arc::new(ManualClock::new()))
}

fn covered_by(disk: &Faulty, clock: Arc<dyn Clock>) -> Log {
    let (mut log, _) = open_by(disk, clock);
    for revision in 2..7 {
        let revision = Revision(revision);
        let record = Record::put(&Version {
            key: b"key",
            value: &vec![7; VALUE_BYTES],
            create_revision: revision,
            mod_revision: revision,
            sub_revision: 0,
            version: 1,
            lease: LeaseId::NONE,
        });
        log.append(&Entry::Write { revision, records: vec![record] }, Duration::ZERO).unwrap();
        log.commit().unwrap();
    }
    log
}

fn checkpoint(log: &Log) -> bool {
    let head = ImageHead {
        sequence: log.durable_sequence(),
        term: 1,
        revision: Revision(6),
        compact_revision: Revision(-1),
    };
    log.begin_checkpoint(head).finish().is_ok()
}

fn segments(disk: &Faulty) -> Vec<(PathBuf, u64)> {
    let is_segment = |path: &Path| path.extension().is_some_and(|suffix| suffix == "log");
    disk.files().into_iter().filter(|(path, _)| is_segment(path)).collect()
}

fn left(disk: &Faulty, suffix: &str) -> usize {
    disk.files().iter().filter(|(path, _)| path.to_string_lossy().ends_with(suffix)).count()
}

#[test]
fn a_large_segment_is_cut_before_it_is_removed_and_a_crash_meanwhile_leaves_nothing_of_it() {
    let disk = Faulty::new(1);
    let log = covered(&disk);
    let first = disk.calls() + 1;
    assert!(checkpoint(&log));
    assert_eq!((left(&disk, ".log"), left(&disk, ".removed")), (1, 0));
    let calls = first..=disk.calls();
    let cuts = calls.clone().filter(|call| disk.describe(*call).starts_with("resize"));
    assert_eq!(cuts.count(), 4, "two in each of two segments");
    for crash in [Crash::Process, Crash::PowerLost, Crash::PowerTorn] {
        for call in calls.clone() {
            let disk = Faulty::new(call);
            let log = covered(&disk);
            let whole = segments(&disk);
            disk.inject(call, Fault::Halt);
            assert!(!checkpoint(&log));
            let found = disk.crash(crash);
            let kept = segments(&found);
            assert!(kept.iter().all(|segment| whole.contains(segment)), "{kept:?} of {whole:?}");
            let (log, last) = open(&found);
            let recovered = log.recovered();
            assert_eq!(recovered.sequence, 5, "{}", disk.describe(call));
            assert!(last == Revision(6) || recovered.checkpoint_sequence == 5);
            assert_eq!(left(&found, ".removed"), 0, "{}", disk.describe(call));
        }
    }
}

#[test]
fn what_cannot_be_removed_now_is_removed_later() {
    let disk = Faulty::new(1);
    let log = covered(&disk);
    let first = disk.calls() + 1;
    assert!(checkpoint(&log));
    let removed = (first..=disk.calls()).find(|call| disk.describe(*call).starts_with("remove"));
    let disk = Faulty::new(1);
    let log = covered(&disk);
    disk.inject(removed.unwrap(), Fault::Fail(Errno::Io));
    assert!(!checkpoint(&log));
    assert_eq!(left(&disk, ".removed"), 2);
    log.upkeep().run().unwrap();
    assert_eq!((left(&disk, ".log"), left(&disk, ".removed")), (1, 0));
}

#[test]
fn what_somebody_else_removed_is_in_the_way_of_nothing() {
    let disk = Faulty::new(1);
    let log = covered(&disk);
    let (first, _) = segments(&disk).swap_remove(0);
    disk.remove(&first).unwrap();
    assert!(checkpoint(&log));
    assert_eq!((left(&disk, ".log"), left(&disk, ".removed")), (1, 0));
}

#[test]
fn a_segment_that_somebody_reads_to_its_end_stays_as_it_is() {
    let disk = Faulty::new(1);
    let log = covered(&disk);
    let held = log.shared.hold_segments(&log.shared.housekeeping());
    let whole = segments(&disk);
    assert!(checkpoint(&log));
    assert_eq!(segments(&disk), whole);
    drop(held);
    log.upkeep().run().unwrap();
    assert_eq!((segments(&disk).len(), left(&disk, ".removed")), (1, 0));
}

#[test]
fn whoever_cuts_files_gently_does_other_things_in_between() {
    let disk = Faulty::new(1);
    let log = covered_by(&disk, Arc::new(Hasty::default()));
    assert!(checkpoint(&log));
    let mut turns = 1;
    while left(&disk, ".removed") > 0 {
        assert!(log.upkeep().has_more());
        log.upkeep().run().unwrap();
        turns += 1;
    }
    assert!(turns > 1 && !log.upkeep().has_more(), "{turns}");
    assert_eq!(segments(&disk).len(), 1);
}
