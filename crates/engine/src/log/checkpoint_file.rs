//! The file of a checkpoint while it is written, under a name that recovery ignores.
//!
//! A long one is synced behind the writing, by a thread that then reads back and checks what it
//! synced. So the disk works while the next items are encoded, little is left to be done when the
//! last is written, and the log's own syncs never wait behind a whole image.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::failure::{IoFailure, Named};
use super::files::Files;
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::image::{ImageDecoder, ImageEncoder, ImageOrigin, PREFACE_BYTES, preface};
use crate::vfs::VfsFile;

/// Bytes written at once, and read.
const WRITE_BYTES: usize = 256 << 10;
const READ_BYTES: u64 = 1 << 20;
/// Bytes synced at once. As many more wait to be synced, and as many are on their way to them.
const SYNC_BYTES: u64 = 8 << 20;

/// Takes the items of an image.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    file: Arc<dyn VfsFile>,
    encoder: ImageEncoder,
    offset: u64,
    /// What the thread was given to do.
    handed_over: u64,
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
        let encoder = ImageEncoder::new(origin, head);
        Ok(Self { path, file, encoder, offset: 0, handed_over: 0, behind: None })
    }

    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.encoder.push(item);
        if self.encoder.ready_bytes() < WRITE_BYTES {
            return Ok(());
        }
        self.write()?;
        if self.offset - self.handed_over >= SYNC_BYTES { self.hand_over() } else { Ok(()) }
    }

    /// Ends the file, makes it durable and reads it back; returns its length.
    pub(crate) fn finish(&mut self) -> Result<u64, IoFailure> {
        self.encoder.finish();
        self.write()?;
        let mut proof = match &mut self.behind {
            Some(behind) => behind.end()?,
            None => Proof::new(&self.file, &self.path),
        };
        proof.extend(self.offset)?;
        proof.decoder.finish().map_err(io::Error::other).named("verify", &self.path)
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

    fn write(&mut self) -> Result<(), IoFailure> {
        let bytes = self.encoder.ready();
        self.file.write_all_at(self.offset, bytes).named("write", &self.path)?;
        self.offset += bytes.len() as u64;
        self.encoder.forget_ready();
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), IoFailure> {
        self.handed_over = self.offset;
        if self.behind.is_none() {
            self.behind = Some(Behind::start(Proof::new(&self.file, &self.path))?);
        }
        match &mut self.behind {
            Some(behind) if !behind.go_on_to(self.offset) => behind.end().map(drop),
            _ => Ok(()),
        }
    }
}

/// That a file is durable and reads back as what it should be, from its beginning.
#[derive(Debug)]
struct Proof {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    decoder: ImageDecoder,
    through: u64,
}

impl Proof {
    fn new(file: &Arc<dyn VfsFile>, path: &Path) -> Self {
        let decoder = ImageDecoder::new();
        Self { file: Arc::clone(file), path: path.to_owned(), decoder, through: 0 }
    }

    /// Goes on to an offset: all before it was written.
    fn extend(&mut self, end: u64) -> Result<(), IoFailure> {
        self.file.sync_data().named("sync", &self.path)?;
        let mut window = Window::with_chunk(&*self.file, 0);
        while self.through < end {
            let length = usize::try_from(READ_BYTES.min(end - self.through)).unwrap_or(0);
            let bytes = window.at(self.through, length).named("read", &self.path)?;
            if bytes.is_empty() {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(error).named("verify", &self.path);
            }
            let checked = self.decoder.feed(bytes, &mut |_| Ok(()));
            checked.map_err(io::Error::other).named("verify", &self.path)?;
            self.through += bytes.len() as u64;
        }
        Ok(())
    }
}

/// The thread that proves what was written while more is.
#[derive(Debug)]
struct Behind {
    /// `None` when no more comes.
    ends: Option<SyncSender<u64>>,
    /// `None` when its result was taken.
    thread: Option<JoinHandle<Result<Proof, IoFailure>>>,
}

impl Behind {
    fn start(mut proof: Proof) -> Result<Self, IoFailure> {
        let (ends, written) = sync_channel(1);
        let path = proof.path.clone();
        let work = move || {
            written.iter().try_for_each(|end| proof.extend(end))?;
            Ok(proof)
        };
        let thread = thread::Builder::new().name("decube-image".into()).spawn(work);
        Ok(Self { ends: Some(ends), thread: Some(thread.named("sync", &path)?) })
    }

    /// Waits until it is near enough, and lets it go on to an offset; false when it has failed.
    fn go_on_to(&self, end: u64) -> bool {
        self.ends.as_ref().is_some_and(|ends| ends.send(end).is_ok())
    }

    /// Waits until all is done that it was given.
    fn end(&mut self) -> Result<Proof, IoFailure> {
        self.ends = None;
        let result = self.thread.take().and_then(|thread| thread.join().ok());
        result.expect("it is asked once, and does not panic")
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            // What it found is of no use to anybody any more.
            drop(thread.join());
        }
    }
}
