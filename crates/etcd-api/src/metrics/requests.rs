//! How long the store took over what the port asked of it.

use std::time::Duration;

use decube_engine::{CommandKind, Histogram, Observed};
use tokio::time::Instant;

use super::Counter;

/// A read that takes longer is slow, as a write is.
const SLOW: Duration = Duration::from_millis(100);

/// What is timed, by etcd's names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Range,
    ReadonlyTxn,
    Command(CommandKind),
}

impl Asked {
    fn index(self) -> usize {
        match self {
            Self::Range => 0,
            Self::ReadonlyTxn => 1,
            Self::Command(kind) => 2 + kind as usize,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Range => "Range",
            Self::ReadonlyTxn => "ReadonlyTxn",
            Self::Command(kind) => kind.name(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let commands = CommandKind::ALL.into_iter().map(Self::Command);
        [Self::Range, Self::ReadonlyTxn].into_iter().chain(commands)
    }
}

/// One worker's times.
pub(crate) struct RequestTimes {
    /// From asking to the answer; each of those that failed, and of those that did not.
    asked: [[Histogram<14>; 2]; 2 + CommandKind::ALL.len()],
    ranges: [Histogram<20>; 2],
    pub(crate) slow_reads: Counter,
    /// Of `Hash` and of `HashKV`.
    pub(crate) hash: Histogram<15>,
    pub(crate) hash_kv: Histogram<15>,
}

impl Default for RequestTimes {
    fn default() -> Self {
        let asked = || Histogram::of_times(Duration::from_millis(1));
        let range = || Histogram::of_times(Duration::from_micros(100));
        let hash = || Histogram::of_times(Duration::from_millis(10));
        Self {
            asked: std::array::from_fn(|_| [asked(), asked()]),
            ranges: [range(), range()],
            slow_reads: Counter::default(),
            hash: hash(),
            hash_kv: hash(),
        }
    }
}

impl RequestTimes {
    /// What was asked for was answered, or refused.
    pub(crate) fn answered(&self, asked: Asked, begun: Instant, succeeded: bool) {
        let took = begun.elapsed();
        let outcome = usize::from(succeeded);
        if let Some(times) = self.asked.get(asked.index()).and_then(|times| times.get(outcome)) {
            times.observe_time(took);
        }
        if matches!(asked, Asked::Range)
            && let Some(times) = self.ranges.get(outcome)
        {
            times.observe_time(took);
        }
        if took > SLOW && matches!(asked, Asked::Range | Asked::ReadonlyTxn) {
            self.slow_reads.add(1);
        }
    }

    /// Each type with whether it succeeded.
    pub(crate) fn asked(&self) -> impl Iterator<Item = ((&'static str, bool), Observed)> {
        Asked::all().zip(&self.asked).flat_map(|(asked, [failed, done])| {
            let name = asked.name();
            [((name, false), failed.observed()), ((name, true), done.observed())]
        })
    }

    /// Whether they succeeded.
    pub(crate) fn ranges(&self) -> [(bool, Observed); 2] {
        let [failed, done] = &self.ranges;
        [(false, failed.observed()), (true, done.observed())]
    }
}
