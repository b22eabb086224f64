//! Applying what recovery reads while it reads on: a thread has the [`Replay`] and gets batches.
//!
//! Reading is checksums and copying, applying is looking up keys: each takes about half of what
//! opening a large store costs. What does not fit is known only when it is asked for
//! ([`Applier::settle`]), and nothing is applied behind it.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::Replay;
use crate::entry::{Frame, ImageItem};
use crate::error::OpenError;

/// A batch ends with what makes it larger than this.
const BATCH_BYTES: usize = 256 << 10;
/// And with so many entries, however small.
const BATCH_ENTRIES: usize = 1_024;
/// Batches that wait.
const BATCHES_WAITING: usize = 8;

/// What was read and does not fit what was read before it.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Where it stands in its file; 0 for a piece of an image.
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

enum Batch {
    Restart,
    Items(Vec<ImageItem>),
    /// Each with where it stands.
    Frames(Vec<(u64, Frame)>),
    /// Wants to know of the first misfit.
    Settle(SyncSender<Option<Misfit>>),
}

/// The end that recovery holds.
pub(crate) struct Applier {
    batches: SyncSender<Batch>,
    items: Vec<ImageItem>,
    frames: Vec<(u64, Frame)>,
    bytes: usize,
}

impl Applier {
    /// Runs `work`, whose batches are applied meanwhile; returns when both have ended.
    pub(crate) fn run<T>(
        replay: &mut dyn Replay,
        work: impl FnOnce(&mut Self) -> Result<T, OpenError>,
    ) -> Result<T, OpenError> {
        let name = "decube-apply";
        thread::scope(|scope| {
            let (batches, coming) = sync_channel(BATCHES_WAITING);
            thread::Builder::new()
                .name(name.into())
                .spawn_scoped(scope, move || apply(replay, &coming))
                .map_err(|source| OpenError::Thread { name, source })?;
            let mut applier = Self { batches, items: Vec::new(), frames: Vec::new(), bytes: 0 };
            work(&mut applier)
        })
    }

    /// Takes a piece of the image.
    pub(crate) fn item(&mut self, item: ImageItem) {
        let bytes = if let ImageItem::Record(record) = &item { record.size_bytes() } else { 0 };
        self.items.push(item);
        self.count(bytes);
    }

    /// Takes the next frame: so long, and at this offset.
    pub(crate) fn frame(&mut self, offset: u64, bytes: u64, frame: Frame) {
        self.frames.push((offset, frame));
        self.count(usize::try_from(bytes).unwrap_or(BATCH_BYTES));
    }

    /// Forgets everything taken so far.
    pub(crate) fn restart(&mut self) {
        self.items.clear();
        self.frames.clear();
        self.bytes = 0;
        self.send(Batch::Restart);
    }

    /// Waits until all that was taken is applied, or one of it did not fit.
    pub(crate) fn settle(&mut self) -> Result<(), Misfit> {
        self.flush();
        let (reply, answer) = sync_channel(1);
        self.send(Batch::Settle(reply));
        let panicked = || Misfit { offset: 0, reason: "applying it panicked".into() };
        answer.recv().unwrap_or_else(|_| Some(panicked())).map_or(Ok(()), Err)
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        let entries = self.items.len() + self.frames.len();
        if self.bytes >= BATCH_BYTES || entries >= BATCH_ENTRIES {
            self.flush();
        }
    }

    /// An image comes before all frames.
    fn flush(&mut self) {
        self.bytes = 0;
        if !self.items.is_empty() {
            let items = mem::take(&mut self.items);
            self.send(Batch::Items(items));
        }
        if !self.frames.is_empty() {
            let frames = mem::take(&mut self.frames);
            self.send(Batch::Frames(frames));
        }
    }

    fn send(&self, batch: Batch) {
        // Nobody takes it only after a panic, which leaving the scope passes on.
        drop(self.batches.send(batch));
    }
}

/// The thread's body.
fn apply(replay: &mut dyn Replay, batches: &Receiver<Batch>) {
    let mut misfit = None;
    for batch in batches {
        match batch {
            Batch::Restart => {
                replay.restart();
                misfit = None;
            }
            Batch::Settle(asker) => drop(asker.send(misfit.take())),
            Batch::Items(_) | Batch::Frames(_) if misfit.is_some() => {}
            Batch::Items(items) => {
                let fit = items.into_iter().try_for_each(|item| replay.item(item));
                misfit = fit.err().map(|reason| Misfit { offset: 0, reason });
            }
            Batch::Frames(frames) => {
                let fit = frames.into_iter().try_for_each(|(offset, frame)| {
                    replay.frame(frame).map_err(|reason| Misfit { offset, reason })
                });
                misfit = fit.err();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entry::Entry;
    use crate::types::{LeaseId, Revision};

    /// Refuses one sequence number.
    #[derive(Default)]
    struct Picky {
        refused: u64,
        applied: Vec<u64>,
        restarts: u32,
    }

    impl Replay for Picky {
        fn restart(&mut self) {
            self.applied.clear();
            self.restarts += 1;
        }

        fn item(&mut self, _: ImageItem) -> Result<(), String> {
            Ok(())
        }

        fn frame(&mut self, frame: Frame) -> Result<(), String> {
            if frame.sequence == self.refused {
                return Err("it does not fit".into());
            }
            self.applied.push(frame.sequence);
            Ok(())
        }
    }

    fn feed(applier: &mut Applier, sequences: std::ops::Range<u64>) {
        for sequence in sequences {
            let entry = Entry::LeaseEnd { id: LeaseId(1), revision: Revision(1) };
            let frame = Frame { sequence, term: 1, wall: Duration::ZERO, entry };
            applier.frame(sequence * 100, BATCH_BYTES as u64 / 3, frame);
        }
    }

    #[test]
    fn the_first_misfit_is_told_where_it_stands_and_nothing_behind_it_is_applied() {
        let mut picky = Picky { refused: 40, ..Picky::default() };
        let told = Applier::run(&mut picky, |applier| {
            feed(applier, 0..90);
            Ok(applier.settle().unwrap_err().offset)
        });
        assert_eq!(told.unwrap(), 4_000);
        assert_eq!(picky.applied, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn all_is_applied_when_it_is_settled_and_forgotten_by_a_restart() {
        let mut picky = Picky { refused: 20, ..Picky::default() };
        Applier::run(&mut picky, |applier| {
            feed(applier, 0..30);
            applier.restart();
            feed(applier, 50..61);
            applier.settle().unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(picky.restarts, 1);
        assert_eq!(picky.applied, (50..61).collect::<Vec<_>>());
    }
}
