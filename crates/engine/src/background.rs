//! Threads that let others have the processors.
//!
//! Only a thread that holds no lock of the store's may step back: whoever waited for it would step
//! back too.

/// A tenth of a processor where others want all of them: what waits is to end some time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lowers the priority of the calling thread, and of those that it starts. Elsewhere than on Linux
/// there is only the process's.
pub(crate) fn step_back() {
    // Refused where the system sets other rules, under which it goes on as it is.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
