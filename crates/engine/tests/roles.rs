//! Promotions, demotions and the news of other terms that meet in the middle of each other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use decube_engine::vfs::{Errno, Fault, Faulty, Vfs, VfsFile, VfsLock};
use decube_engine::{
    Command, Engine, Error, InstallError, InstallMode, LogLocation, Options, Revision, Role,
    Storage, TermStart,
};
use parking_lot::Mutex;
use support::{put, put_request};

/// What happens when a file is created or renamed to a name that holds this.
type Event = (&'static str, Box<dyn FnOnce() -> io::Result<()> + Send>);

/// A disk on which something happens at a chosen moment.
#[derive(Clone)]
struct Staged {
    disk: Faulty,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Staged {
    fn new(seed: u64) -> Self {
        Self { disk: Faulty::new(seed), events: Arc::default() }
    }

    fn open(&self, role: Role) -> Engine {
        let dir = PathBuf::from("/store");
        let vfs = Arc::new(self.clone());
        let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
        let mut options = Options::new(Storage::Log(location));
        options.segment_bytes = 32 << 10;
        options.role = role;
        Engine::open(options).unwrap()
    }

    fn when(&self, name: &'static str, event: impl FnOnce() -> io::Result<()> + Send + 'static) {
        self.events.lock().push((name, Box::new(event)));
    }

    fn happen(&self, path: &Path) -> io::Result<()> {
        let path = path.to_string_lossy();
        let event = {
            let mut events = self.events.lock();
            let due = events.iter().position(|(name, _)| path.contains(name));
            due.map(|at| events.remove(at))
        };
        event.map_or(Ok(()), |(_, event)| event())
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl Vfs for Staged {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>> {
        self.happen(path)?;
        self.disk.create(path, reserve_bytes)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.happen(to)?;
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }
}

fn term(term: u64) -> Vec<TermStart> {
    vec![TermStart { term, raised_by: 99, after_sequence: 1 }]
}

/// The image of a promotion or an installation is created under this name.
const IMAGE: &str = "install-";

/// Between two looks at what another thread changes.
fn look_again() {
    thread::park_timeout(Duration::from_millis(1));
}

fn image(engine: &Engine) -> Vec<u8> {
    engine.image(true).unwrap().take(usize::MAX).unwrap()
}

#[test]
fn a_promotion_that_meets_a_higher_term_is_none() {
    let staged = Staged::new(1);
    let engine = staged.open(Role::Standby);
    let meeting = engine.clone();
    staged.when(IMAGE, move || {
        assert!(meeting.meet(&term(9)).unwrap(), "it was about to be the primary");
        Ok(())
    });
    let promoted = engine.promote();
    assert!(matches!(promoted, Err(InstallError::Refused(Error::NotPrimary))), "{promoted:?}");
    assert_eq!((engine.standing().role, engine.standing().term()), (Role::Standby, 9));
    assert!(!engine.takes_writes());
    assert_eq!(engine.meters().counts().leader_changes, 1);
    engine.promote().unwrap();
    assert_eq!((engine.standing().role, engine.log_term()), (Role::Primary, 10));
    assert_eq!(engine.meters().counts().leader_changes, 2);
    put(&engine, "a", "1");
}

#[test]
fn a_promotion_that_fails_takes_back_nothing_but_itself() {
    let staged = Staged::new(2);
    let engine = staged.open(Role::Standby);
    let meeting = engine.clone();
    staged.when(IMAGE, move || {
        meeting.meet(&term(9)).unwrap();
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(engine.promote().is_err());
    assert_eq!((engine.standing().role, engine.standing().term()), (Role::Standby, 9));
    staged.when(IMAGE, || Err(io::ErrorKind::StorageFull.into()));
    assert!(engine.promote().is_err());
    assert_eq!((engine.standing().role, engine.standing().term()), (Role::Standby, 9));
}

#[test]
fn a_demotion_does_not_take_back_a_term_that_is_met_meanwhile() {
    for seed in 10..13 {
        let staged = Staged::new(seed);
        let engine = staged.open(Role::Primary);
        let (demoting, begun) = channel::<()>();
        // While the higher term is made durable the demotion looks at what this member is.
        staged.when("role", move || {
            begun.recv().unwrap();
            (0..20).for_each(|_| look_again());
            Ok(())
        });
        let meeting = engine.clone();
        let met = thread::spawn(move || meeting.meet(&term(9)).unwrap());
        while engine.takes_writes() {
            look_again();
        }
        demoting.send(()).unwrap();
        engine.demote().unwrap();
        met.join().unwrap();
        assert_eq!((engine.standing().role, engine.standing().term()), (Role::Standby, 9));
    }
}

#[test]
fn a_member_in_the_middle_of_its_promotion_is_not_seeded() {
    let other = Staged::new(3).open(Role::Primary);
    put(&other, "of the primary before", "1");
    let bytes = image(&other);
    let staged = Staged::new(4);
    let engine = staged.open(Role::Standby);
    let seeded = engine.clone();
    staged.when(IMAGE, move || {
        let mut installer = seeded.installer(InstallMode::Reseed).unwrap();
        installer.push(&bytes).unwrap();
        let refused = installer.commit();
        assert!(matches!(refused, Err(InstallError::Refused(Error::NotStandby))), "{refused:?}");
        Ok(())
    });
    engine.promote().unwrap();
    assert_eq!(engine.status().keys, 0);
    assert!(engine.takes_writes());
}

#[test]
fn an_image_that_comes_while_a_higher_term_is_met_is_not_installed() {
    let stale = Staged::new(8).open(Role::Primary);
    put(&stale, "of the primary before", "1");
    let engine = Staged::new(9).open(Role::Standby);
    let mut installer = engine.installer(InstallMode::Reseed).unwrap();
    installer.push(&image(&stale)).unwrap();
    engine.meet(&term(9)).unwrap();
    let refused = installer.commit();
    assert!(matches!(refused, Err(InstallError::Overtaken)), "{refused:?}");
    assert_eq!((engine.status().keys, engine.standing().term()), (0, 9));
}

#[test]
fn a_standby_that_is_being_seeded_does_not_join_another_cluster() {
    let other = Staged::new(13).open(Role::Primary);
    put(&other, "a", "1");
    let staged = Staged::new(14);
    let engine = staged.open(Role::Standby);
    let mut installer = engine.installer(InstallMode::Reseed).unwrap();
    installer.push(&image(&other)).unwrap();
    let (joining, begun) = channel();
    let joiner = engine.clone();
    // The writer makes the image hold: the standby is empty still.
    staged.when(".reseed", move || {
        joining.send(thread::spawn(move || joiner.join(&term(9)).unwrap())).unwrap();
        (0..20).for_each(|_| look_again());
        Ok(())
    });
    installer.commit().unwrap();
    assert!(!begun.recv().unwrap().join().unwrap(), "it has a cluster");
    assert_eq!((engine.status().keys, engine.standing().term()), (1, 1));
}

#[test]
fn a_restore_does_not_let_writes_in_that_were_stopped_meanwhile() {
    let staged = Staged::new(5);
    let engine = staged.open(Role::Primary);
    put(&engine, "a", "1");
    let mut installer = engine.installer(InstallMode::Restore).unwrap();
    installer.push(&image(&engine)).unwrap();
    let (stopped, handed_over) = channel();
    let stopping = engine.clone();
    staged.when(".install", move || {
        let of_writer = stopping.clone();
        stopped.send(thread::spawn(move || stopping.stop_writes())).unwrap();
        while of_writer.takes_writes() {
            look_again();
        }
        Ok(())
    });
    installer.commit().unwrap();
    handed_over.recv().unwrap().join().unwrap();
    assert!(!engine.takes_writes());
}

#[test]
fn a_demotion_that_fails_leaves_a_primary_that_tells_why_it_writes_no_more() {
    let staged = Staged::new(6);
    let engine = staged.open(Role::Primary);
    put(&engine, "a", "1");
    staged.when("role", || Err(io::ErrorKind::StorageFull.into()));
    assert!(matches!(engine.demote(), Err(Error::Latched { .. })));
    let refused = engine.execute(Command::Compact(Revision(1)));
    assert!(matches!(refused, Err(Error::Latched { .. })), "{refused:?}");
}

#[test]
fn a_primary_that_is_latched_is_not_promoted() {
    let staged = Staged::new(8);
    let engine = staged.open(Role::Primary);
    // More than one: the file for the next segment is made at a time of its own.
    for call in 1..=8 {
        staged.disk.inject(staged.disk.calls() + call, Fault::Fail(Errno::Io));
    }
    assert!(engine.execute(Command::Put(put_request("a", "1"))).is_err());
    let refused = engine.promote();
    let latched = matches!(refused, Err(InstallError::Refused(Error::Latched { .. })));
    assert!(latched, "{refused:?}");
}

#[test]
fn a_primary_whose_writes_were_stopped_takes_them_again_when_it_is_promoted() {
    let engine = Staged::new(7).open(Role::Primary);
    engine.stop_writes();
    assert!(!engine.takes_writes());
    engine.promote().unwrap();
    put(&engine, "a", "1");
    assert_eq!(engine.standing().term(), 1, "it was the primary all the time");
}
