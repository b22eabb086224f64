//! A disk in memory that forgets, tears and fails as real ones do, deterministically from a seed.
//!
//! It knows for every file what a process sees (the page cache) and what a loss of power would
//! leave (the platter), and moves the one to the other only at a sync. The same for directories:
//! a file that was created, renamed or removed is so only after the directory was synced. Every
//! call of [`Vfs`], [`VfsFile`] and the locks is numbered from 1, so that a test can run a script
//! once to count its calls and then once more for each of them with a [`Fault`] there:
//!
//! ```
//! use decube_engine::vfs::{Crash, Fault, Faulty, Vfs};
//! use std::path::Path;
//!
//! let disk = Faulty::new(7);
//! disk.create_dir_all(Path::new("/d"))?;
//! let file = disk.create(Path::new("/d/file"), 0)?;
//! disk.inject(disk.calls() + 1, Fault::Halt); // the process dies in the next call
//! assert!(file.write_all_at(0, b"hello").is_err());
//! let found = disk.crash(Crash::PowerLost); // what the next process finds
//! assert!(found.open(Path::new("/d/file")).is_err()); // nobody synced the directory
//! # Ok::<(), std::io::Error>(())
//! ```

mod inode;
mod model;
mod random;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use self::inode::Change;
use self::model::{InodeId, Model, Turn};
use super::{Vfs, VfsFile, VfsLock};

/// What goes wrong in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and does nothing; but a failed sync loses part of what it was to make
    /// durable for good, while reads still see it: no later sync will write it.
    Fail(Errno),
    /// A write stops part of the way, at any byte, and fails. Other calls fail.
    Short(Errno),
    /// The process dies in the call; whether it took effect is the crash's choice. Every later call
    /// fails.
    Halt,
}

/// The errors an operating system gives a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// The device failed.
    Io,
    /// No space is left.
    NoSpace,
}

/// How a process ends, as far as the disk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Killed: the operating system lives, and with it all that was written.
    Process,
    /// Power lost: only what was synced is there.
    PowerLost,
    /// Power lost in the middle of writing back: of what was not synced, any sectors and any
    /// directory changes are there, whatever their order.
    PowerTorn,
}

/// The faulty disk. Clones share it.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Mutex<Model>>);

impl Faulty {
    /// An empty disk. The seed decides what is torn where.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Model::new(seed))))
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.model().calls()
    }

    /// What the call of this number was, for a test's message.
    #[must_use]
    pub fn describe(&self, call: u64) -> String {
        self.model().describe(call)
    }

    /// Lets the call of this number meet a fault.
    pub fn inject(&self, call: u64, fault: Fault) {
        self.model().inject(call, fault);
    }

    /// Limits the sum of all file sizes; writes and creations beyond it fail with no space left, a
    /// write after having written what fits.
    pub fn set_capacity(&self, bytes: u64) {
        self.model().capacity = bytes;
    }

    /// The disk as the next process finds it. The old one is left as it is, without its process.
    #[must_use]
    pub fn crash(&self, crash: Crash) -> Self {
        Self(Arc::new(Mutex::new(self.model().crashed(crash))))
    }

    /// All files with their lengths, in order.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.model().files()
    }

    /// Flips one bit of a file, in the cache and on the platter. False if the file has no such bit.
    #[must_use]
    pub fn flip_bit(&self, path: &Path, bit: u64) -> bool {
        self.model().flip_bit(path, bit)
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock()
    }
}

impl Vfs for Faulty {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        let turn = model.turn("create directory", path)?;
        model.make_dirs(path);
        model.end(turn)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut model = self.model();
        let turn = model.turn("list", dir)?;
        let names = model.names(dir)?;
        model.end(turn).map(|()| names)
    }

    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>> {
        let mut model = self.model();
        let turn = model.turn("create", path)?;
        let inode = model.create(path, reserve_bytes)?;
        model.end(turn)?;
        Ok(self.file(inode, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut model = self.model();
        let turn = model.turn("open", path)?;
        let inode = model.find(path)?;
        model.end(turn)?;
        Ok(self.file(inode, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut model = self.model();
        let turn = model.turn("rename", from)?;
        model.rename(from, to)?;
        model.end(turn)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        let turn = model.turn("remove", path)?;
        let removed = model.remove(path);
        model.end(turn).and(removed)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut model = self.model();
        // A process that dies in a sync has not synced: what is there is the crash's choice.
        let turn = model.turn("sync directory", dir)?;
        if turn == Turn::Whole {
            model.sync_dir(dir)?;
        }
        model.end(turn)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let mut model = self.model();
        let turn = model.turn("lock", path)?;
        let inode = model.lock(path)?;
        let lock = FaultyLock { disk: self.clone(), path: path.to_owned(), inode };
        let ended = model.end(turn);
        // Before the guard may be dropped, which takes this mutex.
        drop(model);
        ended.map(|()| Box::new(lock) as Box<dyn VfsLock>)
    }
}

impl Faulty {
    fn file(&self, inode: InodeId, path: &Path) -> Box<dyn VfsFile> {
        Box::new(FaultyFile { disk: self.clone(), inode, path: path.to_owned() })
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Faulty,
    inode: InodeId,
    path: PathBuf,
}

impl VfsFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut model = self.disk.model();
        let turn = model.turn("read", &self.path)?;
        let count = model.read(self.inode, offset, buffer);
        model.end(turn).map(|()| count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut model = self.disk.model();
        let turn = model.turn("write", &self.path)?;
        model.write(self.inode, offset, bytes, turn)?;
        model.end(turn)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut model = self.disk.model();
        match model.turn("sync", &self.path) {
            Ok(turn) => {
                if turn == Turn::Whole {
                    model.sync(self.inode);
                }
                model.end(turn)
            }
            Err(error) => {
                model.fail_sync(self.inode);
                Err(error)
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut model = self.disk.model();
        let turn = model.turn("measure", &self.path)?;
        let length = model.length(self.inode);
        model.end(turn).map(|()| length)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut model = self.disk.model();
        let turn = model.turn("resize", &self.path)?;
        model.change(self.inode, Change::Resize(bytes));
        model.end(turn)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug)]
struct FaultyLock {
    disk: Faulty,
    path: PathBuf,
    inode: InodeId,
}

impl VfsLock for FaultyLock {
    fn path(&self) -> &Path {
        &self.path
    }

    fn is_lost(&self) -> bool {
        self.disk.model().find(&self.path).ok() != Some(self.inode)
    }
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.disk.model().unlock(self.inode);
    }
}

#[cfg(test)]
mod tests;
