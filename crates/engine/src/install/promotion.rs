//! Giving the state of a standby numbers that the primary before it cannot have handed out.

use super::numbers::Purpose;
use super::sink::Sink;
use super::{InstallError, Installed};
use crate::engine::Engine;
use crate::entry::ImageItem;
use crate::error::Error;
use crate::image::{Extent, Walk};

/// A frame may come between reading the state and replacing it. Who promotes has stopped them.
const TRIES: u32 = 3;

impl Engine {
    /// Replaces the state by itself, in a new term and with a revision and a sequence number far
    /// above the ones it has: what was before is compacted, and every lease has its full time
    /// again. To be called when no more frames come; [`InstallError::Moved`] if they do.
    pub(crate) fn renumber(&self, term: u64) -> Result<Installed, InstallError> {
        for _ in 1..TRIES {
            match self.try_renumber(term) {
                Err(InstallError::Moved) => {}
                result => return result,
            }
        }
        self.try_renumber(term)
    }

    fn try_renumber(&self, term: u64) -> Result<Installed, InstallError> {
        let store = self.store();
        let walk = Walk::begin(store, &store.state.read(), Extent::Live);
        let mut walk = walk.map_err(Error::from)?;
        let head = *walk.head();
        let mut sink = Sink::new(self, Purpose::Promotion { term, sequence: head.sequence });
        sink.take(ImageItem::Head(head))?;
        while let Some(items) = walk.next(store).map_err(|_| InstallError::Moved)? {
            for item in items {
                sink.take(item)?;
            }
        }
        sink.commit(store.identity().cluster_id)
    }
}
