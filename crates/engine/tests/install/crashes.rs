//! Faults of the disk at every moment of an installation.

use super::*;

/// Runs an installation with a fault at each of its calls, and looks what is there afterwards.
fn crash_everywhere(mode: InstallMode, open: fn(&Faulty) -> Engine, bytes: &[u8]) {
    let prepared = |seed: u64| {
        let disk = Faulty::new(seed);
        let engine = durable(&disk);
        with_a_past(&engine);
        engine.close();
        disk
    };
    let disk = prepared(3);
    let engine = open(&disk);
    let (old, first_call) = (hash(&engine), disk.calls());
    install(&engine, mode, bytes).unwrap();
    let (new, calls) = (hash(&engine), disk.calls() - first_call);
    drop(engine);
    let (mut kept, mut replaced) = (0, 0);
    for call in 1..=calls {
        for fault in [Fault::Halt, Fault::Fail(Errno::Io), Fault::Short(Errno::NoSpace)] {
            let disk = prepared(3);
            let engine = open(&disk);
            disk.inject(disk.calls() + call, fault);
            let result = install(&engine, mode, bytes);
            for crash in [Crash::Process, Crash::PowerLost, Crash::PowerTorn] {
                let found = disk.crash(crash);
                let reopened = open(&found);
                let now = hash(&reopened);
                assert!(now == old || now == new, "{fault:?} at {call}: {now:?}");
                match &result {
                    Ok(_) => assert_eq!(now, new, "{fault:?} at {call}"),
                    Err(InstallError::Refused(Error::Latched { .. })) => {}
                    Err(_) if fault == Fault::Halt => {}
                    Err(error) => assert_eq!(now, old, "{fault:?} at {call}: {error}"),
                }
                kept += u32::from(now == old);
                replaced += u32::from(now == new);
                reopened.close();
                assert_eq!(hash(&open(&found.crash(crash))), now, "it did not last");
            }
            engine.close();
        }
    }
    assert!(kept > 20 && replaced > 20, "{kept} {replaced}");
}

#[test]
fn a_crash_at_any_call_leaves_the_old_state_or_the_restored_one() {
    let bytes = with_a_past(&engine());
    crash_everywhere(InstallMode::Restore, durable, &bytes);
}

#[test]
fn a_crash_at_any_call_leaves_the_old_state_or_the_seeded_one() {
    let primary = durable(&Faulty::new(9));
    for round in 0..3 {
        put(&primary, "seed", &round.to_string());
    }
    crash_everywhere(InstallMode::Reseed, standby, &image(&primary, true));
}

#[test]
fn a_crash_while_a_long_image_is_written_leaves_the_old_state_or_the_restored_one() {
    const KEYS: usize = 16;
    let source = engine();
    for key in 0..KEYS {
        put(&source, &format!("key-{key}"), &"v".repeat(1 << 20));
    }
    let bytes = image(&source, false);
    let prepared = || {
        let disk = Faulty::new(7);
        let engine = durable(&disk);
        put(&engine, "old", "");
        (disk, engine)
    };
    let push = |engine: &Engine| {
        let mut installer = engine.installer(InstallMode::Restore)?;
        installer.push(&bytes)?;
        installer.commit()
    };
    let (disk, engine) = prepared();
    let first_call = disk.calls();
    push(&engine).unwrap();
    let calls = disk.calls() - first_call;
    assert!(calls > 30, "{calls} calls: it was not synced while it was written");
    let mut kept = 0;
    for (call, fault) in (1..=calls)
        .step_by(5)
        .zip([Fault::Halt, Fault::Fail(Errno::Io), Fault::Short(Errno::NoSpace)].iter().cycle())
    {
        let (disk, engine) = prepared();
        disk.inject(disk.calls() + call, *fault);
        let result = push(&engine);
        let found = names(&durable(&disk.crash(Crash::PowerTorn)));
        match result {
            Ok(_) => assert_eq!(found.len(), KEYS, "{fault:?} at {call}"),
            Err(InstallError::Refused(Error::Latched { .. })) => {}
            Err(_) if *fault == Fault::Halt => assert!(found == ["old"] || found.len() == KEYS),
            Err(_) => assert_eq!(found, ["old"], "{fault:?} at {call}"),
        }
        kept += u32::from(found == ["old"]);
    }
    assert!(kept > 2, "{kept}");
}

#[test]
fn a_restored_image_that_is_damaged_later_is_refused_by_its_name_not_gone_behind() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    let installed = restore(&engine, &bytes);
    put(&engine, "after", "");
    engine.close();
    let path = PathBuf::from(format!("/store/data/{:020}.checkpoint", installed.sequence));
    assert!(disk.flip_bit(&path, 8 * 300));
    let refused = Engine::open(options(&disk)).err().unwrap();
    let OpenError::Corrupt { path: named, .. } = refused else { panic!("{refused}") };
    assert_eq!(named, path);
}

#[test]
fn a_disk_without_room_refuses_the_restore_and_the_store_goes_on() {
    let disk = Faulty::new(1);
    let engine = durable(&disk);
    let bytes = with_a_past(&engine);
    disk.set_capacity(disk.files().iter().map(|(_, bytes)| bytes).sum());
    let error = install(&engine, InstallMode::Restore, &bytes).unwrap_err();
    assert!(matches!(error, InstallError::Io(_)), "{error}");
    disk.set_capacity(u64::MAX);
    put(&engine, "still", "writing");
    restore(&engine, &bytes);
}

/// Panics in the writer when it is armed.
struct Trap {
    clock: ManualClock,
    armed: AtomicBool,
    answered: Arc<AtomicBool>,
}

/// What is panicked with: the writer comes to latch the store when it has dropped this.
struct Heavy(Arc<AtomicBool>);

impl Drop for Heavy {
    /// Gives who waits for the writer the time to be told something else.
    fn drop(&mut self) {
        for _ in 0..300 {
            if self.0.load(Ordering::SeqCst) {
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

impl Clock for Trap {
    fn monotonic(&self) -> Duration {
        let writer = thread::current().name() == Some("decube-writer");
        if writer && self.armed.load(Ordering::SeqCst) {
            std::panic::panic_any(Heavy(Arc::clone(&self.answered)));
        }
        self.clock.monotonic()
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }
}

#[test]
fn who_installs_is_told_that_the_store_latched_when_the_writer_panics_over_it() {
    let answered = Arc::<AtomicBool>::default();
    let (clock, armed) = (ManualClock::new(), AtomicBool::new(false));
    let trap = Arc::new(Trap { clock, armed, answered: Arc::clone(&answered) });
    let options = Options { clock: Arc::clone(&trap) as _, ..Options::new(Storage::Memory) };
    let engine = Engine::open(options).unwrap();
    let bytes = with_a_past(&engine);
    trap.armed.store(true, Ordering::SeqCst);
    let refused = install(&engine, InstallMode::Restore, &bytes);
    answered.store(true, Ordering::SeqCst);
    let Err(InstallError::Refused(Error::Latched { reason })) = refused else {
        panic!("got {refused:?}");
    };
    assert!(reason.contains("the writer panicked"), "{reason}");
}
