//! What a log should hold, and what it was found to hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decube_engine::log::{Log, Replay};
use decube_engine::vfs::{Faulty, Vfs};
use decube_engine::{
    Clock, Entry, Frame, ImageHead, ImageItem, LeaseId, LogLocation, OpenError, Options, Record,
    Revision, Storage, Version,
};

/// Where the store is on the faulty disk.
pub(crate) const LOG_DIR: &str = "/store/log";
pub(crate) const CHECKPOINT_DIR: &str = "/store/data";

/// A clock that moves by a second each time it is read, so that retention has something to do.
#[derive(Debug, Default)]
pub(crate) struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn monotonic(&self) -> Duration {
        self.wall()
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Options with everything so small that a short script meets every kind of file.
pub(crate) fn options(disk: &Faulty) -> (Options, LogLocation) {
    let location = LogLocation {
        log_dir: PathBuf::from(LOG_DIR),
        checkpoint_dir: PathBuf::from(CHECKPOINT_DIR),
        vfs: Arc::new(disk.clone()) as Arc<dyn Vfs>,
    };
    let mut options = Options::new(Storage::Log(location.clone()));
    options.clock = Arc::new(TickingClock::default());
    options.segment_bytes = 6_000;
    options.checkpoint_bytes_min = 5_000;
    options.log_retention = Duration::from_secs(40);
    options.log_retention_bytes = 12_000;
    (options, location)
}

/// What recovery handed out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tape {
    pub(crate) items: Vec<ImageItem>,
    pub(crate) frames: Vec<Frame>,
}

impl Replay for Tape {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn item(&mut self, item: ImageItem) -> Result<(), String> {
        self.items.push(item);
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        self.frames.push(frame);
        Ok(())
    }
}

impl Tape {
    /// Opens the store on a disk.
    pub(crate) fn open(disk: &Faulty) -> Result<(Log, Self), OpenError> {
        let (options, location) = options(disk);
        Self::open_with(&options, &location)
    }

    /// Opens the store with other options than the usual ones.
    pub(crate) fn open_with(
        options: &Options,
        location: &LogLocation,
    ) -> Result<(Log, Self), OpenError> {
        let mut tape = Self::default();
        let log = Log::open(options, location, &mut tape)?;
        Ok((log, tape))
    }

    /// Checks that this is what was written, without a hole, up to some entry; returns how many.
    pub(crate) fn prefix_of(&self, written: &[Entry]) -> Result<u64, String> {
        let covered = match self.items.first() {
            Some(ImageItem::Head(head)) => usize::try_from(head.sequence).unwrap(),
            Some(other) => return Err(format!("the image starts with {other:?}")),
            None => 0,
        };
        if covered > written.len() || covered > 0 && self.items != image(&written[..covered]) {
            return Err(format!("the image at {covered} is not that of what was written"));
        }
        for (frame, sequence) in self.frames.iter().zip(covered + 1..) {
            if frame.sequence != sequence as u64 || written.get(sequence - 1) != Some(&frame.entry)
            {
                return Err(format!("where entry {sequence} should be is {frame:?}"));
            }
        }
        Ok((covered + self.frames.len()) as u64)
    }
}

/// The image of a state that is nothing but the list of what was written, in an image's order.
pub(crate) fn image(written: &[Entry]) -> Vec<ImageItem> {
    let mut leases = BTreeMap::new();
    let mut versions: Vec<&Record> = Vec::new();
    for entry in written {
        match entry {
            Entry::Write { records, .. } => versions.extend(records),
            Entry::LeaseGrant { id, ttl_s, expires_at } => {
                let item = ImageItem::Lease { id: *id, ttl_s: *ttl_s, expires_at: *expires_at };
                leases.insert(*id, item);
            }
            _ => {}
        }
    }
    versions.sort_by_key(|record| (record.key(), record.order()));
    let records = versions.into_iter().cloned().map(ImageItem::Record);
    [ImageItem::Head(head(written))]
        .into_iter()
        .chain(leases.into_values())
        .chain(records)
        .collect()
}

/// The head of that image.
pub(crate) fn head(written: &[Entry]) -> ImageHead {
    let revision = written.iter().rev().find_map(|entry| match entry {
        Entry::Write { revision, .. } | Entry::LeaseEnd { revision, .. } => Some(*revision),
        _ => None,
    });
    ImageHead {
        sequence: written.len() as u64,
        term: 1,
        revision: revision.unwrap_or(Revision(1)),
        compact_revision: Revision(-1),
    }
}

/// An entry that is like no other; the seed chooses its kind and its size.
pub(crate) fn entry(sequence: u64, seed: u64) -> Entry {
    let revision = Revision(i64::try_from(sequence).unwrap() + 1);
    let id = LeaseId(15 - 2 * i64::try_from(seed % 20).unwrap());
    let moment = Duration::from_nanos(seed);
    match seed % 11 {
        0 => Entry::LeaseGrant { id, ttl_s: 60, expires_at: moment },
        1 => Entry::LeaseKeepAlive { id, expires_at: moment },
        2 => Entry::LeaseEnd { id, revision },
        3 => Entry::Compact { revision },
        4 => Entry::Write { revision, records: records(revision, 5, seed) },
        _ => Entry::Write { revision, records: records(revision, 1, seed) },
    }
}

fn records(revision: Revision, count: u32, seed: u64) -> Vec<Record> {
    let length = usize::try_from(seed / 11 % 700).unwrap();
    // Values without zeroes: a sector of zeroes in a value looks as if it had not been written.
    let value: Vec<u8> = (0..length).map(|at| u8::try_from(at % 255).unwrap() + 1).collect();
    let record = |sub_revision| {
        let key = format!("key-{}-{sub_revision}", seed % 97);
        if sub_revision == 3 {
            return Record::tombstone(key.as_bytes(), revision, sub_revision);
        }
        Record::put(&Version {
            key: key.as_bytes(),
            value: &value,
            create_revision: revision,
            mod_revision: revision,
            sub_revision,
            version: 1,
            lease: LeaseId::NONE,
        })
    };
    (0..count).map(record).collect()
}
