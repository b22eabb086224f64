//! Watches: ordered, resumable, whole revisions together, bounded memory whatever a client does.

mod api;
mod stream;

pub use api::{Event, Notify, WatchId, WatchItem, WatchRefused, WatchRequest};
pub use stream::WatchStream;
