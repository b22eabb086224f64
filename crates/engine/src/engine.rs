//! The store as its callers see it.

use std::sync::Arc;

use crate::error::{Error, OpenError};
use crate::mailbox::Mailbox;
use crate::options::Options;
use crate::types::{
    Command, HashKv, LeaseId, LeaseStatus, Outcome, RangeRequest, RangeResult, Revision, Status,
};
use crate::watch::{Notify, WatchStream};

/// A running store. Cheap to clone; the last clone dropped closes it.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Opens a store, recovering what its log holds, and starts its threads.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let _ = options;
        todo!()
    }

    /// Queues a command; the mailbox gets the answer under `ticket` once it is durable. Refuses at
    /// once, without queueing, what is malformed ([`Error::KeyEmpty`], [`Error::DuplicateKey`], ..),
    /// and with [`Error::TooManyRequests`] when the queue is full.
    pub fn submit(
        &self,
        command: Command,
        mailbox: &Arc<dyn Mailbox>,
        ticket: u64,
    ) -> Result<(), Error> {
        let _ = (command, mailbox, ticket);
        todo!()
    }

    /// Submits and waits for the answer.
    pub fn execute(&self, command: Command) -> Result<Outcome, Error> {
        let _ = command;
        todo!()
    }

    /// Reads at one revision. Never waits for the disk; never sees what is not yet durable.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResult, Error> {
        let _ = request;
        todo!()
    }

    /// The latest durable revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        todo!()
    }

    /// What the store is and how big.
    #[must_use]
    pub fn status(&self) -> Status {
        todo!()
    }

    /// A checksum over the kept history up to `revision` (zero: the current one).
    pub fn hash_kv(&self, revision: Revision) -> Result<HashKv, Error> {
        let _ = revision;
        todo!()
    }

    /// A lease as it stands, with its keys on request; [`Error::LeaseNotFound`] if there is none.
    pub fn lease_status(&self, id: LeaseId, with_keys: bool) -> Result<LeaseStatus, Error> {
        let _ = (id, with_keys);
        todo!()
    }

    /// All live leases, in order.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        todo!()
    }

    /// Opens a stream of watchers; `notify` is told when it has something to take.
    pub fn watch_stream(&self, notify: Arc<dyn Notify>) -> Result<WatchStream, Error> {
        let _ = notify;
        todo!()
    }

    /// Stops taking commands, makes what is queued durable, answers it, ends the watches and lets
    /// go of the lock file. Later calls fail with [`Error::Closed`]. Closing twice is fine.
    pub fn close(&self) {
        todo!()
    }
}
