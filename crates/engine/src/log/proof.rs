//! Syncing a long file of an image behind its writing, and reading back what was synced.
//!
//! A thread does so: the disk works while more is written, little is left to be done behind the last
//! byte, and the log's own syncs never wait behind a whole image.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::failure::{IoFailure, Named};
use crate::image::ImageDecoder;
use crate::vfs::VfsFile;

/// Synced as soon as so much is written.
pub(super) const SYNC_BYTES: u64 = 8 << 20;
/// The writing waits while more than this is not synced.
const UNSYNCED_BYTES_MAX: u64 = 24 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// That a file is durable from its beginning on, and reads back as the beginning of an image.
#[derive(Debug)]
pub(super) struct Proof {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    through: u64,
    decoder: ImageDecoder,
    buffer: Vec<u8>,
}

impl Proof {
    pub(super) fn new(file: &Arc<dyn VfsFile>, path: &Path) -> Self {
        Self {
            file: Arc::clone(file),
            path: path.to_owned(),
            through: 0,
            decoder: ImageDecoder::new(),
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Extends it to what was written. The items come from the state, or were checked: what is to
    /// be found here is damage.
    pub(super) fn extend(&mut self, written: u64) -> Result<(), IoFailure> {
        self.file.sync_data().named("sync", &self.path)?;
        while self.through < written {
            let wanted = usize::try_from(written - self.through).unwrap_or(READ_BYTES);
            let room = self.buffer.get_mut(..wanted.min(READ_BYTES)).unwrap_or_default();
            let count = self.file.read_at(self.through, room).named("read", &self.path)?;
            let checked = match room.get(..count).unwrap_or_default() {
                [] => Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => self.decoder.skim(bytes).map_err(io::Error::other),
            };
            checked.named("verify", &self.path)?;
            self.through += count as u64;
        }
        Ok(())
    }

    /// The file ends where the proof does; returns its length.
    pub(super) fn finish(&self) -> Result<u64, IoFailure> {
        self.decoder.finish_skimming().map_err(io::Error::other).named("verify", &self.path)
    }
}

/// The thread that extends the proof.
#[derive(Debug)]
pub(super) struct Behind {
    path: PathBuf,
    progress: Arc<Progress>,
    /// `None` when its result was taken.
    thread: Option<JoinHandle<Result<Proof, IoFailure>>>,
}

#[derive(Debug, Default)]
struct Progress {
    inner: Mutex<Reached>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Reached {
    written: u64,
    proven: u64,
    /// No more is written, or proven.
    ended: bool,
}

/// Ends when the thread does, however that comes about: nobody waits for it for ever.
struct Ending(Arc<Progress>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Behind {
    pub(super) fn start(mut proof: Proof) -> Result<Self, IoFailure> {
        let path = proof.path.clone();
        let progress = Arc::<Progress>::default();
        let ending = Ending(Arc::clone(&progress));
        let work = move || ending.0.follow(&mut proof).map(|()| proof);
        let thread = thread::Builder::new().name("decube-sync".into()).spawn(work);
        let thread = thread.named("sync", &path)?;
        Ok(Self { path, progress, thread: Some(thread) })
    }

    /// So much is written. Waits until it is near enough.
    pub(super) fn go_on_to(&mut self, written: u64) -> Result<(), IoFailure> {
        let mut reached = self.progress.inner.lock();
        reached.written = written;
        self.progress.changed.notify_all();
        while !reached.ended && written - reached.proven > UNSYNCED_BYTES_MAX {
            self.progress.changed.wait(&mut reached);
        }
        let failed = reached.ended;
        drop(reached);
        if failed { self.end().map(drop) } else { Ok(()) }
    }

    /// Waits until it is done with what it does.
    pub(super) fn end(&mut self) -> Result<Proof, IoFailure> {
        self.progress.end();
        let Some(Ok(result)) = self.thread.take().map(JoinHandle::join) else {
            return Err(io::Error::other("it failed before")).named("sync", &self.path);
        };
        result
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // What it finds is of no use to anybody any more; but nothing of it goes on.
        drop(self.end());
    }
}

impl Progress {
    /// The thread's body: proves what was written until all ends.
    fn follow(&self, proof: &mut Proof) -> Result<(), IoFailure> {
        let mut reached = self.inner.lock();
        while !reached.ended {
            if reached.written - reached.proven < SYNC_BYTES {
                self.changed.wait(&mut reached);
                continue;
            }
            let written = reached.written;
            drop(reached);
            proof.extend(written)?;
            reached = self.inner.lock();
            reached.proven = written;
            self.changed.notify_all();
        }
        Ok(())
    }

    fn end(&self) {
        self.inner.lock().ended = true;
        self.changed.notify_all();
    }
}
