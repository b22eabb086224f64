//! All IO of the store goes through [`Vfs`], so that tests can lose, tear, reorder and fail it.

#[cfg(test)]
mod contract;
mod disk;
mod faulty;

use std::fmt;
use std::io;
use std::path::Path;

pub use disk::Disk;
pub use faulty::{Crash, Errno, Fault, Faulty};

/// What a disk takes from memory, and puts on its medium, as a whole. The largest that is common.
pub const DISK_BLOCK_BYTES: usize = 4096;

/// A file system, as far as the store needs one.
pub trait Vfs: Send + Sync + 'static + fmt::Debug {
    /// Creates a directory and its parents, durably.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a directory, unordered; directories in it are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a file that must not exist, `reserve_bytes` long and zero, with the disk space taken
    /// if the file system can reserve it. Durable when the file and its directory are synced.
    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// Renames, replacing what was there; durable when the directory is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable when the directory is synced.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock file at `path` for this process and writes its pid into it; the lock is let go
    /// when the guard is dropped or the process ends. An error of kind `WouldBlock` when it is held.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>>;
}

/// An open file. Positions are explicit, so that a reader and the writer need no shared cursor.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes; 0 only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// The same where no work is to be left for a later sync, which others would wait behind; still,
    /// only that makes the bytes durable. Offset, length and memory at whole [`DISK_BLOCK_BYTES`]
    /// let the disk take the bytes from where they are.
    fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(offset, bytes)?;
        self.sync_data()
    }
    /// Makes all written bytes durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends the file.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Where it is, for error messages.
    fn path(&self) -> &Path;
}

/// Holds a lock file until dropped.
pub trait VfsLock: Send + Sync + fmt::Debug {
    /// Where it is.
    fn path(&self) -> &Path;
    /// Whether the file was removed, or another put in its place: nobody is kept out any more. False
    /// while that cannot be told.
    fn is_lost(&self) -> bool;
}
