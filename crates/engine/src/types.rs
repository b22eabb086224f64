//! What callers ask of the store and what it answers: plain data, no behaviour.
//!
//! The semantics are etcd v3's. A request that is malformed whatever the state (an empty key, too
//! many operations, the same key put twice) is refused by [`crate::Engine::submit`] before it
//! reaches the writer; what depends on the state is decided by the writer.

use std::sync::Arc;

use bytes::Bytes;

use crate::record::Record;

/// A point in the store's history. A fresh store is at 1; every mutating request raises it by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// A lease's identity; any non-zero number, negative ones included. Zero means "no lease".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// The absence of a lease, as etcd writes it.
    pub const NONE: Self = Self(0);
}

/// The keys a request speaks of, in etcd's own notation, kept as it came so that its odd corners
/// (an empty interval, `[a, "\0")` in the duplicate check) can be matched exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key. Empty is refused as [`crate::Error::KeyEmpty`].
    pub key: Bytes,
    /// Empty: just `key`. `"\0"`: every key from `key` on. Else: the first key not included.
    pub end: Bytes,
}

/// Which number of a key a range is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// The key itself.
    #[default]
    Key,
    /// How often the key was written since its creation.
    Version,
    /// The revision that created the key.
    CreateRevision,
    /// The revision that last wrote the key.
    ModRevision,
    /// The value's bytes.
    Value,
}

/// The direction of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// No order asked for; a target other than the key still ascends (as in etcd).
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// A read of one key or a range of keys at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// At most this many; zero or negative means no limit.
    pub limit: i64,
    /// Zero or negative reads the latest (inside a transaction see [`crate::Engine`]).
    pub revision: Revision,
    /// The order of the answer.
    pub sort_order: SortOrder,
    /// What the order is by.
    pub sort_target: SortTarget,
    /// Leave the values (and, unless sorted by value, the leases) out.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
    /// Inclusive bounds; zero means none.
    pub min_mod_revision: i64,
    /// See `min_mod_revision`.
    pub max_mod_revision: i64,
    /// See `min_mod_revision`.
    pub min_create_revision: i64,
    /// See `min_mod_revision`.
    pub max_create_revision: i64,
}

/// The answer to a [`RangeRequest`].
#[derive(Clone, Debug, Default)]
pub struct RangeResult {
    /// The store's current revision when it was read, not the revision asked for.
    pub revision: Revision,
    /// The keys found. With `keys_only` they still hold their values: whoever encodes the answer
    /// leaves them out, so that no copy is made here.
    pub records: Vec<Record>,
    /// All keys in the range at that revision, whatever the limit and the filters.
    pub count: i64,
    /// Whether the limit cut the answer.
    pub more: bool,
}

/// Writes one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutRequest {
    /// The key; empty is refused.
    pub key: Bytes,
    /// The value; may be empty.
    pub value: Bytes,
    /// The lease to attach, [`LeaseId::NONE`] to detach.
    pub lease: LeaseId,
    /// Answer the key's state before the write.
    pub prev_kv: bool,
    /// Keep the value there is; refused when the key is absent or a value is given.
    pub ignore_value: bool,
    /// Keep the lease there is; refused when the key is absent or a lease is given.
    pub ignore_lease: bool,
}

/// Deletes the keys of a range in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// Answer the keys' states before the delete.
    pub prev_kv: bool,
}

/// What a compare looks at, with the value it compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// The key's version.
    Version(i64),
    /// The revision that created it; 0 for an absent key.
    CreateRevision(i64),
    /// The revision that last wrote it; 0 for an absent key.
    ModRevision(i64),
    /// Its value; on an absent key the compare fails, whatever the operator.
    Value(Bytes),
    /// Its lease; 0 for an absent key.
    Lease(i64),
}

/// How a compare holds the two against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompareOperator {
    /// Equal.
    #[default]
    Equal,
    /// The key's is greater.
    Greater,
    /// The key's is less.
    Less,
    /// Different.
    NotEqual,
    /// An operator this version does not know: holds (as in etcd).
    Unknown,
}

/// One condition of a transaction; on a range every key must meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Which keys.
    pub range: KeyRange,
    /// How.
    pub operator: CompareOperator,
    /// What, and with what.
    pub target: CompareTarget,
}

/// One operation inside a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A read; sees the transaction's earlier writes.
    Range(RangeRequest),
    /// A write.
    Put(PutRequest),
    /// A delete.
    DeleteRange(DeleteRangeRequest),
    /// A transaction inside this one; its compares see the state before the outermost one.
    Txn(TxnRequest),
    /// None of these: refused as [`crate::Error::KeyNotFound`] (as in etcd).
    Empty,
}

/// Compares, and the operations for either outcome, evaluated atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnRequest {
    /// All must hold.
    pub compares: Vec<Compare>,
    /// Run when they do.
    pub success: Vec<Operation>,
    /// Run when they do not.
    pub failure: Vec<Operation>,
}

/// What can be wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// A write was refused for the quota. While it is raised, so is everything that needs room.
    NoSpace,
    /// Its data differs from the others'. Nothing here raises it or acts on it.
    Corrupt,
}

/// Something is wrong with a member, until somebody says that it is not any more. Durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// With whom.
    pub member_id: u64,
    /// What.
    pub kind: AlarmKind,
}

