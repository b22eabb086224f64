//! Following the log while it is written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use decube_engine::log::{CopiedFrame, FollowError, FrameReader};
use decube_engine::vfs::{Faulty, Vfs as _};
use decube_engine::{
    Command, Engine, Entry, Follower, LeaseId, LogLocation, Notify, OpenError, Options, Revision,
    Storage, read_side_file,
};
use support::put;

struct Bell(Sender<()>);

impl Notify for Bell {
    fn notify(&self) {
        let _ = self.0.send(());
    }
}

fn bell() -> (Arc<dyn Notify>, Receiver<()>) {
    let (sender, rung) = channel();
    (Arc::new(Bell(sender)), rung)
}

fn on(disk: &Faulty) -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let mut options = Options::new(Storage::Log(location));
    options.segment_bytes = 16 << 10;
    options
}

fn follow(engine: &Engine, from: u64) -> Result<Follower, FollowError> {
    engine.follow(from, bell().0)
}

fn take_all(follower: &mut Follower) -> Vec<CopiedFrame> {
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    while let Some(batch) = follower.take(1_000).expect("the log can be read") {
        let came = reader.push(&batch.bytes).expect("frames");
        assert_eq!(came.first().expect("a frame").stamp(), batch.first);
        assert_eq!(came.last().expect("a frame").stamp(), batch.last);
        frames.extend(came);
    }
    frames
}

fn sequences(frames: &[CopiedFrame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.stamp().sequence).collect()
}

#[test]
fn a_follower_gets_every_frame_from_the_segments_and_then_from_memory() {
    let engine = Engine::open(on(&Faulty::new(1))).unwrap();
    for number in 0..300 {
        put(&engine, &format!("k{number}"), &"x".repeat(100));
    }
    let mut follower = follow(&engine, 1).unwrap();
    assert_eq!(sequences(&take_all(&mut follower)), (1..=300).collect::<Vec<_>>());
    for number in 300..600 {
        put(&engine, &format!("k{number}"), &"x".repeat(100));
    }
    let later = take_all(&mut follower);
    assert_eq!(sequences(&later), (301..=600).collect::<Vec<_>>());
    let last = later.last().unwrap();
    assert_eq!(last.stamp().revision, Revision(601));
    let Entry::Write { records, .. } = last.entry() else { panic!("{last:?}") };
    assert_eq!(records[0].key(), b"k599");
}

#[test]
fn a_follower_starts_anywhere_and_after_a_restart() {
    let disk = Faulty::new(2);
    for _ in 0..3 {
        let engine = Engine::open(on(&disk)).unwrap();
        for number in 0..50 {
            put(&engine, &format!("k{number}"), &"x".repeat(100));
        }
        engine.close();
    }
    let engine = Engine::open(on(&disk)).unwrap();
    put(&engine, "last", "x");
    for from in [1, 2, 50, 51, 52, 100, 150, 151] {
        let mut follower = follow(&engine, from).unwrap();
        assert_eq!(sequences(&take_all(&mut follower)), (from..=151).collect::<Vec<_>>());
    }
    assert!(take_all(&mut follow(&engine, 152).unwrap()).is_empty());
    let ahead = follow(&engine, 153).err();
    assert!(matches!(ahead, Some(FollowError::Ahead { wanted: 153, last: 151 })), "{ahead:?}");
}

#[test]
fn a_follower_is_woken_by_what_is_published_and_by_the_end() {
    let engine = Engine::open(on(&Faulty::new(3))).unwrap();
    let (notify, rung) = bell();
    let mut follower = engine.follow(1, notify).unwrap();
    assert!(follower.take(1_000).unwrap().is_none());
    engine.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 60 }).unwrap();
    rung.recv_timeout(Duration::from_secs(30)).expect("it is woken");
    assert_eq!(sequences(&take_all(&mut follower)), [1]);
    engine.close();
    rung.recv_timeout(Duration::from_secs(30)).expect("it is woken");
    assert!(matches!(follower.take(1_000), Err(FollowError::Closed)));
}

#[test]
fn frames_that_were_removed_are_told_with_where_the_log_begins() {
    let disk = Faulty::new(4);
    let mut options = on(&disk);
    options.checkpoint_bytes_min = 16 << 10;
    options.log_retention_bytes = 0;
    let engine = Engine::open(options).unwrap();
    let mut slow = follow(&engine, 1).unwrap();
    let gone = |engine: &Engine| matches!(follow(engine, 1), Err(FollowError::TooOld { .. }));
    let mut number = 0;
    while !gone(&engine) {
        put(&engine, &format!("k{}", number % 10), &"x".repeat(1_000));
        number += 1;
        assert!(number < 100_000, "the first segment is never removed");
    }
    let Err(FollowError::TooOld { wanted: 1, first }) = follow(&engine, 1) else { panic!() };
    assert_eq!(take_all(&mut follow(&engine, first).unwrap())[0].stamp().sequence, first);
    // What it did not read in time may still be in memory, but never with a gap.
    match slow.take(1_000) {
        Ok(Some(batch)) => assert_eq!(batch.first.sequence, 1),
        other => assert!(matches!(other, Err(FollowError::TooOld { .. })), "{other:?}"),
    }
}

