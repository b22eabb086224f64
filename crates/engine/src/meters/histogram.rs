//! Histograms of a fixed number of counters: observing takes two relaxed additions and no lock.
//!
//! Bounds double, as those of all of etcd's do. What is observed is a whole number of some unit:
//! nanoseconds of a time, seconds of a lease's. A worked example, of a first bound of 10:
//!
//! ```text
//! observed     0..=10   11..=20   21..=40   41..=80   81 and more
//! counted in   0        1         2         3         the one behind the last
//! ```

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often something was seen below each of `N` bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    first_bound: u64,
    counts: [AtomicU64; N],
    /// Above the last bound.
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Each bound with what was seen up to it and above the one before.
    pub buckets: Vec<(u64, u64)>,
    /// What was seen above the last bound.
    pub beyond: u64,
    /// Of all that was seen.
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    /// The first bound, of which each next is the double of the one before.
    #[must_use]
    pub fn new(first_bound: u64) -> Self {
        let counts = array::from_fn(|_| AtomicU64::new(0));
        Self { first_bound, counts, beyond: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Of times, in nanoseconds.
    #[must_use]
    pub fn of_times(first_bound: Duration) -> Self {
        Self::new(nanoseconds(first_bound))
    }

    /// Counts what was seen.
    pub fn observe(&self, seen: u64) {
        let doublings = seen.saturating_sub(1) / self.first_bound;
        let bucket = (u64::BITS - doublings.leading_zeros()) as usize;
        self.counts.get(bucket).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(seen, Ordering::Relaxed);
    }

    /// Counts a time.
    pub fn observe_time(&self, took: Duration) {
        self.observe(nanoseconds(took));
    }

    /// What was seen so far.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let bound = |bucket| self.first_bound << bucket;
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Observed {
            buckets: counts.enumerate().map(|(at, count)| (bound(at), count)).collect(),
            beyond: self.beyond.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl Observed {
    /// How much was seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.beyond
    }

    /// Adds what another histogram of the same bounds saw.
    pub fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            *self = other.clone();
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.beyond += other.beyond;
        self.sum += other.sum;
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seen: &[u64], counts: [u64; 3], beyond: u64) {
        let histogram = Histogram::<3>::new(10);
        for &seen in seen {
            histogram.observe(seen);
        }
        let observed = histogram.observed();
        assert_eq!(observed.buckets, [10, 20, 40].into_iter().zip(counts).collect::<Vec<_>>());
        assert_eq!(observed.beyond, beyond, "{seen:?}");
        assert_eq!(observed.sum, seen.iter().sum::<u64>());
        assert_eq!(observed.count(), seen.len() as u64);
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        check(&[], [0, 0, 0], 0);
        check(&[0, 1, 10], [3, 0, 0], 0);
        check(&[11, 20], [0, 2, 0], 0);
        check(&[21, 40], [0, 0, 2], 0);
        check(&[41, 80, 81, 1 << 60], [0, 0, 0], 4);
    }

    #[test]
    fn a_time_is_counted_in_nanoseconds() {
        let histogram = Histogram::<2>::of_times(Duration::from_millis(1));
        histogram.observe_time(Duration::from_millis(2));
        assert_eq!(histogram.observed().buckets, [(1_000_000, 0), (2_000_000, 1)]);
    }

    #[test]
    fn what_several_saw_is_added_up() {
        let (one, other) = (Histogram::<2>::new(1), Histogram::<2>::new(1));
        for (seen, by) in [(1, &one), (2, &one), (2, &other), (9, &other)] {
            by.observe(seen);
        }
        let mut sum = Observed::default();
        sum.add(&one.observed());
        sum.add(&other.observed());
        assert_eq!(sum, Observed { buckets: vec![(1, 1), (2, 2)], beyond: 1, sum: 14 });
    }
}
