//! A file that is given up while it is written.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::log::Identity;
use crate::record::{Record, Version};
use crate::types::{LeaseId, Revision};

/// Looks for what happens at once, each a millisecond long.
const LOOKS_MAX: usize = 20_000;

/// A disk so slow that a write takes until the file is given up.
#[derive(Debug, Default)]
struct Slow {
    given_up: OnceLock<Arc<AtomicBool>>,
    writes: AtomicUsize,
}

#[derive(Debug)]
struct SlowFile(Arc<Slow>);

impl VfsFile for SlowFile {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn write_all_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        let Slow { given_up, writes } = &*self.0;
        let is_given_up =
            || given_up.get().is_some_and(|given_up| given_up.load(Ordering::Relaxed));
        let mut looks = (0..LOOKS_MAX).map(|_| thread::park_timeout(Duration::from_millis(1)));
        assert!(looks.any(|()| is_given_up()), "the file is not given up");
        writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("image")
    }
}

/// Of one piece.
fn large(number: u8) -> ImageItem {
    ImageItem::Record(Record::put(&Version {
        key: &[number],
        value: &vec![number; Pace::Full.piece_bytes()],
        create_revision: Revision(2),
        mod_revision: Revision(2),
        sub_revision: 0,
        version: 1,
        lease: LeaseId::NONE,
    }))
}

fn on(disk: &Arc<Slow>) -> CheckpointFile {
    let origin = ImageOrigin {
        identity: Identity { cluster_id: 1, member_id: 2 },
        created_at: Duration::ZERO,
    };
    CheckpointFile {
        path: "image".into(),
        file: Arc::new(SlowFile(Arc::clone(disk))),
        pace: Pace::Full,
        encoder: ImageEncoder::new(&origin, &ImageHead::default()),
        writer: None,
    }
}

#[test]
fn what_waits_to_be_written_is_left_when_the_file_is_given_up() {
    let disk = Arc::new(Slow::default());
    let mut file = on(&disk);
    // As many as can be brought while the first write goes on.
    for number in 0..3 {
        file.push(&large(number)).expect("room for another piece");
    }
    let writer = file.writer.as_ref().expect("it was begun");
    disk.given_up.set(Arc::clone(&writer.given_up)).expect("set once");
    drop(file);
    let made = disk.writes.load(Ordering::Relaxed);
    assert_eq!(made, 1, "it went on behind the write that was on its way");
}

#[test]
fn nothing_is_read_back_of_a_file_that_is_given_up() {
    let file = on(&Arc::default());
    assert!(file.read_back(&AtomicBool::new(false)).is_err(), "it is empty");
    assert!(!file.read_back(&AtomicBool::new(true)).expect("nobody looks at it"));
}
