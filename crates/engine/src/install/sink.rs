//! What an image's items become: the new state, and the file that makes it durable.

use std::sync::mpsc::{RecvError, sync_channel};

use super::numbers::Purpose;
use super::{Install, InstallError, Installed, Replaced};
use crate::engine::Engine;
use crate::entry::{ImageHead, ImageItem};
use crate::error::Error;
use crate::log::{Installation, IoFailure, Replay as _};
use crate::record::Record;
use crate::state::{Loader, Moment};
use crate::types::Revision;
use crate::writer::{Job, Work};

/// Takes items in an image's order.
pub(crate) struct Sink {
    engine: Engine,
    purpose: Purpose,
    now: Moment,
    loader: Loader,
    head: Option<ImageHead>,
    file: Option<Installation>,
    /// Without history only the last version of a key stays: this may be it.
    held: Option<Record>,
}

impl Sink {
    pub(crate) fn new(engine: &Engine, purpose: Purpose) -> Self {
        let clock = &*engine.store().clock;
        Self {
            engine: engine.clone(),
            purpose,
            now: Moment::now(clock),
            loader: Loader::new(clock),
            head: None,
            file: None,
            held: None,
        }
    }

    pub(crate) fn take(&mut self, item: ImageItem) -> Result<(), InstallError> {
        match item {
            ImageItem::Head(head) => self.begin(head),
            // They are of the store that the image was made of, and of that time.
            ImageItem::Alarm(_) if matches!(self.purpose, Purpose::Restore { .. }) => Ok(()),
            ImageItem::Alarm(_) => self.put(item),
            ImageItem::Lease { id, ttl_s, expires_at } => {
                let expires_at = self.purpose.expires_at(expires_at, ttl_s, self.now.wall);
                self.put(ImageItem::Lease { id, ttl_s, expires_at })
            }
            ImageItem::Record(record) if self.purpose.keeps_history() => {
                self.put(ImageItem::Record(record))
            }
            ImageItem::Record(record) => {
                let before = self.held.replace(record);
                let next = self.held.as_ref().map(Record::key);
                let last = before.filter(|before| Some(before.key()) != next);
                self.put_live(last)
            }
        }
    }

    /// Makes the image durable, has the writer install it, and waits for that.
    pub(crate) fn commit(mut self, cluster_id: u64) -> Result<Installed, InstallError> {
        let last = self.held.take();
        self.put_live(last)?;
        if let Some(file) = &mut self.file {
            file.finish()?;
        }
        let Self { engine, purpose, now, loader, file, head, .. } = self;
        let (reply, answer) = sync_channel(1);
        let install = Install {
            purpose,
            head: head.unwrap_or_default(),
            cluster_id,
            state: loader.finish(),
            begun: now.monotonic,
            file,
            reply,
        };
        let store = engine.store();
        // Whoever changes the standing meanwhile sees the state of before, or that of after.
        let changing = store.changing.lock();
        store.queue.put(Job { work: Work::Install(Box::new(install)), reply: None })?;
        // Without an answer the writer ended.
        let gone = |RecvError| store.queue.check_open().err().unwrap_or(Error::Closed);
        let Replaced { now, before } = answer.recv().map_err(gone)??;
        drop(changing);
        engine.give_back(before);
        Ok(now)
    }

    /// The numbers are final only when it is installed. Until then everything counts as compacted,
    /// so that no history is built of what is not to have one.
    fn begin(&mut self, head: ImageHead) -> Result<(), InstallError> {
        let provisional = if self.purpose.keeps_history() {
            head
        } else {
            ImageHead { sequence: 0, compact_revision: Revision(i64::MAX), ..head }
        };
        self.head = Some(head);
        self.file = self.engine.begin_install(&head)?;
        self.load(ImageItem::Head(provisional))
    }

    fn put_live(&mut self, record: Option<Record>) -> Result<(), InstallError> {
        match record.filter(|record| !record.is_tombstone()) {
            Some(record) => self.put(ImageItem::Record(record)),
            None => Ok(()),
        }
    }

    fn put(&mut self, item: ImageItem) -> Result<(), InstallError> {
        if let Some(file) = &mut self.file {
            file.push(&item)?;
        }
        self.load(item)
    }

    fn load(&mut self, item: ImageItem) -> Result<(), InstallError> {
        let io = |reason| IoFailure {
            operation: "load",
            path: "the image".into(),
            source: std::io::Error::other(reason),
        };
        Ok(self.loader.item(item).map_err(io)?)
    }
}
