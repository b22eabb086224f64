//! Watch: one engine stream for each gRPC stream, and no task or channel between them. The
//! response stream is polled when the client has room for more, so a client that stops reading
//! stops us taking from the engine, whose queue is bounded: its watchers fall back to history.

mod fragment;
mod progress;
mod stream;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::grpc::Method;
use crate::metrics::{Counters, OpenStream};
use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// The Watch service.
pub(crate) struct WatchStreams {
    pub(crate) store: Arc<Store>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) draining: CancellationToken,
}

#[tonic::async_trait]
impl pb::watch_server::Watch for WatchStreams {
    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<BoxStream<pb::WatchResponse>>, Status> {
        let open = OpenStream::new(&self.counters, Method::Watch);
        let draining = self.draining.clone();
        let responses = stream::WatchResponses::open(
            Arc::clone(&self.store),
            request.into_inner(),
            draining,
            open,
        )?;
        Ok(Response::new(Box::pin(responses)))
    }
}
