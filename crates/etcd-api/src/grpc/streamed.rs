//! An answer of many chunks, each made when the client has taken the one before.
//!
//! A chunk is encoded piece by piece, as a long answer is. So a list of any length takes the memory
//! of one chunk's references and of one piece.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use prost::Message;
use prost::encoding::{self, WireType};
use tonic::{Code, Status};

use super::body::good_trailers;
use super::pieces::Pieces;
use super::unary::prefix;
use crate::metrics::OpenStream;
use crate::wire::etcdserverpb::RangeResponse;

/// Of `RangeStreamResponse.range_response`.
const RANGE_RESPONSE_TAG: u32 = 1;

/// The chunks of an answer; nothing comes after an error.
pub(crate) type Chunks = Box<dyn Iterator<Item = Result<RangeResponse, Status>> + Send>;

/// What is left of an answer.
pub(crate) struct Streamed {
    chunks: Chunks,
    /// What is left of the chunk under way.
    pieces: Option<Pieces>,
    open: OpenStream,
}

impl Streamed {
    pub(super) fn new(chunks: Chunks, open: OpenStream) -> Self {
        Self { chunks, pieces: None, open }
    }

    /// What comes next, and whether it is the last.
    pub(super) fn next(&mut self) -> (Frame<Bytes>, bool) {
        loop {
            if let Some(piece) = self.pieces.as_mut().and_then(Iterator::next) {
                return (Frame::data(piece), false);
            }
            let pieces = match self.chunks.next() {
                Some(Ok(chunk)) => self.pieces_of(chunk),
                Some(Err(status)) => Err(status),
                None => {
                    self.open.end(Code::Ok);
                    return (Frame::trailers(good_trailers()), true);
                }
            };
            match pieces {
                Ok(pieces) => self.pieces = Some(pieces),
                Err(status) => {
                    self.open.end(status.code());
                    return (Frame::trailers(trailers(&status)), true);
                }
            }
        }
    }

    /// A chunk inside the message that it is sent in.
    fn pieces_of(&self, chunk: RangeResponse) -> Result<Pieces, Status> {
        let length = chunk.encoded_len();
        let mut key = BytesMut::with_capacity(16);
        encoding::encode_key(RANGE_RESPONSE_TAG, WireType::LengthDelimited, &mut key);
        encoding::encode_varint(length as u64, &mut key);
        let mut head = BytesMut::with_capacity(32);
        head.put_slice(&prefix(key.len() + length, self.open.call())?);
        head.put(key);
        Ok(Pieces::new(&head, length, chunk))
    }
}

pub(super) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    // Only a text that cannot be a header is refused, and then the code alone is told.
    if let Err(unfit) = status.add_header(&mut trailers) {
        tracing::debug!(%unfit, "a status cannot be told whole");
    }
    trailers
}
