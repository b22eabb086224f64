//! etcd's wire contract as Rust types, generated from `proto/etcd`.
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

/// The encoded descriptors of all of it, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/etcd.fds"));
