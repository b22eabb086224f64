//! How a store is opened. Every queue and every wait has its bound here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::role::Role;
use crate::vfs::Vfs;

/// Where the log and the checkpoints of a durable store live.
#[derive(Clone)]
pub struct LogLocation {
    /// Segments of the log, and the lock file.
    pub log_dir: PathBuf,
    /// Checkpoints; may be the same directory.
    pub checkpoint_dir: PathBuf,
    /// Through which all IO goes.
    pub vfs: Arc<dyn Vfs>,
}

/// Which engine.
#[derive(Clone)]
pub enum Storage {
    /// No log: everything is gone with the process.
    Memory,
    /// RAM and a write-ahead log.
    Log(LogLocation),
}

/// The settings of a store.
#[derive(Clone)]
pub struct Options {
    /// Which engine.
    pub storage: Storage,
    /// What the member is at its first start; from then on the store itself knows.
    pub role: Role,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// A log segment is closed when it reaches this size.
    pub segment_bytes: u64,
    /// A checkpoint is due when the log since the last one is longer than this and than the
    /// image, or than the state where that has become smaller.
    pub checkpoint_bytes_min: u64,
    /// It is put off until the log since the last one has this many entries, or is four times as
    /// long as that.
    pub checkpoint_entries_min: u64,
    /// How many checkpoints are kept; the newest always is.
    pub checkpoints_kept: usize,
    /// How long covered segments are kept, for point-in-time restore.
    pub log_retention: Duration,
    /// How many bytes of covered segments are kept at most.
    pub log_retention_bytes: u64,
    /// How many covered segments are kept at most; `None` for any number.
    pub covered_segments_max: Option<usize>,
    /// Commands that may wait for the writer; above it they are refused as too many requests.
    pub queue_length_max: usize,
    /// Bytes of them; the writer works on as much beside.
    pub queue_bytes_max: usize,
    /// Commands in one group commit.
    pub batch_commands_max: usize,
    /// Compares, success operations and failure operations of a transaction, each.
    pub txn_operations_max: usize,
    /// The TTL that shorter ones are raised to, in seconds.
    pub lease_ttl_s_min: i64,
    /// Watchers on one stream.
    pub watchers_per_stream_max: usize,
    /// Bytes of events that wait in one watch stream before its watchers fall back to history.
    pub watch_queue_bytes_max: usize,
    /// Bytes of live image and history above which writes are refused; `None` for no quota.
    pub quota_bytes: Option<u64>,
}

impl Options {
    /// The defaults, for the given storage.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            role: Role::Standalone,
            clock: Arc::new(SystemClock::new()),
            segment_bytes: 64 << 20,
            checkpoint_bytes_min: 64 << 20,
            checkpoint_entries_min: 0,
            // The newest one, and one to fall back to.
            checkpoints_kept: 2,
            log_retention: Duration::from_secs(24 * 60 * 60),
            log_retention_bytes: 1 << 30,
            covered_segments_max: None,
            queue_length_max: 50_000,
            queue_bytes_max: 256 << 20,
            batch_commands_max: 4_096,
            txn_operations_max: 128,
            lease_ttl_s_min: 2,
            watchers_per_stream_max: 100_000,
            watch_queue_bytes_max: 4 << 20,
            quota_bytes: None,
        }
    }
}
