//! What the log keeps: the effects of commands, not the commands.
//!
//! The writer evaluates a command once and logs what it changed, so that recovery and replication
//! apply without deciding anything again. Entries that raise no revision (a grant, a keep-alive, a
//! compaction) carry the revision that was current.

use std::time::Duration;

use crate::record::Record;
use crate::types::{Alarm, LeaseId, Revision};

/// One change of the state, as logged, recovered and (later) replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// All records of one revision, in sub-revision order; never empty.
    Write { revision: Revision, records: Vec<Record> },
    /// A lease begins. `expires_at` is wall time: the moment it runs out if nobody renews it.
    LeaseGrant { id: LeaseId, ttl_s: i64, expires_at: Duration },
    /// A lease's time was set back to its TTL.
    LeaseKeepAlive { id: LeaseId, expires_at: Duration },
    /// A lease ended, by revocation or expiry. Its keys were deleted, in their order, in one
    /// revision (the current one when it had none). Which they were follows from the state: a
    /// lease may have more than one entry could hold.
    LeaseEnd { id: LeaseId, revision: Revision },
    /// History up to here was forgotten.
    Compact { revision: Revision },
    /// An alarm was raised, or ended.
    Alarm { alarm: Alarm, raised: bool },
}

/// An entry with what the log itself adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Consecutive from 1; what recovery and replication follow.
    pub sequence: u64,
    /// The replication term it was written in.
    pub term: u64,
    /// Wall time since the Unix epoch when it was written.
    pub wall: Duration,
    /// The change.
    pub entry: Entry,
}

/// One piece of a checkpoint: the image of the state as of a log sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageItem {
    /// Comes first, once.
    Head(ImageHead),
    /// An alarm that was raised. They come before leases, in order.
    Alarm(Alarm),
    /// A lease that was live.
    Lease { id: LeaseId, ttl_s: i64, expires_at: Duration },
    /// A kept version of a key: keys in order, and of one key the oldest first.
    Record(Record),
}

/// The numbers of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageHead {
    /// Every entry up to and including this sequence number is in the image.
    pub sequence: u64,
    /// The term at that point.
    pub term: u64,
    /// The revision at that point.
    pub revision: Revision,
    /// The compaction at that point; -1 for none.
    pub compact_revision: Revision,
}
