//! The file of a checkpoint while it is written, under a name that recovery ignores.
//!
//! It is synced every so often, so that the log's own syncs do not wait behind a whole image, and
//! what was synced is read back and checked. A long one is written, synced and read back by a thread
//! of its own, while the next items are encoded and whoever brings them gets on with them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::failure::{IoFailure, Named};
use super::files::Files;
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::image::{ImageDecoder, ImageEncoder, ImageOrigin, PREFACE_BYTES, preface};
use crate::vfs::VfsFile;

/// Bytes written at once, and read.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait to be written.
const PIECES_WAITING: usize = 16;
/// Bytes synced at once, and then read back.
const SYNC_BYTES: u64 = 8 << 20;

/// Takes the items of an image.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    file: Arc<dyn VfsFile>,
    encoder: ImageEncoder,
    /// From the first piece on; a file of one piece is written at its end.
    behind: Option<Behind>,
}

impl CheckpointFile {
    pub(crate) fn create(
        files: &Files,
        path: PathBuf,
        origin: &ImageOrigin,
        head: &ImageHead,
    ) -> Result<Self, IoFailure> {
        let file = files.create(&path, 0)?.into();
        Ok(Self { path, file, encoder: ImageEncoder::new(origin, head), behind: None })
    }

    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.encoder.push(item);
        if self.encoder.ready_bytes() < PIECE_BYTES {
            return Ok(());
        }
        let behind = match &mut self.behind {
            Some(behind) => behind,
            None => self.behind.insert(Behind::start(Written::nothing(&self.file, &self.path))?),
        };
        let spare = behind.spare();
        behind.write(self.encoder.take_for(spare))
    }

    /// Ends the file, makes it durable and reads it back; returns its length.
    pub(crate) fn finish(&mut self) -> Result<u64, IoFailure> {
        self.encoder.finish();
        let mut written = match &mut self.behind {
            Some(behind) => behind.end()?,
            None => Written::nothing(&self.file, &self.path),
        };
        written.write(&self.encoder.take())?;
        written.finish()
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
}

/// A file as far as it was written.
#[derive(Debug)]
struct Written {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    bytes: u64,
    /// What is durable, and reads back as the beginning of an image.
    proven: u64,
    decoder: ImageDecoder,
    buffer: Vec<u8>,
}

impl Written {
    fn nothing(file: &Arc<dyn VfsFile>, path: &Path) -> Self {
        Self {
            file: Arc::clone(file),
            path: path.to_owned(),
            bytes: 0,
            proven: 0,
            decoder: ImageDecoder::new(),
            buffer: vec![0; PIECE_BYTES],
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), IoFailure> {
        self.file.write_all_at(self.bytes, bytes).named("write", &self.path)?;
        self.bytes += bytes.len() as u64;
        if self.bytes - self.proven >= SYNC_BYTES { self.prove() } else { Ok(()) }
    }

    /// The file is whole; returns its length.
    fn finish(&mut self) -> Result<u64, IoFailure> {
        self.prove()?;
        self.decoder.finish_skimming().map_err(io::Error::other).named("verify", &self.path)
    }

    /// The items come from the state, or were checked: what is to be found here is damage.
    fn prove(&mut self) -> Result<(), IoFailure> {
        self.file.sync_data().named("sync", &self.path)?;
        while self.proven < self.bytes {
            let count = self.file.read_at(self.proven, &mut self.buffer);
            let count = count.named("read", &self.path)?;
            let bytes = self.buffer.get(..count).unwrap_or_default();
            let checked = match bytes {
                [] => Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => self.decoder.skim(bytes).map_err(io::Error::other),
            };
            checked.named("verify", &self.path)?;
            self.proven += count as u64;
        }
        Ok(())
    }
}

/// The thread that writes.
#[derive(Debug)]
struct Behind {
    path: PathBuf,
    /// `None` when no more comes.
    pieces: Option<SyncSender<Vec<u8>>>,
    /// Space of pieces that were written.
    spares: Receiver<Vec<u8>>,
    /// `None` when its result was taken.
    thread: Option<JoinHandle<Result<Written, IoFailure>>>,
}

impl Behind {
    fn start(mut written: Written) -> Result<Self, IoFailure> {
        let (pieces, coming) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (spare, spares) = channel();
        let path = written.path.clone();
        let work = move || {
            for piece in coming {
                written.write(&piece)?;
                // Behind the last nobody wants it.
                drop(spare.send(piece));
            }
            Ok(written)
        };
        let thread = thread::Builder::new().name("decube-image".into()).spawn(work);
        let thread = thread.named("write", &path)?;
        Ok(Self { path, pieces: Some(pieces), spares, thread: Some(thread) })
    }

    fn spare(&self) -> Vec<u8> {
        self.spares.try_recv().unwrap_or_default()
    }

    /// Waits while enough is waiting already.
    fn write(&mut self, piece: Vec<u8>) -> Result<(), IoFailure> {
        match self.pieces.as_ref().map(|pieces| pieces.send(piece)) {
            Some(Ok(())) => Ok(()),
            _ => self.end().map(drop),
        }
    }

    /// Waits until all is written.
    fn end(&mut self) -> Result<Written, IoFailure> {
        self.pieces = None;
        let Some(Ok(result)) = self.thread.take().map(JoinHandle::join) else {
            return Err(io::Error::other("writing it failed before")).named("write", &self.path);
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
