//! The body of every response of the port.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::pieces::Pieces;
use super::replies::Replies;
use super::streamed::Streamed;

pub(super) static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A response body.
#[derive(Default)]
pub(crate) enum ReplyBody {
    /// Nothing more.
    #[default]
    Done,
    /// A gRPC message and, behind it, the trailers that say it went well.
    Message(Bytes),
    /// A long one, and the same trailers.
    Pieces(Box<Pieces>),
    /// Many, one after the other, and trailers that say how it went.
    Streamed(Box<Streamed>),
    /// Answers to the requests of the same call, and trailers that say how it went.
    Replies(Box<Replies>),
    /// Trailers that say it went well.
    Trailers,
    /// A plain HTTP body.
    Plain(Bytes),
    /// A body that tonic makes.
    Tonic(tonic::body::Body),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Self::Tonic(body) = &mut *self {
            return Pin::new(body).poll_frame(context);
        }
        if let Self::Pieces(pieces) = &mut *self {
            if let Some(piece) = pieces.next() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            *self = Self::Trailers;
        }
        if let Self::Streamed(streamed) = &mut *self {
            let (frame, is_last) = streamed.next();
            if is_last {
                *self = Self::Done;
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Self::Replies(replies) = &mut *self {
            let (frame, is_last) = ready!(replies.poll_next(context));
            if is_last {
                *self = Self::Done;
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        let (frame, next) = match std::mem::take(&mut *self) {
            Self::Message(message) => (Frame::data(message), Self::Trailers),
            Self::Trailers => (Frame::trailers(good_trailers()), Self::Done),
            Self::Plain(text) => (Frame::data(text), Self::Done),
            _ => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Plain(text) => text.is_empty(),
            Self::Tonic(body) => body.is_end_stream(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Plain(text) => SizeHint::with_exact(text.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

/// The call went well.
pub(super) fn good_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(&GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}
