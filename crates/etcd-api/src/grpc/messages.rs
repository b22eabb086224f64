//! The messages of a request's body.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::stream::unfold;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use super::arriving::Arriving;

/// Before each message: a byte that says "compressed", and the length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Messages for somebody who polls; after an error none is to be asked for.
pub(crate) type MessageStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Reads messages one after the other. Nearly always one came in one frame and is not copied.
pub(crate) struct Messages<B> {
    body: B,
    /// Of the body, and not handed out yet.
    received: Bytes,
    arriving: Arc<Arriving>,
    /// When the message that is under way must be here, if it had to be waited for.
    due: Option<Instant>,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, arriving: Arc<Arriving>) -> Self {
        Self { body, received: Bytes::new(), arriving, due: None }
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
        self.due = None;
        self.receive(PREFIX_BYTES).await?;
        let compressed = self.received.get_u8();
        let length = self.received.get_u32() as usize;
        self.arriving.check_length(length)?;
        self.receive(length).await?;
        let message = self.received.split_to(length);
        Ok(Some(if compressed == 0 { message } else { self.arriving.inflate(&message)? }))
    }

    /// All of them, for somebody who polls.
    pub(crate) fn stream(self) -> MessageStream
    where
        B: Send + 'static,
        B::Error: Send,
    {
        Box::pin(unfold(self, |mut messages| async move {
            let message = messages.next().await.transpose()?;
            Some((message, messages))
        }))
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

    fn has_ended(&self) -> bool {
        self.received.is_empty() && self.body.is_end_stream()
    }

    /// Reads to the end, where nothing more may come.
    async fn end(&mut self) -> Result<(), Status> {
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
        let (arriving, mut due) = (Arc::clone(&self.arriving), self.due);
        let received = arriving.in_time(&mut due, self.receive_rest(&arriving, length)).await;
        self.due = due;
        received
    }

    async fn receive_rest(&mut self, arriving: &Arriving, length: usize) -> Result<(), Status> {
        let mut room = arriving.room_for(self.received.len())?;
        let mut buffer = BytesMut::from(std::mem::take(&mut self.received));
        while buffer.len() < length {
            let data = self.next_data().await?.ok_or_else(cut_short)?;
            room.grow(data.len())?;
            buffer.put(data);
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
pub(crate) async fn read_message<B>(body: B, arriving: &Arc<Arriving>) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut messages = Messages::new(body, Arc::clone(arriving));
    let message = messages.next().await?.ok_or_else(cut_short)?;
    // To its end, or the transport would reset a stream that the client has yet to half-close. What
    // is held meanwhile takes room too.
    if !messages.has_ended() {
        let _room = arriving.room_for(message.len())?;
        let mut due = messages.due;
        arriving.in_time(&mut due, messages.end()).await?;
    }
    Ok(message)
}

fn cut_short() -> Status {
    Status::internal("grpc: the message ends before its length")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::ready;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use http_body::Frame;
    use http_body_util::StreamBody;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Code;

    use super::*;

    /// A body that arrives in the given pieces, and then ends or does not.
    struct Pieces {
        pieces: VecDeque<Bytes>,
        ends: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.pieces.pop_front() {
                None if !self.ends => Poll::Pending,
                piece => Poll::Ready(piece.map(|piece| Ok(Frame::data(piece)))),
            }
        }
    }

    fn body(pieces: &[&'static [u8]], ends: bool) -> Pieces {
        Pieces { pieces: pieces.iter().copied().map(Bytes::from_static).collect(), ends }
    }

    fn arriving() -> Arc<Arriving> {
        Arc::new(Arriving::new(8, 8, Duration::from_secs(60)))
    }

    async fn check(pieces: &[&'static [u8]], expected: Result<&'static [u8], tonic::Code>) {
        let message = read_message(body(pieces, true), &arriving()).await;
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
            let mut messages = Messages::new(body(cuts, true), arriving());
            for expected in [b"ab" as &[u8], b"", b"c"] {
                assert_eq!(messages.next().await.expect("a message").as_deref(), Some(expected));
            }
            assert!(messages.next().await.expect("the end").is_none());
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn messages_on_their_way_share_room_and_give_it_back() {
        let arriving = arriving();
        let half: &[&[u8]] = &[b"\0\0\0\0\x07", b"abcde"];
        let endless: &[&[u8]] = &[b"\0\0\0\0\x05abcde"];
        let whole: &[&[u8]] = &[b"\0\0\0\0\x04", b"abc", b"d"];
        let shed = async || {
            let message = read_message(body(whole, true), &arriving).await;
            message.err().map(|status| (status.code(), status.message().to_owned()))
        };
        for begun in [half, endless] {
            let mut first = pin!(read_message(body(begun, false), &arriving));
            tokio::select! {
                biased;
                _ = &mut first => panic!("half a message was taken for one"),
                () = ready(()) => {}
            }
            let too_many = "etcdserver: too many requests".to_owned();
            assert_eq!(shed().await, Some((Code::ResourceExhausted, too_many)));
        }
        assert_eq!(shed().await, None);
        assert_eq!(shed().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_whose_end_does_not_come_is_let_go_and_a_stream_may_be_silent_between_two() {
        let message = read_message(body(&[b"\0\0\0\0\x07", b"abc"], false), &arriving()).await;
        assert_eq!(message.expect_err("it never ends").code(), Code::DeadlineExceeded);
        let message = read_message(body(&[b"\0\0\0\0\x01a"], false), &arriving()).await;
        assert_eq!(message.expect_err("its call never ends").code(), Code::DeadlineExceeded);
        let mut messages = Messages::new(body(&[b"\0\0\0\0\x01a"], false), arriving());
        assert_eq!(messages.next().await.expect("a message").as_deref(), Some(&b"a"[..]));
        let silent = tokio::time::timeout(Duration::from_secs(86_400), messages.next()).await;
        assert!(silent.is_err(), "nothing bounds the time between two messages");
    }
    #[tokio::test(start_paused = true)]
    async fn a_message_has_the_time_of_one_message_in_however_many_parts_it_comes() {
        for rest in [b"\0\0\x07a", b"\0\0\x01a"] {
            let (sender, frames) = mpsc::channel(1);
            let body = StreamBody::new(ReceiverStream::new(frames));
            let sending = async {
                for (delay_s, part) in [(0, b"\0\0" as &[u8]), (40, rest)] {
                    tokio::time::sleep(Duration::from_secs(delay_s)).await;
                    let frame = Frame::data(Bytes::from_static(part));
                    sender.send(Ok::<_, Infallible>(frame)).await.expect("it is read");
                }
                std::future::pending::<()>().await;
            };
            let (began, arriving) = (Instant::now(), arriving());
            let read = tokio::select! {
                read = read_message(body, &arriving) => read,
                () = sending => unreachable!("it never ends"),
            };
            assert_eq!(read.expect_err("it never ends").code(), Code::DeadlineExceeded);
            assert_eq!(began.elapsed(), Duration::from_secs(60));
        }
    }
}
