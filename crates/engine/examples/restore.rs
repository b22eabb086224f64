//! How long an image of many keys takes to make, and to install on a disk, and what that costs:
//!
//! ```text
//! cargo run --release -p decube-engine --example restore -- DIRECTORY [KEYS [VALUE_BYTES]]
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Disk;
use decube_engine::{
    Clock as _, Command, Engine, InstallMode, LeaseId, LogLocation, Operation, Options, PutRequest,
    Storage, SystemClock, TxnRequest,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PUTS_A_TXN: usize = 100;
const PIECE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 5;
const TICKS_A_SECOND: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map(PathBuf::from).ok_or("give a directory")?;
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (keys, value_bytes): (usize, usize) = (number(200_000)?, number(512)?);
    let engine = Engine::open(Options::new(Storage::Log(LogLocation {
        log_dir: directory.clone(),
        checkpoint_dir: directory,
        vfs: Arc::new(Disk),
    })))?;
    load(&engine, keys, value_bytes)?;
    for _ in 0..ROUNDS {
        let mut pieces = Vec::new();
        timed("image made", || {
            let mut image = engine.image(false)?;
            loop {
                let piece = image.take(PIECE_BYTES)?;
                if piece.is_empty() {
                    return Ok(());
                }
                pieces.push(piece);
            }
        })?;
        let mut installer = engine.installer(InstallMode::Restore)?;
        timed("image pushed", || Ok(pieces.iter().try_for_each(|piece| installer.push(piece))?))?;
        timed("image installed", || Ok(installer.commit().map(drop)?))?;
    }
    engine.close();
    Ok(())
}

fn load(engine: &Engine, keys: usize, value_bytes: usize) -> Result<(), Box<dyn Error>> {
    for first in (0..keys).step_by(PUTS_A_TXN) {
        let put = |number: usize| {
            Operation::Put(PutRequest {
                key: format!("bench/{number:012}").into_bytes().into(),
                value: vec![number.to_le_bytes()[0]; value_bytes].into(),
                lease: LeaseId::NONE,
                ..PutRequest::default()
            })
        };
        let success = (first..keys.min(first + PUTS_A_TXN)).map(put).collect();
        engine.execute(Command::Txn(TxnRequest { success, ..TxnRequest::default() }))?;
    }
    Ok(())
}

fn timed(
    what: &str,
    work: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (clock, cpu) = (SystemClock::new(), cpu()?);
    work()?;
    let took = clock.monotonic();
    let cpu = self::cpu()?.saturating_sub(cpu);
    println!("{what}: {:.2} s, {:.2} s of processor time", took.as_secs_f64(), cpu.as_secs_f64());
    Ok(())
}

/// What all threads of this process have used.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string(Path::new("/proc/self/stat"))?;
    let (_, fields) = text.rsplit_once(')').ok_or("no fields")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u32>()?;
    }
    Ok(Duration::from_secs(1) * ticks / TICKS_A_SECOND)
}
