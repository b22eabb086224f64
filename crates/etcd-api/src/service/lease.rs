//! Lease: keys that end with the client that renews their lease.

use std::sync::Arc;

use decube_engine::{Command, Error, LeaseId, Outcome};
use futures_util::stream::unfold;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::mismatched;
use crate::grpc::Method;
use crate::metrics::{Counters, OpenStream};
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// Begins a lease.
pub(crate) async fn lease_grant(
    store: &Store,
    request: pb::LeaseGrantRequest,
) -> Result<pb::LeaseGrantResponse, Status> {
    let command = Command::LeaseGrant { id: LeaseId(request.id), ttl_s: request.ttl };
    match store.execute(command).await? {
        Outcome::LeaseGrant { id, ttl_s, revision } => Ok(pb::LeaseGrantResponse {
            header: store.header(revision),
            id: id.0,
            ttl: ttl_s,
            error: String::new(),
        }),
        outcome => Err(mismatched(&outcome)),
    }
}

/// Ends a lease with its keys.
pub(crate) async fn lease_revoke(
    store: &Store,
    request: pb::LeaseRevokeRequest,
) -> Result<pb::LeaseRevokeResponse, Status> {
    match store.execute(Command::LeaseRevoke { id: LeaseId(request.id) }).await? {
        Outcome::LeaseRevoke { revision } => {
            Ok(pb::LeaseRevokeResponse { header: store.header(revision) })
        }
        outcome => Err(mismatched(&outcome)),
    }
}

/// A lease as it stands; an unknown one is told by a TTL of -1 and is no error.
pub(crate) fn lease_time_to_live(
    store: &Store,
    request: &pb::LeaseTimeToLiveRequest,
) -> Result<pb::LeaseTimeToLiveResponse, Status> {
    let header = store.header(store.engine.revision());
    match store.engine.lease_status(LeaseId(request.id), request.keys) {
        Ok(lease) => Ok(pb::LeaseTimeToLiveResponse {
            header,
            id: request.id,
            ttl: lease.remaining_ttl_s,
            granted_ttl: lease.granted_ttl_s,
            keys: lease.keys.into_iter().map(Into::into).collect(),
        }),
        Err(Error::LeaseNotFound) => Ok(pb::LeaseTimeToLiveResponse {
            header,
            id: request.id,
            ttl: -1,
            ..Default::default()
        }),
        Err(error) => Err(status::refusal(&error)),
    }
}

/// All live leases, in etcd's order: the one that runs out first before the others.
pub(crate) fn lease_leases(store: &Store) -> pb::LeaseLeasesResponse {
    let leases = store.engine.leases_by_expiry().into_iter().map(|id| pb::LeaseStatus { id: id.0 });
    pb::LeaseLeasesResponse {
        header: store.header(store.engine.revision()),
        leases: leases.collect(),
    }
}

/// The Lease service's stream; its unary methods do not come this way.
pub(crate) struct LeaseStreams {
    pub(crate) store: Arc<Store>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) draining: CancellationToken,
}

#[tonic::async_trait]
impl pb::lease_server::Lease for LeaseStreams {
    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<BoxStream<pb::LeaseKeepAliveResponse>>, Status> {
        let renewals = Renewals {
            store: Arc::clone(&self.store),
            draining: self.draining.clone(),
            open: OpenStream::new(&self.counters, Method::LeaseKeepAlive),
            ended: false,
        };
        let requests = request.into_inner();
        Ok(Response::new(Box::pin(unfold(
            (renewals, requests),
            |(mut renewals, mut requests)| async move {
                let answer = renewals.next(&mut requests).await?;
                Some((answer, (renewals, requests)))
            },
        ))))
    }
}

/// One keep-alive stream: renewals are answered one after the other, as they come.
struct Renewals {
    store: Arc<Store>,
    draining: CancellationToken,
    open: OpenStream,
    ended: bool,
}

impl Renewals {
    async fn next(
        &mut self,
        requests: &mut Streaming<pb::LeaseKeepAliveRequest>,
    ) -> Option<Result<pb::LeaseKeepAliveResponse, Status>> {
        if self.ended {
            return None;
        }
        let request = tokio::select! {
            request = requests.next() => request,
            () = self.draining.cancelled() => Some(Err(status::stopped())),
        };
        let answer = match request {
            Some(Ok(request)) => self.renew(request).await,
            Some(Err(status)) => Err(status),
            None => {
                self.open.end(tonic::Code::Ok);
                return None;
            }
        };
        if let Err(status) = &answer {
            self.ended = true;
            self.open.end(status.code());
        }
        Some(answer)
    }

    async fn renew(
        &self,
        request: pb::LeaseKeepAliveRequest,
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
