//! The calls of a standby, of which most are the primary's to answer.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use super::Router;
use crate::forward::{Place, Untrailed};
use crate::grpc::{self, Method, ReplyBody};
use crate::wire::etcdserverpb as pb;

/// What a header takes beside its name and value.
const HEADER_BYTES: usize = 96;

impl Router {
    /// Answers what a standby may have to pass on.
    pub(super) async fn as_standby(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Response<ReplyBody> {
        // They are kept for as long as a primary is waited for, and may have come in few bytes.
        let _room = match self.store.arriving.room_for(kept_bytes(request.headers())) {
            Ok(room) => room,
            Err(shed) => return self.refuse(method, shed),
        };
        let response = match method {
            Method::Range | Method::RangeStream => self.range_as_standby(method, request).await,
            _ => match self.forwarder.place(request.headers()).await {
                Ok(Place::There(connection)) => {
                    let request = request.map(|body| Either::Left(Untrailed(body)));
                    self.forwarder.pass_on(connection, request).await
                }
                // It counts itself.
                Ok(Place::Here) if method == Method::LeaseKeepAlive => {
                    return self.renewals(request.into_body()).respond().await;
                }
                Ok(Place::Here) => self.unary(method, request.into_body()).await,
                Err(refusal) => refusal,
            },
        };
        self.count(method, &response);
        response
    }

    /// Only a serializable read is content with what is here.
    async fn range_as_standby(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Response<ReplyBody> {
        let (mut parts, body) = request.into_parts();
        let message = match grpc::read_message(body, &self.store.arriving).await {
            Ok(message) => message,
            Err(status) => return grpc::error_response(status),
        };
        let serializable = grpc::decode::<pb::RangeRequest>(&message);
        let body = Full::new(grpc::framed(&message));
        if serializable.is_ok_and(|range| range.serializable) {
            return self.range(method, body).await;
        }
        // It may have come in few bytes, and wait for long.
        let _room = match self.store.arriving.room_for(message.len()) {
            Ok(room) => room,
            Err(shed) => return grpc::error_response(shed),
        };
        match self.forwarder.place(&parts.headers).await {
            Ok(Place::There(connection)) => {
                // They speak of the body as it came.
                parts.headers.remove(CONTENT_LENGTH);
                parts.headers.remove("grpc-encoding");
                let request = Request::from_parts(parts, Either::Right(body));
                self.forwarder.pass_on(connection, request).await
            }
            Ok(Place::Here) => self.range(method, body).await,
            Err(refusal) => refusal,
        }
    }
}

/// What headers take in memory, about.
fn kept_bytes(headers: &HeaderMap) -> usize {
    let each = |(name, value): (&HeaderName, &HeaderValue)| {
        HEADER_BYTES + name.as_str().len() + value.len()
    };
    headers.iter().map(each).sum()
}
