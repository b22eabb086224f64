//! When a watcher that asked for it hears of progress: at every tick of the stream's timer, unless
//! it got an event since the last one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use decube_engine::WatchId;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// etcd's lower bound.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The notices of one stream.
pub(super) struct ProgressNotices {
    interval: Duration,
    /// Runs from the first watcher on that wants to hear.
    timer: Option<Interval>,
    /// Whether the next tick is for the watcher: false when it got an event since the last one.
    due: HashMap<WatchId, bool>,
}

impl ProgressNotices {
    pub(super) fn new(interval: Duration) -> Self {
        let interval = interval.max(INTERVAL_MIN);
        Self { interval: interval + jitter(interval), timer: None, due: HashMap::new() }
    }

    pub(super) fn add(&mut self, id: WatchId) {
        self.due.insert(id, true);
        self.timer.get_or_insert_with(|| {
            let mut timer = interval_at(Instant::now() + self.interval, self.interval);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        });
    }

    pub(super) fn remove(&mut self, id: WatchId) {
        self.due.remove(&id);
    }

    /// An event tells as much as a notice would.
    pub(super) fn skip_next(&mut self, id: WatchId) {
        if let Some(due) = self.due.get_mut(&id) {
            *due = false;
        }
    }

    /// The watchers to ask about, at a tick.
    pub(super) fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Vec<WatchId>> {
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        timer.poll_tick(context).map(|_instant| {
            let due = self.due.iter_mut();
            due.filter_map(|(&id, due)| std::mem::replace(due, true).then_some(id)).collect()
        })
    }
}

/// Up to a tenth of the interval, spread evenly over the streams in the order they open, so that
/// clients which came together are not told together.
fn jitter(interval: Duration) -> Duration {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
    let spread = STREAMS.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN_RATIO) >> 48;
    interval / 10 * u32::try_from(spread).unwrap_or_default() / (1 << 16)
}
