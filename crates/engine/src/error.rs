//! Why the store refused. One enum; the transports turn each kind into their own words.

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::install::InstallError;
use crate::types::{LeaseId, Revision};

/// Why a request failed. Nothing was changed, except with [`Error::Latched`] and
/// [`Error::Closed`] for a command that was already queued: its fate is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A key is empty.
    #[error("key is not provided")]
    KeyEmpty,
    /// `ignore_value` or `ignore_lease` on an absent key, or an operation that is none.
    #[error("key not found")]
    KeyNotFound,
    /// `ignore_value` with a value.
    #[error("value is provided")]
    ValueProvided,
    /// `ignore_lease` with a lease.
    #[error("lease is provided")]
    LeaseProvided,
    /// More compares or operations than a transaction may have.
    #[error("too many operations in txn request")]
    TooManyOperations,
    /// A transaction writes one key twice.
    #[error("duplicate key given in txn request")]
    DuplicateKey,
    /// The revision is below the compaction.
    #[error("required revision has been compacted (compact revision {})", compact_revision.0)]
    Compacted { compact_revision: Revision },
    /// The revision is above the current one.
    #[error("required revision is a future revision (current revision {})", current.0)]
    FutureRevision { current: Revision },
    /// No such lease.
    #[error("requested lease not found")]
    LeaseNotFound,
    /// A lease of this identity exists.
    #[error("lease {} already exists", id.0)]
    LeaseExists { id: LeaseId },
    /// The TTL is above 9,000,000,000 s.
    #[error("too large lease TTL")]
    LeaseTtlTooLarge,
    /// The quota is used up.
    #[error("database space exceeded")]
    NoSpace,
    /// The writer's queue is full.
    #[error("too many requests")]
    TooManyRequests,
    /// The command's encoded size is above what one log record may hold.
    #[error("request is too large")]
    RequestTooLarge,
    /// The image cannot be read on; open another.
    #[error("the image is gone: {reason}; start again")]
    ImageLost { reason: &'static str },
    /// This member is a standby.
    #[error("this member is a standby and takes no writes; ask the primary")]
    NotPrimary,
    /// Frames come to a member that is no standby.
    #[error("this member is no standby and takes no frames; demote it first")]
    NotStandby,
    /// Frames are missing before the one that came.
    #[error("frame {wanted} comes next; send from there on")]
    FrameGap { wanted: u64 },
    /// Revisions are missing before the one that came.
    #[error("revision {} comes next; send from there on", wanted.0)]
    RevisionGap { wanted: Revision },
    /// The frame cannot follow on what is here: the logs have parted.
    #[error("frame {sequence} does not fit: {reason}; install an image of the primary")]
    FrameUnfit { sequence: u64, reason: Arc<str> },
    /// Roles are for stores with a log.
    #[error("a store in memory cannot be replicated; use one on disk")]
    NoLog,
    /// An IO error or a panic stopped the writer; reopen the store.
    #[error("the store stopped writing: {reason}; restart to recover")]
    Latched { reason: Arc<str> },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// A thread that changes the state panicked: nobody knows what it left behind.
    pub(crate) fn latched_by_panic(thread: &str, panic: &(dyn Any + Send)) -> Self {
        Self::Latched { reason: told_by_panic(thread, panic) }
    }
}

/// A panic in one line.
pub(crate) fn told_by_panic(thread: &str, panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the {thread} panicked: {}", text.unwrap_or("?")).into()
}

/// Why a store could not be opened. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by process {pid}; stop it or choose another data directory", path.display())]
    Locked { path: PathBuf, pid: u32 },
    /// Damage that is not a torn tail.
    #[error("{} is damaged at byte {offset}: {reason}; restore a snapshot or move the file away", path.display())]
    Corrupt { path: PathBuf, offset: u64, reason: String },
    /// A store is to be made where something is already.
    #[error("{} is not empty; choose a new directory", path.display())]
    NotEmpty { path: PathBuf },
    /// Written by a newer version.
    #[error("{} has format version {found}, this program reads up to {supported}; use a newer one", path.display())]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    /// The operating system refused.
    #[error("{operation} {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    /// A promotion that a crash cut short cannot be ended.
    #[error("this member was being made the primary, and that cannot be ended; open it again")]
    Promotion { source: Box<InstallError> },
    /// The operating system starts no more threads.
    #[error("cannot start the thread {name}; raise the limit on processes or stop others")]
    Thread { name: &'static str, source: io::Error },
}
