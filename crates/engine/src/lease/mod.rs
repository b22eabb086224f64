//! Leases: granted, renewed and ended by the writer, run out by a thread that asks the writer.

mod expiry;
mod table;

pub(crate) use expiry::Expiry;
pub(crate) use table::{Lease, LeaseTable};

/// What a TTL may be at most, in seconds (etcd's `MaxLeaseTTL`).
pub(crate) const TTL_S_MAX: i64 = 9_000_000_000;
