//! Frames of the primary's log against a standby's state: applied as they are, in order.

use std::collections::VecDeque;

use super::Effects;
use crate::entry::Entry;
use crate::error::Error;
use crate::log::CopiedFrame;
use crate::state::{Moment, State};
use crate::types::Outcome;

/// Frames applied before readers are let in.
const SLICE_FRAMES: usize = 256;

/// Frames on their way into the log.
#[derive(Debug)]
pub(crate) struct Copies {
    waiting: VecDeque<CopiedFrame>,
}

/// How far it got.
pub(crate) enum Applied {
    /// All are applied, or the next one is refused.
    Done(Result<Outcome, Error>),
    /// Readers are to be let in.
    More,
    /// The next one needs what came before it to be published first.
    Later,
}

/// What frames are applied on.
pub(crate) struct Target<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) term: u64,
    pub(crate) now: Moment,
    pub(crate) effects: &'a mut Effects,
}

impl Copies {
    pub(crate) fn new(frames: Vec<CopiedFrame>) -> Self {
        Self { waiting: frames.into() }
    }

    /// Applies some frames; those that are to be logged are added to `logged`.
    pub(crate) fn apply(
        &mut self,
        target: &mut Target<'_>,
        mut logged: impl FnMut(CopiedFrame),
    ) -> Applied {
        for _ in 0..SLICE_FRAMES {
            let next = target.state.sequence + 1;
            let Some(frame) = self.waiting.pop_front() else {
                return Applied::Done(Ok(Outcome::Copied { sequence: target.state.sequence }));
            };
            let sequence = frame.stamp().sequence;
            if sequence < next {
                continue;
            }
            if sequence > next {
                return Applied::Done(Err(Error::FrameGap { wanted: next }));
            }
            if let Entry::LeaseGrant { id, .. } = frame.entry()
                && target.state.leases.is_ending(*id)
            {
                self.waiting.push_front(frame);
                return Applied::Later;
            }
            if let Err(reason) = target.take(&frame) {
                let reason = reason.into();
                return Applied::Done(Err(Error::FrameUnfit { sequence, reason }));
            }
            logged(frame);
        }
        Applied::More
    }
}

impl Target<'_> {
    fn take(&mut self, frame: &CopiedFrame) -> Result<(), String> {
        let stamp = frame.stamp();
        if stamp.term != self.term {
            return Err(format!("it is of term {}, the log is in term {}", stamp.term, self.term));
        }
        let entry = frame.entry();
        if !matches!(entry, Entry::Write { .. } | Entry::LeaseEnd { .. })
            && stamp.revision != self.state.revision
        {
            let (theirs, ours) = (stamp.revision.0, self.state.revision.0);
            return Err(format!("it was written at revision {theirs}, the state is at {ours}"));
        }
        let keys = self.state.size.keys;
        self.state.apply_entry(entry, self.now)?;
        self.effects.tally.note_copied(entry, keys.saturating_sub(self.state.size.keys));
        if let Entry::Compact { revision } = entry {
            self.effects.compactions.push(*revision);
        }
        Ok(())
    }
}
