//! etcd v3 over gRPC, and etcd's HTTP endpoints, on one port before a [`decube_engine::Engine`].
//!
//! Translates and validates; decides nothing. What a request means is the engine's; which code and
//! which text an error has, which header a response carries and how a message lies on the wire is
//! here and nowhere else.
//!
//! # Shape
//! A listener hands connections round-robin to workers. A worker is one thread with a
//! single-threaded runtime that does everything for its connections: HTTP/2, decoding, reads
//! (inline, they never wait) and encoding. Writes go to the engine's one writer, which answers a
//! whole group commit to each worker's inbox (`answers.rs`) at once: one wake-up a worker and
//! commit, not one a request. Nothing is shared between workers but the engine.
//!
//! Calls are a few lines of gRPC framing of our own on hyper; reflection goes through tonic.

mod answers;
mod connection;
mod convert;
mod forward;
mod grpc;
mod http;
mod metrics;
mod options;
mod router;
mod server;
mod service;
mod status;
mod store;
pub mod wire;
mod worker;

pub use decube_tls as tls;
pub use forward::{FindPrimary, Primary};
pub use options::ServeOptions;
pub use server::{EtcdServer, ServeError};

/// The etcd version whose behaviour is served; clients choose what they ask for by it.
pub const ETCD_VERSION: &str = "3.7.1";

/// The cluster version that goes with [`ETCD_VERSION`].
pub const ETCD_CLUSTER_VERSION: &str = "3.7.0";
