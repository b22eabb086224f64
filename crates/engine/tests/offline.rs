//! A store made out of an image and what is left of a log, where none runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::{Crash, Fault, Faulty, Vfs};
use decube_engine::{
    Command, Created, Engine, InstallMode, LeaseId, LogLocation, ManualClock, NewNumbers,
    OfflineError, OfflineRestore, OpenError, Operation, Options, ReplayTo, Revision, Role, Storage,
    TermStart,
};
use support::{delete, get, keys, put, put_request, txn};

const OLD: &str = "/old";
const NEW: &str = "/new";

fn options(disk: &Faulty, clock: &Arc<ManualClock>, dir: &str) -> Options {
    let vfs = Arc::new(disk.clone());
    let (log_dir, checkpoint_dir) = (PathBuf::from(dir).join("log"), PathBuf::from(dir).join("cp"));
    let mut options = Options::new(Storage::Log(LogLocation { log_dir, checkpoint_dir, vfs }));
    options.segment_bytes = 4_000;
    options.checkpoint_bytes_min = 3_000;
    options.clock = Arc::<ManualClock>::clone(clock);
    options
}

/// A disk with a store on it, and the clock of both.
struct Scene {
    disk: Faulty,
    clock: Arc<ManualClock>,
}

impl Scene {
    fn new() -> Self {
        Self { disk: Faulty::new(1), clock: Arc::new(ManualClock::new()) }
    }

    fn open(&self, dir: &str) -> Engine {
        Engine::open(options(&self.disk, &self.clock, dir)).unwrap()
    }

    /// Writes a key every second, with these numbers; returns the last revision.
    fn write(&self, engine: &Engine, numbers: std::ops::Range<i64>) -> i64 {
        let mut last = 0;
        for number in numbers {
            self.clock.advance(Duration::from_secs(1));
            last = put(engine, &format!("key-{number:03}"), &"v".repeat(50));
        }
        last
    }

    fn create(
        &self,
        restore: OfflineRestore,
        numbers: NewNumbers,
    ) -> Result<Created, OfflineError> {
        restore.create(&options(&self.disk, &self.clock, NEW), numbers)
    }

    fn begin(&self, image: &[u8]) -> OfflineRestore {
        let mut restore = OfflineRestore::new(Arc::<ManualClock>::clone(&self.clock));
        for piece in image.chunks(777) {
            restore.push(piece).unwrap();
        }
        restore
    }

    fn replay(&self, restore: &mut OfflineRestore, to: ReplayTo) -> Result<i64, OfflineError> {
        let point = restore.replay(&self.disk, &Path::new(OLD).join("log"), to)?;
        Ok(point.revision.0)
    }
}

fn image(engine: &Engine) -> Vec<u8> {
    let mut image = engine.image(false).unwrap();
    image.take(usize::MAX).unwrap()
}

fn names(engine: &Engine) -> Vec<String> {
    keys(engine, "\0", "\0")
}

#[test]
fn an_image_makes_a_store_of_the_same_cluster_at_revisions_never_handed_out() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    old.execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 100 }).unwrap();
    let mut leased = put_request("leased", "");
    leased.lease = LeaseId(7);
    old.execute(Command::Put(leased)).unwrap();
    let last = scene.write(&old, 0..30);
    let bytes = image(&old);
    let (cluster_id, member_id) = (old.status().cluster_id, old.status().member_id);
    old.close();
    scene.clock.advance(Duration::from_secs(1_000));
    let created = scene.create(scene.begin(&bytes), NewNumbers::FarAbove).unwrap();
    assert_eq!((created.keys, created.leases, created.cluster_id), (31, 1, cluster_id));
    assert_ne!(created.member_id, member_id);
    let new = scene.open(NEW);
    assert_eq!(new.revision(), Revision(last + 1_000_000_000));
    assert_eq!(new.status().compact_revision, new.revision());
    assert_eq!((new.status().cluster_id, new.status().member_id), (cluster_id, created.member_id));
    assert_eq!(names(&new).len(), 31);
    let lease = new.lease_status(LeaseId(7), true).unwrap();
    assert_eq!((lease.remaining_ttl_s, lease.keys), (70, vec![b"leased".to_vec()]));
    put(&new, "after", "");
    new.close();
    assert_eq!(names(&scene.open(NEW)).len(), 32);
}

