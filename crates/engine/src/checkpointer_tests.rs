//! Checkpoints that nobody wants any more, and one that could not be made in time.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::engine::Engine;
use crate::entry::{Frame, ImageHead};
use crate::image::Extent;
use crate::log::{Log, Replay};
use crate::options::{LogLocation, Options, Storage};
use crate::types::{Command, PutRequest, Revision};
use crate::vfs::{Disk, Faulty, Vfs as _};

struct Empty;

impl Replay for Empty {
    fn restart(&mut self) {}

    fn item(&mut self, _: ImageItem) -> Result<(), String> {
        Err("a new log has no image".into())
    }

    fn frame(&mut self, _: Frame) -> Result<(), String> {
        Ok(())
    }
}

fn log(dir: &Path) -> Log {
    let (log_dir, checkpoint_dir) = (dir.join("log"), dir.join("checkpoints"));
    let location = LogLocation { log_dir, checkpoint_dir, vfs: Arc::new(Disk) };
    let options = Options::new(Storage::Log(location.clone()));
    Log::open(&options, &location, &mut Empty).expect("a new log")
}

/// In memory, with more keys than a slice has, and a clock that stands still.
fn store_with_keys() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    (store_with_keys_by(Arc::<ManualClock>::clone(&clock)), clock)
}

fn store_with_keys_by(clock: Arc<dyn Clock>) -> Engine {
    let mut options = Options::new(Storage::Memory);
    options.clock = clock;
    let engine = Engine::open(options).expect("a memory store opens");
    put_keys(&engine, 0..3_000);
    engine
}

fn put_keys(engine: &Engine, numbers: Range<u32>) {
    for number in numbers {
        let put = PutRequest { key: format!("key{number}").into(), ..PutRequest::default() };
        engine.execute(Command::Put(put)).expect("room for a key");
    }
}

fn job(engine: &Engine, log: &Log) -> Job {
    let store = engine.store();
    let walk = Walk::begin(store, &store.state.read(), Extent::History).expect("no image is open");
    // The log has nothing of that store; only its files count here.
    let head = ImageHead { sequence: log.durable_sequence(), ..*walk.head() };
    Job { writer: log.begin_checkpoint(head), walk }
}

/// Beside that of a new log, which is of the empty state.
fn checkpoints(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("checkpoints")).expect("it is there").count() - 1
}

#[test]
fn a_checkpoint_of_a_state_that_is_not_replaced_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((engine, _), log, checkpointer) =
        (store_with_keys(), log(dir.path()), Checkpointer::default());
    checkpointer.write(engine.store(), job(&engine, &log)).expect("nothing is in the way");
    assert_eq!(checkpoints(dir.path()), 1);
}

#[test]
fn what_waits_to_be_written_for_a_checkpoint_in_vain_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((engine, _), log) = (store_with_keys(), log(dir.path()));
    let Job { mut writer, mut walk } = job(&engine, &log);
    let (slices, coming) = sync_channel(SLICES_WAITING);
    slices.send(walk.next(engine.store()).expect("nothing is in its way")).expect("it listens");
    slices.send(None).expect("it listens");
    assert_eq!(make(&mut writer, coming, &AtomicBool::new(true)).expect("no failure"), None);
    assert_eq!(checkpoints(dir.path()), 0, "its file would be made for the first item");
}

#[test]
fn a_checkpoint_in_the_way_of_a_compaction_for_too_long_is_given_up_and_that_is_a_failure() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((engine, clock), log) = (store_with_keys(), log(dir.path()));
    let late = job(&engine, &log);
    clock.advance(Duration::from_secs(61));
    engine.store().pins.wait_until_free(Revision(2_000), &*clock);
    let checkpointer = Checkpointer::default();
    let failure = checkpointer.write(engine.store(), late).expect_err("it was given up");
    assert!(failure.reason().contains("given up for a compaction"), "{}", failure.reason());
    assert_eq!(checkpoints(dir.path()), 0);
}

