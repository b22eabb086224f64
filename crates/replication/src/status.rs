//! Replication as it stands, at one moment, as this member knows it.

use decube_engine::Role;

/// This member and its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicationStatus {
    /// What it is.
    pub role: Role,
    /// The current term, and who began it (0: nobody, it is the first).
    pub term: u64,
    /// The member that began the term.
    pub raised_by: u64,
    /// Of its log.
    pub sequence: u64,
    /// Of its store.
    pub revision: i64,
    /// Who it copies from.
    pub primary: Option<PeerStatus>,
    /// The configured ones, and those that dialed.
    pub peers: Vec<PeerStatus>,
    /// How long it has been behind its primary; 0 for one that is no standby.
    pub lag_seconds: f64,
}

/// Another member. What it has not told is empty or zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerStatus {
    /// Where it replicates.
    pub address: String,
    /// Its identity.
    pub member_id: u64,
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Whether there is a session with it.
    pub connected: bool,
    /// When it was last heard of, in seconds since the Unix epoch.
    pub last_heartbeat_s: u64,
    /// The term it is in.
    pub term: u64,
    /// Of its log.
    pub sequence: u64,
    /// Of its store.
    pub revision: i64,
    /// How old the oldest frame is that it lacks, if it copies from this member.
    pub lag_seconds: f64,
    /// Its REST API.
    pub rest_address: String,
    /// Its gRPC API.
    pub grpc_address: String,
    /// Its etcd API.
    pub etcd_address: String,
    /// Attempts to dial it that failed in a row.
    pub failures: u32,
    /// Why the last one did, or the last session ended.
    pub error: String,
}