#[test]
fn a_store_that_is_made_begins_a_term_above_those_of_its_image() {
    for numbers in [NewNumbers::FarAbove, NewNumbers::Kept] {
        let scene = Scene::new();
        let old = scene.open(OLD);
        old.demote().unwrap();
        old.promote().unwrap();
        scene.write(&old, 0..3);
        let (bytes, last) = (image(&old), old.status().log_sequence);
        let made = scene.create(scene.begin(&bytes), numbers).unwrap();
        let began = TermStart { term: 3, raised_by: made.member_id, after_sequence: last };
        let new = scene.open(NEW);
        assert_eq!((new.standing().role, new.log_term()), (Role::Standalone, 3));
        assert_eq!(new.standing().terms, [began]);
        assert_eq!((new.standing().end_of(2), new.standing().end_of(1)), (Some(last), None));
        scene.write(&new, 3..5);
        new.close();
        let mut as_primary = options(&scene.disk, &scene.clock, NEW);
        as_primary.role = Role::Primary;
        let new = Engine::open(as_primary).unwrap();
        assert_eq!((new.standing().role, new.standing().terms), (Role::Primary, vec![began]));
        scene.write(&new, 5..7);
    }
}

#[test]
fn an_image_that_is_of_nobodys_term_makes_a_store_in_a_term_above_all_there_were() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    old.demote().unwrap();
    old.meet(&[TermStart { term: 5, raised_by: 99, after_sequence: 1 }]).unwrap();
    let put = Operation::Put(put_request("by hand", ""));
    old.copy_revision(Revision(2), txn(&[], vec![put])).unwrap();
    assert_eq!(old.log_term(), 0);
    scene.create(scene.begin(&image(&old)), NewNumbers::FarAbove).unwrap();
    let new = scene.open(NEW).standing();
    assert!(new.term() > 5, "{new:?}");
    assert_eq!(new.end_of(1), None, "nothing is known of what the others have in common with it");
}

#[test]
fn the_log_brings_the_image_to_any_revision_or_moment_it_reaches() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    scene.write(&old, 0..20);
    let bytes = image(&old);
    let at_image = old.revision().0;
    scene.write(&old, 20..40);
    old.execute(Command::Compact(Revision(10))).unwrap();
    delete(&old, "key-005");
    old.execute(Command::Compact(old.revision())).unwrap();
    let last = scene.write(&old, 40..60);
    drop(old);

    for (to, revision, count) in [
        (ReplayTo::Revision(Revision(at_image)), at_image, 20),
        (ReplayTo::Revision(Revision(at_image + 7)), at_image + 7, 27),
        (ReplayTo::Revision(Revision(last)), last, 59),
        (ReplayTo::Time(Duration::from_secs(30)), at_image + 10, 30),
    ] {
        let mut restore = scene.begin(&bytes);
        assert_eq!(scene.replay(&mut restore, to).unwrap(), revision, "{to:?}");
        let created = restore.create(
            &options(&scene.disk, &scene.clock, &format!("/new-{count}")),
            NewNumbers::Kept,
        );
        assert_eq!(created.unwrap().revision, Revision(revision));
        let new = scene.open(&format!("/new-{count}"));
        assert_eq!((new.revision().0, names(&new).len()), (revision, count));
        assert_eq!(get(&new, "key-005", 0).is_some(), count < 59);
    }
}

