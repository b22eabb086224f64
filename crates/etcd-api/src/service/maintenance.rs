//! Maintenance: the store as its operators see it.

use decube_engine::{Alarm, AlarmKind, Command, Outcome, Revision};
use tokio::time::Instant;
use tonic::Status;

use super::mismatched;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;
use crate::{ETCD_CLUSTER_VERSION, ETCD_VERSION};

/// The member that takes writes; 0 while that is not known.
pub(crate) fn leader(store: &Store) -> u64 {
    if store.engine.takes_writes() {
        return store.identity().member_id;
    }
    let primary = store.options.primary.as_ref().and_then(crate::FindPrimary::find);
    primary.map_or(0, |primary| primary.member_id)
}

/// The member's state. What raft counts is the log's sequence number.
pub(crate) fn member_status(store: &Store) -> pb::StatusResponse {
    let status = store.engine.status();
    pb::StatusResponse {
        header: store.header(status.revision),
        version: ETCD_VERSION.to_owned(),
        db_size: status.db_size_bytes.cast_signed(),
        // As in etcd history is in use until it is compacted; what is not is given back at once.
        db_size_in_use: status.db_size_bytes.cast_signed(),
        leader: leader(store),
        raft_index: status.log_sequence,
        raft_applied_index: status.log_sequence,
        raft_term: status.term,
        storage_version: ETCD_CLUSTER_VERSION.to_owned(),
        errors: status.alarms.into_iter().map(alarm_text).collect(),
        // As etcd says that there is none.
        db_size_quota: status.quota_bytes.map_or(-1, u64::cast_signed),
        downgrade_info: Some(pb::DowngradeInfo::default()),
        is_learner: false,
    }
}

/// Lists, raises and ends alarms. What is not known is refused, where etcd keeps the alarm without
/// meaning or falls over the action.
pub(crate) async fn alarm(
    store: &Store,
    request: pb::AlarmRequest,
) -> Result<pb::AlarmResponse, Status> {
    let kind = kind_of(&request)?;
    let alarm = kind.map(|kind| Alarm { member_id: request.member_id, kind });
    let raised = match pb::alarm_request::AlarmAction::try_from(request.action) {
        Ok(pb::alarm_request::AlarmAction::Get) => return Ok(alarms(store, kind)),
        Ok(pb::alarm_request::AlarmAction::Activate) => true,
        Ok(pb::alarm_request::AlarmAction::Deactivate) => false,
        Err(_) => return Err(status::unknown("alarm action", request.action)),
    };
    if raised && kind == Some(AlarmKind::Corrupt) {
        return Err(status::corrupt_alarm_refused());
    }
    // As in etcd, nothing comes of an alarm of no kind.
    let Some(alarm) = alarm else { return Ok(alarm_reply(store, store.engine.revision(), [])) };
    match store.execute(Command::Alarm { alarm, raised }).await? {
        Outcome::Alarm { alarm, revision } => Ok(alarm_reply(store, revision, alarm)),
        outcome => Err(mismatched(&outcome)),
    }
}

/// `None` stands for all kinds.
fn kind_of(request: &pb::AlarmRequest) -> Result<Option<AlarmKind>, Status> {
    match pb::AlarmType::try_from(request.alarm) {
        Ok(pb::AlarmType::None) => Ok(None),
        Ok(pb::AlarmType::Nospace) => Ok(Some(AlarmKind::NoSpace)),
        Ok(pb::AlarmType::Corrupt) => Ok(Some(AlarmKind::Corrupt)),
        Err(_) => Err(status::unknown("alarm type", request.alarm)),
    }
}

/// Those of all members, whichever the request names, as in etcd.
fn alarms(store: &Store, kind: Option<AlarmKind>) -> pb::AlarmResponse {
    let status = store.engine.status();
    let wanted = |alarm: &Alarm| kind.is_none_or(|kind| alarm.kind == kind);
    alarm_reply(store, status.revision, status.alarms.into_iter().filter(wanted))
}

fn alarm_reply(
    store: &Store,
    revision: Revision,
    alarms: impl IntoIterator<Item = Alarm>,
) -> pb::AlarmResponse {
    let member = |alarm: Alarm| {
        let kind = match alarm.kind {
            AlarmKind::NoSpace => pb::AlarmType::Nospace,
            AlarmKind::Corrupt => pb::AlarmType::Corrupt,
        };
        pb::AlarmMember { member_id: alarm.member_id, alarm: kind as i32 }
    };
    let alarms = alarms.into_iter().map(member).collect();
    pb::AlarmResponse { header: store.header(revision), alarms }
}

/// An alarm in the words of etcd's `Status`.
fn alarm_text(alarm: Alarm) -> String {
    let kind = alarm_name(alarm.kind);
    match alarm.member_id {
        0 => format!("alarm:{kind}"),
        member_id => format!("memberID:{member_id}  alarm:{kind}"),
    }
}

/// An alarm's name on the wire and in etcd's texts.
pub(crate) fn alarm_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

/// Nothing to do: the image has no holes. As in etcd there is no header.
pub(crate) fn defragment() -> pb::DefragmentResponse {
    pb::DefragmentResponse::default()
}

/// A checksum over the keys' history; etcd's own covers more and is not comparable either.
pub(crate) fn hash(store: &Store) -> Result<pb::HashResponse, Status> {
    let begun = Instant::now();
    let hash = store.engine.hash_kv(Revision(0)).map_err(|error| status::refusal(&error))?;
    store.counters.times.hash.observe_time(begun.elapsed());
    Ok(pb::HashResponse { header: store.header(hash.revision), hash: hash.hash })
}

/// A checksum over the keys' history, equal to etcd's.
pub(crate) fn hash_kv(
    store: &Store,
    request: pb::HashKvRequest,
) -> Result<pb::HashKvResponse, Status> {
    let begun = Instant::now();
    let hash = store.engine.hash_kv(Revision(request.revision));
    let hash = hash.map_err(|error| status::refusal(&error))?;
    store.counters.times.hash_kv.observe_time(begun.elapsed());
    Ok(pb::HashKvResponse {
        header: store.header(hash.revision),
        hash: hash.hash,
        compact_revision: hash.compact_revision.0,
        hash_revision: hash.hash_revision.0,
    })
}
