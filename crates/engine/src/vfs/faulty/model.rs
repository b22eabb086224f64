//! What the faulty disk knows: files, names as seen and as durable, and how each call is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::inode::{Change, Inode, position};
use super::random::Random;
use super::{Crash, Errno, Fault};

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeId(usize);

/// How a call goes that does not fail at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As it should.
    Whole,
    /// A write stops on the way, then the call fails.
    Part(Errno),
    /// The process dies.
    Last,
}

/// A change of a directory that no sync has made durable yet.
#[derive(Clone, Debug)]
enum DirChange {
    Link(String, InodeId),
    Unlink(String),
    Rename(String, String, InodeId),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    seen: BTreeMap<String, InodeId>,
    durable: BTreeMap<String, InodeId>,
    pending: Vec<DirChange>,
}

/// The whole disk.
#[derive(Debug)]
pub(super) struct Model {
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    locks: BTreeSet<InodeId>,
    faults: BTreeMap<u64, Fault>,
    trace: Vec<String>,
    halted: bool,
    random: Random,
    pub(super) capacity: u64,
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            inodes: Vec::new(),
            dirs: BTreeMap::new(),
            locks: BTreeSet::new(),
            faults: BTreeMap::new(),
            trace: Vec::new(),
            halted: false,
            random: Random::new(seed),
            capacity: u64::MAX,
        }
    }

    pub(super) fn calls(&self) -> u64 {
        self.trace.len() as u64
    }

    pub(super) fn describe(&self, call: u64) -> String {
        let at = usize::try_from(call).ok().and_then(|call| call.checked_sub(1));
        at.and_then(|at| self.trace.get(at)).cloned().unwrap_or_else(|| "no such call".to_owned())
    }

    pub(super) fn inject(&mut self, call: u64, fault: Fault) {
        self.faults.insert(call, fault);
    }

    /// Numbers a call and says how it goes.
    pub(super) fn turn(&mut self, what: &str, path: &Path) -> io::Result<Turn> {
        if self.halted {
            return Err(gone());
        }
        self.trace.push(format!("{what} {}", path.display()));
        match self.faults.get(&self.calls()) {
            None => Ok(Turn::Whole),
            Some(Fault::Short(errno)) if what == "write" => Ok(Turn::Part(*errno)),
            Some(Fault::Fail(errno) | Fault::Short(errno)) => Err(errno.error()),
            Some(Fault::Halt) => Ok(Turn::Last),
        }
    }

    /// Ends a call as its turn demands.
    pub(super) fn end(&mut self, turn: Turn) -> io::Result<()> {
        match turn {
            Turn::Whole => Ok(()),
            Turn::Part(errno) => Err(errno.error()),
            Turn::Last => {
                self.halted = true;
                Err(gone())
            }
        }
    }

    pub(super) fn make_dirs(&mut self, path: &Path) {
        for dir in path.ancestors() {
            self.dirs.entry(dir.to_owned()).or_default();
        }
    }

    pub(super) fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.dirs.get(dir).map(|dir| dir.seen.keys().cloned().collect()).ok_or_else(absent)
    }

    pub(super) fn create(&mut self, path: &Path, reserve_bytes: u64) -> io::Result<InodeId> {
        let (parent, name) = split(path)?;
        if self.dirs.get(parent).ok_or_else(absent)?.seen.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if reserve_bytes > self.free() {
            return Err(Errno::NoSpace.error());
        }
        let inode = InodeId(self.inodes.len());
        self.inodes.push(Inode::default());
        self.change(inode, Change::Resize(reserve_bytes));
        self.change_dir(parent, DirChange::Link(name, inode));
        Ok(inode)
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<InodeId> {
        let (parent, name) = split(path)?;
        let dir = self.dirs.get(parent).ok_or_else(absent)?;
        dir.seen.get(&name).copied().ok_or_else(absent)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        let ((parent, old), (parent_to, new)) = (split(from)?, split(to)?);
        if parent != parent_to {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.change_dir(parent, DirChange::Rename(old, new, inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        let (parent, name) = split(path)?;
        self.change_dir(parent, DirChange::Unlink(name));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dirs.get_mut(path).ok_or_else(absent)?;
        dir.pending.clear();
        dir.durable.clone_from(&dir.seen);
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<InodeId> {
        let inode = match self.find(path) {
            Ok(inode) => inode,
            Err(_) => self.create(path, 0)?,
        };
        if !self.locks.insert(inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let pid = format!("{}\n", std::process::id()).into_bytes();
        self.change(inode, Change::Resize(0));
        self.change(inode, Change::Write(0, pid));
        Ok(inode)
    }

    pub(super) fn unlock(&mut self, inode: InodeId) {
        self.locks.remove(&inode);
    }

    pub(super) fn length(&self, inode: InodeId) -> u64 {
        self.inodes.get(inode.0).map_or(0, |inode| inode.seen.len() as u64)
    }

    pub(super) fn read(&self, inode: InodeId, offset: u64, buffer: &mut [u8]) -> usize {
        let seen = self.inodes.get(inode.0).map_or(&[][..], |inode| &inode.seen);
        let start = position(offset).min(seen.len());
        let bytes = seen.get(start..).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        count
    }

    /// Writes all bytes, or as many as the turn and the free space let through.
    pub(super) fn write(
        &mut self,
        inode: InodeId,
        offset: u64,
        bytes: &[u8],
        turn: Turn,
    ) -> io::Result<()> {
        let grows = (offset + bytes.len() as u64).saturating_sub(self.length(inode));
        let missing = position(grows.saturating_sub(self.free()));
        let mut count = bytes.len().saturating_sub(missing);
        if turn != Turn::Whole {
            count = count.min(self.random.below(bytes.len() + 1));
        }
        let written = bytes.get(..count).unwrap_or_default();
        self.change(inode, Change::Write(offset, written.to_vec()));
        if missing > 0 { Err(Errno::NoSpace.error()) } else { Ok(()) }
    }

    /// A change that reads see at once and a sync will make durable.
    pub(super) fn change(&mut self, inode: InodeId, change: Change) {
        if let Some(inode) = self.inodes.get_mut(inode.0) {
            inode.change(change);
        }
    }

    pub(super) fn sync(&mut self, inode: InodeId) {
        if let Some(inode) = self.inodes.get_mut(inode.0) {
            for change in inode.pending.drain(..) {
                change.apply(&mut inode.durable);
            }
        }
    }

    /// Some sectors reached the disk; the rest never will, though reads go on seeing it.
    pub(super) fn fail_sync(&mut self, inode: InodeId) {
        if let (false, Some(inode)) = (self.halted, self.inodes.get_mut(inode.0)) {
            inode.settle(&mut self.random);
        }
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let entries = |(path, dir): (&PathBuf, &Dir)| -> Vec<_> {
            dir.seen.iter().map(|(name, inode)| (path.join(name), self.length(*inode))).collect()
        };
        self.dirs.iter().flat_map(entries).collect()
    }

    pub(super) fn flip_bit(&mut self, path: &Path, bit: u64) -> bool {
        let Ok(InodeId(inode)) = self.find(path) else { return false };
        let Some(inode) = self.inodes.get_mut(inode) else { return false };
        let (at, mask) = (position(bit / 8), 1_u8 << (bit % 8));
        if let Some(byte) = inode.durable.get_mut(at) {
            *byte ^= mask;
        }
        inode.seen.get_mut(at).map(|byte| *byte ^= mask).is_some()
    }

    /// The disk after a crash, for a new process: no locks, no faults, calls numbered anew.
    pub(super) fn crashed(&mut self, crash: Crash) -> Self {
        let mut found = Self::new(self.random.next());
        found.inodes.clone_from(&self.inodes);
        found.dirs.clone_from(&self.dirs);
        found.capacity = self.capacity;
        if crash == Crash::Process {
            return found;
        }
        let torn = crash == Crash::PowerTorn;
        for inode in &mut found.inodes {
            if torn {
                inode.settle(&mut found.random);
            }
            inode.pending.clear();
            inode.seen.clone_from(&inode.durable);
        }
        for dir in found.dirs.values_mut() {
            for change in std::mem::take(&mut dir.pending) {
                if torn && found.random.coin() {
                    change.apply(&mut dir.durable);
                }
            }
            dir.seen.clone_from(&dir.durable);
        }
        found
    }

    fn change_dir(&mut self, path: &Path, change: DirChange) {
        if let Some(dir) = self.dirs.get_mut(path) {
            change.clone().apply(&mut dir.seen);
            dir.pending.push(change);
        }
    }

    fn free(&self) -> u64 {
        let used: u64 = self.files().iter().map(|(_, length)| length).sum();
        self.capacity.saturating_sub(used)
    }
}

impl DirChange {
    fn apply(self, entries: &mut BTreeMap<String, InodeId>) {
        match self {
            Self::Link(name, inode) => {
                entries.insert(name, inode);
            }
            Self::Unlink(name) => {
                entries.remove(&name);
            }
            Self::Rename(from, to, inode) => {
                entries.remove(&from);
                entries.insert(to, inode);
            }
        }
    }
}

impl Errno {
    fn error(self) -> io::Error {
        let errno = match self {
            Self::Io => rustix::io::Errno::IO,
            Self::NoSpace => rustix::io::Errno::NOSPC,
        };
        errno.into()
    }
}

/// Splits a path into its directory and its name.
fn split(path: &Path) -> io::Result<(&Path, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent, name.to_owned())),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn gone() -> io::Error {
    io::Error::other("the process is gone")
}