#[test]
fn a_target_that_the_log_does_not_reach_is_refused_with_how_far_it_does() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    scene.write(&old, 0..20);
    let bytes = image(&old);
    let at_image = old.revision();
    let last = scene.write(&old, 20..30);
    old.close();
    let refused = |to| scene.replay(&mut scene.begin(&bytes), to).unwrap_err();
    for to in [ReplayTo::Revision(Revision(last + 1)), ReplayTo::Time(Duration::from_secs(31))] {
        match refused(to) {
            OfflineError::LogEnds { reached } => {
                assert_eq!((reached.revision.0, reached.wall), (last, Duration::from_secs(30)));
            }
            error => panic!("{error}"),
        }
    }
    for to in [ReplayTo::Revision(Revision(5)), ReplayTo::Time(Duration::from_secs(3))] {
        match refused(to) {
            OfflineError::ImageTooNew { image } => assert_eq!(image.revision, at_image),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn a_log_that_begins_after_the_image_or_is_of_another_store_is_refused() {
    let scene = Scene::new();
    let other = Engine::open(Options::new(Storage::Memory)).unwrap();
    put(&other, "key", "");
    let old = scene.open(OLD);
    let early = image(&old);
    let last = scene.write(&old, 0..300);
    old.close();
    let segment = Path::new(OLD).join("log/00000000000000000001.log");
    scene.disk.remove(&segment).unwrap();
    let to = ReplayTo::Revision(Revision(last));
    let error = scene.replay(&mut scene.begin(&early), to).unwrap_err();
    assert!(matches!(error, OfflineError::LogTooShort { .. }), "{error}");
    let error = scene.replay(&mut scene.begin(&image(&other)), to).unwrap_err();
    assert!(matches!(error, OfflineError::OtherCluster { .. }), "{error}");
}

#[test]
fn a_replay_ends_where_the_store_was_restored_and_where_its_log_is_damaged() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    scene.write(&old, 0..10);
    let bytes = image(&old);
    let before = scene.write(&old, 10..20);
    let mut installer = old.installer(InstallMode::Restore).unwrap();
    installer.push(&bytes).unwrap();
    installer.commit().unwrap();
    let last = scene.write(&old, 20..30);
    old.close();
    let far = ReplayTo::Revision(Revision(last));
    let error = scene.replay(&mut scene.begin(&bytes), far).unwrap_err();
    let OfflineError::LogEnds { reached } = error else { panic!("{error}") };
    assert_eq!(reached.revision.0, before);
    let back = ReplayTo::Revision(Revision(before));
    assert_eq!(scene.replay(&mut scene.begin(&bytes), back).unwrap(), before);

    let segment = Path::new(OLD).join("log/00000000000000000001.log");
    assert!(scene.disk.flip_bit(&segment, 8 * 2_000));
    let error = scene.replay(&mut scene.begin(&bytes), back).unwrap_err();
    let OfflineError::LogEnds { reached } = error else { panic!("{error}") };
    assert!(reached.revision.0 < before);
}

#[test]
fn only_an_empty_directory_and_a_whole_image_make_a_store() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    scene.write(&old, 0..10);
    let bytes = image(&old);
    let cut = scene.begin(&bytes[..bytes.len() - 1]);
    assert!(matches!(scene.create(cut, NewNumbers::Kept), Err(OfflineError::Image(_))));
    assert_eq!(scene.disk.list(&Path::new(NEW).join("log")).unwrap_or_default().len(), 0);
    scene.create(scene.begin(&bytes), NewNumbers::Kept).unwrap();
    for dir in [NEW, OLD] {
        let made =
            scene.begin(&bytes).create(&options(&scene.disk, &scene.clock, dir), NewNumbers::Kept);
        let error = made.unwrap_err();
        let OfflineError::Open(error) = error else { panic!("{error}") };
        match dir {
            NEW => assert!(matches!(error, OpenError::NotEmpty { .. }), "{error}"),
            _ => assert!(matches!(error, OpenError::Locked { .. }), "{error}"),
        }
    }
}

#[test]
fn what_a_crash_left_of_a_store_being_made_is_never_taken_for_one() {
    let scene = Scene::new();
    let old = scene.open(OLD);
    scene.write(&old, 0..10);
    let bytes = image(&old);
    let wanted = names(&old);
    old.close();
    let before = scene.disk.calls();
    let twin = Scene { disk: scene.disk.crash(Crash::Process), clock: Arc::clone(&scene.clock) };
    scene.create(scene.begin(&bytes), NewNumbers::Kept).unwrap();
    let calls = scene.disk.calls() - before;
    let mut made = 0;
    for call in 1..=calls {
        for crash in [Crash::Process, Crash::PowerLost, Crash::PowerTorn] {
            let disk = twin.disk.crash(Crash::Process);
            let scene = Scene { disk, clock: Arc::clone(&twin.clock) };
            scene.disk.inject(scene.disk.calls() + call, Fault::Halt);
            assert!(scene.create(scene.begin(&bytes), NewNumbers::Kept).is_err());
            let disk = scene.disk.crash(crash);
            match Engine::open(options(&disk, &scene.clock, NEW)) {
                Ok(engine) if engine.recovered().sequence > 0 => {
                    assert_eq!(names(&engine), wanted);
                    made += 1;
                }
                // Nothing was named yet: it is an empty directory.
                Ok(engine) => assert_eq!(names(&engine).len(), 0),
                Err(OpenError::Corrupt { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(made > 0);
}
