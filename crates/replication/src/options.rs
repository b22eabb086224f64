//! How a member takes part. Every queue, wait and retry has its bound here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Clock, Notify};
use decube_tls::{ClientTls, ServerTls};

/// Where a member can be reached, as host:port; empty where it cannot. Told to its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Where it replicates; as its peers know it, not where it listens.
    pub replication: String,
    /// Its REST API.
    pub rest: String,
    /// Its gRPC API.
    pub grpc: String,
    /// Its etcd API.
    pub etcd: String,
}

/// The settings of replication.
#[derive(Clone)]
pub struct ReplicationOptions {
    /// Where peers are answered.
    pub listen: SocketAddr,
    /// The peers that are dialed, as host:port.
    pub peers: Vec<String>,
    /// The secret that all members share. Without one a peer's certificate is its only proof.
    pub token: Option<String>,
    /// For the listener; `None` for no TLS.
    pub server_tls: Option<ServerTls>,
    /// For what is dialed; `None` for no TLS.
    pub client_tls: Option<ClientTls>,
    /// How often the files of certificates are looked at.
    pub tls_reload_interval: Duration,
    /// Its name, for people.
    pub name: String,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// A peer that is silent for so long is cut off.
    pub peer_timeout: Duration,
    /// Between two attempts to dial.
    pub retry_interval: Duration,
    /// After so many failed attempts in a row a peer is down: it is told, and dialed ever more
    /// rarely, for ever.
    pub max_retries: u32,
    /// Bytes of frames that a standby has not acknowledged.
    pub window_bytes: usize,
    /// For moments that are shown.
    pub clock: Arc<dyn Clock>,
    /// Told when [`crate::Replication::status`] has something new to tell.
    pub notify: Arc<dyn Notify>,
}

impl ReplicationOptions {
    /// So often each side tells that it is there.
    pub(crate) fn heartbeat_interval(&self) -> Duration {
        (self.peer_timeout / 5).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}
