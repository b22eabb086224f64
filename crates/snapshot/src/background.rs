//! Threads that let others have the processors.
//!
//! A snapshot is as fast as the machine allows while nobody else wants it, and steps back for whoever
//! is served. Only threads that hold no lock may do so: whoever waited for it would step back too.

use std::thread::Builder;

/// Some tens of MB/s where others want all processors: a snapshot is to end some time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

/// A thread of this name, whose first call is [`step_back`] if it can wait.
pub(crate) fn named(name: &str) -> Builder {
    Builder::new().name(name.into())
}

/// Lowers the priority of the calling thread. Elsewhere than on Linux there is only the process's.
pub(crate) fn step_back() {
    // Refused where the system sets other rules, under which it goes on as it is.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
