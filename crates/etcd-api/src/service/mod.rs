//! etcd's services, and gRPC's own for health. Each call is: translate, ask the engine, translate back.

mod cluster;
mod health;
mod keep_alive;
mod kv;
mod lease;
mod maintenance;
mod range_stream;
mod watch;

use decube_engine::Outcome;
use tonic::Status;

pub(crate) use cluster::member_list;
pub(crate) use health::{health_check, health_list, health_watch};
pub(crate) use keep_alive::Renewals;
pub(crate) use kv::{compact, delete_range, put, range, txn};
pub(crate) use lease::{lease_grant, lease_leases, lease_revoke, lease_time_to_live};
pub(crate) use maintenance::{alarm, alarm_name, defragment, hash, hash_kv, leader, member_status};
pub(crate) use range_stream::range_stream;
pub(crate) use watch::watch;

/// The engine answered another command than the one asked; a bug, told as one.
fn mismatched(outcome: &Outcome) -> Status {
    tracing::error!(?outcome, "the engine's answer does not fit the command");
    Status::internal("the store's answer does not fit the request")
}
