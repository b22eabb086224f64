//! A client's end of many watchers.

use super::api::{WatchId, WatchItem, WatchRefused, WatchRequest};
use crate::types::Revision;

/// Many watchers that share one queue. Dropping it ends them all.
#[derive(Debug)]
pub struct WatchStream {}

impl WatchStream {
    /// Makes a watcher. Returns its identity and the store's revision at that moment; its events
    /// start at the requested revision, or right after the returned one.
    pub fn create(&self, request: WatchRequest) -> Result<(WatchId, Revision), WatchRefused> {
        let _ = request;
        todo!()
    }

    /// Ends a watcher; false if there was none. Nothing of it is handed out afterwards.
    pub fn cancel(&self, id: WatchId) -> bool {
        let _ = id;
        todo!()
    }

    /// Asks for progress: of one watcher, or of the whole stream with `None`. The answer comes
    /// through the queue, behind all events it speaks for. As in etcd there is none when the stream
    /// has no watcher, or while one of those asked about is behind or starts in the future.
    pub fn request_progress(&self, id: Option<WatchId>) {
        let _ = id;
        todo!()
    }

    /// Takes what is ready, up to about `bytes_max` of it (at least one item if there is one);
    /// watchers that are behind read their history here, in the caller's thread, in bounded
    /// batches. Empty: the stream's [`super::Notify`] will be told.
    pub fn take(&self, bytes_max: usize) -> Vec<WatchItem> {
        let _ = bytes_max;
        todo!()
    }
}
