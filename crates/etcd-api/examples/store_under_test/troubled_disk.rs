//! The real disk, slow or failing as long as a file says so.
//!
//! What was written stays in the page cache, as on a real system whose device fails a sync: a
//! process that starts afterwards may find it or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use decube_engine::vfs::{Disk, Vfs, VfsFile, VfsLock};

/// Every sync is as the file `trouble` wants it: `slow MILLISECONDS`, or `fail`.
#[derive(Clone, Debug)]
pub(crate) struct TroubledDisk {
    trouble: PathBuf,
}

impl TroubledDisk {
    pub(crate) fn new(trouble: PathBuf) -> Self {
        Self { trouble }
    }

    #[expect(clippy::disallowed_methods, reason = "a slow disk blocks whoever waits for it")]
    fn before_sync(&self) -> io::Result<()> {
        let Ok(trouble) = fs::read_to_string(&self.trouble) else { return Ok(()) };
        match trouble.split_once(' ') {
            Some(("slow", milliseconds)) => {
                let milliseconds = milliseconds.trim().parse().map_err(io::Error::other)?;
                thread::sleep(Duration::from_millis(milliseconds));
                Ok(())
            }
            _ => Err(io::Error::other("the disk fails, as it was told to")),
        }
    }

    fn file(&self, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(TroubledFile { file, disk: self.clone() })
    }
}

impl Vfs for TroubledDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }

    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>> {
        Disk.create(path, reserve_bytes).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Disk.open(path).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.before_sync()?;
        Disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        Disk.lock(path)
    }
}

#[derive(Debug)]
struct TroubledFile {
    file: Box<dyn VfsFile>,
    disk: TroubledDisk,
}

impl VfsFile for TroubledFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.before_sync()?;
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn path(&self) -> &Path {
        self.file.path()
    }
}
