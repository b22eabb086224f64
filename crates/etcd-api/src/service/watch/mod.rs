//! Watch: one engine stream for each gRPC stream, and no task or channel between them. The
//! response stream is polled when the client has room for more, so a client that stops reading
//! stops us taking from the engine, whose queue is bounded: its watchers fall back to history.

mod fragment;
mod outgoing;
mod pace;
mod progress;
mod stream;

use std::sync::Arc;

use http::Response;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use self::stream::WatchResponses;
use crate::grpc::{self, Messages, ReplyBody};
use crate::metrics::OpenStream;
use crate::store::Store;

/// Answers a Watch call; goes on until the client or the server ends it.
pub(crate) fn watch(
    store: Arc<Store>,
    body: Incoming,
    draining: CancellationToken,
    mut open: OpenStream,
) -> Response<ReplyBody> {
    let requests = Messages::new(body, Arc::clone(&store.arriving)).stream();
    match store.watch_stream() {
        Ok(watchers) => {
            let responses = WatchResponses::new(store, watchers, requests, draining, open);
            grpc::begun_response(Box::pin(responses))
        }
        Err(status) => {
            open.end(status.code());
            grpc::error_response(status)
        }
    }
}