#[test]
fn frames_are_checked_however_the_stream_is_cut() {
    let engine = Engine::open(on(&Faulty::new(5))).unwrap();
    for number in 0..20 {
        put(&engine, &format!("k{number}"), "value");
    }
    let batch = follow(&engine, 1).unwrap().take(1 << 20).unwrap().unwrap();
    let mut reader = FrameReader::default();
    let came: Vec<_> =
        batch.bytes.chunks(7).flat_map(|piece| reader.push(piece).unwrap()).collect();
    assert_eq!(sequences(&came), (1..=20).collect::<Vec<_>>());
    for at in 0..batch.bytes.len() {
        let mut damaged = batch.bytes.to_vec();
        damaged[at] ^= 0x10;
        let read = FrameReader::default().push(&damaged);
        // A damaged length may leave the rest of the stream waiting for more.
        assert!(read.map_or(true, |frames| frames.len() < 20), "byte {at} may not matter");
    }
}

#[test]
fn a_store_in_memory_has_no_log_to_follow() {
    let refused = follow(&support::engine(), 1).err();
    assert!(matches!(refused, Some(FollowError::NoLog)), "{refused:?}");
}

#[test]
fn what_is_damaged_is_told_by_name_and_all_else_is_kept_aside() {
    let disk = Faulty::new(20);
    let engine = Engine::open(on(&disk)).unwrap();
    for number in 0..300 {
        put(&engine, &format!("k{number}"), &"x".repeat(100));
    }
    let whole = engine.keep_aside(4).unwrap();
    let file = whole.file.unwrap();
    assert_eq!((file.first, file.last, file.absent, whole.damaged.len()), (5, 300, 0, 0));

    let mut firsts = segments(&disk);
    assert!(firsts.len() > 2, "{firsts:?}");
    let (newest, second) = (firsts.pop().unwrap(), firsts[1]);
    let third = firsts.get(2).copied().unwrap_or(newest);
    // In the payload of the first frame of each, which takes more than 200 bytes.
    for first in [second, newest] {
        assert!(disk.flip_bit(&segment(first), 8 * 180));
    }
    let kept = engine.keep_aside(4).unwrap();
    let lost: Vec<_> = kept.damaged.iter().map(|lost| (lost.path.clone(), lost.offset)).collect();
    assert_eq!(lost, [(segment(second), 64), (segment(newest), 64)]);
    let numbers: Vec<_> = kept.damaged.iter().map(|lost| (lost.first, lost.last)).collect();
    assert_eq!(numbers, [(second, third - 1), (newest, 300)]);
    assert!(kept.damaged[0].reason.contains("the frame is bad"), "{:?}", kept.damaged[0]);
    let file = kept.file.unwrap();
    assert_eq!((file.first, file.last, file.absent), (5, newest - 1, 0));
    let left: Vec<_> = (5..second).chain(third..newest).collect();
    let (read, error) = read_kept(&disk, &file.path);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(read, left);

    // The first frame in it is whole, and the second is damaged.
    assert!(disk.flip_bit(&file.path, 8 * (64 + 250)));
    let (read, error) = read_kept(&disk, &file.path);
    assert_eq!(read, left[..1]);
    let error = error.unwrap().to_string();
    assert!(error.contains("the frame is damaged"), "{error}");
}

/// The sequence numbers in a side file, and what ended the reading of it.
fn read_kept(disk: &Faulty, path: &Path) -> (Vec<u64>, Option<OpenError>) {
    let mut found = Vec::new();
    let read = read_side_file(disk, path, |frame, revision| {
        assert_eq!(revision.0, i64::try_from(frame.sequence).unwrap() + 1);
        found.push(frame.sequence);
        ControlFlow::Continue(())
    });
    (found, read.err())
}

fn segment(first: u64) -> PathBuf {
    PathBuf::from(format!("/store/{first:020}.log"))
}

/// The first sequence numbers of the segments.
fn segments(disk: &Faulty) -> Vec<u64> {
    let names = disk.list(Path::new("/store")).unwrap();
    let firsts = names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok());
    let mut firsts: Vec<_> = firsts.collect();
    firsts.sort_unstable();
    firsts
}
