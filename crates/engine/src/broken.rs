//! Defects that a build for tests can be given, to see that the tests notice them.
//!
//! Only with the feature `broken`, which nothing that is shipped has: a release build with it does
//! not compile. Without it [`strikes`] is constant, and where it is asked nothing is left of it.

/// What goes wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A watcher does not get one of its events.
    LostEvent,
    /// Progress is told of a revision whose events are yet to come.
    EarlyProgress,
    /// A write gets the revision of the one before.
    ReusedRevision,
    /// A read misses the latest revision.
    StaleRead,
    /// A put is answered and not done.
    LostWrite,
}

#[cfg(not(feature = "broken"))]
pub(crate) const fn strikes(_: Defect) -> bool {
    false
}

#[cfg(feature = "broken")]
pub(crate) use chosen::strikes;

#[cfg(feature = "broken")]
mod chosen {
    use std::env;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Defect;

    #[cfg(not(debug_assertions))]
    compile_error!("the feature `broken` is for tests: it cannot be part of a release build");

    /// One in so many chances is taken. Of telling progress there are few.
    const fn every(defect: Defect) -> u64 {
        if matches!(defect, Defect::EarlyProgress) { 2 } else { 20 }
    }

    static CHANCES: AtomicU64 = AtomicU64::new(0);

    /// Whether the defect that the environment has chosen shows here, this time.
    pub(crate) fn strikes(defect: Defect) -> bool {
        static CHOSEN: OnceLock<Option<Defect>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| env::var("DECUBE_DEFECT").ok().map(|name| read(&name)));
        *chosen == Some(defect)
            && CHANCES.fetch_add(1, Ordering::Relaxed) % every(defect) == every(defect) - 1
    }

    fn read(name: &str) -> Defect {
        match name {
            "lost-event" => Defect::LostEvent,
            "early-progress" => Defect::EarlyProgress,
            "reused-revision" => Defect::ReusedRevision,
            "stale-read" => Defect::StaleRead,
            "lost-write" => Defect::LostWrite,
            _ => panic!("DECUBE_DEFECT={name}: there is no such defect"),
        }
    }
}
