//! Serves a store on the etcd port without Python, for measuring and for trying clients:
//!
//! ```text
//! cargo run --release -p decube-etcd-api --example serve -- 127.0.0.1:2379 [DATA_DIR]
//! ```
//!
//! Without a data directory the store is in memory. Ends on SIGINT or SIGTERM.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Disk;
use decube_engine::{Engine, LogLocation, Options, Storage};
use decube_etcd_api::{EtcdServer, ServeOptions};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:2379".to_owned()).parse()?;
    let storage = match arguments.next().map(PathBuf::from) {
        None => Storage::Memory,
        Some(directory) => Storage::Log(LogLocation {
            log_dir: directory.clone(),
            checkpoint_dir: directory,
            vfs: Arc::new(Disk),
        }),
    };
    let engine = Engine::open(Options::new(storage))?;
    let mut options = ServeOptions::new(address);
    if let Some(workers) = std::env::var("WORKERS").ok().and_then(|count| count.parse().ok()) {
        options.workers = workers;
    }
    let server = EtcdServer::start(&engine, options)?;
    println!("serving on {}", server.local_address());
    wait_for_signal()?;
    server.stop(Duration::from_secs(5));
    engine.close();
    Ok(())
}

fn wait_for_signal() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
