//! Files written and read by threads: every byte, in order, and the digests of all of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::PathBuf;

use decube_snapshot::{Digest, FileRead, FilesAhead, PartsWriter, Sha256, Stopped};

const PART_BYTES: usize = 300_000;

fn content(length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect()
}

fn sha256(bytes: &[u8]) -> Sha256 {
    let mut digest = Digest::new();
    digest.update(bytes);
    digest.finish()
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, number: usize) -> PathBuf {
        self.0.path().join(number.to_string())
    }

    /// Writes bytes, made in pieces, to as many files as it takes.
    fn write(&self, whole: &[u8], part_bytes: usize, piece_bytes: usize) -> (PartsWriter, usize) {
        let mut pieces = whole.chunks(piece_bytes);
        let mut writer = PartsWriter::start().unwrap();
        for number in 0.. {
            let file = File::create(self.path(number)).unwrap();
            let make = |mut space: Vec<u8>| {
                space.clear();
                space.extend_from_slice(pieces.next().unwrap_or_default());
                Ok::<_, ()>(space)
            };
            let part = writer.write(file, part_bytes, make).unwrap();
            let written = std::fs::read(self.path(number)).unwrap();
            assert_eq!((part.bytes, part.sha256), (written.len() as u64, sha256(&written)));
            if part.last {
                return (writer, number + 1);
            }
            assert_eq!(written.len(), part_bytes);
        }
        unreachable!("numbers do not end");
    }
}

#[test]
fn parts_are_full_but_the_last_and_are_all_of_it() {
    let nothing_left = 2 * PART_BYTES;
    for (length, parts) in [(0, 1), (1, 1), (nothing_left, 2), (nothing_left + 1, 3)] {
        for piece_bytes in [100_000, 70_001, 5 * PART_BYTES] {
            let (scratch, whole) = (Scratch::new(), content(length));
            let (writer, count) = scratch.write(&whole, PART_BYTES, piece_bytes);
            let paths = (0..count).map(|number| scratch.path(number));
            let read: Vec<u8> = paths.flat_map(|path| std::fs::read(path).unwrap()).collect();
            assert!(read == whole, "{length} bytes in pieces of {piece_bytes}");
            assert_eq!(count, parts, "{length} bytes in pieces of {piece_bytes}");
            assert_eq!(writer.sha256(), sha256(&whole));
        }
    }
}

#[test]
fn a_part_may_be_so_long_that_it_is_synced_on_the_way() {
    let (scratch, whole) = (Scratch::new(), vec![7; 20 << 20]);
    let (_, count) = scratch.write(&whole, 1 << 30, 1 << 20);
    assert!(count == 1 && std::fs::read(scratch.path(0)).unwrap() == whole);
}

#[test]
fn what_cannot_be_written_is_told() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path(0), b"").unwrap();
    let only_read = File::open(scratch.path(0)).unwrap();
    let endless = |_| Ok::<_, ()>(vec![7; 1 << 20]);
    let stopped = PartsWriter::start().unwrap().write(only_read, 1 << 30, endless).unwrap_err();
    assert!(matches!(stopped, Stopped::Io(error) if error.raw_os_error().is_some()));
}

#[test]
fn whoever_makes_the_bytes_can_end_it() {
    let scratch = Scratch::new();
    let file = File::create(scratch.path(0)).unwrap();
    let mut left = 12;
    let stopped = PartsWriter::start().unwrap().write(file, 1 << 30, |_| {
        left -= 1;
        if left > 0 { Ok(vec![7; 1 << 20]) } else { Err("ended") }
    });
    assert!(matches!(stopped, Err(Stopped::Refused("ended"))));
}

#[test]
fn what_nobody_goes_on_with_ends() {
    let scratch = Scratch::new();
    let endless = |_| Ok::<_, ()>(vec![7; 1 << 20]);
    let mut writer = PartsWriter::start().unwrap();
    let part = writer.write(File::create(scratch.path(0)).unwrap(), 5 << 20, endless).unwrap();
    assert_eq!((part.bytes, part.last), (5 << 20, false));
    // Of the next part so much is under way already.
    let short = writer.write(File::create(scratch.path(1)).unwrap(), 1 << 20, endless);
    assert!(matches!(short, Err(Stopped::Io(error)) if error.kind() == ErrorKind::InvalidInput));
    let later = writer.write(File::create(scratch.path(1)).unwrap(), 5 << 20, endless);
    assert!(matches!(later, Err(Stopped::Io(_))), "after an error nothing more is written");
}

