//! One version of one key: immutable, reference-counted, already encoded.
//!
//! A record is a single allocation that holds a fixed header and, behind it, the version as
//! etcd's `mvccpb.KeyValue` message. The same message goes to the wire, into the log, into a
//! checkpoint and under the hash, so that nothing on the data path is encoded twice:
//!
//! ```text
//! 0        8         16        24        32       36         40            44             48
//! | mod i64 | create i64 | version i64 | lease i64 | sub u32 | key len u32 | value at u32 | value len u32 | message
//! message = KeyValue { 1 key, 2 create, 3 mod, 4 version, 5 value, 6 lease }
//! ```
//!
//! A tombstone's version is 0 and its message is what etcd stores for one: the key alone.

use std::fmt;
use std::sync::Arc;

use crate::types::{LeaseId, Revision};
use crate::wire;

const HEADER: usize = 48;

/// A version of a key, or the tombstone that ends a generation. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<[u8]>);

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
        let mut bytes = Vec::with_capacity(HEADER + version.key.len() + version.value.len() + 56);
        bytes.resize(HEADER, 0);
        wire::put_bytes(&mut bytes, 1, version.key);
        wire::put_varint(&mut bytes, 2, version.create_revision.0);
        wire::put_varint(&mut bytes, 3, version.mod_revision.0);
        wire::put_varint(&mut bytes, 4, version.version);
        wire::put_bytes(&mut bytes, 5, version.value);
        let value_end = bytes.len();
        wire::put_varint(&mut bytes, 6, version.lease.0);
        Self::seal(bytes, version, value_end)
    }

    /// Encodes the end of a generation.
    #[must_use]
    pub fn tombstone(key: &[u8], mod_revision: Revision, sub_revision: u32) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + key.len() + 6);
        bytes.resize(HEADER, 0);
        wire::put_bytes(&mut bytes, 1, key);
        let version = Version {
            key,
            value: &[],
            create_revision: Revision(0),
            mod_revision,
            sub_revision,
            version: 0,
            lease: LeaseId::NONE,
        };
        let value_end = bytes.len();
        Self::seal(bytes, &version, value_end)
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
        let fields = wire::KeyValueFields::parse(message)?;
        let record = if tombstone {
            Self::tombstone(fields.key, mod_revision, sub_revision)
        } else {
            Self::put(&Version {
                key: fields.key,
                value: fields.value,
                create_revision: Revision(fields.create_revision),
                mod_revision,
                sub_revision,
                version: fields.version,
                lease: LeaseId(fields.lease),
            })
        };
        (record.message() == message).then_some(record)
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let length = self.word(36);
        let start = HEADER + 1 + wire::varint_length(u64::from(length));
        self.slice(start, length)
    }

    /// The value; empty for a tombstone.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.slice(self.word(40) as usize, self.word(44))
    }

    /// The revision of this write.
    #[must_use]
    pub fn mod_revision(&self) -> Revision {
        Revision(self.number(0))
    }

    /// The order of this write within its revision, from 0.
    #[must_use]
    pub fn sub_revision(&self) -> u32 {
        self.word(32)
    }

    /// The revision that created this generation; 0 for a tombstone.
    #[must_use]
    pub fn create_revision(&self) -> Revision {
        Revision(self.number(8))
    }

    /// Writes since creation, from 1; 0 for a tombstone.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.number(16)
    }

    /// The attached lease.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        LeaseId(self.number(24))
    }

    /// Whether this ends a generation.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.version() == 0
    }

    /// The version as an `mvccpb.KeyValue` message; of a tombstone, the key alone.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    /// Revision and sub-revision: what all writes of a store are ordered by.
    #[must_use]
    pub fn order(&self) -> (Revision, u32) {
        (self.mod_revision(), self.sub_revision())
    }

    /// Bytes that this version costs in memory and counts against the quota.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }

    fn seal(mut bytes: Vec<u8>, version: &Version<'_>, value_end: usize) -> Self {
        let value_at = value_end - version.value.len();
        let header = [
            version.mod_revision.0.to_le_bytes(),
            version.create_revision.0.to_le_bytes(),
            version.version.to_le_bytes(),
            version.lease.0.to_le_bytes(),
            pair(version.sub_revision, length(version.key.len())),
            pair(length(value_at), length(version.value.len())),
        ];
        for (slot, field) in bytes.chunks_exact_mut(8).zip(header) {
            slot.copy_from_slice(&field);
        }
        Self(bytes.into())
    }

    fn number(&self, at: usize) -> i64 {
        let bytes = self.0.get(at..at + 8).and_then(|field| field.try_into().ok());
        i64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..at + 4).and_then(|field| field.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    }

    fn slice(&self, at: usize, length: u32) -> &[u8] {
        self.0.get(at..at + length as usize).unwrap_or_default()
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

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a record is far below 4 GiB: the request limit holds it there")
}

fn pair(low: u32, high: u32) -> [u8; 8] {
    (u64::from(low) | u64::from(high) << 32).to_le_bytes()
}
