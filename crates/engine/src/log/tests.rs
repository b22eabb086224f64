use std::path::Path;

use super::*;
use crate::clock::ManualClock;
use crate::entry::{Frame, ImageItem};
use crate::record::{Record, Version};
use crate::types::{Alarm, AlarmKind, LeaseId};
use crate::vfs::{Crash, Disk, Faulty, Vfs};
use crate::{Storage, log::header::FileKind};

/// Takes frames and counts them.
#[derive(Debug, Default)]
struct Count(u64);

impl Replay for Count {
    fn restart(&mut self) {
        self.0 = 0;
    }

    fn item(&mut self, _: ImageItem) -> Result<(), String> {
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        self.0 += 1;
        if frame.term == 1 { Ok(()) } else { Err("another term".into()) }
    }
}

fn open(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Log, OpenError> {
    let location = LogLocation { log_dir: dir.join("l"), checkpoint_dir: dir.join("c"), vfs };
    let mut options = Options::new(Storage::Log(location.clone()));
    options.segment_bytes = 1 << 16;
    Log::open(&options, &location, &mut Count::default())
}

fn put(revision: i64, value: &[u8]) -> Entry {
    let revision = Revision(revision);
    let record = Record::put(&Version {
        key: b"key",
        value,
        create_revision: revision,
        mod_revision: revision,
        sub_revision: 0,
        version: 1,
        lease: LeaseId(9),
    });
    Entry::Write { revision, records: vec![record, Record::tombstone(b"gone", revision, 1)] }
}

fn commit(log: &mut Log, entry: &Entry) -> u64 {
    log.append(entry, Duration::from_secs(1)).unwrap();
    log.commit().unwrap()
}

fn checkpoint(log: &Log) {
    checkpoint_of(log, None);
}

fn checkpoint_of(log: &Log, record: Option<Record>) {
    let head = ImageHead {
        sequence: log.durable_sequence(),
        term: 1,
        revision: Revision(2),
        compact_revision: Revision(-1),
    };
    let mut writer = log.begin_checkpoint(head);
    if let Some(record) = record {
        writer.push(&ImageItem::Record(record)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_store_on_the_real_disk_comes_back_and_keeps_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(Arc::new(Disk), dir.path()).unwrap();
    let identity = log.identity();
    assert!(identity.cluster_id != 0 && identity.member_id != 0);
    for round in 0..3 {
        assert_eq!(commit(&mut log, &put(round * 2 + 2, b"one")), round.unsigned_abs() * 2 + 1);
        log.upkeep().run().unwrap();
        commit(&mut log, &put(round * 2 + 3, &vec![7; 70_000]));
        checkpoint(&log);
        if round == 1 {
            log.close().unwrap();
        } else {
            drop(log);
        }
        log = open(Arc::new(Disk), dir.path()).unwrap();
        assert_eq!(log.identity(), identity);
        assert_eq!(log.recovered().sequence, round.unsigned_abs() * 2 + 2);
    }
}

#[test]
fn upkeep_takes_the_room_for_the_next_segment_from_the_expired_ones() {
    let disk = Faulty::new(1);
    let clock = Arc::new(ManualClock::new());
    let dir = Path::new("/d").to_owned();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location.clone()));
    options.segment_bytes = 1 << 16;
    options.clock = Arc::<ManualClock>::clone(&clock);
    let mut log = Log::open(&options, &location, &mut Count::default()).unwrap();
    for revision in 2..5 {
        commit(&mut log, &put(revision, &vec![7; 40_000]));
    }
    checkpoint(&log);
    disk.set_capacity(disk.files().iter().map(|(_, bytes)| bytes).sum());
    assert!(log.upkeep().run().is_err(), "nothing is expired yet, and the disk is full");
    clock.advance(options.log_retention * 2);
    log.upkeep().run().unwrap();
}

/// A log of segments of 64 KiB in `/`, with what else the test sets.
fn open_with(disk: &Faulty, set: impl FnOnce(&mut Options)) -> Log {
    let dir = Path::new("/").to_owned();
    let location =
        LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs: Arc::new(disk.clone()) };
    let mut options = Options::new(Storage::Log(location.clone()));
    options.segment_bytes = 1 << 16;
    set(&mut options);
    Log::open(&options, &location, &mut Count::default()).unwrap()
}

