//! What the checks of `/livez` and `/readyz` found: asked for seldom, so counted once for all workers.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Counter;

/// Checks of one path.
pub(crate) const CHECKS_MAX: usize = 4;

/// Each check of both paths.
#[derive(Default)]
pub(crate) struct CheckResults([[CheckResult; CHECKS_MAX]; 2]);

/// What one check found so far.
#[derive(Default)]
pub(crate) struct CheckResult {
    pub(crate) failed: Counter,
    pub(crate) passed: Counter,
    last_passed: AtomicBool,
}

impl CheckResults {
    /// The result of a check, by the numbers of its path and of itself.
    pub(crate) fn of(&self, path: usize, check: usize) -> Option<&CheckResult> {
        self.0.get(path)?.get(check)
    }
}

impl CheckResult {
    pub(crate) fn found(&self, passed: bool) {
        let counter = if passed { &self.passed } else { &self.failed };
        counter.add(1);
        self.last_passed.store(passed, Ordering::Relaxed);
    }

    /// Whether it passed when it was made last; `None`: it never was.
    pub(crate) fn last(&self) -> Option<bool> {
        let ever = self.failed.get() + self.passed.get() > 0;
        ever.then(|| self.last_passed.load(Ordering::Relaxed))
    }
}
