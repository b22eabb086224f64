//! How the disk is shared with those who wait for it.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock::Clock;

/// A disk that takes longer for a piece is not made faster by leaving it alone.
const REST_MAX: Duration = Duration::from_millis(100);

/// How the disk is shared with others.
#[derive(Clone)]
pub(crate) enum Pace {
    /// Somebody waits: in pieces that a disk is busy with.
    Full,
    /// Nobody does: whoever syncs meanwhile waits behind little, and half of the time behind nothing.
    Gentle(Arc<dyn Clock>),
}

impl Pace {
    /// Bytes written, or read back, at once.
    pub(crate) fn piece_bytes(&self) -> usize {
        match self {
            Self::Full => 2 << 20,
            Self::Gentle(_) => 256 << 10,
        }
    }

    /// A piece is longer by what its last block adds. One that needs more than this is copied.
    pub(crate) fn piece_room(&self) -> usize {
        self.piece_bytes() + (1 << 20)
    }

    pub(crate) fn is_gentle(&self) -> bool {
        matches!(self, Self::Gentle(_))
    }

    /// The disk is about to be used; for [`Pace::rest`].
    pub(crate) fn begin(&self) -> Duration {
        match self {
            Self::Full => Duration::ZERO,
            Self::Gentle(clock) => clock.monotonic(),
        }
    }

    /// Leaves the disk to others for as long as it was used.
    pub(crate) fn rest(&self, begun: Duration) {
        if let Self::Gentle(clock) = self {
            thread::park_timeout(clock.monotonic().saturating_sub(begun).min(REST_MAX));
        }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "Full",
            Self::Gentle(_) => "Gentle",
        })
    }
}
