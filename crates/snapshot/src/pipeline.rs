//! The threads that a stream goes through on its way to files.
//!
//! Whoever brings the bytes makes them on his own thread; one thread digests, one writes, and one
//! syncs what was written a little behind. The bytes stay where they were made, and their memory is
//! used again.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::background::{named, step_back};
use crate::digest::{PartsDigest, Sha256};

/// Pieces that wait to be digested, or to be written.
const PIECES_WAITING: usize = 2;
/// Memory that is kept to be used again: with more of it each piece would lie somewhere else.
const SPARES_MAX: usize = 4;
/// Of a part that has no file yet. They all have room where they wait: nobody waits for the file.
pub(crate) const PIECES_AHEAD: usize = 2 * PIECES_WAITING;
/// Synced a little at a time: one sync of a whole part would hold up others on the same disk.
const SYNC_BYTES: usize = 1 << 20;

/// Dropped it writes no more, and ends its threads.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// `None` when no more comes, like `files`.
    pieces: Option<SyncSender<Message>>,
    /// One for each part.
    files: Option<SyncSender<File>>,
    spares: Receiver<Vec<u8>>,
    written: Receiver<io::Result<Digests>>,
    threads: Vec<JoinHandle<()>>,
}

/// Of a part, and of the stream to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digests {
    pub(crate) part: Sha256,
    pub(crate) whole: Sha256,
}

/// What goes from thread to thread.
enum Message<C = ()> {
    Piece(Vec<u8>),
    /// A part ends.
    Cut(C),
}

impl Pipeline {
    pub(crate) fn start() -> io::Result<Self> {
        let (pieces, coming) = sync_channel(PIECES_WAITING);
        let (done, to_write) = sync_channel(PIECES_WAITING);
        let (files, next_file) = sync_channel(1);
        let (spare, spares) = sync_channel(SPARES_MAX);
        let (tell, written) = sync_channel(1);
        let mut pipeline = Self {
            pieces: Some(pieces),
            files: Some(files),
            spares,
            written,
            threads: Vec::with_capacity(2),
        };
        let digesting = move || {
            step_back();
            digest(&coming, &done);
        };
        pipeline.threads.push(named("decube-digest").spawn(digesting)?);
        let syncer = Syncer::start()?;
        let writing = move || {
            step_back();
            let output = Output { files: next_file, spare, syncer, written: tell };
            output.run(&to_write);
        };
        pipeline.threads.push(named("decube-write").spawn(writing)?);
        Ok(pipeline)
    }

    /// Where the next part goes.
    pub(crate) fn begin(&mut self, file: File) -> io::Result<()> {
        let sent = self.files.as_ref().is_some_and(|files| files.send(file).is_ok());
        if sent { Ok(()) } else { Err(self.failure()) }
    }

    pub(crate) fn send(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.pass(Message::Piece(piece))
    }

    /// The part ends here.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.pass(Message::Cut(()))
    }

    /// Waits until the part is written.
    pub(crate) fn written(&self) -> io::Result<Digests> {
        self.written.recv().unwrap_or_else(|_ended| Err(failed()))
    }

    /// Memory that was used before, if there is any.
    pub(crate) fn spare(&self) -> Vec<u8> {
        self.spares.try_recv().unwrap_or_default()
    }

    fn pass(&mut self, message: Message) -> io::Result<()> {
        let sent = self.pieces.as_ref().is_some_and(|pieces| pieces.send(message).is_ok());
        if sent { Ok(()) } else { Err(self.failure()) }
    }

    /// No more comes: its threads end. What is under way may be written or not.
    pub(crate) fn stop(&mut self) {
        (self.pieces, self.files) = (None, None);
    }

    /// Why the threads have ended: the last that they told.
    fn failure(&mut self) -> io::Error {
        self.stop();
        self.written.iter().find_map(Result::err).unwrap_or_else(failed)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
        // Whoever waits to tell something hears that nobody listens.
        self.written = sync_channel(0).1;
        for thread in self.threads.drain(..) {
            // What became of it was told to whoever wrote.
            drop(thread.join());
        }
    }
}

fn digest(coming: &Receiver<Message>, digested: &SyncSender<Message<Digests>>) {
    let mut digest = PartsDigest::new();
    for message in coming {
        let message = match message {
            Message::Piece(piece) => {
                digest.update(&piece);
                Message::Piece(piece)
            }
            Message::Cut(()) => {
                Message::Cut(Digests { part: digest.cut(), whole: digest.clone().finish() })
            }
        };
        if digested.send(message).is_err() {
            return;
        }
    }
}

/// The end of it.
struct Output {
    files: Receiver<File>,
    spare: SyncSender<Vec<u8>>,
    syncer: Syncer,
    written: SyncSender<io::Result<Digests>>,
}

impl Output {
    fn run(mut self, to_write: &Receiver<Message<Digests>>) {
        if let Err(error) = self.write_all(to_write) {
            // Nobody is there to hear it only where nobody wants the files.
            drop(self.written.send(Err(error)));
        }
    }

    /// Until no more comes, or nobody wants it.
    fn write_all(&mut self, to_write: &Receiver<Message<Digests>>) -> io::Result<()> {
        let mut messages = to_write.iter().peekable();
        while messages.peek().is_some() {
            let Ok(file) = self.files.recv() else { return Ok(()) };
            let Some(digests) = self.write_part(&Arc::new(file), &mut messages)? else {
                return Ok(());
            };
            if self.written.send(Ok(digests)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes to the end of a part; `None` if it has none.
    fn write_part(
        &mut self,
        file: &Arc<File>,
        messages: &mut impl Iterator<Item = Message<Digests>>,
    ) -> io::Result<Option<Digests>> {
        let mut unsynced = 0;
        for message in messages {
            let piece = match message {
                Message::Piece(piece) => piece,
                Message::Cut(digests) => return self.syncer.wait().map(|()| Some(digests)),
            };
            (&**file).write_all(&piece)?;
            unsynced += piece.len();
            // Where pieces are cut there are more of them than are taken.
            drop(self.spare.try_send(piece));
            if unsynced >= SYNC_BYTES {
                unsynced = 0;
                self.syncer.sync(file)?;
            }
        }
        Ok(None)
    }
}

/// The thread that syncs.
struct Syncer {
    /// Without room: who sends waits until all is synced that was sent before.
    files: Option<SyncSender<Option<Arc<File>>>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Syncer {
    fn start() -> io::Result<Self> {
        let (files, to_sync) = sync_channel::<Option<Arc<File>>>(0);
        let sync = move || to_sync.iter().flatten().try_for_each(|file| file.sync_data());
        let thread = named("decube-sync").spawn(sync)?;
        Ok(Self { files: Some(files), thread: Some(thread) })
    }

    /// Begins to sync a file, when the sync before has ended.
    fn sync(&mut self, file: &Arc<File>) -> io::Result<()> {
        self.pass(Some(Arc::clone(file)))
    }

    /// Waits until all is synced.
    fn wait(&mut self) -> io::Result<()> {
        self.pass(None)
    }

    fn pass(&mut self, file: Option<Arc<File>>) -> io::Result<()> {
        if self.files.as_ref().is_some_and(|files| files.send(file).is_ok()) {
            return Ok(());
        }
        self.end().and_then(|()| Err(failed()))
    }

    fn end(&mut self) -> io::Result<()> {
        self.files = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or_else(|| Ok(Err(failed()))).unwrap_or_else(|_panic| Err(failed()))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // What failed of what nobody waits for is nobody's concern.
        drop(self.end());
    }
}

fn failed() -> io::Error {
    io::Error::other("a writing thread failed")
}
