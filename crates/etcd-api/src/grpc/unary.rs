//! One call: a message in, a message out.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Response};
use http_body::Body;
use prost::{Message, Name};
use tonic::Status;

use super::arriving::Arriving;
use super::body::ReplyBody;
use super::decode::decode;
use super::messages::{PREFIX_BYTES, read_message};
use super::pieces::{PIECE_BYTES, Pieces};
use super::streamed::{Chunks, Streamed};
use super::{CONTENT_TYPE, error_response};
use crate::metrics::{Call, OpenStream};
use crate::wire::etcdserverpb::RangeResponse;

/// Reads the request from `body`, lets `handler` answer it, and makes a response of the answer.
pub(crate) async fn unary<B, Request, Reply>(
    body: B,
    arriving: &Arc<Arriving>,
    call: Call<'_>,
    handler: impl AsyncFnOnce(Request) -> Result<Reply, Status>,
    respond: impl FnOnce(Reply, Call<'_>) -> Response<ReplyBody>,
) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
    Request: Message + Name + Default,
{
    let request = match read_message(body, arriving).await {
        Ok(bytes) => {
            call.received(bytes.len());
            decode(&bytes)
        }
        Err(status) => Err(status),
    };
    let reply = match request {
        Ok(request) => handler(request).await,
        Err(status) => Err(status),
    };
    match reply {
        Ok(reply) => respond(reply, call),
        Err(status) => error_response(status),
    }
}

/// An answer, encoded at once.
#[expect(clippy::needless_pass_by_value, reason = "an answer is used up by sending it")]
pub(crate) fn message_response(reply: impl Message, call: Call<'_>) -> Response<ReplyBody> {
    let length = reply.encoded_len();
    match prefix(length, call) {
        Ok(prefix) => encoded_response(prefix, length, &reply),
        Err(too_long) => error_response(too_long),
    }
}

/// An answer that may be long.
pub(crate) fn range_response(reply: RangeResponse, call: Call<'_>) -> Response<ReplyBody> {
    let length = reply.encoded_len();
    match prefix(length, call) {
        Ok(prefix) if length <= PIECE_BYTES => encoded_response(prefix, length, &reply),
        Ok(prefix) => response(ReplyBody::Pieces(Box::new(Pieces::new(&prefix, length, reply)))),
        Err(too_long) => error_response(too_long),
    }
}

/// An answer of many chunks.
pub(crate) fn streamed_response(chunks: Chunks, open: OpenStream) -> Response<ReplyBody> {
    response(ReplyBody::Streamed(Box::new(Streamed::new(chunks, open))))
}

/// What stands before a message of this length.
pub(crate) fn prefix(length: usize, call: Call<'_>) -> Result<[u8; PREFIX_BYTES], Status> {
    let Ok(length_on_wire) = u32::try_from(length) else {
        return Err(Status::resource_exhausted(format!(
            "the answer takes {length} bytes, more than one message may; ask for less at a time"
        )));
    };
    call.sent(length);
    let [length_0, length_1, length_2, length_3] = length_on_wire.to_be_bytes();
    Ok([0, length_0, length_1, length_2, length_3])
}

fn encoded_response(
    prefix: [u8; PREFIX_BYTES],
    length: usize,
    reply: &impl Message,
) -> Response<ReplyBody> {
    response(ReplyBody::Message(encoded(prefix, length, reply)))
}

/// A message behind its prefix.
pub(super) fn encoded(prefix: [u8; PREFIX_BYTES], length: usize, reply: &impl Message) -> Bytes {
    let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
    buffer.put_slice(&prefix);
    reply.encode_raw(&mut buffer);
    buffer.freeze()
}

pub(super) fn response(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

/// A message with its prefix, as it is sent.
pub(crate) fn framed(message: &Bytes) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    framed.freeze()
}
