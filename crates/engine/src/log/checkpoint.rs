//! Checkpoints: images of the state that bound how much log is replayed.
//!
//! Written beside the log ([`CheckpointFile`]) under a name that recovery ignores, until it is whole,
//! durable and read back. Layout in `docs/store-format.md`, section 4.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checkpoint_file::CheckpointFile;
use super::failure::{IoFailure, Named};
use super::files::UNFINISHED_SUFFIX;
use super::header::{FileHeader, HEADER_BYTES};
use super::pace::Pace;
use super::retention::Shared;
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::error::OpenError;
use crate::image::{ImageDecoder, ImageError, ImageOrigin};
use crate::vfs::VfsFile;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Writes one checkpoint. Dropped before [`CheckpointWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct CheckpointWriter {
    shared: Arc<Shared>,
    head: ImageHead,
    /// Where the log stood, in bytes, when it began.
    log_bytes: u64,
    /// Of the state it is an image of.
    epoch: u64,
    pace: Pace,
    output: Option<CheckpointFile>,
}

impl CheckpointWriter {
    pub(crate) fn new(shared: Arc<Shared>, head: ImageHead, log_bytes: u64) -> Self {
        let epoch = {
            let mut catalog = shared.catalog();
            catalog.checkpoint_running = true;
            catalog.epoch
        };
        let pace = Pace::Gentle(Arc::clone(&shared.clock));
        Self { shared, head, log_bytes, epoch, pace, output: None }
    }

    /// Somebody waits for it. Before it is begun.
    pub(crate) fn hurry(mut self) -> Self {
        self.pace = Pace::Full;
        self
    }

    pub(crate) fn is_gentle(&self) -> bool {
        self.pace.is_gentle()
    }

    /// Where it is going to be.
    pub(crate) fn path(&self) -> PathBuf {
        self.shared.files.checkpoint_path(self.head.sequence)
    }

    /// Makes the file, which [`CheckpointWriter::push`] does otherwise; it takes locks for that.
    pub(crate) fn begin(&mut self) -> Result<(), IoFailure> {
        self.output().map(drop)
    }

    /// Takes the next piece of the image: leases first, then records in key order, of one key the
    /// oldest first. The head is written by itself.
    pub fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.output()?.push(item)
    }

    /// Makes the checkpoint durable, reads it back to verify it, gives it its name, and removes
    /// checkpoints and segments that are no longer kept. Returns its size in bytes. An error leaves
    /// the log as it was: it is no reason to stop writing.
    pub fn finish(mut self) -> Result<u64, IoFailure> {
        let bytes = self.complete(&AtomicBool::default())?.unwrap_or_default();
        self.put_in_place(bytes)?;
        Ok(bytes)
    }

    /// The part of it that takes long, and no lock. Returns nothing when it is in vain meanwhile.
    pub(crate) fn complete(&mut self, in_vain: &AtomicBool) -> Result<Option<u64>, IoFailure> {
        let output = self.output()?;
        let bytes = output.finish()?;
        Ok(output.read_back(in_vain)?.then_some(bytes))
    }

    /// The part behind that.
    pub(crate) fn put_in_place(mut self, bytes: u64) -> Result<(), IoFailure> {
        self.give_name(bytes)?;
        self.shared.remove_expired(&self.pace)
    }

    /// Unless the state was replaced meanwhile.
    fn give_name(&mut self, bytes: u64) -> Result<(), IoFailure> {
        let _housekeeping = self.shared.housekeeping();
        let Some(output) = self.output.as_ref().filter(|_| self.is_current()) else {
            return Ok(());
        };
        self.shared.files.install(&output.path, &self.path())?;
        let mut catalog = self.shared.catalog();
        catalog.checkpoints.push(self.head.sequence);
        catalog.image_bytes = bytes;
        drop(catalog);
        self.output = None;
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.shared.catalog().epoch == self.epoch
    }

    /// The file, made when the first of it is to be written.
    fn output(&mut self) -> Result<&mut CheckpointFile, IoFailure> {
        if self.output.is_none() {
            let shared = &self.shared;
            let created_at = shared.clock.wall();
            let origin = ImageOrigin { identity: shared.identity(), created_at };
            let mut path = self.path().into_os_string();
            path.push(UNFINISHED_SUFFIX);
            let (path, pace) = (path.into(), self.pace.clone());
            let file = CheckpointFile::create(&shared.files, path, &origin, &self.head, pace)?;
            self.output = Some(file);
        }
        Ok(self.output.as_mut().expect("it was just made"))
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            // What cannot be removed now is removed when the store is opened again.
            drop(self.shared.files.remove(&output.path));
        }
        let mut catalog = self.shared.catalog();
        if catalog.epoch != self.epoch {
            return;
        }
        catalog.checkpoint_running = false;
        catalog.checkpoint_at_bytes = self.log_bytes;
        catalog.checkpoint_at_sequence = self.head.sequence;
    }
}

/// Reads a checkpoint and hands out its items; returns its length.
pub(crate) fn read(
    file: &dyn VfsFile,
    path: &Path,
    header: &FileHeader,
    take: &mut dyn FnMut(ImageItem) -> Result<(), String>,
) -> Result<u64, OpenError> {
    let mut decoder = ImageDecoder::behind(header);
    let mut window = Window::new(file);
    let mut offset = HEADER_BYTES as u64;
    loop {
        let bytes = window.at(offset, READ_BYTES).named("read", path)?;
        if bytes.is_empty() {
            return decoder.finish().map_err(|error| at(path, error));
        }
        decoder.feed(bytes, take).map_err(|error| at(path, error))?;
        offset += bytes.len() as u64;
    }
}

/// Names the file that an image is in.
fn at(path: &Path, error: ImageError) -> OpenError {
    let path = path.to_owned();
    match error {
        ImageError::Damaged { offset, reason } => OpenError::Corrupt { path, offset, reason },
        ImageError::Newer { found, supported } => OpenError::NewerFormat { path, found, supported },
    }
}
