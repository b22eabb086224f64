//! What every [`Vfs`] must do, run against each of them.

use std::io::ErrorKind;
use std::path::Path;

use super::{DISK_BLOCK_BYTES, Disk, Faulty, Vfs};

#[test]
fn the_real_disk_keeps_the_contract() {
    let scratch = tempfile::tempdir().unwrap();
    check(&Disk, scratch.path());
}

#[test]
fn the_faulty_disk_keeps_the_contract() {
    check(&Faulty::new(1), Path::new("/scratch"));
}

fn check(vfs: &dyn Vfs, scratch: &Path) {
    let dir = scratch.join("a").join("b");
    vfs.create_dir_all(&dir).unwrap();
    vfs.create_dir_all(&dir).unwrap();
    assert_eq!(vfs.list(&dir).unwrap(), Vec::<String>::new());
    check_names(vfs, &dir);
    check_bytes(vfs, &dir);
    check_writing_through(vfs, &dir);
    check_lock(vfs, &dir);
}

fn check_names(vfs: &dyn Vfs, dir: &Path) {
    let (one, two) = (dir.join("one"), dir.join("two"));
    assert_eq!(vfs.open(&one).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vfs.remove(&one).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vfs.rename(&one, &two).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vfs.list(&dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);

    vfs.create(&one, 0).unwrap().write_all_at(0, b"1").unwrap();
    vfs.create(&two, 0).unwrap().write_all_at(0, b"2").unwrap();
    assert_eq!(vfs.create(&one, 0).unwrap_err().kind(), ErrorKind::AlreadyExists);
    vfs.rename(&one, &two).unwrap();
    assert_eq!(vfs.list(dir).unwrap(), ["two"]);
    let mut byte = [0];
    assert_eq!(vfs.open(&two).unwrap().read_at(0, &mut byte).unwrap(), 1);
    assert_eq!(&byte, b"1");
    vfs.remove(&two).unwrap();
    vfs.sync_dir(dir).unwrap();
    assert_eq!(vfs.list(dir).unwrap(), Vec::<String>::new());
}

fn check_bytes(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("bytes");
    let file = vfs.create(&path, 4096).unwrap();
    assert_eq!((file.path(), file.len().unwrap()), (path.as_path(), 4096));
    file.write_all_at(4090, b"across the end").unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 4104);
    let mut read = [7; 32];
    assert_eq!(file.read_at(4085, &mut read).unwrap(), 19);
    assert_eq!(&read[..19], b"\0\0\0\0\0across the end");
    assert_eq!(file.read_at(5000, &mut read).unwrap(), 0);
    file.set_len(4093).unwrap();
    file.set_len(4096).unwrap();
    let again = vfs.open(&path).unwrap();
    assert!(!again.is_empty().unwrap());
    assert_eq!(again.read_at(4090, &mut read).unwrap(), 6);
    assert_eq!(&read[..6], b"acr\0\0\0");
    vfs.remove(&path).unwrap();
}

/// Past the page cache or not: what was written either way is what is read.
fn check_writing_through(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("through");
    let file = vfs.create(&path, 0).unwrap();
    let mut space = vec![0; 4 * DISK_BLOCK_BYTES];
    let start = space.as_ptr().align_offset(DISK_BLOCK_BYTES);
    space[start..].iter_mut().zip(1..=250).for_each(|(to, byte)| *to = byte);
    let blocks = &space[start..start + 2 * DISK_BLOCK_BYTES];
    file.write_all_at(DISK_BLOCK_BYTES as u64, &[9; 100]).unwrap();
    file.write_through(0, blocks).unwrap();
    file.write_through(blocks.len() as u64, &blocks[1..200]).unwrap();
    file.write_all_at(0, b"begin").unwrap();
    file.sync_data().unwrap();
    let mut read = vec![0; 4 * DISK_BLOCK_BYTES];
    let count = file.read_at(0, &mut read).unwrap();
    assert_eq!(count, blocks.len() + 199);
    assert_eq!((&read[..5], &read[5..blocks.len()]), (&b"begin"[..], &blocks[5..]));
    assert_eq!(&read[blocks.len()..count], &blocks[1..200]);
    vfs.remove(&path).unwrap();
}

fn check_lock(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("lock");
    let held = vfs.lock(&path).unwrap();
    assert_eq!(held.path(), path);
    assert_eq!(vfs.lock(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut text = [0; 16];
    let count = vfs.open(&path).unwrap().read_at(0, &mut text).unwrap();
    assert_eq!(&text[..count], format!("{}\n", std::process::id()).as_bytes());
    drop(held);
    let held = vfs.lock(&path).unwrap();
    assert!(!held.is_lost());
    vfs.remove(&path).unwrap();
    assert!(held.is_lost(), "it was removed");
    drop(vfs.create(&path, 0).unwrap());
    assert!(held.is_lost(), "another is in its place");
}
