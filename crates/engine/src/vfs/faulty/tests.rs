use std::collections::BTreeSet;

use super::*;

fn disk_with_file() -> (Faulty, Box<dyn VfsFile>) {
    let disk = Faulty::new(3);
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.create(Path::new("/d/f"), 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    (disk, file)
}

fn content(disk: &Faulty) -> Vec<u8> {
    let file = disk.open(Path::new("/d/f")).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

#[test]
fn what_was_not_synced_is_lost_with_the_power_but_not_with_the_process() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, b"synced").unwrap();
    file.sync_data().unwrap();
    file.write_all_at(0, b"SYN").unwrap();
    disk.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
    assert_eq!(content(&disk.crash(Crash::PowerLost)), b"synced");
    let killed = disk.crash(Crash::Process);
    assert_eq!(killed.files(), [(PathBuf::from("/d/g"), 6)]);
}

#[test]
fn a_torn_write_keeps_any_of_its_sectors() {
    let (disk, file) = disk_with_file();
    file.write_all_at(100, &[9; 1000]).unwrap();
    let outcomes: BTreeSet<_> = (0..200)
        .map(|_| {
            let bytes = content(&disk.crash(Crash::PowerTorn));
            let kept = |at: usize| bytes.get(at) == Some(&9);
            // Whole sectors: both ends of each piece go the same way.
            assert_eq!((kept(100), kept(512), kept(1024)), (kept(511), kept(1023), kept(1099)));
            (kept(100), kept(512), kept(1024))
        })
        .collect();
    assert_eq!(outcomes.len(), 8);
}

#[test]
fn what_a_failed_sync_dropped_no_later_sync_brings_back() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, &[9; 512 * 24]).unwrap();
    disk.inject(disk.calls() + 1, Fault::Fail(Errno::Io));
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(content(&disk), [9; 512 * 24]);
    let found = content(&disk.crash(Crash::PowerLost));
    assert!(found.contains(&9));
    assert_ne!(found, [9; 512 * 24]);
}

#[test]
fn a_process_that_died_does_nothing_more() {
    let (disk, file) = disk_with_file();
    disk.inject(disk.calls() + 1, Fault::Halt);
    assert!(file.write_all_at(0, b"half").is_err());
    let before = content(&disk.crash(Crash::Process));
    assert!(file.write_all_at(0, b"more").is_err());
    assert!(file.sync_data().is_err());
    assert!(disk.remove(Path::new("/d/f")).is_err());
    assert_eq!(content(&disk.crash(Crash::Process)), before);
    assert!(b"half".starts_with(&before));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, file) = disk_with_file();
    disk.set_capacity(10);
    let error = file.write_all_at(0, b"twelve bytes").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOSPC.raw_os_error()));
    assert_eq!(content(&disk), b"twelve byt");
    assert!(disk.create(Path::new("/d/g"), 1).is_err());
    disk.set_capacity(20);
    file.write_all_at(0, b"twelve bytes").unwrap();
}

#[test]
fn calls_are_numbered_and_described() {
    let (disk, _file) = disk_with_file();
    assert_eq!(disk.calls(), 4);
    assert_eq!(disk.describe(2), "create /d/f");
    assert_eq!(disk.describe(5), "no such call");
}

#[test]
fn a_flipped_bit_stays_flipped() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, b"a").unwrap();
    file.sync_data().unwrap();
    assert!(disk.flip_bit(Path::new("/d/f"), 1));
    assert!(!disk.flip_bit(Path::new("/d/f"), 8));
    assert_eq!(content(&disk.crash(Crash::PowerLost)), b"c");
}
