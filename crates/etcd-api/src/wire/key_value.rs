//! `mvccpb.KeyValue`, as a view of a stored record.
//!
//! A record keeps its version already encoded as this very message, so that answering it is one
//! copy into the response, whatever the size. Only the shortened forms are encoded field by field.

use std::hash::{Hash, Hasher};

use bytes::{Buf, BufMut, Bytes};
use decube_engine::Record;
use prost::DecodeError;
use prost::encoding::{self, DecodeContext, WireType};

/// One version of one key on the wire.
#[derive(Clone, Debug)]
pub struct KeyValue(View);

#[derive(Clone, Debug)]
enum View {
    /// The record as it is stored.
    Whole(Record),
    /// Without the value, and with or without the lease.
    Metadata { record: Record, with_lease: bool },
    /// A delete event's: the key, and the revision of the delete.
    Deleted(Record),
    /// What a client received.
    Received(Box<Fields>),
}

/// The message by its fields: what a client decodes, and how the shortened forms are encoded.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct Fields {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
    #[prost(int64, tag = "6")]
    lease: i64,
}

impl KeyValue {
    /// A version in full.
    #[must_use]
    pub fn whole(record: Record) -> Self {
        Self(View::Whole(record))
    }

    /// A version without its value. etcd leaves the lease out with it, unless it had to read the
    /// value to sort by it.
    #[must_use]
    pub fn metadata(record: Record, with_lease: bool) -> Self {
        Self(View::Metadata { record, with_lease })
    }

    /// What a delete event says of its key.
    #[must_use]
    pub fn deleted(tombstone: Record) -> Self {
        Self(View::Deleted(tombstone))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match &self.0 {
            View::Whole(record) | View::Metadata { record, .. } | View::Deleted(record) => {
                record.key()
            }
            View::Received(fields) => &fields.key,
        }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.0 {
            View::Whole(record) => record.value(),
            View::Metadata { .. } | View::Deleted(_) => &[],
            View::Received(fields) => &fields.value,
        }
    }

    /// The revision that created this generation of the key.
    #[must_use]
    pub fn create_revision(&self) -> i64 {
        self.number(|record| record.create_revision().0, |fields| fields.create_revision)
    }

    /// The revision of this write.
    #[must_use]
    pub fn mod_revision(&self) -> i64 {
        self.number(|record| record.mod_revision().0, |fields| fields.mod_revision)
    }

    /// Writes since the creation.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.number(Record::version, |fields| fields.version)
    }

    /// The attached lease.
    #[must_use]
    pub fn lease(&self) -> i64 {
        match &self.0 {
            View::Metadata { with_lease: false, .. } => 0,
            _ => self.number(|record| record.lease().0, |fields| fields.lease),
        }
    }

    fn number(&self, stored: impl Fn(&Record) -> i64, received: impl Fn(&Fields) -> i64) -> i64 {
        match &self.0 {
            View::Whole(record) | View::Metadata { record, .. } | View::Deleted(record) => {
                stored(record)
            }
            View::Received(fields) => received(fields),
        }
    }

    /// The shortened forms by their fields; the key is written apart, so that it is not copied
    /// into an allocation of its own first.
    fn shortened(&self) -> Fields {
        Fields {
            create_revision: self.create_revision(),
            mod_revision: self.mod_revision(),
            version: self.version(),
            lease: self.lease(),
            ..Fields::default()
        }
    }
}

impl Default for KeyValue {
    fn default() -> Self {
        Self(View::Received(Box::default()))
    }
}

impl PartialEq for KeyValue {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
            && self.value() == other.value()
            && self.shortened() == other.shortened()
    }
}

impl Eq for KeyValue {}

impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
        self.value().hash(state);
        self.shortened().hash(state);
    }
}

impl prost::Message for KeyValue {
    fn encode_raw(&self, out: &mut impl BufMut) {
        match &self.0 {
            View::Whole(record) => out.put_slice(record.message()),
            View::Received(fields) => fields.encode_raw(out),
            View::Metadata { .. } | View::Deleted(_) => {
                encoding::encode_key(1, WireType::LengthDelimited, out);
                encoding::encode_varint(self.key().len() as u64, out);
                out.put_slice(self.key());
                self.shortened().encode_raw(out);
            }
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        input: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        if !matches!(self.0, View::Received(_)) {
            self.clear();
        }
        match &mut self.0 {
            View::Received(fields) => fields.merge_field(tag, wire_type, input, context),
            _ => Ok(()),
        }
    }

    fn encoded_len(&self) -> usize {
        match &self.0 {
            View::Whole(record) => record.message().len(),
            View::Received(fields) => fields.encoded_len(),
            View::Metadata { .. } | View::Deleted(_) => {
                let length = self.key().len();
                1 + encoding::encoded_len_varint(length as u64)
                    + length
                    + self.shortened().encoded_len()
            }
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
