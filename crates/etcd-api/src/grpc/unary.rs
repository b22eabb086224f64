//! One call: a message in, a message out.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderValue, Response};
use http_body::Body;
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

use super::body::ReplyBody;
use super::pieces::{PIECE_BYTES, Pieces};
use super::streamed::{Chunks, Streamed};
use super::{CONTENT_TYPE, error_response};
use crate::metrics::{Counters, OpenStream};
use crate::status;
use crate::wire::etcdserverpb::RangeResponse;

/// Before each message: a byte that says "compressed", and the length.
const PREFIX_BYTES: usize = 5;

/// Reads the request from `body`, lets `handler` answer it, and makes a response of the answer.
pub(crate) async fn unary<B, Request, Reply>(
    body: B,
    message_bytes_max: usize,
    counters: &Counters,
    handler: impl AsyncFnOnce(Request) -> Result<Reply, Status>,
    respond: impl FnOnce(Reply, &Counters) -> Response<ReplyBody>,
) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
    Request: Message + Default,
{
    let request = match read_message(body, message_bytes_max).await {
        Ok(bytes) => {
            counters.received_bytes.add(bytes.len() as u64);
            Request::decode(bytes).map_err(|error| Status::internal(error.to_string()))
        }
        Err(status) => Err(status),
    };
    let reply = match request {
        Ok(request) => handler(request).await,
        Err(status) => Err(status),
    };
    match reply {
        Ok(reply) => respond(reply, counters),
        Err(status) => error_response(status),
    }
}

/// An answer, encoded at once.
#[expect(clippy::needless_pass_by_value, reason = "an answer is used up by sending it")]
pub(crate) fn message_response(reply: impl Message, counters: &Counters) -> Response<ReplyBody> {
    let length = reply.encoded_len();
    match prefix(length, counters) {
        Ok(prefix) => encoded_response(prefix, length, &reply),
        Err(too_long) => error_response(too_long),
    }
}

/// An answer that may be long.
pub(crate) fn range_response(reply: RangeResponse, counters: &Counters) -> Response<ReplyBody> {
    let length = reply.encoded_len();
    match prefix(length, counters) {
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
pub(super) fn prefix(length: usize, counters: &Counters) -> Result<[u8; PREFIX_BYTES], Status> {
    counters.sent_bytes.add(length as u64);
    let Ok(length_on_wire) = u32::try_from(length) else {
        return Err(Status::resource_exhausted(format!(
            "the answer takes {length} bytes, more than one message may; ask for less at a time"
        )));
    };
    let [length_0, length_1, length_2, length_3] = length_on_wire.to_be_bytes();
    Ok([0, length_0, length_1, length_2, length_3])
}

fn encoded_response(
    prefix: [u8; PREFIX_BYTES],
    length: usize,
    reply: &impl Message,
) -> Response<ReplyBody> {
    let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
    buffer.put_slice(&prefix);
    reply.encode_raw(&mut buffer);
    response(ReplyBody::Message(buffer.freeze()))
}

fn response(body: ReplyBody) -> Response<ReplyBody> {
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

/// The one message of a unary request, without its prefix. Nearly always it came in one frame and
/// is not copied.
pub(crate) async fn read_message<B>(mut body: B, message_bytes_max: usize) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut received = next_data(&mut body).await?.unwrap_or_default();
    if received.len() < PREFIX_BYTES {
        received = read_until(received, PREFIX_BYTES, &mut body).await?;
    }
    let compressed = received.get_u8();
    let length = received.get_u32() as usize;
    if compressed != 0 {
        return Err(Status::unimplemented("grpc: compressed messages are not supported"));
    }
    if length > message_bytes_max {
        return Err(status::message_too_large(length, message_bytes_max));
    }
    if received.len() < length {
        received = read_until(received, length, &mut body).await?;
    }
    // To its end, or the transport would reset a stream that the client has yet to half-close.
    while !body.is_end_stream() {
        match next_data(&mut body).await? {
            Some(more) if more.is_empty() => {}
            Some(_) => return Err(second_message()),
            None => break,
        }
    }
    if received.len() > length { Err(second_message()) } else { Ok(received) }
}

fn second_message() -> Status {
    Status::unimplemented("grpc: a unary call takes one message")
}

async fn read_until<B>(start: Bytes, length: usize, body: &mut B) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut buffer = BytesMut::from(start);
    while buffer.len() < length {
        match next_data(body).await? {
            Some(data) => buffer.put(data),
            None => return Err(Status::internal("grpc: the message ends before its length")),
        }
    }
    Ok(buffer.freeze())
}

async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, Status>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_reset| Status::cancelled("context canceled"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// A body that arrives in the given pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    async fn check(pieces: &[&'static [u8]], expected: Result<&'static [u8], tonic::Code>) {
        let body = Pieces(pieces.iter().copied().map(Bytes::from_static).collect());
        let message = read_message(body, 8).await;
        let expected = expected.map(Bytes::from_static);
        assert_eq!(message.map_err(|status| status.code()), expected, "{pieces:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_message_is_read_however_it_is_cut() {
        check(&[b"\0\0\0\0\x02ab"], Ok(b"ab")).await;
        check(&[b"\0\0\0", b"\0\x02a", b"b"], Ok(b"ab")).await;
        check(&[b"\0\0\0\0\0"], Ok(b"")).await;
        check(&[b"\0\0\0\0\x02ab", b""], Ok(b"ab")).await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_single_plain_message_is_refused() {
        check(&[], Err(tonic::Code::Internal)).await;
        check(&[b"\0\0\0\0\x02a"], Err(tonic::Code::Internal)).await;
        check(&[b"\0\0\0\0\x01ab"], Err(tonic::Code::Unimplemented)).await;
        check(&[b"\0\0\0\0\x01a", b"b"], Err(tonic::Code::Unimplemented)).await;
        check(&[b"\x01\0\0\0\x01a"], Err(tonic::Code::Unimplemented)).await;
        check(&[b"\0\0\0\0\x09"], Err(tonic::Code::ResourceExhausted)).await;
    }
}
