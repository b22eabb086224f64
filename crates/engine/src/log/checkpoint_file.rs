//! The file of a checkpoint while it is written, under a name that recovery ignores.
//!
//! Whoever brings the items only has them encoded; of a long file the pieces are written by one
//! thread, and synced and read back by another ([`Behind`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::failure::{IoFailure, Named};
use super::files::Files;
use super::proof::{Behind, Proof, SYNC_BYTES};
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::image::{ImageEncoder, ImageOrigin, PREFACE_BYTES, preface};
use crate::vfs::VfsFile;

/// Bytes written at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait to be written.
const PIECES_WAITING: usize = 16;

/// Takes the items of an image.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    file: Arc<dyn VfsFile>,
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
    ) -> Result<Self, IoFailure> {
        let file = files.create(&path, 0)?.into();
        Ok(Self { path, file, encoder: ImageEncoder::new(origin, head), writer: None })
    }

    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.encoder.push(item);
        if self.encoder.ready_bytes() < PIECE_BYTES {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(Writer::start(Output::new(&self.file, &self.path))?),
        };
        let spare = writer.spare();
        writer.write(self.encoder.take_for(spare))
    }

    /// Ends the file, makes it durable and reads it back; returns its length.
    pub(crate) fn finish(&mut self) -> Result<u64, IoFailure> {
        self.encoder.finish();
        let mut output = match &mut self.writer {
            Some(writer) => writer.end()?,
            None => Output::new(&self.file, &self.path),
        };
        output.write(&self.encoder.take())?;
        output.finish()
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
struct Output {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    bytes: u64,
    /// From the first sync on.
    behind: Option<Behind>,
}

impl Output {
    fn new(file: &Arc<dyn VfsFile>, path: &Path) -> Self {
        Self { file: Arc::clone(file), path: path.to_owned(), bytes: 0, behind: None }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), IoFailure> {
        self.file.write_all_at(self.bytes, piece).named("write", &self.path)?;
        self.bytes += piece.len() as u64;
        match &mut self.behind {
            Some(behind) => behind.go_on_to(self.bytes),
            None if self.bytes < SYNC_BYTES => Ok(()),
            None => {
                let behind = Behind::start(Proof::new(&self.file, &self.path))?;
                self.behind.insert(behind).go_on_to(self.bytes)
            }
        }
    }

    fn finish(&mut self) -> Result<u64, IoFailure> {
        let mut proof = match &mut self.behind {
            Some(behind) => behind.end()?,
            None => Proof::new(&self.file, &self.path),
        };
        proof.extend(self.bytes)?;
        proof.finish()
    }
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    /// `None` when no more comes.
    pieces: Option<SyncSender<Vec<u8>>>,
    /// Space of pieces that were written.
    spares: Receiver<Vec<u8>>,
    /// `None` when its result was taken.
    thread: Option<JoinHandle<Result<Output, IoFailure>>>,
}

impl Writer {
    fn start(mut output: Output) -> Result<Self, IoFailure> {
        let (pieces, coming) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (spare, spares) = channel();
        let path = output.path.clone();
        let work = move || {
            for piece in coming {
                output.write(&piece)?;
                // Behind the last nobody wants it.
                drop(spare.send(piece));
            }
            Ok(output)
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
        // What comes of it is of no use to anybody any more; but nothing of it goes on.
        drop(self.end());
    }
}