/// Everything that goes through the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Writes one key.
    Put(PutRequest),
    /// Deletes a range.
    DeleteRange(DeleteRangeRequest),
    /// A transaction.
    Txn(TxnRequest),
    /// Forgets history up to and including nothing newer than this revision.
    Compact(Revision),
    /// Grants a lease; [`LeaseId::NONE`] lets the store choose. The TTL is in seconds.
    LeaseGrant { id: LeaseId, ttl_s: i64 },
    /// Ends a lease and deletes its keys in one revision.
    LeaseRevoke { id: LeaseId },
    /// Sets a lease's remaining time back to its TTL, durably.
    LeaseKeepAlive { id: LeaseId },
    /// Raises an alarm, or ends it.
    Alarm { alarm: Alarm, raised: bool },
}

/// The answer to a put.
#[derive(Clone, Debug, Default)]
pub struct PutResult {
    /// The revision of this write.
    pub revision: Revision,
    /// The state before, if asked for and there was one.
    pub previous: Option<Record>,
}

/// The answer to a delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteRangeResult {
    /// The revision of this write, or the current one when nothing was deleted.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: i64,
    /// Their states before, in key order, if asked for.
    pub previous: Vec<Record>,
}

/// The answer to one operation of a transaction.
#[derive(Clone, Debug)]
pub enum OperationResult {
    /// Of a read.
    Range(RangeResult),
    /// Of a write.
    Put(PutResult),
    /// Of a delete.
    DeleteRange(DeleteRangeResult),
    /// Of a nested transaction.
    Txn(TxnResult),
}

/// The answer to a transaction.
#[derive(Clone, Debug, Default)]
pub struct TxnResult {
    /// The revision of its writes, or the current one when it wrote nothing.
    pub revision: Revision,
    /// Whether all compares held.
    pub succeeded: bool,
    /// One answer an operation, in order.
    pub results: Vec<OperationResult>,
}

/// A lease as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Its identity.
    pub id: LeaseId,
    /// Seconds left, rounded down; never above `granted_ttl_s`.
    pub remaining_ttl_s: i64,
    /// What it was granted with, after raising to the minimum.
    pub granted_ttl_s: i64,
    /// Its keys in order, if asked for.
    pub keys: Vec<Vec<u8>>,
}

/// What the writer answers to a [`Command`].
#[derive(Clone, Debug)]
pub enum Outcome {
    /// To a put.
    Put(PutResult),
    /// To a delete.
    DeleteRange(DeleteRangeResult),
    /// To a transaction.
    Txn(TxnResult),
    /// To a compaction: the store's current revision.
    Compact { revision: Revision },
    /// To a grant: the lease, its TTL after raising it to the minimum, the current revision.
    LeaseGrant { id: LeaseId, ttl_s: i64, revision: Revision },
    /// To a revocation: the revision of its deletes, or the current one when it had no keys.
    LeaseRevoke { revision: Revision },
    /// To a keep-alive: the TTL it has again, or 0 when there is no such lease.
    LeaseKeepAlive { id: LeaseId, ttl_s: i64, revision: Revision },
    /// To an alarm: it, if it is raised now, or was until now.
    Alarm { alarm: Option<Alarm>, revision: Revision },
    /// To frames of another member's log: the last sequence number that is durable here.
    Copied { sequence: u64 },
    /// To a change of the member's role: it is durable.
    Stands,
}

/// What the store is and how big, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The latest durable revision.
    pub revision: Revision,
    /// History up to here is forgotten; -1 before any compaction.
    pub compact_revision: Revision,
    /// The replication term, 1 on a store that was never promoted.
    pub term: u64,
    /// The log's last durable sequence number.
    pub log_sequence: u64,
    /// Bytes of the live image and the uncompacted history.
    pub db_size_bytes: u64,
    /// Of those, the bytes of the latest versions of live keys.
    pub db_size_in_use_bytes: u64,
    /// Live keys.
    pub keys: u64,
    /// Live leases.
    pub leases: u64,
    /// Open watchers.
    pub watchers: u64,
    /// Watchers that read history to catch up.
    pub watchers_catching_up: u64,
    /// Identity of the store, made when it was created; random, never zero.
    pub cluster_id: u64,
    /// Identity of this member; random, never zero.
    pub member_id: u64,
    /// The alarms that are raised, in order.
    pub alarms: Vec<Alarm>,
    /// What [`Status::db_size_bytes`] may grow to; `None` for no quota.
    pub quota_bytes: Option<u64>,
    /// Commands waiting for the writer.
    pub queue_length: u64,
    /// Group commits made, and the commands, bytes and seconds in them, since the store was opened.
    pub commits: u64,
    /// Commands committed since the store was opened.
    pub commands: u64,
    /// Bytes written to the log since the store was opened.
    pub log_bytes: u64,
    /// Checkpoints and housekeeping of the log that failed since the store was opened. They are
    /// tried again; until they succeed the log grows.
    pub storage_failures: u64,
    /// Why the last of them did.
    pub storage_failure: Option<Arc<str>>,
}

/// What is held at this moment for those who read, and for what is to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Open watch streams.
    pub watch_streams: usize,
    /// Events that they have not taken yet.
    pub events_waiting: usize,
    /// Open images, those of checkpoints among them. No compaction drops what they have yet to read.
    pub images: usize,
    /// Images on their way in: a restore, or a seeding.
    pub installing: u64,
}

/// A checksum over the kept history, equal to etcd's `HashKV` bit for bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKv {
    /// CRC32C as etcd computes it.
    pub hash: u32,
    /// The revision it covers.
    pub hash_revision: Revision,
    /// The compaction it starts from; -1 before any.
    pub compact_revision: Revision,
    /// The store's revision when it was computed.
    pub revision: Revision,
}
