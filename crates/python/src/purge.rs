//! Giving freed memory back to the system, in a thread of its own.
//!
//! The allocator does so a second after pages became free, in whichever thread next needs fresh
//! ones. Behind a compaction that was the store's writer: it stood still for 16 - 24 ms each second,
//! with the state locked. It finds nothing left to do when this thread comes first.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

/// Half of what the allocator waits. Memory that was freed just before is given back too, and costs
/// a page fault each 4 KiB when it is needed again.
const INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Purger {
    /// Nothing is ever sent: the thread goes on until this is dropped.
    running: Mutex<Option<Sender<Infallible>>>,
    thread: Option<JoinHandle<()>>,
}

impl Purger {
    /// It does not step back for others: in the kernel it may hold what they need to get memory.
    pub(crate) fn start() -> io::Result<Self> {
        let (running, stopped) = channel();
        let thread = Builder::new().name("decube-memory".into()).spawn(move || run(&stopped))?;
        Ok(Self { running: Mutex::new(Some(running)), thread: Some(thread) })
    }

    pub(crate) fn stop(&self) {
        drop(self.running.lock().take());
    }
}

impl Drop for Purger {
    fn drop(&mut self) {
        self.stop();
        // It has no way to panic, and there would be nobody left to be told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(stopped: &Receiver<Infallible>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
        // SAFETY: it takes no pointers, and may be called at any time by any thread that allocates.
        unsafe { libmimalloc_sys::mi_collect(true) };
    }
}
