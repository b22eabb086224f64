//! A disk that holds whoever creates a file of a certain name, until it is let go.

use std::io;
use std::path::Path;
use std::sync::Arc;

use decube_engine::vfs::{Faulty, Vfs, VfsFile, VfsLock};
use parking_lot::{Condvar, Mutex};

#[derive(Clone, Debug)]
pub(crate) struct Held {
    disk: Faulty,
    name: &'static str,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    holds: bool,
    let_go: bool,
}

impl Held {
    pub(crate) fn new(disk: &Faulty, name: &'static str) -> Self {
        Self { disk: disk.clone(), name, state: Arc::default() }
    }

    /// Whether somebody is held at this moment.
    pub(crate) fn holds(&self) -> bool {
        self.state.0.lock().holds
    }

    pub(crate) fn let_go(&self) {
        self.state.0.lock().let_go = true;
        self.state.1.notify_all();
    }
}

impl Vfs for Held {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>> {
        if path.to_string_lossy().contains(self.name) {
            let mut state = self.state.0.lock();
            state.holds = true;
            self.state.1.wait_while(&mut state, |state| !state.let_go);
            state.holds = false;
        }
        self.disk.create(path, reserve_bytes)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
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
