//! Reading the state at one revision, a slice at a time, while writes and compactions go on.

use std::sync::Arc;

use super::pins::{Pin, PinLost};
use crate::entry::{ImageHead, ImageItem};
use crate::record::Record;
use crate::state::{KeyHistory, Published, State};
use crate::store::Store;

/// Keys read before the writer is let in.
const SLICE_KEYS: usize = 1_024;

/// How much of the past is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that `HashKV` covers.
    History,
    /// What is live, as after a compaction at this very revision.
    Live,
}

/// One pass over the alarms, the leases and the keys.
#[derive(Debug)]
pub(crate) struct Walk {
    head: ImageHead,
    extent: Extent,
    /// Alarms and leases: as they were when it began.
    first: Vec<ImageItem>,
    /// The key to go on with.
    resume: Option<Box<[u8]>>,
    /// Of the state that it reads.
    generation: u64,
    pin: Pin,
}

/// Why a walk cannot begin, or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WalkEnd {
    /// As many as may be are under way.
    #[error("too many images are open")]
    TooMany,
    /// What is there may be nothing that ever was.
    #[error("a panic ended a change of the state in its middle")]
    HalfDone,
    /// It stood idle, and a compaction needed the room.
    #[error("it was given up for a compaction, which had waited too long")]
    GivenUp,
    /// The state was replaced by another.
    #[error("the state was replaced by another")]
    Replaced,
}

impl Walk {
    /// Begins at what is published.
    pub(crate) fn begin(store: &Store, state: &State, extent: Extent) -> Result<Self, WalkEnd> {
        if state.is_half_done() {
            return Err(WalkEnd::HalfDone);
        }
        let Published { revision, compact_revision, sequence } = state.published;
        let pin = Arc::clone(&store.pins).hold(compact_revision, store.clock.monotonic());
        let pin = pin.ok_or(WalkEnd::TooMany)?;
        let alarms = state.alarms.published().map(ImageItem::Alarm);
        let leases = state.leases.all_published(sequence).map(|(id, lease)| ImageItem::Lease {
            id,
            ttl_s: lease.ttl_s,
            expires_at: lease.expires_at,
        });
        let compact_revision = match extent {
            Extent::History => compact_revision,
            Extent::Live => revision,
        };
        Ok(Self {
            head: ImageHead { sequence, term: store.term(), revision, compact_revision },
            extent,
            first: alarms.chain(leases).collect(),
            resume: Some(Box::default()),
            generation: state.generation,
            pin,
        })
    }

    pub(crate) fn head(&self) -> &ImageHead {
        &self.head
    }

    /// The next items; `None` behind the last. Where it cannot go on it stays: whoever asks again must
    /// not take that for the end.
    pub(crate) fn next(&mut self, store: &Store) -> Result<Option<Vec<ImageItem>>, WalkEnd> {
        if !self.first.is_empty() {
            return Ok(Some(std::mem::take(&mut self.first)));
        }
        let Some(from) = self.resume.clone() else { return Ok(None) };
        let state = store.state.read();
        if state.generation != self.generation {
            return Err(WalkEnd::Replaced);
        }
        if state.is_half_done() {
            return Err(WalkEnd::HalfDone);
        }
        self.pin.touch(store.clock.monotonic()).map_err(|PinLost| WalkEnd::GivenUp)?;
        let mut items = Vec::new();
        let mut entries = state.index.range(&from, None);
        for entry in entries.by_ref().take(SLICE_KEYS) {
            read_key(entry, &self.head, self.extent, &mut items);
        }
        self.resume = entries.next().map(|entry| entry.key().into());
        Ok(Some(items))
    }
}

/// The versions of a key that belong to an image. What was compacted and is not yet dropped is left
/// out: an image is exact, however far that has come. Of the compacted versions the last stays,
/// unless it is the end of the key; that stays only at the compacted revision itself, for a watch
/// that starts there.
pub(crate) fn read_key(
    history: &KeyHistory,
    head: &ImageHead,
    extent: Extent,
    items: &mut Vec<ImageItem>,
) {
    let compacted = head.compact_revision;
    let stays = |record: &&Record| {
        let watched = extent == Extent::History && record.mod_revision() == compacted;
        !record.is_tombstone() || watched
    };
    let known = history.versions().filter(|r| r.mod_revision() <= head.revision);
    let (mut base, mut newer) = (None, Vec::new());
    for record in known {
        if record.mod_revision() <= compacted {
            base = Some(record);
        } else {
            newer.push(record);
        }
    }
    let kept = base.filter(stays).into_iter().chain(newer);
    items.extend(kept.cloned().map(ImageItem::Record));
}
