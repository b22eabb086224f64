//! Random scripts of everything a writer does with a log.

use decube_engine::log::Log;
use decube_engine::vfs::Faulty;
use decube_engine::{Entry, Error};

use crate::dice::Dice;
use crate::tape::{Tape, entry, head, image};

/// What one process did before it ended.
#[derive(Debug)]
pub(crate) struct History {
    /// Everything that is or may be in the log, in order.
    pub(crate) written: Vec<Entry>,
    /// How many of them were acknowledged as durable.
    pub(crate) acknowledged: u64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { written: Vec::new(), acknowledged: 0 }
    }

    /// Opens the store and checks that it holds what it must; what it holds beyond that counts as
    /// acknowledged from now on.
    pub(crate) fn recover(&mut self, disk: &Faulty) -> Result<Log, String> {
        let (log, tape) = Tape::open(disk).map_err(|error| format!("refused: {error:?}"))?;
        self.accept(&log, &tape)?;
        Ok(log)
    }

    /// The second half of [`History::recover`].
    pub(crate) fn accept(&mut self, log: &Log, tape: &Tape) -> Result<(), String> {
        let found = tape.prefix_of(&self.written)?;
        if found < self.acknowledged {
            return Err(format!("{found} entries of {} acknowledged ones", self.acknowledged));
        }
        let recovered = log.recovered();
        if recovered.sequence != found || recovered.revision != head(&self.kept(found)).revision {
            return Err(format!("{recovered:?} for {found} entries"));
        }
        self.written = self.kept(found);
        self.acknowledged = found;
        Ok(())
    }

    fn kept(&self, count: u64) -> Vec<Entry> {
        self.written[..usize::try_from(count).unwrap()].to_vec()
    }

    /// Runs a script until it ends or the log refuses to go on. Checkpoints and upkeep may fail
    /// without stopping it.
    pub(crate) fn run(&mut self, mut log: Log, steps: u64, seed: u64) -> Result<(), Error> {
        let mut dice = Dice(seed);
        for _ in 0..steps {
            for _ in 0..=dice.roll(6) {
                let entry = entry(self.written.len() as u64 + 1, dice.roll(100_000));
                let sequence = log.append(&entry, std::time::Duration::from_secs(5))?;
                self.written.push(entry);
                assert_eq!(sequence, self.written.len() as u64);
            }
            let durable = log.commit()?;
            assert_eq!(durable, self.written.len() as u64);
            self.acknowledged = durable;
            if log.checkpoint_due(u64::MAX) {
                drop(self.checkpoint(&log));
            }
            if dice.roll(4) == 0 {
                drop(log.upkeep().run());
            }
        }
        if dice.roll(2) == 0 { log.close() } else { Ok(()) }
    }

    pub(crate) fn checkpoint(&self, log: &Log) -> Result<u64, decube_engine::log::IoFailure> {
        let items = image(&self.written);
        let mut writer = log.begin_checkpoint(head(&self.written));
        for item in &items[1..] {
            writer.push(item)?;
        }
        writer.finish()
    }
}
