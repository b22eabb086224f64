//! `RangeStream`: a range in chunks, for lists that are too long for one message.
//!
//! The chunks together are the answer of Range: all but the last carry keys alone, the last the
//! header, the count and whether there is more. How many keys a chunk has follows etcd's rule, so
//! that clients see the sizes they are used to.

use std::iter;
use std::sync::Arc;

use decube_engine::{Error, RangeChunk, RangeChunks, RangeRequest, SortOrder, SortTarget};
use prost::Message as _;
use tonic::Status;

use super::kv;
use crate::convert::{self, Keys};
use crate::grpc::Chunks;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb::{self as pb, ResponseHeader};

/// The keys of the first chunk.
const FIRST_KEYS: usize = 10;

/// A chunk ends above so many times the size that chunks shall have, however many keys it was to
/// have: long values may follow many short ones.
const LONGEST_CHUNK: usize = 8;

/// Reads in chunks. As with Range what is read is what is acknowledged.
pub(crate) fn range_stream(
    store: &Arc<Store>,
    request: pb::RangeRequest,
) -> Result<Chunks, Status> {
    let keys = Keys::of(&request);
    let filtered = is_filtered(&request);
    let translated = convert::range(request.clone())?;
    check(&translated, filtered)?;
    if translated.count_only || translated.sort_target != SortTarget::Key {
        // A target without an order is sorted by Range, which takes all of the keys.
        let whole = kv::range(store, request)?;
        return Ok(Box::new(iter::once(Ok(whole))));
    }
    let RangeRequest { range, revision, limit, .. } = translated;
    let chunks = store.engine.range_chunks(range, revision);
    let mut reading = Reading {
        store: Arc::clone(store),
        chunks: chunks.map_err(refused)?,
        keys,
        next_keys: FIRST_KEYS,
        left: usize::try_from(limit).ok().filter(|&limit| limit > 0).unwrap_or(usize::MAX),
        read: 0,
        ended: false,
    };
    // The first now: a call that is refused must not begin an answer.
    let first = reading.chunk()?;
    Ok(Box::new(iter::once(Ok(first)).chain(reading)))
}

/// What etcd refuses, in its order.
fn check(request: &RangeRequest, filtered: bool) -> Result<(), Status> {
    if request.range.key.is_empty() {
        return Err(status::refusal(&Error::KeyEmpty));
    }
    match (request.sort_order, request.sort_target) {
        (SortOrder::None, _) | (SortOrder::Ascend, SortTarget::Key) => {}
        _ => return Err(status::stream_of_sorted()),
    }
    if filtered { Err(status::stream_of_filtered()) } else { Ok(()) }
}

fn is_filtered(request: &pb::RangeRequest) -> bool {
    let pb::RangeRequest { min_mod_revision, max_mod_revision, .. } = request;
    let pb::RangeRequest { min_create_revision, max_create_revision, .. } = request;
    [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision] != [&0; 4]
}

/// A range on its way to the client.
struct Reading {
    store: Arc<Store>,
    chunks: RangeChunks,
    keys: Keys,
    /// The keys of the next chunk.
    next_keys: usize,
    /// Of the limit.
    left: usize,
    read: i64,
    ended: bool,
}

impl Reading {
    fn chunk(&mut self) -> Result<pb::RangeResponse, Status> {
        let bytes_target = self.store.options.request_bytes_max;
        let keys_max = self.next_keys.min(self.left);
        let bytes_max = match self.keys {
            Keys::Whole => bytes_target.saturating_mul(LONGEST_CHUNK),
            Keys::Metadata { .. } => usize::MAX,
        };
        let chunk = self.chunks.next(keys_max, bytes_max).map_err(refused)?;
        let RangeChunk { records, more } = chunk;
        self.left -= records.len();
        let keys_read = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.read += keys_read;
        self.ended = !more || self.left == 0;
        let kvs = records.into_iter().map(|record| self.keys.key_value(record)).collect();
        let chunk = pb::RangeResponse { kvs, ..Default::default() };
        if self.ended {
            let header = self.store.header(self.chunks.store_revision());
            let count =
                self.read + if more { self.chunks.count_rest().map_err(refused)? } else { 0 };
            return Ok(pb::RangeResponse { header, more, count, ..chunk });
        }
        let bytes = chunk.encoded_len() + unsent_bytes(&self.chunks, keys_read);
        self.next_keys = next_keys(keys_max, bytes, bytes_target);
        Ok(chunk)
    }
}

impl Iterator for Reading {
    type Item = Result<pb::RangeResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let chunk = self.chunk();
        self.ended |= chunk.is_err();
        Some(chunk)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by value")]
fn refused(error: Error) -> Status {
    status::refusal(&error)
}

/// What etcd counts with a chunk and does not send: the read's own header and count.
fn unsent_bytes(chunks: &RangeChunks, keys_read: i64) -> usize {
    let header = ResponseHeader { revision: chunks.store_revision().0, ..Default::default() };
    let (header, kvs) = (Some(header), Vec::new());
    pb::RangeResponse { header, kvs, more: true, count: keys_read + 1 }.encoded_len()
}

/// etcd's rule: twice as many after a chunk of less than half the size wanted, half as many after
/// one of more than twice that.
fn next_keys(keys: usize, bytes: usize, bytes_target: usize) -> usize {
    if bytes < bytes_target / 2 {
        keys.saturating_mul(2)
    } else if bytes > bytes_target.saturating_mul(2) {
        (keys / 2).max(1)
    } else {
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_to_be_as_long_as_wanted() {
        assert_eq!(next_keys(10, 499, 1_000), 20);
        assert_eq!(next_keys(10, 500, 1_000), 10);
        assert_eq!(next_keys(10, 2_000, 1_000), 10);
        assert_eq!(next_keys(10, 2_001, 1_000), 5);
        assert_eq!(next_keys(1, 2_001, 1_000), 1);
    }
}
