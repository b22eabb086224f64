//! Reads files a little ahead of whoever takes their bytes, and digests them on the way.
//!
//! A thread reads and digests, so that two processors share the work of a restore. It goes on with the
//! next file while the last bytes of the one before it are taken. The pieces are so small that they
//! are still at hand when they are taken, and their memory is used again.

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::background::named;
use crate::digest::{Digest, Sha256};

const PIECE_BYTES: usize = 1 << 20;
const PIECES_AHEAD: usize = 4;

/// Files that may be expected at once: one that is taken, and those behind it.
const FILES_MAX: usize = 4;

/// What was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRead {
    /// How long it is.
    pub bytes: u64,
    /// `None` if nobody wanted it.
    pub sha256: Option<Sha256>,
}

/// Why a file was not read, or written, to its end.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The system's reason.
    Io(io::Error),
    /// That of whoever took its bytes, or brought them.
    Refused(E),
}

/// Reads the files that are expected, in that order.
pub struct FilesAhead {
    /// `None` when no more comes.
    files: Option<SyncSender<Expected>>,
    coming: Receiver<Coming>,
    spare: Sender<Vec<u8>>,
    /// Files that were not taken yet.
    expected: usize,
    thread: Option<JoinHandle<()>>,
}

struct Expected {
    file: Box<dyn Read + Send>,
    digested: bool,
}

enum Coming {
    Piece(Vec<u8>),
    End(io::Result<FileRead>),
}

impl FilesAhead {
    /// Starts the thread that reads.
    pub fn start() -> io::Result<Self> {
        let (files, to_read) = sync_channel(FILES_MAX);
        let (pieces, coming) = sync_channel(PIECES_AHEAD);
        let (spare, spares) = channel();
        let thread =
            named("decube-read").spawn(move || read_all(&to_read, &Pieces { pieces, spares }))?;
        Ok(Self { files: Some(files), coming, spare, expected: 0, thread: Some(thread) })
    }

    /// A file that will be taken behind all that were expected before; its reading begins as soon as
    /// theirs has ended. Refused where too many are expected already.
    pub fn expect(&mut self, file: impl Read + Send + 'static, digested: bool) -> io::Result<()> {
        let file = Box::new(file);
        let Some(files) = &self.files else { return Err(ended()) };
        if files.try_send(Expected { file, digested }).is_err() {
            return Err(io::Error::other("too many files are expected, or the reading has ended"));
        }
        self.expected += 1;
        Ok(())
    }

    /// Hands the bytes of the next file to `take`, in order and in pieces, and returns when all are
    /// taken. Where `take` refuses them all reading ends.
    pub fn take<E>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileRead, Stopped<E>> {
        self.expected = self.expected.checked_sub(1).ok_or_else(|| Stopped::Io(ended()))?;
        loop {
            match self.coming.recv() {
                Ok(Coming::Piece(piece)) => {
                    if let Err(refused) = take(&piece) {
                        (self.files, self.expected) = (None, 0);
                        return Err(Stopped::Refused(refused));
                    }
                    // Behind the last nobody wants it.
                    drop(self.spare.send(piece));
                }
                Ok(Coming::End(read)) => return read.map_err(Stopped::Io),
                Err(_failed) => {
                    return Err(Stopped::Io(io::Error::other("the reading thread failed")));
                }
            }
        }
    }
}

impl Drop for FilesAhead {
    fn drop(&mut self) {
        self.files = None;
        // Whoever waits to hand out a piece hears that nobody takes it.
        self.coming = sync_channel(0).1;
        if let Some(thread) = self.thread.take() {
            // What became of it was told to whoever took.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for FilesAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesAhead").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// Where what was read goes, and where memory comes from.
struct Pieces {
    pieces: SyncSender<Coming>,
    spares: Receiver<Vec<u8>>,
}

fn read_all(files: &Receiver<Expected>, pieces: &Pieces) {
    for Expected { file, digested } in files {
        let end = match read(file, digested, pieces) {
            Some(end) => Coming::End(end),
            None => return,
        };
        if pieces.pieces.send(end).is_err() {
            return;
        }
    }
}

/// Reads one file; `None` if nobody takes its bytes any more.
fn read(
    mut file: impl Read,
    digested: bool,
    Pieces { pieces, spares }: &Pieces,
) -> Option<io::Result<FileRead>> {
    let mut digest = digested.then(Digest::new);
    let mut bytes = 0;
    loop {
        let mut piece = spares.try_recv().unwrap_or_default();
        piece.resize(PIECE_BYTES, 0);
        let count = match file.read(&mut piece) {
            Ok(0) => return Some(Ok(FileRead { bytes, sha256: digest.map(Digest::finish) })),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Some(Err(error)),
        };
        piece.truncate(count);
        if let Some(digest) = &mut digest {
            digest.update(&piece);
        }
        bytes += count as u64;
        pieces.send(Coming::Piece(piece)).ok()?;
    }
}

fn ended() -> io::Error {
    io::Error::other("no file is expected")
}