#[test]
fn what_cannot_be_written_behind_what_could_is_told() {
    let scratch = Scratch::new();
    let mut writer = PartsWriter::start().unwrap();
    let endless = |_| Ok::<_, ()>(vec![7; 1 << 20]);
    writer.write(File::create(scratch.path(0)).unwrap(), 5 << 20, endless).unwrap();
    let only_read = File::open(scratch.path(0)).unwrap();
    let stopped = writer.write(only_read, 5 << 20, endless).unwrap_err();
    assert!(matches!(stopped, Stopped::Io(error) if error.raw_os_error().is_some()));
}

#[test]
fn whoever_refuses_the_next_part_ends_it() {
    let scratch = Scratch::new();
    let mut writer = PartsWriter::start().unwrap();
    let mut left = 7;
    let stopped = writer.write(File::create(scratch.path(0)).unwrap(), 5 << 20, |_| {
        left -= 1;
        if left > 0 { Ok(vec![7; 1 << 20]) } else { Err("ended") }
    });
    assert!(matches!(stopped, Err(Stopped::Refused("ended"))));
    let endless = |_| Ok::<_, ()>(vec![7; 1 << 20]);
    let later = writer.write(File::create(scratch.path(1)).unwrap(), 5 << 20, endless);
    assert!(matches!(later, Err(Stopped::Io(_))), "it gets no digest of the part before");
}

#[test]
fn no_more_memory_is_kept_than_is_used_again() {
    let (scratch, mut places) = (Scratch::new(), HashSet::new());
    let mut writer = PartsWriter::start().unwrap();
    for number in 0..60 {
        let file = File::create(scratch.path(number)).unwrap();
        // Pieces that end nowhere near where parts do, so that each part cuts one in two.
        let part = writer.write(file, PART_BYTES, |mut space: Vec<u8>| {
            space.resize(70_001, 7);
            places.insert(space.as_ptr().addr());
            Ok::<_, ()>(space)
        });
        assert!(!part.unwrap().last);
    }
    assert!(places.len() < 40, "pieces lay in {} places", places.len());
}

#[test]
fn files_are_read_to_their_ends_one_after_the_other() {
    let mut files = FilesAhead::start().unwrap();
    let contents = [0, 1, 1 << 20, (6 << 20) + 5, 7].map(content);
    for digested in [true, false] {
        for content in &contents[..2] {
            files.expect(Cursor::new(content.clone()), digested).unwrap();
        }
        for number in 0..contents.len() {
            if let Some(next) = contents.get(number + 2) {
                files.expect(Cursor::new(next.clone()), digested).unwrap();
            }
            let whole = &contents[number];
            let mut read = Vec::new();
            let take = |bytes: &[u8]| {
                read.extend_from_slice(bytes);
                Ok::<_, ()>(())
            };
            let done = files.take(take).unwrap();
            let sha256 = digested.then(|| sha256(whole));
            assert_eq!(done, FileRead { bytes: whole.len() as u64, sha256 });
            assert!(read == *whole);
        }
    }
    // Nobody waits for one that nobody expects.
    assert!(matches!(files.take(|_| Ok::<_, ()>(())), Err(Stopped::Io(_))));
}

#[test]
fn whoever_takes_the_bytes_can_end_it() {
    let mut files = FilesAhead::start().unwrap();
    files.expect(io::repeat(7), true).unwrap();
    files.expect(io::repeat(8), true).unwrap();
    let mut left = 3;
    let stopped = files.take(|_| {
        left -= 1;
        if left > 0 { Ok(()) } else { Err("enough") }
    });
    assert!(matches!(stopped, Err(Stopped::Refused("enough"))));
    assert!(matches!(files.take(|_| Ok::<_, ()>(())), Err(Stopped::Io(_))));
    assert!(files.expect(io::empty(), true).is_err());
}

#[test]
fn files_that_nobody_takes_end_with_it() {
    let mut files = FilesAhead::start().unwrap();
    let expected = (0..64).take_while(|_| files.expect(io::repeat(7), true).is_ok()).count();
    assert!((2..10).contains(&expected), "{expected} files are expected at once");
    drop(files);
}

#[test]
fn what_cannot_be_read_is_told_and_the_next_file_is_read() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::PermissionDenied.into())
        }
    }
    let mut files = FilesAhead::start().unwrap();
    files.expect(io::repeat(7).take(3 << 20).chain(Broken), true).unwrap();
    files.expect(io::repeat(7).take(5), false).unwrap();
    let stopped = files.take(|_| Ok::<_, ()>(()));
    assert!(
        matches!(stopped, Err(Stopped::Io(error)) if error.kind() == ErrorKind::PermissionDenied)
    );
    assert_eq!(files.take(|_| Ok::<_, ()>(())).unwrap(), FileRead { bytes: 5, sha256: None });
}
