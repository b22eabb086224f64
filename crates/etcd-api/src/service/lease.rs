//! Lease: keys that end with the client that renews their lease.

use decube_engine::{Command, Error, LeaseId, Outcome};
use tonic::Status;

use super::mismatched;
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