#[test]
fn whoever_closes_waits_for_the_last_checkpoint_and_not_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((engine, _), log) = (store_with_keys(), log(dir.path()));
    let (checkpointer, upkeep) = (Checkpointer::default(), log.upkeep());
    let last = job(&engine, &log);
    checkpointer.start_last(Job { writer: last.writer.hurry(), ..last });
    checkpointer.close(Duration::from_millis(1));
    checkpointer.run(engine.store(), &upkeep);
    assert_eq!(checkpoints(dir.path()), 0, "nobody made it in time");

    let checkpointer = Checkpointer::default();
    let last = job(&engine, &log);
    checkpointer.start_last(Job { writer: last.writer.hurry(), ..last });
    thread::scope(|scope| {
        scope.spawn(|| checkpointer.run(engine.store(), &upkeep));
        checkpointer.close(Duration::from_secs(60));
    });
    assert_eq!(checkpoints(dir.path()), 1);
}

/// Panics when it is asked by whoever makes an image.
#[derive(Default)]
struct Trap(AtomicBool);

impl Clock for Trap {
    fn monotonic(&self) -> Duration {
        assert!(!self.0.swap(false, Ordering::Relaxed), "trapped");
        Duration::ZERO
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_panic_is_told_as_a_failure_and_ends_neither_the_thread_nor_the_wait_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(Trap::default());
    let (engine, log) = (store_with_keys_by(Arc::<Trap>::clone(&clock)), log(dir.path()));
    let (checkpointer, upkeep) = (Checkpointer::default(), log.upkeep());
    let last = job(&engine, &log);
    checkpointer.start_last(Job { writer: last.writer.hurry(), ..last });
    clock.0.store(true, Ordering::Relaxed);
    thread::scope(|scope| {
        scope.spawn(|| checkpointer.run(engine.store(), &upkeep));
        checkpointer.close(Duration::from_secs(600));
    });
    let (count, reason) = checkpointer.failures();
    assert_eq!(count, 1);
    assert_eq!(reason.as_deref(), Some("the storage thread panicked: trapped"));
    assert_eq!(checkpoints(dir.path()), 0);
}

#[test]
fn no_image_is_made_of_a_state_whose_change_a_panic_ended() {
    let disk = Faulty::new(7);
    let location = LogLocation {
        log_dir: "/log".into(),
        checkpoint_dir: "/checkpoints".into(),
        vfs: Arc::new(disk.clone()),
    };
    let mut options = Options::new(Storage::Log(location));
    options.checkpoint_entries_min = 1;
    options.checkpoint_bytes_min = 1;
    let engine = Engine::open(options.clone()).expect("a new store");
    put_keys(&engine, 0..3_000);
    engine.close();
    // Less than the image that this left, so nothing is due, but enough for another at the end.
    let engine = Engine::open(options.clone()).expect("it was closed");
    put_keys(&engine, 3_000..3_600);
    let before = newest_checkpoint(&disk);
    let store = engine.store();
    let mut walk = Walk::begin(store, &store.state.read(), Extent::History).expect("it is whole");
    assert!(walk.next(store).is_ok());
    let change = || store.state.write().change(|_| panic!("as in the middle of a compaction"));
    catch_unwind(AssertUnwindSafe(change)).expect_err("it panics");
    store.state.write().change(|_| ());
    assert_eq!(walk.next(store), Err(WalkEnd::HalfDone));
    assert!(matches!(engine.image(true), Err(Error::ImageLost { .. })));

    store.queue.refuse(Error::Latched { reason: "a panic".into() });
    drop(walk);
    engine.close();
    assert_eq!(newest_checkpoint(&disk), before);
    let engine = Engine::open(options).expect("the log has everything");
    assert_eq!(engine.revision(), Revision(3_601));
}

fn newest_checkpoint(disk: &Faulty) -> Option<String> {
    let names = disk.list(Path::new("/checkpoints")).expect("it is there");
    names.into_iter().filter(|name| name.ends_with(".checkpoint")).max()
}
