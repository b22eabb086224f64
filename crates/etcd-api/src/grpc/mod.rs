//! gRPC on hyper, as much of it as the calls need that are made often: messages in, messages and the
//! trailers out, without a task or a spare buffer on the way.

mod arriving;
mod body;
pub(crate) mod deadline;
mod decode;
mod gzip;
mod messages;
mod method;
mod pieces;
mod relayed;
mod replies;
mod streamed;
mod unary;

pub(crate) use arriving::Arriving;
pub(crate) use body::ReplyBody;
pub(crate) use decode::{decode, decode_of_stream};
pub(crate) use messages::{MessageStream, Messages, PREFIX_BYTES, read_message};
pub(crate) use method::Method;
pub(crate) use relayed::Relayed;
pub(crate) use replies::{Answers, answered_response, begun_response, reply};
pub(crate) use streamed::Chunks;
pub(crate) use unary::{
    framed, message_response, prefix, range_response, streamed_response, unary,
};

use http::{HeaderMap, HeaderValue, Response};
use tonic::Status;

/// The content type of all gRPC.
pub(crate) const CONTENT_TYPE: &str = "application/grpc";

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|content_type| content_type.as_bytes().starts_with(CONTENT_TYPE.as_bytes()))
}

/// A response that is an error and nothing else.
pub(crate) fn error_response(status: Status) -> Response<ReplyBody> {
    let mut response = status.into_http::<ReplyBody>();
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}
