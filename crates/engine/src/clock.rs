//! Time, as something the caller passes in: the engine has no wall clock of its own.

use std::time::Duration;

/// The two clocks the store needs.
pub trait Clock: Send + Sync + 'static {
    /// Time since an arbitrary moment; never goes back. Leases run on it.
    fn monotonic(&self) -> Duration;
    /// Time since the Unix epoch; may jump. It is written to the log, so that a lease's remaining
    /// time survives a restart and a log can be replayed up to a moment.
    fn wall(&self) -> Duration;
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
