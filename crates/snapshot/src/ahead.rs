//! Reads a file a little ahead of whoever takes its bytes, and digests it on the way.
//!
//! A thread reads and digests, so that two processors share the work of a restore. The pieces are so
//! small that they are still at hand when they are taken, and their memory is used again.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use crate::background::named;
use crate::digest::{Digest, Sha256};

const PIECE_BYTES: usize = 1 << 20;
const PIECES_AHEAD: usize = 4;

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

/// Hands the bytes of a file to `take`, in order and in pieces, and returns when all are taken.
pub fn read_ahead<E>(
    file: impl Read + Send,
    digested: bool,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<FileRead, Stopped<E>> {
    let (pieces, coming) = sync_channel(PIECES_AHEAD);
    let (spare, spares) = channel();
    thread::scope(|scope| {
        let reader = named("decube-read")
            .spawn_scoped(scope, move || read(file, digested, &pieces, &spares));
        let reader = reader.map_err(Stopped::Io)?;
        // Left early, it takes the channel along, which ends the reading.
        for piece in coming {
            take(&piece).map_err(Stopped::Refused)?;
            // Behind the last nobody wants it.
            drop(spare.send(piece));
        }
        let panicked = |_| Err(io::Error::other("the reading thread failed"));
        reader.join().unwrap_or_else(panicked).map_err(Stopped::Io)
    })
}

fn read(
    mut file: impl Read,
    digested: bool,
    pieces: &SyncSender<Vec<u8>>,
    spares: &Receiver<Vec<u8>>,
) -> io::Result<FileRead> {
    let mut digest = digested.then(Digest::new);
    let mut bytes = 0;
    loop {
        let mut piece = spares.try_recv().unwrap_or_default();
        piece.resize(PIECE_BYTES, 0);
        let count = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        piece.truncate(count);
        if let Some(digest) = &mut digest {
            digest.update(&piece);
        }
        bytes += count as u64;
        if count == 0 || pieces.send(piece).is_err() {
            return Ok(FileRead { bytes, sha256: digest.map(Digest::finish) });
        }
    }
}
