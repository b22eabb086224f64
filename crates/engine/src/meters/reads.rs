//! What is read, counted by whoever reads: threads do not share a counter, as long as they are few.

use std::array;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More threads than these share.
const SLOTS: usize = 16;

/// Counters of reads since the store was opened.
#[derive(Debug)]
pub(crate) struct ReadMeters {
    slots: [Slot; SLOTS],
}

/// One thread's, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    ranges: AtomicU64,
    txns: AtomicU64,
}

thread_local! {
    static SLOT: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS
    };
}

impl ReadMeters {
    /// Counts ranges that were read together; several of them are a transaction.
    pub(crate) fn count(&self, ranges: u64) {
        let Some(slot) = self.slots.get(SLOT.with(|slot| *slot)) else { return };
        slot.ranges.fetch_add(ranges, Ordering::Relaxed);
        if ranges > 1 {
            slot.txns.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn ranges(&self) -> u64 {
        self.slots.iter().map(|slot| slot.ranges.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn txns(&self) -> u64 {
        self.slots.iter().map(|slot| slot.txns.load(Ordering::Relaxed)).sum()
    }
}

impl Default for ReadMeters {
    fn default() -> Self {
        Self { slots: array::from_fn(|_| Slot::default()) }
    }
}
