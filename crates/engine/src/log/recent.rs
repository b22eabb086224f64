//! The latest commits in memory, for those who follow the log closely.
//!
//! Kept only while somebody follows, and bounded: who is further behind reads the segments. The
//! writer adds a commit once it is durable, and waits for nobody.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// Bytes of commits kept; the last one always is, however large.
const BYTES_MAX: usize = 16 << 20;

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Recent {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The last durable sequence number.
    last: u64,
    followers: usize,
    /// Without gaps, up to `last`.
    commits: VecDeque<Commit>,
    bytes: usize,
}

/// The frames of one commit as they lie in the log.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) salt: u32,
    pub(crate) frames: Bytes,
}

impl Recent {
    pub(crate) fn new(last: u64) -> Self {
        let inner = Inner { last, followers: 0, commits: VecDeque::new(), bytes: 0 };
        Self { inner: Mutex::new(inner) }
    }

    /// The last durable sequence number.
    pub(crate) fn last(&self) -> u64 {
        self.inner.lock().last
    }

    /// Notes a commit, which is durable, with the sequence numbers from `first` to `last`.
    pub(crate) fn push(&self, first: u64, last: u64, salt: u32, frames: &[u8]) {
        let mut inner = self.inner.lock();
        if first != inner.last + 1 {
            inner.forget();
        }
        inner.last = last;
        if inner.followers == 0 {
            return;
        }
        let frames = Bytes::copy_from_slice(frames);
        inner.bytes += frames.len();
        inner.commits.push_back(Commit { first, last, salt, frames });
        while inner.bytes > BYTES_MAX && inner.commits.len() > 1 {
            let oldest = inner.commits.pop_front();
            inner.bytes -= oldest.map_or(0, |commit| commit.frames.len());
        }
    }

    /// An image was installed: the log goes on behind it.
    pub(crate) fn jump(&self, last: u64) {
        let mut inner = self.inner.lock();
        inner.forget();
        inner.last = last;
    }

    /// The commits from the one that holds frame `from` on, about `bytes_max` bytes of them and at
    /// least one; `None` if it is older than what is kept.
    pub(crate) fn read(&self, from: u64, bytes_max: usize) -> Option<Vec<Commit>> {
        let inner = self.inner.lock();
        inner.commits.front().filter(|oldest| oldest.first <= from)?;
        let start = inner.commits.partition_point(|commit| commit.last < from);
        let mut bytes = 0;
        let wanted = inner.commits.range(start..).take_while(|commit| {
            let wanted = bytes < bytes_max;
            bytes += commit.frames.len();
            wanted
        });
        Some(wanted.cloned().collect())
    }

    pub(crate) fn join(&self) {
        self.inner.lock().followers += 1;
    }

    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.followers -= 1;
        if inner.followers == 0 {
            inner.forget();
        }
    }
}

impl Inner {
    fn forget(&mut self) {
        self.commits = VecDeque::new();
        self.bytes = 0;
    }
}
