//! The files of a store: their names, and the steps that put one in its place for good.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{IoFailure, Named};
use super::header::{FileHeader, HEADER_BYTES};
use super::install::LogBefore;
use crate::error::OpenError;
use crate::options::LogLocation;
use crate::vfs::{Vfs, VfsFile, VfsLock};

pub(crate) const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const ROLE: &str = "role";
pub(crate) const SEGMENT_SUFFIX: &str = ".log";
const CHECKPOINT_SUFFIX: &str = ".checkpoint";
const INSTALL_SUFFIXES: [(&str, LogBefore); 2] =
    [(".install", LogBefore::Kept), (".reseed", LogBefore::Removed)];
/// Of a file that is being written. One that is found when a store is opened is left over.
pub(crate) const UNFINISHED_SUFFIX: &str = ".unfinished";

/// Of a file that nobody needs any more, while it is being removed.
const REMOVED_SUFFIX: &str = ".removed";

/// The two directories of a store, locked.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) vfs: Arc<dyn Vfs>,
    log_dir: PathBuf,
    checkpoint_dir: PathBuf,
    /// Held for as long as anything may still write here.
    locks: Vec<Box<dyn VfsLock>>,
}

/// What is there, in order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) has_identity: bool,
    /// First sequence numbers.
    pub(crate) segments: Vec<u64>,
    /// Last sequence numbers.
    pub(crate) checkpoints: Vec<u64>,
    /// An image that holds, but is not in its place yet.
    pub(crate) pending_install: Option<(u64, LogBefore)>,
}

impl Files {
    /// Creates the directories where they are missing and locks them.
    pub(crate) fn lock(location: &LogLocation) -> Result<Self, OpenError> {
        let LogLocation { log_dir, checkpoint_dir, vfs } = location.clone();
        let mut locks = Vec::new();
        vfs.create_dir_all(&log_dir).named("create", &log_dir)?;
        locks.push(lock(&*vfs, &log_dir)?);
        if checkpoint_dir != log_dir {
            vfs.create_dir_all(&checkpoint_dir).named("create", &checkpoint_dir)?;
            locks.push(lock(&*vfs, &checkpoint_dir)?);
        }
        Ok(Self { vfs, log_dir, checkpoint_dir, locks })
    }

    /// Looks what is there, and removes what an earlier process left unfinished, or had put aside.
    pub(crate) fn list(&self) -> Result<Listing, IoFailure> {
        let mut listing = Listing::default();
        for dir in self.dirs() {
            for name in self.vfs.list(dir).named("list", dir)? {
                if [UNFINISHED_SUFFIX, REMOVED_SUFFIX].iter().any(|left| name.ends_with(left)) {
                    self.remove(&dir.join(&name))?;
                }
                if dir == self.log_dir {
                    listing.has_identity |= name == IDENTITY;
                    listing.segments.extend(sequence_of(&name, SEGMENT_SUFFIX));
                }
                if dir == self.checkpoint_dir {
                    listing.checkpoints.extend(sequence_of(&name, CHECKPOINT_SUFFIX));
                    for (suffix, before) in INSTALL_SUFFIXES {
                        let pending = sequence_of(&name, suffix).map(|number| (number, before));
                        listing.pending_install = listing.pending_install.or(pending);
                    }
                }
            }
        }
        listing.segments.sort_unstable();
        listing.checkpoints.sort_unstable();
        Ok(listing)
    }

    /// Makes everything that was ever done to the directories durable.
    pub(crate) fn sync_dirs(&self) -> Result<(), IoFailure> {
        self.dirs().into_iter().try_for_each(|dir| self.vfs.sync_dir(dir).named("sync", dir))
    }

    pub(crate) fn identity_path(&self) -> PathBuf {
        self.log_dir.join(IDENTITY)
    }

    /// A file of this name beside the log.
    pub(crate) fn log_path(&self, name: &str) -> PathBuf {
        self.log_dir.join(name)
    }

    pub(crate) fn role_path(&self) -> PathBuf {
        self.log_dir.join(ROLE)
    }

    pub(crate) fn segment_path(&self, first_sequence: u64) -> PathBuf {
        self.log_dir.join(format!("{first_sequence:020}{SEGMENT_SUFFIX}"))
    }

    pub(crate) fn checkpoint_path(&self, sequence: u64) -> PathBuf {
        self.checkpoint_dir.join(format!("{sequence:020}{CHECKPOINT_SUFFIX}"))
    }

