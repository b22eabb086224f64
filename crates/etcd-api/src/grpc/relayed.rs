//! An answer that comes from another server, as it comes.
//!
//! What a client makes of an answer is in its trailers. Where the other server goes away before it
//! has sent them, the client is told what became of the call here: without trailers it would take
//! the answer for a breach of the protocol, and not try again.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tonic::Status;

use super::body::GRPC_STATUS;
use super::streamed::trailers;

/// The body of such an answer.
pub(crate) struct Relayed {
    /// `None`: it has ended.
    body: Option<Incoming>,
    /// Whether the client knows how the call went.
    told: bool,
    broken_off: Status,
}

impl Relayed {
    /// `headers` came before the body; `broken_off` is what the client is told if its end does not
    /// come.
    pub(crate) fn new(headers: &HeaderMap, body: Incoming, broken_off: Status) -> Self {
        // An answer that is an error and nothing else has all in its headers.
        let told = headers.contains_key(&GRPC_STATUS);
        Self { body: Some(body), told, broken_off }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Some(Ok(frame)) = ready!(Pin::new(body).poll_frame(context)) {
            self.told |= frame.is_trailers();
            return Poll::Ready(Some(Ok(frame)));
        }
        self.body = None;
        if self.told {
            return Poll::Ready(None);
        }
        tracing::debug!("an answer to a call that was passed on broke off");
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&self.broken_off)))))
    }

    fn is_end_stream(&self) -> bool {
        self.told && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}
