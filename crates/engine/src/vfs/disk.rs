//! The real file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

use super::{DISK_BLOCK_BYTES, Vfs, VfsFile, VfsLock};

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Vfs for Disk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = parent_of(path) {
            self.create_dir_all(parent)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        parent_of(path).map_or(Ok(()), |parent| self.sync_dir(parent))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path, reserve_bytes: u64) -> io::Result<Box<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        reserve(&file, reserve_bytes)
            .inspect_err(|_| drop(fs::remove_file(path)))
            .map(|()| open_file(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        OpenOptions::new().read(true).write(true).open(path).map(|file| open_file(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        // Not truncated at opening: until the lock is ours, the pid in it is another's.
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(DiskLock { file, path: path.to_owned() }))
    }
}

/// Takes the disk space now, so that running out of it is an error here and not in a later write.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // A file system that cannot reserve still gets the length.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(bytes),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

fn parent_of(path: &Path) -> Option<&Path> {
    // The parent of a relative name is the empty path, which stands for the working directory.
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn open_file(file: File, path: &Path) -> Box<dyn VfsFile> {
    Box::new(DiskFile { file, path: path.to_owned(), direct: OnceLock::new() })
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    path: PathBuf,
    /// The same file past the page cache, from the first time it is wanted; `None` where the file
    /// system has no such thing.
    direct: OnceLock<Option<File>>,
}

impl DiskFile {
    /// Writes past the page cache, if this file system can, and these bytes as they lie.
    fn write_direct(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<()>> {
        let block = DISK_BLOCK_BYTES;
        let fits = offset.is_multiple_of(block as u64)
            && bytes.len().is_multiple_of(block)
            && bytes.as_ptr().addr().is_multiple_of(block);
        let direct = self.direct.get_or_init(|| open_direct(&self.path));
        match direct.as_ref().filter(|_| fits)?.write_all_at(bytes, offset) {
            // It wants larger blocks.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
            result => Some(result),
        }
    }
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let flags = OFlags::DIRECT.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path) -> Option<File> {
    None
}

impl VfsFile for DiskFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_direct(offset, bytes).unwrap_or_else(|| {
            self.write_all_at(offset, bytes)?;
            self.sync_data()
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Closing the file lets go of the lock. The file itself stays: removing it would let two processes
/// hold locks on two files of one name.
#[derive(Debug)]
struct DiskLock {
    file: File,
    path: PathBuf,
}

impl VfsLock for DiskLock {
    fn path(&self) -> &Path {
        &self.path
    }

    fn is_lost(&self) -> bool {
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(held), Ok(found)) => (held.dev(), held.ino()) != (found.dev(), found.ino()),
            (Ok(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), _) => false,
        }
    }
}
