//! What each command of a slice takes, with one look at the clock for each.

use std::time::Duration;

use super::queue::Work;
use crate::meters::CommandKind;
use crate::store::Store;

/// Runs from command to command.
pub(super) struct Stopwatch<'a> {
    store: &'a Store,
    last: Duration,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn start(store: &'a Store) -> Self {
        Self { store, last: store.clock.monotonic() }
    }

    /// A command was carried out, or refused.
    pub(super) fn lap(&mut self, kind: Option<CommandKind>, succeeded: bool) {
        let now = self.store.clock.monotonic();
        let took = now.saturating_sub(std::mem::replace(&mut self.last, now));
        if let Some(kind) = kind {
            self.store.meters.apply(kind, succeeded, took);
        }
    }
}

/// What is timed of the work, as etcd times it.
pub(super) fn kind_of(work: &Work) -> Option<CommandKind> {
    match work {
        Work::Command(command) => CommandKind::of(command),
        Work::Expire(_) => Some(CommandKind::LeaseRevoke),
        _ => None,
    }
}
