//! The file of a checkpoint while it is written, under a name that recovery ignores.
//!
//! Whoever brings the items only has them encoded; the pieces of a long file are written by a thread,
//! past the page cache and from where they lie: the processor has better to do than to copy them, the
//! log's own syncs wait behind none of them, and little is left to sync behind the last byte. What the
//! disk was given is checked where it took it from.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::failure::{IoFailure, Named};
use super::files::Files;
use super::pace::Pace;
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::image::{ImageDecoder, ImageEncoder, ImageOrigin, PREFACE_BYTES, Space, preface};
use crate::vfs::VfsFile;

/// Bytes that wait to be written.
const WAITING_BYTES: usize = 4 << 20;

/// Takes the items of an image.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    file: Arc<dyn VfsFile>,
    pace: Pace,
    encoder: ImageEncoder,
    /// From the first piece on; a file of one piece is written at its end.
    writer: Option<Writer>,
}

impl CheckpointFile {
    pub(crate) fn create(
        files: &Files,
        path: PathBuf,
        origin: &ImageOrigin,
        head: &ImageHead,
        pace: Pace,
    ) -> Result<Self, IoFailure> {
        let file = files.create(&path, 0)?.into();
        Ok(Self { path, file, pace, encoder: ImageEncoder::new(origin, head), writer: None })
    }

    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.encoder.push(item);
        if self.encoder.ready_bytes() < self.pace.piece_bytes() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(Writer::start(self.output())?),
        };
        let spare = writer.spare();
        writer.write(self.encoder.take_disk_blocks(spare))
    }

    /// Ends the file and makes it durable; returns its length.
    pub(crate) fn finish(&mut self) -> Result<u64, IoFailure> {
        self.encoder.finish();
        let mut output = match &mut self.writer {
            Some(writer) => writer.end()?,
            None => self.output(),
        };
        output.write(&self.encoder.take_disk_blocks(Space::default()))?;
        output.finish()
    }

    /// Reads a finished file again, from the disk, which alone tells that it can be. Returns false,
    /// and early, when that is in vain.
    pub(crate) fn read_back(&self, in_vain: &AtomicBool) -> Result<bool, IoFailure> {
        let bytes_max = self.pace.piece_bytes();
        let mut window = Window::with_chunk(&*self.file, bytes_max);
        let mut decoder = ImageDecoder::new();
        let mut offset = 0;
        while !in_vain.load(Ordering::Relaxed) {
            let begun = self.pace.begin();
            let bytes = window.at(offset, bytes_max).named("read", &self.path)?;
            if bytes.is_empty() {
                let whole = decoder.finish_skimming().map_err(io::Error::other);
                return whole.named("verify", &self.path).map(|_length| true);
            }
            decoder.skim(bytes).map_err(io::Error::other).named("verify", &self.path)?;
            offset += bytes.len() as u64;
            if bytes.len() == bytes_max {
                self.pace.rest(begun);
            }
        }
        Ok(false)
    }

    /// Gives a finished file other numbers, durably.
    pub(crate) fn rewrite_preface(
        &mut self,
        origin: &ImageOrigin,
        head: &ImageHead,
    ) -> Result<(), IoFailure> {
        let preface = preface(origin, head, self.encoder.salt());
        self.file.write_all_at(0, &preface).named("write", &self.path)?;
        self.file.sync_data().named("sync", &self.path)?;
        let mut window = Window::with_chunk(&*self.file, PREFACE_BYTES);
        if window.at(0, PREFACE_BYTES).named("read", &self.path)? == preface {
            return Ok(());
        }
        let error = io::Error::other("it reads back as something else");
        Err(error).named("verify", &self.path)
    }

    /// Nothing was written yet.
    fn output(&self) -> Output {
        Output {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            pace: self.pace.clone(),
            bytes: 0,
            decoder: ImageDecoder::new(),
        }
    }
}

/// A file as far as it was written.
#[derive(Debug)]
struct Output {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    pace: Pace,
    bytes: u64,
    /// Checks what was written.
    decoder: ImageDecoder,
}

impl Output {
    /// The items come from the state, or were checked: what is to be found here is damage.
    fn write(&mut self, piece: &Space) -> Result<(), IoFailure> {
        let bytes = piece.bytes();
        self.file.write_through(self.bytes, bytes).named("write", &self.path)?;
        self.decoder.skim(bytes).map_err(io::Error::other).named("verify", &self.path)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<u64, IoFailure> {
        self.file.sync_data().named("sync", &self.path)?;
        let length = self.decoder.finish_skimming().map_err(io::Error::other);
        let length = length.named("verify", &self.path)?;
        if self.file.len().named("look at", &self.path)? == length {
            return Ok(length);
        }
        Err(io::Error::other("it is not as long as what was written")).named("verify", &self.path)
    }
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    pace: Pace,
    /// `None` when no more comes.
    pieces: Option<SyncSender<Space>>,
    /// Space of pieces that were written.
    spares: Receiver<Space>,
    /// Nobody wants the file any more.
    given_up: Arc<AtomicBool>,
    /// `None` when its result was taken.
    thread: Option<JoinHandle<Result<Output, IoFailure>>>,
}

impl Writer {
    fn start(mut output: Output) -> Result<Self, IoFailure> {
        let (path, pace) = (output.path.clone(), output.pace.clone());
        let (pieces, coming) = sync_channel::<Space>(WAITING_BYTES / pace.piece_bytes());
        let (spare, spares) = channel();
        let given_up = Arc::<AtomicBool>::default();
        let is_given_up = Arc::clone(&given_up);
        let work = move || {
            for mut piece in coming {
                if is_given_up.load(Ordering::Relaxed) {
                    break;
                }
                let begun = output.pace.begin();
                output.write(&piece)?;
                piece.truncate(0);
                // Behind the last nobody wants it.
                drop(spare.send(piece));
                output.pace.rest(begun);
            }
            Ok(output)
        };
        let thread = thread::Builder::new().name("decube-image".into()).spawn(work);
        let thread = thread.named("write", &path)?;
        Ok(Self { path, pace, pieces: Some(pieces), spares, given_up, thread: Some(thread) })
    }

    fn spare(&self) -> Space {
        let used = self.spares.try_recv().ok();
        // That of larger values is given back.
        let room = self.pace.piece_room();
        let used = used.filter(|space| (room..2 * room).contains(&space.room()));
        used.unwrap_or_else(|| Space::with_room(room))
    }

    /// Waits while enough is waiting already.
    fn write(&mut self, piece: Space) -> Result<(), IoFailure> {
        match self.pieces.as_ref().map(|pieces| pieces.send(piece)) {
            Some(Ok(())) => Ok(()),
            _ => self.end().map(drop),
        }
    }

    /// Waits until all is written.
    fn end(&mut self) -> Result<Output, IoFailure> {
        self.pieces = None;
        let Some(Ok(result)) = self.thread.take().map(JoinHandle::join) else {
            return Err(io::Error::other("it failed before")).named("write", &self.path);
        };
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What comes of it is of no use to anybody any more: what waits is left, and nothing goes on.
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        drop(self.end());
    }
}

#[cfg(test)]
#[path = "checkpoint_file_tests.rs"]
mod tests;