fn files_ending(disk: &Faulty, suffix: &str) -> usize {
    disk.files().iter().filter(|(path, _)| path.to_string_lossy().ends_with(suffix)).count()
}

#[test]
fn as_many_checkpoints_and_covered_segments_are_kept_as_asked_for() {
    for (kept, segments_max, segments) in [(1, Some(0), 1), (3, Some(2), 3), (2, None, 6)] {
        let disk = Faulty::new(1);
        let mut log = open_with(&disk, |options| {
            options.checkpoints_kept = kept;
            options.covered_segments_max = segments_max;
        });
        for revision in 2..8 {
            commit(&mut log, &put(revision, &vec![7; 40_000]));
            checkpoint(&log);
        }
        assert_eq!(files_ending(&disk, ".checkpoint"), kept);
        assert_eq!(files_ending(&disk, ".log"), segments, "the active one, and those covered");
    }
}

#[test]
fn a_checkpoint_is_due_when_there_is_as_much_log_as_it_will_be_long() {
    let disk = Faulty::new(1);
    let mut log = open_with(&disk, |options| {
        options.checkpoint_bytes_min = 10_000;
        options.checkpoint_entries_min = 0;
    });
    let entry = put(2, &vec![7; 100_000]);
    commit(&mut log, &entry);
    let Entry::Write { records, .. } = entry else { panic!("it is one") };
    checkpoint_of(&log, records.into_iter().next());
    commit(&mut log, &put(3, &vec![7; 50_000]));
    assert!(!log.checkpoint_due(100_000));
    assert!(log.checkpoint_due(40_000), "a compaction made the state small");
    checkpoint(&log);
    commit(&mut log, &put(4, &vec![7; 5_000]));
    assert!(!log.checkpoint_due(100), "there is a least length");
}

#[test]
fn a_checkpoint_waits_for_its_entries_but_not_for_ever() {
    let limits = |options: &mut Options| {
        options.checkpoint_bytes_min = 10_000;
        options.checkpoint_entries_min = 5;
    };
    let disk = Faulty::new(1);
    let mut log = open_with(&disk, limits);
    let due_after = |log: &mut Log, bytes: usize| {
        let first = log.durable_sequence() + 1;
        (first..first + 9).find(|sequence| {
            commit(log, &put(i64::try_from(*sequence).unwrap() + 1, &vec![7; bytes]));
            log.checkpoint_due(u64::MAX)
        })
    };
    assert_eq!(due_after(&mut log, 4_000), Some(5), "three entries are long enough, but few");
    checkpoint(&log);
    assert_eq!(due_after(&mut log, 30_000), Some(7), "four times as long is enough");
    checkpoint(&log);
    drop(log);
    let mut log = open_with(&disk, limits);
    assert_eq!(due_after(&mut log, 4_000), Some(12), "a restart counts on");
}

#[test]
fn a_store_in_use_is_refused_with_the_pid_of_its_user() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(Arc::new(Disk), dir.path()).unwrap();
    let refused = open(Arc::new(Disk), dir.path());
    let pid = std::process::id();
    assert!(matches!(refused, Err(OpenError::Locked { pid: found, .. }) if found == pid));
    let upkeep = log.upkeep();
    log.close().unwrap();
    assert!(open(Arc::new(Disk), dir.path()).is_err(), "upkeep may still write");
    drop(upkeep);
    open(Arc::new(Disk), dir.path()).unwrap();
}

#[test]
fn a_newer_format_of_any_file_is_refused_with_both_versions() {
    let disk = Faulty::new(1);
    let mut log = open(Arc::new(disk.clone()), Path::new("/")).unwrap();
    commit(&mut log, &put(2, b"x"));
    checkpoint(&log);
    log.close().unwrap();
    let files = disk.files().into_iter().filter(|(path, _)| !path.ends_with("lock"));
    let mut count = 0;
    for (newer, _) in files {
        let found = disk.crash(Crash::Process);
        header::raise_version(&*found.open(&newer).unwrap());
        let refused = open(Arc::new(found), Path::new("/")).unwrap_err();
        let OpenError::NewerFormat { path, found: 2, supported: 1 } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(path, newer);
        count += 1;
    }
    assert_eq!(count, 3, "a segment, a checkpoint and the identity");
}

