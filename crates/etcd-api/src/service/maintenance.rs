//! Maintenance: the store as its operators see it.

use decube_engine::Revision;
use tonic::Status;

use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;
use crate::{ETCD_CLUSTER_VERSION, ETCD_VERSION};

/// The member's state. What raft counts is the log's sequence number.
pub(crate) fn member_status(store: &Store) -> pb::StatusResponse {
    let status = store.engine.status();
    pb::StatusResponse {
        header: store.header(status.revision),
        version: ETCD_VERSION.to_owned(),
        db_size: status.db_size_bytes.cast_signed(),
        db_size_in_use: status.db_size_in_use_bytes.cast_signed(),
        leader: store.identity.member_id,
        raft_index: status.log_sequence,
        raft_applied_index: status.log_sequence,
        raft_term: status.term,
        storage_version: ETCD_CLUSTER_VERSION.to_owned(),
        downgrade_info: Some(pb::DowngradeInfo::default()),
        ..Default::default()
    }
}

/// Lists alarms. There are none to raise yet, so raising and clearing are refused.
pub(crate) fn alarm(
    store: &Store,
    request: &pb::AlarmRequest,
) -> Result<pb::AlarmResponse, Status> {
    if request.action != pb::alarm_request::AlarmAction::Get as i32 {
        return Err(Status::unimplemented("alarms can be listed only"));
    }
    Ok(pb::AlarmResponse { header: store.header(store.engine.revision()), alarms: Vec::new() })
}

/// Nothing to do: the image has no holes. As in etcd there is no header.
pub(crate) fn defragment() -> pb::DefragmentResponse {
    pb::DefragmentResponse::default()
}

/// A checksum over the keys' history; etcd's own covers more and is not comparable either.
pub(crate) fn hash(store: &Store) -> Result<pb::HashResponse, Status> {
    let hash = store.engine.hash_kv(Revision(0)).map_err(|error| status::refusal(&error))?;
    Ok(pb::HashResponse { header: store.header(hash.revision), hash: hash.hash })
}

/// A checksum over the keys' history, equal to etcd's.
pub(crate) fn hash_kv(
    store: &Store,
    request: pb::HashKvRequest,
) -> Result<pb::HashKvResponse, Status> {
    let hash = store.engine.hash_kv(Revision(request.revision));
    let hash = hash.map_err(|error| status::refusal(&error))?;
    Ok(pb::HashKvResponse {
        header: store.header(hash.revision),
        hash: hash.hash,
        compact_revision: hash.compact_revision.0,
        hash_revision: hash.hash_revision.0,
    })
}
