//! The answers of a call that has many: each is sent when there is one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use prost::Message;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::body::{ReplyBody, good_trailers};
use super::error_response;
use super::streamed::trailers;
use super::unary::{encoded, prefix, response};
use crate::metrics::Call;

/// Answers as they are sent, each behind its prefix; nothing comes after an error.
pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What is left to be sent.
pub(crate) struct Replies {
    first: Option<Bytes>,
    rest: Answers,
}

impl Replies {
    /// What comes next, and whether it is the last.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Frame<Bytes>, bool)> {
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.rest.as_mut().poll_next(context)),
        };
        Poll::Ready(match next {
            Some(Ok(message)) => (Frame::data(message), false),
            Some(Err(status)) => (Frame::trailers(trailers(&status)), true),
            None => (Frame::trailers(good_trailers()), true),
        })
    }
}

/// A response whose headers go at once, for a client that waits for them before it asks.
pub(crate) fn begun_response(answers: Answers) -> Response<ReplyBody> {
    response(ReplyBody::Replies(Box::new(Replies { first: None, rest: answers })))
}

/// A response whose headers go with the first answer: a call of one question costs one write.
pub(crate) async fn answered_response(mut answers: Answers) -> Response<ReplyBody> {
    match answers.next().await {
        Some(Ok(first)) => {
            let replies = Replies { first: Some(first), rest: answers };
            response(ReplyBody::Replies(Box::new(replies)))
        }
        Some(Err(status)) => error_response(status),
        None => response(ReplyBody::Trailers),
    }
}

/// An answer as it is sent.
pub(crate) fn reply(reply: &impl Message, call: Call<'_>) -> Result<Bytes, Status> {
    let length = reply.encoded_len();
    Ok(encoded(prefix(length, call)?, length, reply))
}
