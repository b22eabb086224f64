//! etcd's wire contract, and gRPC's own for health, as Rust types, generated from `proto`.
mod key_value;

pub use key_value::KeyValue;

/// Package `etcdserverpb`: the services and their messages.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// Package `mvccpb`: events.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod mvccpb {
    pub use super::KeyValue;
    tonic::include_proto!("mvccpb");
}

/// Package `authpb`: what the Auth service speaks of.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// Package `grpc.health.v1`: whether a server serves.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The encoded descriptors of all of it, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/etcd.fds"));
