//! How the port is served. Everything a client can make us hold has its bound here.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use decube_tls::TlsFiles;

use crate::forward::FindPrimary;

/// The settings of an [`crate::EtcdServer`].
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The certificate to serve with; `None`: without TLS.
    pub tls: Option<TlsFiles>,
    /// How often its files are looked at.
    pub tls_reload_interval: Duration,
    /// From the first byte to the end of the handshake.
    pub tls_handshake_timeout: Duration,
    /// Who the primary is, for a standby to pass calls on to; `None`: nobody.
    pub primary: Option<FindPrimary>,
    /// How long a call waits for a primary to be found, or to be reached.
    pub primary_patience: Duration,
    /// What members tell clients to connect to; empty: the address listened on.
    pub advertise_client_urls: Vec<String>,
    /// What members tell each other; told, not used.
    pub advertise_peer_urls: Vec<String>,
    /// The member's name in lists.
    pub member_name: String,
    /// The version told beside etcd's.
    pub product_version: String,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// A larger write is refused as etcd refuses it; gRPC's own limit is 512 KiB above.
    pub request_bytes_max: usize,
    /// Of messages that have yet to come to their end, all together: this much for each worker.
    pub arriving_bytes_max: usize,
    /// How long the end of a message may take to come.
    pub arriving_timeout: Duration,
    /// Further connections are closed at once.
    pub connections_max: usize,
    /// Concurrent calls of one connection.
    pub streams_per_connection_max: u32,
    /// The headers of one call, by HTTP/2.
    pub header_bytes_max: u32,
    /// A connection that does not say what it speaks is closed after this long.
    pub first_byte_timeout: Duration,
    /// A connection silent for this long is asked whether it is alive.
    pub ping_interval: Duration,
    /// A connection that does not answer for this long is closed.
    pub ping_timeout: Duration,
    /// A client that pings more often while it has a call open is sent away.
    pub client_ping_interval_min: Duration,
    /// How often watchers that asked for it hear of progress; at least 100 ms.
    pub watch_progress_notify_interval: Duration,
}

impl ServeOptions {
    /// The defaults: etcd's where it has one.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            address,
            tls: None,
            tls_reload_interval: Duration::from_secs(3),
            tls_handshake_timeout: Duration::from_secs(10),
            primary: None,
            primary_patience: Duration::from_secs(3),
            advertise_client_urls: Vec::new(),
            advertise_peer_urls: Vec::new(),
            member_name: "default".to_owned(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: NonZeroUsize::new(cores.min(4)).unwrap_or(NonZeroUsize::MIN),
            request_bytes_max: 1536 * 1024,
            arriving_bytes_max: 128 << 20,
            arriving_timeout: Duration::from_secs(60),
            connections_max: 20_000,
            streams_per_connection_max: 10_000,
            header_bytes_max: 256 << 10,
            first_byte_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(2 * 60 * 60),
            ping_timeout: Duration::from_secs(20),
            client_ping_interval_min: Duration::from_secs(5),
            watch_progress_notify_interval: Duration::from_secs(10 * 60),
        }
    }

    /// gRPC's own limit on a received message, as in etcd: above the request limit, so that a
    /// request that is just too large gets etcd's error.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.request_bytes_max + (512 << 10)
    }
}
