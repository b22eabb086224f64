//! A store on the etcd port and nothing beside it, for the tests that want one to misbehave:
//! with a disk that is slow or fails on demand, and with a defect.
//!
//! ```text
//! store_under_test ADDRESS DATA_DIR
//! ```
//!
//! `DECUBE_DEFECT` names the defect, and the file `DATA_DIR/trouble` what the disk does meanwhile.

mod troubled_disk;

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Engine, LogLocation, Options, Storage};
use decube_etcd_api::{EtcdServer, ServeOptions};
use tokio::signal::unix::{SignalKind, signal};

use self::troubled_disk::TroubledDisk;

const GRACE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(address), Some(data_dir)) = (arguments.next(), arguments.next()) else {
        return Err("usage: store_under_test ADDRESS DATA_DIR".into());
    };
    let data_dir = PathBuf::from(data_dir);
    let log_dir = data_dir.join("etcd/wal");
    let vfs = Arc::new(TroubledDisk::new(data_dir.join("trouble")));
    let checkpoint_dir = data_dir.join("etcd");
    let location = LogLocation { log_dir, checkpoint_dir, vfs };
    let engine = Engine::open(Options::new(Storage::Log(location)))?;
    let mut options = ServeOptions::new(address.parse()?);
    options.watch_progress_notify_interval = Duration::from_millis(100);
    let server = EtcdServer::start(&engine, options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        signal(SignalKind::terminate())?.recv().await;
        io::Result::Ok(())
    })?;
    server.stop(GRACE);
    engine.close();
    Ok(())
}
