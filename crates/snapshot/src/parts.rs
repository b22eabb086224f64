//! Writes a stream to files, a part of it to each, and digests the whole and the parts on the way.
//!
//! Whoever brings the bytes makes them on his own thread; one thread digests, one writes, and one
//! syncs what was written a little behind. The bytes stay where they were made, and their memory is
//! used again.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, Scope};

use crate::ahead::Stopped;
use crate::background::{named, step_back};
use crate::digest::{PartsDigest, Sha256};

/// Pieces that wait to be digested, or to be written.
const PIECES_WAITING: usize = 2;
/// Synced a little at a time: one sync of a whole part would hold up others on the same disk.
const SYNC_BYTES: usize = 1 << 20;

/// What a file got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many bytes.
    pub bytes: u64,
    /// Of these bytes.
    pub sha256: Sha256,
    /// Nothing follows.
    pub last: bool,
}

/// A stream, as far as it was written.
#[derive(Debug, Default)]
pub struct PartsWriter {
    digest: PartsDigest,
    /// Behind the end of the last part.
    rest: Vec<u8>,
    ended: bool,
}

impl PartsWriter {
    /// Nothing of it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the next bytes, so many or all that are left. `take` makes a piece, in memory that was
    /// used before; an empty one is the end. The file's last bytes are not synced yet.
    pub fn write<E>(
        &mut self,
        file: &File,
        bytes_max: usize,
        mut take: impl FnMut(Vec<u8>) -> Result<Vec<u8>, E>,
    ) -> Result<Part, Stopped<E>> {
        let Self { digest, rest, ended } = self;
        let mut left = bytes_max;
        let written = thread::scope(|scope| {
            let pipeline = Pipeline::start(scope, digest, file).map_err(Stopped::Io)?;
            while left > 0 && !*ended {
                let mut piece = std::mem::take(rest);
                if piece.is_empty() {
                    piece = take(pipeline.spare()).map_err(Stopped::Refused)?;
                }
                if piece.len() > left {
                    *rest = piece.split_off(left);
                }
                left -= piece.len();
                *ended = piece.is_empty();
                if !pipeline.send(piece) {
                    break;
                }
            }
            pipeline.end().map_err(Stopped::Io)
        });
        written?;
        if rest.is_empty() && !*ended {
            *rest = take(Vec::new()).map_err(Stopped::Refused)?;
            *ended = rest.is_empty();
        }
        Ok(Part { bytes: (bytes_max - left) as u64, sha256: digest.cut(), last: *ended })
    }

    /// The digest of all parts together.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.digest.clone().finish()
    }
}

/// The threads of one part.
struct Pipeline<'scope> {
    pieces: SyncSender<Vec<u8>>,
    spares: Receiver<Vec<u8>>,
    writer: thread::ScopedJoinHandle<'scope, io::Result<()>>,
}

impl<'scope> Pipeline<'scope> {
    fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        digest: &'scope mut PartsDigest,
        file: &'scope File,
    ) -> io::Result<Self> {
        let (pieces, coming) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (digested, to_write) = sync_channel::<Vec<u8>>(PIECES_WAITING);
        let (spare, spares) = channel();
        let (written, to_sync) = sync_channel(0);
        named("decube-digest").spawn_scoped(scope, move || {
            step_back();
            for piece in coming {
                digest.update(&piece);
                if digested.send(piece).is_err() {
                    return;
                }
            }
        })?;
        let syncer = named("decube-sync")
            .spawn_scoped(scope, move || to_sync.iter().try_for_each(|()| file.sync_data()))?;
        let writer = named("decube-write").spawn_scoped(scope, move || {
            step_back();
            write(file, &to_write, &spare, &written)?;
            drop(written);
            syncer.join().unwrap_or_else(|_| Err(failed()))
        })?;
        Ok(Self { pieces, spares, writer })
    }

    fn spare(&self) -> Vec<u8> {
        self.spares.try_recv().unwrap_or_default()
    }

    /// Whether it goes on.
    fn send(&self, piece: Vec<u8>) -> bool {
        self.pieces.send(piece).is_ok()
    }

    /// Waits until all is written.
    fn end(self) -> io::Result<()> {
        drop(self.pieces);
        self.writer.join().unwrap_or_else(|_| Err(failed()))
    }
}

fn write(
    mut file: &File,
    pieces: &Receiver<Vec<u8>>,
    spare: &Sender<Vec<u8>>,
    written: &SyncSender<()>,
) -> io::Result<()> {
    let mut unsynced = 0;
    for piece in pieces {
        file.write_all(&piece)?;
        unsynced += piece.len();
        // Behind the last nobody wants it.
        drop(spare.send(piece));
        if unsynced >= SYNC_BYTES {
            unsynced = 0;
            // Waits for the sync before. If that failed, its reason is told in the end.
            if written.send(()).is_err() {
                break;
            }
        }
    }
    Ok(())
}

fn failed() -> io::Error {
    io::Error::other("a writing thread failed")
}
