//! Installing an image in a running store: a restore, a re-seed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod crashes;
mod data;
#[path = "../support/mod.rs"]
mod support;
mod watchers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use decube_engine::vfs::{Crash, Errno, Fault, Faulty};
use decube_engine::{
    Clock, Command, Engine, Error, InstallError, InstallMode, Installed, LeaseId, LogLocation,
    ManualClock, Notify, OpenError, Options, Revision, Role, Storage, WatchItem, WatchRequest,
};
use support::{delete, engine, get, keys, put, put_request, range_at, range_to};

struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

fn options(disk: &Faulty) -> Options {
    let vfs = Arc::new(disk.clone());
    let (log_dir, checkpoint_dir) = (PathBuf::from("/store/log"), PathBuf::from("/store/data"));
    let mut options = Options::new(Storage::Log(LogLocation { log_dir, checkpoint_dir, vfs }));
    options.segment_bytes = 4_000;
    options.clock = Arc::new(ManualClock::new());
    options
}

fn durable(disk: &Faulty) -> Engine {
    Engine::open(options(disk)).unwrap()
}

fn standby(disk: &Faulty) -> Engine {
    Engine::open(Options { role: Role::Standby, ..options(disk) }).unwrap()
}

/// All bytes of an image.
fn image(engine: &Engine, history: bool) -> Vec<u8> {
    let mut image = engine.image(history).unwrap();
    let mut bytes = Vec::new();
    loop {
        let piece = image.take(1 << 20).unwrap();
        if piece.is_empty() {
            return bytes;
        }
        bytes.extend(piece);
    }
}

fn install(engine: &Engine, mode: InstallMode, bytes: &[u8]) -> Result<Installed, InstallError> {
    let mut installer = engine.installer(mode)?;
    for piece in bytes.chunks(1_000) {
        installer.push(piece)?;
    }
    installer.commit()
}

fn restore(engine: &Engine, bytes: &[u8]) -> Installed {
    install(engine, InstallMode::Restore, bytes).unwrap()
}

/// A store with a past, and an image of it as it was before its last writes.
fn with_a_past(engine: &Engine) -> Vec<u8> {
    for key in 0..20 {
        put(engine, &format!("key-{key:02}"), "old");
    }
    delete(engine, "key-03");
    let bytes = image(engine, false);
    put(engine, "key-05", "new");
    put(engine, "late", "new");
    delete(engine, "key-07");
    bytes
}

fn names(engine: &Engine) -> Vec<String> {
    keys(engine, "\0", "\0")
}

fn value(engine: &Engine, key: &str) -> Option<String> {
    get(engine, key, 0).map(|record| String::from_utf8(record.value().to_vec()).unwrap())
}

fn hash(engine: &Engine) -> (u32, i64, i64) {
    let hash = engine.hash_kv(Revision(0)).unwrap();
    (hash.hash, hash.compact_revision.0, hash.revision.0)
}

fn restored_twin(bytes: &[u8]) -> Engine {
    let twin = engine();
    restore(&twin, bytes);
    twin
}
