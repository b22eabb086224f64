//! A range of keys in key order, read a chunk at a time, all at one revision.
//!
//! Between two chunks nothing is held but the place to go on from: neither records nor a pin. So a
//! reader that stands still costs nothing and keeps no compaction waiting; what it would read next
//! may then be compacted, which it is told, as by etcd.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::record::Record;
use crate::state::{Span, State};
use crate::store::Store;
use crate::types::{KeyRange, Revision};

/// Keys looked at before the writer is let in.
const SLICE_KEYS: usize = 2_048;

/// A range that is being read. See [`crate::Engine::range_chunks`].
pub struct RangeChunks {
    store: Arc<Store>,
    range: KeyRange,
    revision: Revision,
    store_revision: Revision,
    /// Of the state that it reads.
    generation: u64,
    /// The key to go on from; `None` behind the last.
    resume: Option<Box<[u8]>>,
}

/// Some of the keys of a range.
#[derive(Clone, Debug, Default)]
pub struct RangeChunk {
    /// The keys, in order.
    pub records: Vec<Record>,
    /// Whether there are keys behind them.
    pub more: bool,
}

impl RangeChunks {
    pub(crate) fn open(
        store: &Arc<Store>,
        range: KeyRange,
        revision: Revision,
    ) -> Result<Self, Error> {
        if range.key.is_empty() {
            return Err(Error::KeyEmpty);
        }
        store.meters.reads.count(1);
        let state = store.state.read();
        Ok(Self {
            revision: state.readable(revision)?,
            store_revision: state.published.revision,
            generation: state.generation,
            resume: Some(range.key.as_ref().into()),
            range,
            store: Arc::clone(store),
        })
    }

    /// The store's revision when the reading began, whichever revision is read.
    #[must_use]
    pub fn store_revision(&self) -> Revision {
        self.store_revision
    }

    /// Reads more keys: at least one if there is one, up to so many, and no more once they have so
    /// many bytes.
    pub fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<RangeChunk, Error> {
        let mut chunk = RangeChunk::default();
        let mut bytes = 0;
        self.walk(|record| {
            let full = chunk.records.len() >= records_max || bytes >= bytes_max;
            chunk.more = full && !chunk.records.is_empty();
            if !chunk.more {
                bytes += record.message().len();
                chunk.records.push(record.clone());
            }
            !chunk.more
        })?;
        Ok(chunk)
    }

    /// Counts the keys that are left, and reads none of them.
    pub fn count_rest(&mut self) -> Result<i64, Error> {
        let mut count = 0;
        self.walk(|_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Shows the keys from where the last walk ended on; the one that is not taken is the next
    /// walk's first.
    fn walk(&mut self, mut take: impl FnMut(&Record) -> bool) -> Result<(), Error> {
        while self.resume.is_some() {
            self.store.check_open()?;
            let state = self.store.state.read();
            self.check_readable(&state)?;
            let from = self.resume.take().unwrap_or_default();
            self.resume = match Span::of(&self.range) {
                Span::Key(key) => {
                    if let Some(record) = state.index.get(key).and_then(|key| key.at(self.revision))
                    {
                        take(record);
                    }
                    None
                }
                Span::Interval(_, end) => {
                    let mut entries = state.index.range(&from, end);
                    let refused = entries
                        .by_ref()
                        .take(SLICE_KEYS)
                        .find(|entry| entry.at(self.revision).is_some_and(|record| !take(record)));
                    if let Some(refused) = refused {
                        self.resume = Some(refused.key().into());
                        return Ok(());
                    }
                    entries.next().map(|entry| entry.key().into())
                }
            };
        }
        Ok(())
    }

    /// What was compacted meanwhile may be gone; and what is read of another state would not fit
    /// what was read before.
    fn check_readable(&self, state: &State) -> Result<(), Error> {
        let compact_revision = state.published.compact_revision;
        if self.revision < compact_revision || state.generation != self.generation {
            return Err(Error::Compacted { compact_revision });
        }
        Ok(())
    }
}

impl fmt::Debug for RangeChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeChunks").field("range", &self.range).finish_non_exhaustive()
    }
}
