//! A notification that a test waits for. Who includes this brings `Notify` along.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Notify;

/// Longer than it takes to be told on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Notify for Bell {
    fn notify(&self) {
        *self.rung.lock() = true;
        self.ring.notify_all();
    }
}

impl Bell {
    /// Waits until it is rung, and takes that back; false if nobody does.
    pub(super) fn wait(&self) -> bool {
        let mut rung = self.rung.lock();
        while !*rung {
            if self.ring.wait_for(&mut rung, PATIENCE).timed_out() {
                return false;
            }
        }
        *rung = false;
        true
    }
}
