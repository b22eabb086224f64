//! Time, as something the caller passes in: the engine has no wall clock of its own.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

/// The two clocks the store needs.
pub trait Clock: Send + Sync + 'static {
    /// Time since an arbitrary moment; never goes back. Leases run on it.
    fn monotonic(&self) -> Duration;
    /// Time since the Unix epoch; may jump. It is written to the log, so that a lease's remaining
    /// time survives a restart and a log can be replayed up to a moment.
    fn wall(&self) -> Duration;
    /// Asks to be called after the time was moved by hand, so that a thread that waits for a moment
    /// looks again. A clock that runs by itself needs none of it.
    fn on_move(&self, look_again: Box<dyn Fn() + Send + Sync>) {
        drop(look_again);
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// Starts its monotonic time at zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn wall(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }
}

/// A clock that moves only when told, for tests.
#[derive(Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
    jump: Mutex<Duration>,
    moved: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl ManualClock {
    /// Starts both times at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves both times on.
    pub fn advance(&self, by: Duration) {
        *self.now.lock() += by;
        self.moved.lock().iter().for_each(|look_again| look_again());
    }

    /// Moves only the wall time on, as an operator who sets the clock does.
    pub fn jump_wall(&self, by: Duration) {
        *self.jump.lock() += by;
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        *self.now.lock()
    }

    fn wall(&self) -> Duration {
        *self.now.lock() + *self.jump.lock()
    }

    fn on_move(&self, look_again: Box<dyn Fn() + Send + Sync>) {
        self.moved.lock().push(look_again);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.monotonic()).finish_non_exhaustive()
    }
}
