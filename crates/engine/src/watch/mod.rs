//! Watches: ordered, resumable, whole revisions together, bounded memory whatever a client does.
//!
//! A watcher is synced, and then the hub's thread puts its events into its stream's outbox, or it is
//! behind, and then its owner reads its history when he takes from the stream. An outbox without
//! room turns the first into the second; having read all turns it back.

mod api;
mod catch_up;
mod events;
mod hub;
mod interest;
mod matcher;
mod outbox;
mod pass;
mod stream;
mod synced;

pub use api::{Event, Notify, WatchId, WatchItem, WatchRefused, WatchRequest};
pub use events::Events;
pub(crate) use hub::Hub;
pub(crate) use stream::Limits;
pub use stream::WatchStream;
