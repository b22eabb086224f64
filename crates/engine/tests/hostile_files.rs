//! Files of any content. Whatever was done to them, reading does not panic, and nothing is served
//! that was not written.
//!
//! Two ways lead past a checksum: damage it does not see, and somebody who makes one. So images are
//! also made whole, of items that no store would write: a snapshot may come from anywhere.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "crash/dice.rs"]
mod dice;
#[path = "support/effort.rs"]
mod effort;
#[path = "crash/script.rs"]
#[allow(dead_code, reason = "shared with the crash tests")]
mod script;
mod support;
#[path = "crash/tape.rs"]
#[allow(dead_code, reason = "shared with the crash tests")]
mod tape;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use decube_engine::vfs::{Crash, Faulty, Vfs};
use decube_engine::{
    Command, Engine, Error, ImageDecoder, ImageEncoder, ImageHead, ImageItem, ImageOrigin,
    InstallMode, KeyRange, LeaseId, Notify, OpenError, Options, RangeRequest, Record, Revision,
    Role, Storage, Version, WatchRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;

use script::History;
use tape::Tape;

fn config(cases: u32) -> Config {
    let cases = cases * u32::try_from(effort::effort()).unwrap();
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// What may be done to the bytes of a file.
#[derive(Clone, Debug)]
enum Damage {
    Overwrite(Index, Vec<u8>),
    Zero(Index, u16),
    Truncate(Index),
    Append(Vec<u8>),
    /// The second place gets what is at the first.
    Copy(Index, Index, u16),
    Replace(Vec<u8>),
}

impl Damage {
    fn inflict(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = |index: &Index| if length == 0 { 0 } else { index.index(length) };
        let end = |start: usize, count: usize| (start + count).min(length);
        match self {
            Self::Overwrite(start, new) => {
                let range = at(start)..end(at(start), new.len());
                let count = range.len();
                bytes[range].copy_from_slice(&new[..count]);
            }
            Self::Zero(start, count) => bytes[at(start)..end(at(start), (*count).into())].fill(0),
            Self::Truncate(end) => bytes.truncate(at(end)),
            Self::Append(more) => bytes.extend(more),
            Self::Copy(from, to, count) => {
                let copied = bytes[at(from)..end(at(from), (*count).into())].to_vec();
                let room = copied.len().min(length - at(to));
                bytes[at(to)..at(to) + room].copy_from_slice(&copied[..room]);
            }
            Self::Replace(new) => bytes.clone_from(new),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    let some = || vec(any::<u8>(), 0..64);
    prop_oneof![
        4 => (index(), some()).prop_map(|(start, new)| Damage::Overwrite(start, new)),
        2 => (index(), 1..600_u16).prop_map(|(start, count)| Damage::Zero(start, count)),
        2 => index().prop_map(Damage::Truncate),
        1 => vec(any::<u8>(), 1..200).prop_map(Damage::Append),
        2 => (index(), index(), 1..600_u16).prop_map(|(from, to, n)| Damage::Copy(from, to, n)),
        1 => vec(any::<u8>(), 0..300).prop_map(Damage::Replace),
    ]
}

/// A disk with several segments and two checkpoints, and what is on it.
static DISK: LazyLock<(Faulty, History)> = LazyLock::new(|| {
    let disk = Faulty::new(7);
    let mut history = History::new();
    for round in 0..3 {
        let log = history.recover(&disk).unwrap();
        history.run(log, 12, 70 + round).unwrap();
    }
    (disk.crash(Crash::PowerLost), history)
});

fn rewrite(disk: &Faulty, index: Index, damages: &[Damage]) {
    let files: Vec<_> = disk.files().into_iter().collect();
    let (path, length) = &files[index.index(files.len())];
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(*length).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    for damage in damages {
        damage.inflict(&mut bytes);
    }
    file.set_len(0).unwrap();
    file.write_all_at(0, &bytes).unwrap();
    file.sync_data().unwrap();
}

proptest! {
    #![proptest_config(config(400))]
    #[test]
    fn a_store_of_damaged_files_is_refused_or_serves_only_what_was_written(
        files in vec((any::<Index>(), vec(damage(), 1..4)), 1..3)
    ) {
        let (disk, history) = &*DISK;
        let disk = disk.crash(Crash::PowerLost);
        for (file, damages) in &files {
            rewrite(&disk, *file, damages);
        }
        match Tape::open(&disk) {
            Ok((_, tape)) => prop_assert_eq!(tape.prefix_of(&history.written).err(), None),
            Err(OpenError::Corrupt { path, .. } | OpenError::NewerFormat { path, .. }) => {
                let named = disk.files().into_iter().any(|(file, _)| path == file || file.starts_with(&path));
                prop_assert!(named, "{path:?} is none of the files");
            }
            Err(error) => prop_assert!(false, "{error:?}"),
        }
    }
}

fn head(sequence: u64, term: u64, revision: i64, compact_revision: i64) -> ImageHead {
    let (revision, compact_revision) = (Revision(revision), Revision(compact_revision));
    ImageHead { sequence, term, revision, compact_revision }
}

/// An image of these items, with all its checksums.
fn image(head: &ImageHead, items: &[ImageItem]) -> Vec<u8> {
    let identity = decube_engine::log::Identity { cluster_id: 1, member_id: 2 };
    let mut encoder =
        ImageEncoder::new(&ImageOrigin { identity, created_at: Duration::ZERO }, head);
    for item in items {
        encoder.push(item);
    }
    encoder.finish();
    encoder.take()
}

fn record(key: &[u8], numbers: [i64; 3], lease: i64, sub_revision: u32) -> ImageItem {
    let [create_revision, mod_revision, version] = numbers;
    ImageItem::Record(Record::put(&Version {
        key,
        value: b"value",
        create_revision: Revision(create_revision),
        mod_revision: Revision(mod_revision),
        sub_revision,
        version,
        lease: LeaseId(lease),
    }))
}

static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = |n: u32| format!("key-{n:05}");
    let items: Vec<_> =
        (2..3_000).map(|n| record(key(n).as_bytes(), [n.into(), n.into(), 1], 0, 0)).collect();
    image(&head(1, 1, 3_000, -1), &items)
});

fn decode(bytes: &[u8], piece_bytes: usize) -> Option<Vec<ImageItem>> {
    let mut decoder = ImageDecoder::new();
    let mut items = Vec::new();
    for piece in bytes.chunks(piece_bytes) {
        let take = &mut |item| {
            items.push(item);
            Ok(())
        };
        decoder.feed(piece, take).ok()?;
    }
    decoder.finish().ok()?;
    Some(items)
}

proptest! {
    #![proptest_config(config(300))]
    #[test]
    fn a_damaged_image_is_refused(
        damages in vec(damage(), 1..4),
        piece_bytes in 1..100_000_usize,
    ) {
        let mut bytes = IMAGE.clone();
        for damage in &damages {
            damage.inflict(&mut bytes);
        }
        let expected = (bytes == *IMAGE).then(|| decode(&IMAGE, IMAGE.len()).unwrap());
        prop_assert_eq!(decode(&bytes, piece_bytes), expected);
    }
}

#[test]
fn an_image_of_versions_that_no_store_counts_to_is_refused() {
    let head = head(1, 1, 10, -1);
    assert!(decode(&image(&head, &[record(b"a", [3, 4, 2], 0, 0)]), 1_000).is_some());
    for numbers in [[0, 4, 2], [5, 4, 2], [3, 4, 0], [3, 4, i64::MAX]] {
        let bytes = image(&head, &[record(b"a", numbers, 0, 0)]);
        assert!(decode(&bytes, 1_000).is_none(), "{numbers:?}");
    }
}

/// Numbers at the edges of what may be.
fn number() -> impl Strategy<Value = i64> {
    let edges = vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 2, 3, 10, i64::MAX - 1, i64::MAX];
    prop_oneof![3 => select(edges), 1 => any::<i64>(), 4 => 1..12_i64]
}

/// As often in an order that a store would keep as not.
fn item() -> impl Strategy<Value = ImageItem> {
    let key = vec(select(vec![b'a', b'b', 0, 0xff]), 0..3);
    let numbers = [number(), number(), number()];
    prop_oneof![
        6 => (key, numbers, number(), any::<bool>()).prop_map(|(key, numbers, lease, deleted)| {
            if deleted {
                ImageItem::Record(Record::tombstone(&key, Revision(numbers[1]), 0))
            } else {
                record(&key, numbers, lease, 0)
            }
        }),
        1 => (number(), number(), any::<u64>()).prop_map(|(id, ttl_s, expires_at)| {
            let expires_at = Duration::from_nanos(expires_at);
            ImageItem::Lease { id: LeaseId(id), ttl_s, expires_at }
        }),
    ]
}

fn sorted(mut items: Vec<ImageItem>) -> Vec<ImageItem> {
    items.sort_by_key(|item| match item {
        ImageItem::Lease { id, .. } => (0, Vec::new(), id.0),
        ImageItem::Record(record) => (1, record.key().to_vec(), record.mod_revision().0),
        ImageItem::Head(_) | ImageItem::Alarm(_) => (0, Vec::new(), 0),
    });
    items
}

struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

/// Reads everything there is, in every way, and writes.
fn use_all(engine: &Engine) {
    let all = KeyRange { key: b"\0"[..].into(), end: b"\0"[..].into() };
    for revision in [0, 1, 2, 5, i64::MAX] {
        let revision = Revision(revision);
        drop(engine.range(&RangeRequest { range: all.clone(), revision, ..Default::default() }));
        drop(engine.hash_kv(revision));
    }
    let watch = engine.watch_stream(Arc::new(Silent)).unwrap();
    let request =
        WatchRequest { range: all, start_revision: Revision(1), ..WatchRequest::default() };
    let _ = watch.create(request);
    drop(watch.take(1 << 20));
    let _ = engine.leases_by_expiry();
    for command in [
        Command::Put(support::put_request("a", "new")),
        Command::Compact(engine.revision()),
        Command::LeaseGrant { id: LeaseId(5), ttl_s: 60 },
        Command::LeaseRevoke { id: LeaseId(1) },
    ] {
        let refused = engine.execute(command).err();
        assert!(!matches!(refused, Some(Error::Latched { .. })), "the writer panicked");
    }
}

proptest! {
    #![proptest_config(config(300))]
    #[test]
    fn an_image_that_no_store_would_write_is_refused_or_used_without_a_panic(
        numbers in (any::<u64>(), any::<u64>(), number(), number()),
        items in vec(item(), 0..8),
        in_order in any::<bool>(),
        standby in any::<bool>(),
    ) {
        let (sequence, term, revision, compact_revision) = numbers;
        let items = if in_order { sorted(items) } else { items };
        let bytes = image(&head(sequence, term, revision, compact_revision), &items);
        let (role, mode) = if standby {
            (Role::Standby, InstallMode::Reseed)
        } else {
            (Role::Standalone, InstallMode::Restore)
        };
        let engine = Engine::open(Options { role, ..Options::new(Storage::Memory) }).unwrap();
        let installed = engine.installer(mode).and_then(|mut installer| {
            installer.push(&bytes)?;
            installer.commit()
        });
        drop(installed);
        use_all(&engine);
    }
}
