//! Writes a stream to files, a part of it to each, and digests the whole and the parts on the way.
//!
//! The beginning of the next part is made and digested before there is a file for it: threads need
//! not wait for each other where a part ends ([`Pipeline`]).

use std::fs::File;
use std::io;
use std::mem;

use crate::ahead::Stopped;
use crate::digest::{Digest, Sha256};
use crate::pipeline::{Digests, PIECES_AHEAD, Pipeline};

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
#[derive(Debug)]
pub struct PartsWriter {
    pipeline: Pipeline,
    /// Bytes of the next part that are under way.
    ahead_bytes: usize,
    /// Behind those: what did not fit into a part.
    rest: Vec<u8>,
    ended: bool,
    whole: Sha256,
}

impl PartsWriter {
    /// Nothing of it yet. Starts its threads.
    pub fn start() -> io::Result<Self> {
        let (pipeline, whole) = (Pipeline::start()?, Digest::new().finish());
        Ok(Self { pipeline, ahead_bytes: 0, rest: Vec::new(), ended: false, whole })
    }

    /// Writes the next bytes, so many or all that are left; all parts are to be of one length. `take`
    /// makes a piece, in memory that was used before; an empty one is the end. The file's last bytes
    /// are not synced yet. After an error nothing more is written.
    pub fn write<E>(
        &mut self,
        file: File,
        bytes_max: usize,
        take: impl FnMut(Vec<u8>) -> Result<Vec<u8>, E>,
    ) -> Result<Part, Stopped<E>> {
        let written = self.write_part(file, bytes_max, take);
        if written.is_err() {
            self.pipeline.stop();
        }
        written
    }

    fn write_part<E>(
        &mut self,
        file: File,
        bytes_max: usize,
        mut take: impl FnMut(Vec<u8>) -> Result<Vec<u8>, E>,
    ) -> Result<Part, Stopped<E>> {
        let Some(mut left) = bytes_max.checked_sub(self.ahead_bytes) else {
            return Err(Stopped::Io(io::ErrorKind::InvalidInput.into()));
        };
        self.pipeline.begin(file).map_err(Stopped::Io)?;
        while left > 0 && !self.ended {
            left -= self.feed(left, &mut take)?;
        }
        self.pipeline.cut().map_err(Stopped::Io)?;
        self.ahead_bytes = 0;
        for _ in 0..PIECES_AHEAD {
            let room = bytes_max - self.ahead_bytes;
            if room > 0 && !self.ended {
                self.ahead_bytes += self.feed(room, &mut take)?;
            }
        }
        let Digests { part, whole } = self.pipeline.written().map_err(Stopped::Io)?;
        self.whole = whole;
        let last = self.ended && self.ahead_bytes == 0;
        Ok(Part { bytes: (bytes_max - left) as u64, sha256: part, last })
    }

    /// The digest of all parts together.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.whole
    }

    /// Sends a piece on its way, of at most so many bytes; returns how many.
    fn feed<E>(
        &mut self,
        bytes_max: usize,
        take: &mut impl FnMut(Vec<u8>) -> Result<Vec<u8>, E>,
    ) -> Result<usize, Stopped<E>> {
        let mut piece = mem::take(&mut self.rest);
        if piece.is_empty() {
            piece = take(self.pipeline.spare()).map_err(Stopped::Refused)?;
        }
        if piece.len() > bytes_max {
            self.rest = piece.split_off(bytes_max);
        }
        let bytes = piece.len();
        self.ended = bytes == 0;
        if bytes > 0 {
            self.pipeline.send(piece).map_err(Stopped::Io)?;
        }
        Ok(bytes)
    }
}
