//! What a store holds after an image was installed.

use super::*;

#[test]
fn a_restore_brings_back_the_data_above_every_revision_that_was_handed_out() {
    let disk = Faulty::new(1);
    for engine in [engine(), durable(&disk)] {
        let bytes = with_a_past(&engine);
        let before = engine.revision().0;
        let installed = restore(&engine, &bytes);
        assert_eq!(installed.revision, Revision(before + 2));
        assert_eq!(engine.revision(), installed.revision);
        assert_eq!(names(&engine).len(), 19);
        assert_eq!(value(&engine, "key-05").as_deref(), Some("old"));
        assert_eq!(value(&engine, "late"), None);
        for gone in [before, before + 1] {
            let error = engine.range(&range_at("key-05", gone)).unwrap_err();
            let Error::Compacted { compact_revision } = error else { panic!("{error}") };
            assert_eq!(compact_revision, installed.revision);
        }
        assert_eq!(put(&engine, "key-05", "after"), before + 3);
        assert_eq!(get(&engine, "key-05", 0).unwrap().version(), 2, "it is the same key");
        assert_eq!(engine.status().log_sequence, installed.sequence + 1);
    }
}

#[test]
fn what_was_restored_and_written_after_it_is_there_after_a_restart() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    let identity = engine.status().cluster_id;
    restore(&engine, &bytes);
    for round in 0..50 {
        put(&engine, "key-01", &format!("{round}"));
    }
    let (wanted, sequence) = (hash(&engine), engine.status().log_sequence);
    engine.close();
    let engine = durable(&disk.crash(Crash::PowerLost));
    assert_eq!(hash(&engine), wanted);
    assert_eq!(engine.status().log_sequence, sequence);
    assert_eq!(engine.status().cluster_id, identity);
    assert_eq!(value(&engine, "key-01").as_deref(), Some("49"));
    restore(&engine, &bytes);
    restore(&engine, &bytes);
    assert_eq!(names(&engine).len(), 19);
}

#[test]
fn a_restore_shares_the_records_that_did_not_change_and_no_others() {
    let (engine, other) = (engine(), self::engine());
    let address = |key: &str| get(&engine, key, 0).unwrap().message().as_ptr();
    for (store, value) in [(&engine, "here"), (&other, "there")] {
        put(store, "same", "in both");
        put(store, "differs", value);
    }
    let bytes = image(&engine, false);
    let before = (address("same"), address("differs"));
    put(&engine, "differs", "later");
    put(&engine, "differs", "last");
    restore(&engine, &bytes);
    assert_eq!((address("same"), address("differs")), before);

    restore(&engine, &image(&other, false));
    assert_eq!(address("same"), before.0);
    assert_eq!(value(&engine, "differs").as_deref(), Some("there"));
}

#[test]
fn an_image_that_is_damaged_or_cut_short_changes_nothing() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    // The next segment's file is made aside, at a time of its own.
    let files = || {
        let mut files = disk.files();
        files.retain(|(path, _)| !path.display().to_string().contains("spare"));
        files
    };
    let (wanted, before) = (hash(&engine), files());
    let refused = |bytes: &[u8]| {
        let error = install(&engine, InstallMode::Restore, bytes).unwrap_err();
        assert!(matches!(error, InstallError::Image(_)), "{error}");
    };
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        refused(&damaged);
        refused(&bytes[..at]);
    }
    refused(&[&bytes[..], b"more"].concat());
    drop(engine.installer(InstallMode::Restore).unwrap());
    assert_eq!(hash(&engine), wanted);
    assert_eq!(files(), before, "something was left on the disk");
}

#[test]
fn a_standby_takes_no_restore_and_a_primary_no_reseed() {
    let disk = Faulty::new(1);
    let bytes = with_a_past(&engine());
    let error = install(&standby(&disk), InstallMode::Restore, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Refused(Error::NotPrimary)), "{error}");
    let error = install(&engine(), InstallMode::Reseed, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Refused(Error::NotStandby)), "{error}");
}

#[test]
fn a_reseeded_standby_is_what_the_primary_is_and_of_its_cluster() {
    let primary = durable(&Faulty::new(1));
    with_a_past(&primary);
    primary.execute(Command::Compact(Revision(10))).unwrap();
    let disk = Faulty::new(2);
    let second = standby(&disk);
    let member_id = second.status().member_id;
    install(&second, InstallMode::Reseed, &image(&primary, true)).unwrap();
    put(&primary, "more", "");
    // Again, over what the first one left; and back, over a log that is ahead of the image.
    let more = image(&primary, true);
    for bytes in [&more, &more] {
        install(&second, InstallMode::Reseed, bytes).unwrap();
    }
    let check = |second: &Engine| {
        assert_eq!(hash(second), hash(&primary));
        let (ours, theirs) = (second.status(), primary.status());
        assert_eq!(ours.log_sequence, theirs.log_sequence);
        assert_eq!(ours.cluster_id, theirs.cluster_id);
        assert_eq!(ours.member_id, member_id);
    };
    check(&second);
    second.close();
    check(&standby(&disk));
}

#[test]
fn writes_that_come_meanwhile_wait_and_are_done_on_what_was_restored() {
    let engine = engine();
    let bytes = with_a_past(&engine);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (engine, stop) = (engine.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let revision = put(&engine, &format!("writer-{writer}"), "");
                    assert!(revision > last, "{revision} after {last}");
                    last = revision;
                }
                last
            })
        })
        .collect();
    let mut revisions = vec![0];
    for _ in 0..20 {
        let installed = restore(&engine, &bytes);
        assert!(installed.revision.0 > revisions[revisions.len() - 1]);
        revisions.push(installed.revision.0);
    }
    stop.store(true, Ordering::Relaxed);
    let restored = revisions[revisions.len() - 1];
    for (writer, handle) in writers.into_iter().enumerate() {
        let last = handle.join().unwrap();
        let found = get(&engine, &format!("writer-{writer}"), 0);
        let kept = found.map(|record| record.mod_revision().0);
        assert_eq!(kept, (last > restored).then_some(last));
    }
}

#[test]
fn a_compaction_and_a_checkpoint_of_the_state_before_touch_nothing_of_the_one_after() {
    let disk = Faulty::new(1);
    let mut options = options(&disk);
    options.checkpoint_bytes_min = 1;
    let engine = Engine::open(options).unwrap();
    let bytes = with_a_past(&engine);
    let wanted = names(&restored_twin(&bytes));
    for _ in 0..30 {
        for round in 0..10 {
            put(&engine, &format!("busy-{round}"), &"v".repeat(300));
        }
        engine.execute(Command::Compact(engine.revision())).unwrap();
        restore(&engine, &bytes);
        assert_eq!(names(&engine), wanted);
    }
    engine.close();
    assert_eq!(names(&durable(&disk)), wanted);
}