    /// The name by which an image holds before it is in its place.
    pub(crate) fn install_path(&self, sequence: u64, before: LogBefore) -> PathBuf {
        let suffix = INSTALL_SUFFIXES.iter().find(|(_, other)| *other == before);
        let suffix = suffix.map_or("", |(suffix, _)| suffix);
        self.checkpoint_dir.join(format!("{sequence:020}{suffix}"))
    }

    /// Where an image is written before it gets its name.
    pub(crate) fn unfinished_checkpoint_path(&self, name: &str) -> PathBuf {
        self.checkpoint_dir.join(format!("{name}{UNFINISHED_SUFFIX}"))
    }

    /// Where a file of the log is written before it gets its name.
    pub(crate) fn unfinished_log_path(&self, name: &str) -> PathBuf {
        self.log_dir.join(format!("{name}{UNFINISHED_SUFFIX}"))
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Box<dyn VfsFile>, IoFailure> {
        self.vfs.open(path).named("open", path)
    }

    pub(crate) fn create(&self, path: &Path, bytes: u64) -> Result<Box<dyn VfsFile>, IoFailure> {
        self.check_locks()?;
        self.vfs.create(path, bytes).named("create", path)
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), IoFailure> {
        self.check_locks()?;
        self.vfs.remove(path).named("remove", path)
    }

    /// Gives a file that is to be removed a name that nobody looks for; durable only when the
    /// directories are synced. Returns where it is now.
    pub(crate) fn put_aside(&self, path: &Path) -> Result<PathBuf, IoFailure> {
        self.check_locks()?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(REMOVED_SUFFIX);
        self.vfs.rename(path, Path::new(&aside)).named("rename", path)?;
        Ok(aside.into())
    }

    /// Gives a file, whose content is durable, its name, durably.
    pub(crate) fn install(&self, from: &Path, to: &Path) -> Result<(), IoFailure> {
        self.check_locks()?;
        self.vfs.rename(from, to).named("rename", from)?;
        let dir = to.parent().unwrap_or(to);
        self.vfs.sync_dir(dir).named("sync", dir)
    }

    /// Fails when the directories are not this store's any more: what is there now, in their place,
    /// may be another's.
    pub(crate) fn check_locks(&self) -> Result<(), IoFailure> {
        let Some(lost) = self.locks.iter().find(|lock| lock.is_lost()) else { return Ok(()) };
        let reason = "the data directory was removed or replaced while the store was open";
        Err(io::Error::new(io::ErrorKind::NotFound, reason)).named("hold", lost.path())
    }

    fn dirs(&self) -> Vec<&Path> {
        let mut dirs = vec![&*self.log_dir];
        if self.checkpoint_dir != self.log_dir {
            dirs.push(&self.checkpoint_dir);
        }
        dirs
    }
}

/// Writes a file's header and makes it durable.
pub(crate) fn write_header(
    file: &dyn VfsFile,
    path: &Path,
    header: &FileHeader,
) -> Result<(), IoFailure> {
    file.write_all_at(0, &header.encode()).named("write", path)?;
    file.sync_data().named("sync", path)
}

/// The first bytes of a file, as many of a header's as there are.
pub(crate) fn read_header(file: &dyn VfsFile, path: &Path) -> Result<Vec<u8>, IoFailure> {
    let mut window = super::window::Window::with_chunk(file, HEADER_BYTES);
    Ok(window.at(0, HEADER_BYTES).named("read", path)?.to_vec())
}

/// Takes a directory for this process.
pub(crate) fn lock(vfs: &dyn Vfs, dir: &Path) -> Result<Box<dyn VfsLock>, OpenError> {
    let path = dir.join(LOCK);
    match vfs.lock(&path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let pid = read_pid(vfs, &path).unwrap_or_default();
            Err(OpenError::Locked { path: dir.to_owned(), pid })
        }
        result => Ok(result.named("lock", &path)?),
    }
}

/// The process that holds a lock file; `None` in the moment before it wrote that down.
fn read_pid(vfs: &dyn Vfs, path: &Path) -> Option<u32> {
    let mut text = [0; 16];
    let count = vfs.open(path).ok()?.read_at(0, &mut text).ok()?;
    std::str::from_utf8(text.get(..count)?).ok()?.trim().parse().ok()
}

/// The number in a file's name.
pub(crate) fn sequence_of(name: &str, suffix: &str) -> Option<u64> {
    let number = name.strip_suffix(suffix)?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}
