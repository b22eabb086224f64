//! The messages of a request's body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use tonic::Status;

use crate::status;

/// Before each message: a byte that says "compressed", and the length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Reads messages one after the other. Nearly always one came in one frame and is not copied.
pub(crate) struct Messages<B> {
    body: B,
    /// Of the body, and not handed out yet.
    received: Bytes,
    bytes_max: usize,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, bytes_max: usize) -> Self {
        Self { body, received: Bytes::new(), bytes_max }
    }

    /// Whether a message has begun to come, or all have come, without waiting for it.
    pub(crate) fn is_under_way(&mut self) -> bool {
        self.wait_for_data().now_or_never().is_some()
    }

    /// The next message, without its prefix; `None`: the client has no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if !self.wait_for_data().await? {
            return Ok(None);
        }
        self.receive(PREFIX_BYTES).await?;
        let compressed = self.received.get_u8();
        let length = self.received.get_u32() as usize;
        if compressed != 0 {
            return Err(Status::unimplemented("grpc: compressed messages are not supported"));
        }
        if length > self.bytes_max {
            return Err(status::message_too_large(length, self.bytes_max));
        }
        self.receive(length).await?;
        Ok(Some(self.received.split_to(length)))
    }

    /// Has something at hand; false: there is no more. Nothing is lost by giving up in between.
    async fn wait_for_data(&mut self) -> Result<bool, Status> {
        while self.received.is_empty() {
            match self.next_data().await? {
                Some(data) => self.received = data,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads to the end, where nothing more may come.
    async fn end(mut self) -> Result<(), Status> {
        while self.received.is_empty() {
            if self.body.is_end_stream() {
                return Ok(());
            }
            match self.next_data().await? {
                Some(data) => self.received = data,
                None => return Ok(()),
            }
        }
        Err(Status::unimplemented("grpc: a unary call takes one message"))
    }

    /// Has that many bytes at hand.
    async fn receive(&mut self, length: usize) -> Result<(), Status> {
        if self.received.len() >= length {
            return Ok(());
        }
        let mut buffer = BytesMut::from(std::mem::take(&mut self.received));
        while buffer.len() < length {
            match self.next_data().await? {
                Some(data) => buffer.put(data),
                None => return Err(cut_short()),
            }
        }
        self.received = buffer.freeze();
        Ok(())
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_reset| Status::cancelled("context canceled"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// The one message of a unary request, without its prefix.
pub(crate) async fn read_message<B>(body: B, message_bytes_max: usize) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut messages = Messages::new(body, message_bytes_max);
    let message = messages.next().await?.ok_or_else(cut_short)?;
    // To its end, or the transport would reset a stream that the client has yet to half-close.
    messages.end().await?;
    Ok(message)
}

fn cut_short() -> Status {
    Status::internal("grpc: the message ends before its length")
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

    #[tokio::test(flavor = "current_thread")]
    async fn many_messages_are_read_however_they_are_cut() {
        for cuts in [
            &[b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\x01c" as &'static [u8]] as &[_],
            &[b"\0\0" as &[u8], b"\0\0\x02a", b"b\0\0\0\0\0\0", b"", b"\0\0\0\x01", b"c"],
        ] {
            let body = Pieces(cuts.iter().copied().map(Bytes::from_static).collect());
            let mut messages = Messages::new(body, 8);
            for expected in [b"ab" as &[u8], b"", b"c"] {
                assert_eq!(messages.next().await.expect("a message").as_deref(), Some(expected));
            }
            assert!(messages.next().await.expect("the end").is_none());
        }
    }
}
