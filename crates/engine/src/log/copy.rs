//! Frames on their way from one member's log to another's.
//!
//! They travel as they lie in the log, but for the salt: a log's own never leaves it, since recovery
//! relies on nobody knowing it. The receiver checks every checksum before anything is applied.

use bytes::{Buf, Bytes, BytesMut};

use super::ENTRY_BYTES_MAX;
use super::follow::Stamp;
use super::frame::{self, FRAME_HEADER_BYTES, FrameHeader, Kind};
use crate::entry::Entry;

/// The salt of frames outside a log.
pub(crate) const WIRE_SALT: u32 = 0;

/// A frame of another member's log, undamaged and understood.
#[derive(Clone, Debug)]
pub struct CopiedFrame {
    header: FrameHeader,
    entry: Entry,
    payload: Bytes,
}

impl CopiedFrame {
    /// Its numbers.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.header.stamp()
    }

    /// The change it carries.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Appends it as a frame of a log with this salt, in this place of its commit.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, salt: u32, place: u32) {
        frame::reseal(out, salt, &self.header.in_place(place), &self.payload);
    }
}

/// What came is no sequence of frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is no frame of a log: {0}")]
pub struct BadFrame(&'static str);

/// Takes a stream of bytes apart into frames, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct FrameReader {
    waiting: BytesMut,
}

impl FrameReader {
    /// Takes the next bytes and returns the frames that are whole with them. After an error the
    /// stream is of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<CopiedFrame>, BadFrame> {
        self.waiting.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(head) = self.waiting.get(..FRAME_HEADER_BYTES) {
            let header = FrameHeader::decode(WIRE_SALT, head).ok_or(BadFrame("its header"))?;
            if header.payload_length() > ENTRY_BYTES_MAX || header.kind == Kind::Closed {
                return Err(BadFrame("its length or kind"));
            }
            if self.waiting.len() < header.frame_length() {
                break;
            }
            let frame = self.waiting.split_to(header.frame_length()).freeze();
            frames.push(decode(header, &frame)?);
        }
        Ok(frames)
    }
}

fn decode(header: FrameHeader, frame: &Bytes) -> Result<CopiedFrame, BadFrame> {
    let payload = frame::payload(&header, frame).ok_or(BadFrame("its payload's checksum"))?;
    let entry = frame::decode_entry(&header, payload).ok_or(BadFrame("its entry"))?;
    let mut rest = frame.clone();
    rest.advance(FRAME_HEADER_BYTES);
    rest.truncate(header.payload_length());
    Ok(CopiedFrame { header, entry, payload: rest })
}
