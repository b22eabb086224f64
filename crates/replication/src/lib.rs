//! One primary's log on its standbys: `decube.v1.Replication`, both sides of it.
//!
//! Frames travel as they lie in the log and are never looked into here; what they mean, and whether
//! they fit, is the engine's. This crate moves them, knows who is who, and ends what must end when
//! a role or a term changes. `docs/design/0009` has the decisions.
//!
//! # Shape
//! Every member listens and dials every peer it is told of, so that any two that can reach each
//! other hear of each other's terms. A session (`proto/decube/replication.proto`) begins with
//! proofs and introductions (`greeting.rs`). What the side that answers then sends is its feed
//! (`feed.rs`: frames within a window, an image, or heartbeats alone); what the side that dialed
//! does with it is in `standby.rs`. All of it runs on two threads of its own. No lock of this crate
//! is held while the engine is asked.

mod asking;
mod connection;
mod dialer;
mod feed;
mod greeting;
mod node;
mod options;
mod peers;
mod presence;
mod refusals;
mod replication;
mod reseed;
mod server;
mod standby;
mod status;
mod token;
mod wire;

pub use decube_tls as tls;
pub use options::{Addresses, ReplicationOptions};
pub use replication::{CopyError, Replication, StartError};
pub use status::{PeerStatus, ReplicationStatus};
