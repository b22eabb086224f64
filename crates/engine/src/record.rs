//! One version of one key: immutable, reference-counted, already encoded.
//!
//! A record is a single allocation that holds what the message does not tell at once and, behind
//! it, the version as etcd's `mvccpb.KeyValue` message. The same message goes to the wire, into the
//! log, into a checkpoint and under the hash, so that nothing on the data path is encoded twice:
//!
//! ```text
//! | count | mod i64 | sub u32 | tail u32 | length | message
//! message = KeyValue { 1 key, 2 create, 3 mod, 4 version, tail }, tail = { 5 value, 6 lease }
//! ```
//!
//! The length is in the allocation, not in the pointer: the index and the history point to every
//! record, and are half as large so. A tombstone has no tail, and its message is what etcd stores for
//! one: the key alone.

use std::cell::RefCell;
use std::fmt;

use triomphe::ThinArc;

use crate::types::{LeaseId, Revision};
use crate::wire;

/// What the header counts for in the size of a record.
const HEADER_BYTES: usize = size_of::<Header>();

/// A long value's scratch space is given back.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;

thread_local! {
    /// Where a message is put together before its one allocation is made, at its exact size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Of a tombstone.
const NO_TAIL: u32 = u32::MAX;

/// A version of a key, or the tombstone that ends a generation. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(ThinArc<Header, u8>);

/// What is asked for more often than the message is to be parsed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    mod_revision: Revision,
    sub_revision: u32,
    /// Where the tail begins in the message.
    tail: u32,
}

/// What a put record is made of.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The revision that created this generation of the key.
    pub create_revision: Revision,
    /// The revision of this write.
    pub mod_revision: Revision,
    /// The order of this write within its revision, from 0.
    pub sub_revision: u32,
    /// Writes since creation, from 1.
    pub version: i64,
    /// The attached lease, or [`LeaseId::NONE`].
    pub lease: LeaseId,
}

impl Record {
    /// Encodes a put. Panics if key and value together exceed 4 GiB, which the request limit
    /// forbids long before.
    #[must_use]
    pub fn put(version: &Version<'_>) -> Self {
        Self::encode(version.mod_revision, version.sub_revision, |bytes| {
            wire::put_bytes(bytes, 1, version.key);
            wire::put_varint(bytes, 2, version.create_revision.0);
            wire::put_varint(bytes, 3, version.mod_revision.0);
            wire::put_varint(bytes, 4, version.version);
            let tail = length(bytes.len());
            wire::put_bytes(bytes, 5, version.value);
            wire::put_varint(bytes, 6, version.lease.0);
            tail
        })
    }

    /// Encodes the end of a generation.
    #[must_use]
    pub fn tombstone(key: &[u8], mod_revision: Revision, sub_revision: u32) -> Self {
        Self::encode(mod_revision, sub_revision, |bytes| {
            wire::put_bytes(bytes, 1, key);
            NO_TAIL
        })
    }

    /// Rebuilds a record from its revision and its message, as a log or a checkpoint keeps them.
    /// `None` when the message is not one that [`Record::put`] or [`Record::tombstone`] made.
    #[must_use]
    pub fn decode(
        mod_revision: Revision,
        sub_revision: u32,
        tombstone: bool,
        message: &[u8],
    ) -> Option<Self> {
        let tail = tail_of(mod_revision, tombstone, message)?;
        let header = Header { mod_revision, sub_revision, tail };
        Some(Self(ThinArc::from_header_and_slice(header, message)))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        wire::take_bytes(&mut self.message(), 1)
    }

    /// The value; empty for a tombstone.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        wire::take_bytes(&mut self.tail(), 5)
    }

    /// The revision of this write.
    #[must_use]
    pub fn mod_revision(&self) -> Revision {
        self.0.header.header.mod_revision
    }

    /// The order of this write within its revision, from 0.
    #[must_use]
    pub fn sub_revision(&self) -> u32 {
        self.0.header.header.sub_revision
    }

    /// The revision that created this generation; 0 for a tombstone.
    #[must_use]
    pub fn create_revision(&self) -> Revision {
        let mut rest = self.behind_key();
        Revision(wire::take_varint(&mut rest, 2))
    }

    /// Writes since creation, from 1; 0 for a tombstone.
    #[must_use]
    pub fn version(&self) -> i64 {
        let mut rest = self.behind_key();
        wire::take_varint(&mut rest, 2);
        wire::take_varint(&mut rest, 3);
        wire::take_varint(&mut rest, 4)
    }

    /// The attached lease.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        let mut rest = self.tail();
        wire::take_bytes(&mut rest, 5);
        LeaseId(wire::take_varint(&mut rest, 6))
    }

    /// Whether this ends a generation.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.0.header.header.tail == NO_TAIL
    }

    /// The version as an `mvccpb.KeyValue` message; of a tombstone, the key alone.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.0.slice
    }

    /// Revision and sub-revision: what all writes of a store are ordered by.
    #[must_use]
    pub fn order(&self) -> (Revision, u32) {
        (self.mod_revision(), self.sub_revision())
    }

    /// Bytes that this version costs in memory and counts against the quota.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.0.slice.len()
    }

    /// `message` appends the message and returns where its tail is.
    fn encode(
        mod_revision: Revision,
        sub_revision: u32,
        message: impl FnOnce(&mut Vec<u8>) -> u32,
    ) -> Self {
        SCRATCH.with_borrow_mut(|bytes| {
            bytes.clear();
            let tail = message(bytes);
            let header = Header { mod_revision, sub_revision, tail };
            let record = Self(ThinArc::from_header_and_slice(header, bytes));
            bytes.shrink_to(SCRATCH_BYTES_KEPT);
            record
        })
    }

    fn behind_key(&self) -> &[u8] {
        let mut rest = self.message();
        wire::take_bytes(&mut rest, 1);
        rest
    }

    fn tail(&self) -> &[u8] {
        match self.0.header.header.tail {
            NO_TAIL => &[],
            at => self.message().get(at as usize..).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_tombstone() { "tombstone" } else { "put" };
        write!(
            f,
            "{kind}({} @{}.{} v{} = {} bytes)",
            self.key().escape_ascii(),
            self.mod_revision().0,
            self.sub_revision(),
            self.version(),
            self.value().len()
        )
    }
}

/// Where the tail of a record with this message is; `None` if nothing here made the message.
fn tail_of(mod_revision: Revision, tombstone: bool, message: &[u8]) -> Option<u32> {
    let mut rest = message;
    wire::expect_bytes(&mut rest, 1)?;
    if tombstone {
        return rest.is_empty().then_some(NO_TAIL);
    }
    wire::expect_varint(&mut rest, 2)?;
    if wire::expect_varint(&mut rest, 3)? != mod_revision.0 {
        return None;
    }
    wire::expect_varint(&mut rest, 4)?;
    let tail = u32::try_from(message.len() - rest.len()).ok()?;
    wire::expect_bytes(&mut rest, 5)?;
    wire::expect_varint(&mut rest, 6)?;
    rest.is_empty().then_some(tail)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a record is far below 4 GiB: the request limit holds it there")
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
