//! The store's engine: multi-version keys in memory, made durable by a write-ahead log.
//!
//! Synchronous. No async, no network, no Python and no clock of its own. One writer thread
//! evaluates commands in groups, logs each group with one `fdatasync`, then publishes its revisions
//! and answers; readers share the state under a lock and see published revisions only.

#![forbid(unsafe_code)]

mod background;
mod broken;
mod checkpointer;
mod chunks;
mod clock;
mod compactor;
mod engine;
mod entry;
mod error;
mod follow;
mod hash_kv;
mod image;
mod install;
mod lease;
pub mod log;
mod mailbox;
mod member;
mod meters;
mod offline;
mod options;
mod read_log;
mod record;
mod role;
mod state;
mod store;
mod txn;
mod types;
pub mod vfs;
mod watch;
mod wire;
mod writer;

pub use chunks::{RangeChunk, RangeChunks};
pub use clock::{Clock, ManualClock, SystemClock};
pub use engine::Engine;
pub use entry::{Entry, Frame, ImageHead, ImageItem};
pub use error::{Error, OpenError};
pub use follow::Follower;
pub use image::{Image, ImageDecoder, ImageEncoder, ImageError, ImageOrigin};
pub use install::{InstallError, InstallMode, Installed, Installer};
pub use mailbox::{Answer, Mailbox};
pub use meters::{CommandKind, Counts, Histogram, Meters, Observed};
pub use offline::{Created, NewNumbers, OfflineError, OfflineRestore, Point, ReplayTo};
pub use options::{LogLocation, Options, Storage};
pub use read_log::{read_log, read_side_file};
pub use record::{Record, Version};
pub use role::{Role, Standing, TermStart};
pub use types::*;
pub use watch::{
    Event, Events, Notify, WatchId, WatchItem, WatchRefused, WatchRequest, WatchStream,
};
