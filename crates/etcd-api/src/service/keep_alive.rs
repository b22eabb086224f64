//! The stream that renews leases: each renewal is answered before the next one is read.

use std::sync::Arc;

use bytes::Bytes;
use decube_engine::{Command, LeaseId, Outcome};
use futures_util::stream::unfold;
use http::Response;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::mismatched;
use crate::grpc::{self, Messages, ReplyBody};
use crate::metrics::OpenStream;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// One keep-alive stream.
pub(crate) struct Renewals {
    store: Arc<Store>,
    requests: Messages<Incoming>,
    draining: CancellationToken,
    open: OpenStream,
    ended: bool,
}

impl Renewals {
    pub(crate) fn new(
        store: Arc<Store>,
        body: Incoming,
        draining: CancellationToken,
        open: OpenStream,
    ) -> Self {
        let requests = Messages::new(body, Arc::clone(&store.arriving));
        Self { store, requests, draining, open, ended: false }
    }

    /// Makes the response, which goes on until the client or the server ends it.
    pub(crate) async fn respond(mut self) -> Response<ReplyBody> {
        if self.requests.is_under_way() {
            grpc::answered_response(self.answers()).await
        } else {
            grpc::begun_response(self.answers())
        }
    }

    /// Answers until the client has no more, or the server leaves.
    fn answers(self) -> grpc::Answers {
        Box::pin(unfold(self, |mut renewals| async move {
            let answer = renewals.next().await?;
            Some((answer, renewals))
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        if self.ended {
            return None;
        }
        let request = if self.draining.is_cancelled() {
            Err(status::stopped())
        } else {
            tokio::select! {
                biased;
                request = self.requests.next() => request,
                () = self.draining.cancelled() => Err(status::stopped()),
            }
        };
        let answer = match request {
            Ok(Some(request)) => self.answer(request).await,
            Ok(None) => {
                self.open.end(Code::Ok);
                return None;
            }
            Err(status) => Err(status),
        };
        if let Err(status) = &answer {
            self.ended = true;
            self.open.end(status.code());
        }
        Some(answer)
    }

    async fn answer(&self, request: Bytes) -> Result<Bytes, Status> {
        let call = self.open.call();
        call.received(request.len());
        let request = grpc::decode_of_stream(&request)?;
        grpc::reply(&self.renew(&request).await?, call)
    }

    async fn renew(
        &self,
        request: &pb::LeaseKeepAliveRequest,
    ) -> Result<pb::LeaseKeepAliveResponse, Status> {
        // The revision from before: a lease that ends meanwhile must not look renewed after it.
        let header = self.store.header(self.store.engine.revision());
        let command = Command::LeaseKeepAlive { id: LeaseId(request.id) };
        match self.store.execute(command).await? {
            Outcome::LeaseKeepAlive { ttl_s, .. } => {
                Ok(pb::LeaseKeepAliveResponse { header, id: request.id, ttl: ttl_s })
            }
            outcome => Err(mismatched(&outcome)),
        }
    }
}
