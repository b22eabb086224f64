//! The whole engine on a disk that fails. One client sends random commands, restores among them,
//! until a fault ends the process; the next one must find all that was acknowledged, what was not
//! answered wholly or not at all, and nothing else. What it should find is told by the same actions
//! on the engine in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "crash/dice.rs"]
mod dice;
#[path = "support/effort.rs"]
mod effort;
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::{Crash, Errno, Fault, Faulty};
use decube_engine::{
    Clock, Command, Engine, Error, InstallError, InstallMode, LeaseId, LeaseStatus, LogLocation,
    Operation, Options, RangeRequest, Record, Revision, Storage,
};
use dice::Dice;
use support::{bytes, put_request, range, range_to, txn};

/// Time stands still: no lease runs out by itself.
#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(1_000)
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

fn open(storage: Storage) -> Result<Engine, decube_engine::OpenError> {
    let mut options = Options::new(storage);
    options.clock = Arc::new(StoppedClock);
    options.segment_bytes = 4_000;
    options.checkpoint_bytes_min = 3_000;
    options.log_retention = Duration::ZERO;
    Engine::open(options)
}

fn on(disk: &Faulty) -> Storage {
    Storage::Log(LogLocation {
        log_dir: PathBuf::from("/store/log"),
        checkpoint_dir: PathBuf::from("/store/data"),
        vfs: Arc::new(disk.clone()),
    })
}

/// Everything a client can see of a store.
#[derive(Debug, PartialEq)]
struct View {
    revision: Revision,
    compact_revision: Revision,
    records: Vec<Record>,
    leases: Vec<LeaseStatus>,
}

fn view(engine: &Engine) -> View {
    let everything =
        RangeRequest { range: range_to("\0", "\0").into_range(), ..Default::default() };
    let lease = |id: &LeaseId| engine.lease_status(*id, true).unwrap();
    View {
        revision: engine.revision(),
        compact_revision: engine.status().compact_revision,
        records: engine.range(&everything).unwrap().records,
        leases: engine.leases().iter().map(lease).collect(),
    }
}

fn key(dice: &mut Dice) -> String {
    format!("key-{}", dice.roll(12))
}

fn command(dice: &mut Dice, revision: Revision) -> Command {
    let id = LeaseId(dice.roll(4).cast_signed() + 1);
    let value = "v".repeat(usize::try_from(dice.roll(900)).unwrap());
    match dice.roll(12) {
        0 => Command::DeleteRange(range(&key(dice)).into_delete()),
        1 => Command::DeleteRange(range_to("key-3", "key-6").into_delete()),
        2 => Command::LeaseGrant { id, ttl_s: 100 },
        3 => Command::LeaseRevoke { id },
        4 => Command::LeaseKeepAlive { id },
        5 => Command::Compact(Revision(revision.0 - dice.roll(5).cast_signed())),
        6 | 7 => {
            let puts = ["key-1", "key-4", "key-7"].map(|key| put_request(key, &value));
            Command::Txn(txn(&[], puts.map(Operation::Put).to_vec()))
        }
        8 => {
            let mut put = put_request(&key(dice), &value);
            put.lease = id;
            Command::Put(put)
        }
        _ => {
            let mut put = put_request(&key(dice), "");
            put.value = bytes(&value);
            Command::Put(put)
        }
    }
}

/// What a client asks for.
#[derive(Clone)]
enum Action {
    Command(Command),
    /// Back to an image that the store gave out before.
    Restore(Arc<Vec<u8>>),
}

impl Action {
    /// Whether it was acknowledged; an error when its fate is not known.
    fn run(&self, engine: &Engine) -> Result<bool, Error> {
        let result = match self {
            Self::Command(command) => engine.execute(command.clone()).map(drop),
            Self::Restore(image) => match restore(engine, image) {
                Err(InstallError::Refused(error)) => Err(error),
                Err(_) => return Ok(false),
                Ok(()) => Ok(()),
            },
        };
        match result {
            Err(latched @ Error::Latched { .. }) => Err(latched),
            result => Ok(result.is_ok()),
        }
    }
}

fn restore(engine: &Engine, image: &[u8]) -> Result<(), InstallError> {
    let mut installer = engine.installer(InstallMode::Restore)?;
    installer.push(image)?;
    installer.commit().map(drop)
}

/// A store on a disk, and all that it acknowledged since its creation.
struct Run {
    disk: Faulty,
    dice: Dice,
    image: Option<Arc<Vec<u8>>>,
    acknowledged: Vec<Action>,
}

impl Run {
    /// Opens the store, checks what it holds, sends actions until a fault ends it, and crashes.
    fn live(&mut self, unanswered: Option<Action>) -> Option<Action> {
        let engine = open(on(&self.disk)).expect("nothing is damaged");
        self.check(&engine, unanswered);
        let call = self.disk.calls() + 1 + self.dice.roll(120);
        let faults =
            [Fault::Halt, Fault::Halt, Fault::Fail(Errno::Io), Fault::Short(Errno::NoSpace)];
        self.disk.inject(call, faults[usize::try_from(self.dice.roll(4)).unwrap()]);
        let unanswered = self.send(&engine);
        if self.dice.roll(2) == 0 {
            engine.close();
        }
        let crashes = [Crash::Process, Crash::PowerLost, Crash::PowerTorn];
        self.disk = self.disk.crash(crashes[usize::try_from(self.dice.roll(3)).unwrap()]);
        engine.close();
        unanswered
    }

    /// Sends actions until one is not answered; that one is returned.
    fn send(&mut self, engine: &Engine) -> Option<Action> {
        for _ in 0..60 {
            let action = self.action(engine);
            match action.run(engine) {
                Err(_) => return Some(action),
                Ok(false) => {}
                Ok(true) => self.acknowledged.push(action),
            }
        }
        None
    }

    fn action(&mut self, engine: &Engine) -> Action {
        if self.dice.roll(15) == 0 {
            let image = engine.image(self.dice.roll(2) == 0).unwrap().take(usize::MAX).unwrap();
            self.image = Some(Arc::new(image));
        }
        match &self.image {
            Some(image) if self.dice.roll(20) == 0 => Action::Restore(Arc::clone(image)),
            _ => Action::Command(command(&mut self.dice, engine.revision())),
        }
    }

    /// The store shows all that was acknowledged, with or without what was not answered.
    fn check(&mut self, engine: &Engine, unanswered: Option<Action>) {
        let found = view(engine);
        let twin = open(Storage::Memory).unwrap();
        for action in &self.acknowledged {
            assert!(action.run(&twin).unwrap());
        }
        let without = view(&twin);
        if found == without {
            return;
        }
        let with = unanswered.filter(|action| action.run(&twin).unwrap());
        assert_eq!(found, view(&twin), "nor is it {without:?}");
        self.acknowledged.extend(with);
    }
}

#[test]
fn every_acknowledged_command_survives_any_crash() {
    for seed in 0..60 * effort::effort() {
        let (disk, dice) = (Faulty::new(seed), Dice(seed));
        let mut run = Run { disk, dice, image: None, acknowledged: vec![] };
        let mut unanswered = None;
        for _ in 0..6 {
            unanswered = run.live(unanswered);
        }
        assert!(run.acknowledged.len() > 20, "the faults left too little to check");
    }
}
