//! What the engine counts and times for its operators, since the store was opened.
//!
//! Nothing here is read by the engine itself. The writer adds up a group's work in plain numbers and
//! passes them on once; its own histograms are touched by its thread alone. What is shown is read
//! with relaxed loads: two numbers need not be of the same moment.

mod command_kind;
mod histogram;
mod reads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::command_kind::CommandKind;
pub use self::histogram::{Histogram, Observed};
use self::reads::ReadMeters;

/// A command that takes the writer longer is slow, by etcd's default.
const SLOW_APPLY: Duration = Duration::from_millis(100);

/// Buckets of what waits for a disk, and of applying (as in etcd).
const DISK_BUCKETS: usize = 14;
const APPLY_BUCKETS: usize = 20;

/// From 1 ms to 8.192 s.
pub(crate) type DiskTimes = Histogram<DISK_BUCKETS>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Meters {
    /// Of a group commit: the write of its log, the `fdatasync` behind it, and all of it, from
    /// taking the group to publishing it.
    pub log_write: DiskTimes,
    /// See [`Meters::log_write`].
    pub log_sync: DiskTimes,
    /// See [`Meters::log_write`].
    pub commit: DiskTimes,
    applied: [[Histogram<APPLY_BUCKETS>; 2]; CommandKind::ALL.len()],
    slow_applies: AtomicU64,
    failed: AtomicU64,
    leader_changes: AtomicU64,
    newest_term: AtomicU64,
    pub(crate) written: Written,
    pub(crate) reads: ReadMeters,
    /// What leases were granted with, in seconds: to 2^23, above three months.
    pub lease_ttls_s: Histogram<24>,
    /// What each step of a compaction took, with the state's lock held: 1 ms to 4.096 s.
    pub compaction_slice: Histogram<13>,
    /// What compactions took to drop all: 100 ms to 819.2 s.
    pub compaction: Histogram<14>,
    pub(crate) compaction_versions: AtomicU64,
    pub(crate) compaction_last_s: AtomicU64,
    /// Images on their way in at this moment.
    pub(crate) installing: AtomicU64,
}

/// What the writer published.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) puts: AtomicU64,
    pub(crate) put_bytes: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) ranges: AtomicU64,
    pub(crate) txns: AtomicU64,
    pub(crate) leases_granted: AtomicU64,
    pub(crate) leases_revoked: AtomicU64,
    pub(crate) leases_renewed: AtomicU64,
    pub(crate) leases_expired: AtomicU64,
}

/// The numbers that are no histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Puts carried out, those in transactions among them.
    pub puts: u64,
    /// The bytes of their keys and values.
    pub put_bytes: u64,
    /// Deletes carried out, of however many keys; the keys of a lease that ended are one each.
    pub deletes: u64,
    /// Ranges read.
    pub ranges: u64,
    /// Transactions of more than one of those.
    pub txns: u64,
    /// Leases granted.
    pub leases_granted: u64,
    /// Leases ended, whoever ended them.
    pub leases_revoked: u64,
    /// Keep-alives of leases that there were.
    pub leases_renewed: u64,
    /// Of the leases that ended, those whose time was over.
    pub leases_expired: u64,
    /// Commands that took the writer more than 100 ms.
    pub slow_applies: u64,
    /// Commands that came to nothing because the store stopped writing.
    pub failed: u64,
    /// Terms that this member has seen, the one it was opened in among them.
    pub leader_changes: u64,
    /// Versions that compactions dropped.
    pub compaction_versions: u64,
    /// When the last of them was done, in seconds since the Unix epoch; 0: none yet.
    pub compaction_last_s: u64,
}

impl Meters {
    pub(crate) fn new(term: u64) -> Self {
        let disk = || Histogram::of_times(Duration::from_millis(1));
        let apply = || Histogram::of_times(Duration::from_micros(100));
        Self {
            log_write: disk(),
            log_sync: disk(),
            commit: disk(),
            applied: std::array::from_fn(|_| [apply(), apply()]),
            slow_applies: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            leader_changes: AtomicU64::new(1),
            newest_term: AtomicU64::new(term),
            written: Written::default(),
            reads: ReadMeters::default(),
            lease_ttls_s: Histogram::new(1),
            compaction_slice: Histogram::of_times(Duration::from_millis(1)),
            compaction: Histogram::of_times(Duration::from_millis(100)),
            compaction_versions: AtomicU64::new(0),
            compaction_last_s: AtomicU64::new(0),
            installing: AtomicU64::new(0),
        }
    }

    /// How long commands took the writer, by what they are and whether they succeeded.
    pub fn applied(&self) -> impl Iterator<Item = (CommandKind, bool, Observed)> {
        CommandKind::ALL.into_iter().zip(&self.applied).flat_map(|(of, [failed, done])| {
            [(of, false, failed.observed()), (of, true, done.observed())]
        })
    }

    /// The numbers that are no histogram.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let written = &self.written;
        Counts {
            puts: of(&written.puts),
            put_bytes: of(&written.put_bytes),
            deletes: of(&written.deletes),
            ranges: of(&written.ranges) + self.reads.ranges(),
            txns: of(&written.txns) + self.reads.txns(),
            leases_granted: of(&written.leases_granted),
            leases_revoked: of(&written.leases_revoked),
            leases_renewed: of(&written.leases_renewed),
            leases_expired: of(&written.leases_expired),
            slow_applies: of(&self.slow_applies),
            failed: of(&self.failed),
            leader_changes: of(&self.leader_changes),
            compaction_versions: of(&self.compaction_versions),
            compaction_last_s: of(&self.compaction_last_s),
        }
    }

    pub(crate) fn apply(&self, command: CommandKind, succeeded: bool, took: Duration) {
        let times = self.applied.get(command as usize);
        if let Some(times) = times.and_then(|times| times.get(usize::from(succeeded))) {
            times.observe_time(took);
        }
        if took > SLOW_APPLY {
            self.slow_applies.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn fail(&self, commands: u64) {
        self.failed.fetch_add(commands, Ordering::Relaxed);
    }

    /// What is published is of this term. Terms only rise: an older one is none of a leader.
    pub(crate) fn see_term(&self, term: u64) {
        if self.newest_term.fetch_max(term, Ordering::Relaxed) < term {
            self.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn compacted(&self, took: Duration, versions: u64, now: Duration) {
        self.compaction.observe_time(took);
        self.compaction_versions.fetch_add(versions, Ordering::Relaxed);
        self.compaction_last_s.store(now.as_secs(), Ordering::Relaxed);
    }
}