#[test]
fn files_of_two_stores_are_not_mixed() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&one, &other] {
        let mut log = open(Arc::new(Disk), dir.path()).unwrap();
        commit(&mut log, &put(2, b"x"));
        checkpoint(&log);
        log.close().unwrap();
    }
    std::fs::remove_dir_all(one.path().join("c")).unwrap();
    std::fs::rename(other.path().join("c"), one.path().join("c")).unwrap();
    let refused = open(Arc::new(Disk), one.path()).unwrap_err();
    assert!(refused.to_string().contains("belongs to another store"), "{refused}");
}

#[test]
fn a_missing_log_or_identity_is_refused_not_begun_anew() {
    for missing in ["l/00000000000000000001.log", "l/identity"] {
        let disk = Faulty::new(1);
        let mut log = open(Arc::new(disk.clone()), Path::new("/")).unwrap();
        commit(&mut log, &put(2, b"x"));
        log.close().unwrap();
        disk.remove(&Path::new("/").join(missing)).unwrap();
        let refused = open(Arc::new(disk), Path::new("/")).unwrap_err();
        let OpenError::Corrupt { path, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(path, Path::new("/").join(missing));
    }
}

#[test]
fn a_checkpoint_of_a_state_that_was_replaced_is_thrown_away() {
    let disk = Faulty::new(1);
    let mut log = open_with(&disk, |_| {});
    commit(&mut log, &put(2, b"x"));
    let of_old = ImageHead { sequence: 1, term: 1, ..ImageHead::default() };
    let writer = log.begin_checkpoint(of_old);
    let new = ImageHead { sequence: 100, term: 1, revision: Revision(9), ..ImageHead::default() };
    let mut image = log.journal().begin_install(&new).unwrap().unwrap();
    image.finish().unwrap();
    log.install(image, log.identity(), &new, LogBefore::Removed).unwrap();
    writer.finish().unwrap();
    let names = disk.files().into_iter().map(|(path, _)| path.display().to_string());
    let names: Vec<_> = names.filter(|name| !name.contains("spare")).collect();
    let expected = ["/00000000000000000100.checkpoint", "/00000000000000000101.log", "/identity"];
    assert_eq!(names, [&expected[..], &["/lock"]].concat());
    assert_eq!(commit(&mut log, &put(10, b"y")), 101);
}

/// Recorded bytes of every kind of frame, of headers and of a checkpoint's parts. If this fails the
/// format has changed: raise [`FORMAT_VERSION`], keep reading version 1, and describe the change in
/// `docs/store-format.md`.
#[test]
fn the_bytes_of_format_version_1_are_as_recorded() {
    assert_eq!(FORMAT_VERSION, 1);
    let id = LeaseId(-2);
    let expires_at = Duration::from_nanos(77);
    let entries = [
        put(5, b"value"),
        Entry::LeaseGrant { id, ttl_s: 60, expires_at },
        Entry::LeaseKeepAlive { id, expires_at },
        Entry::LeaseEnd { id, revision: Revision(5) },
        Entry::Compact { revision: Revision(3) },
        Entry::Alarm { alarm: Alarm { member_id: 4, kind: AlarmKind::NoSpace }, raised: true },
    ];
    let wall = Duration::from_nanos(99);
    let stamp = Stamp { sequence: 17, term: 1, wall, revision: Revision(5) };
    let place = Place { salt: 0x0403_0201, in_commit: 2, stamp };
    let mut bytes = Vec::new();
    for entry in &entries {
        frame::encode(&mut bytes, &place, entry).unwrap();
    }
    frame::encode_closed(&mut bytes, &place);
    for kind in [FileKind::Identity, FileKind::Segment, FileKind::Checkpoint] {
        bytes.extend(header::sample(kind).encode());
    }
    bytes.extend(crate::image::sample());
    let text: String = bytes
        .chunks(32)
        .flat_map(|line| line.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]))
        .collect();
    assert_eq!(text, include_str!("format_v1.hex"), "bytes now:\n{text}");
}
