//! What all sessions of a member share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_engine::{Engine, Error, Role};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::options::{Addresses, ReplicationOptions};
use crate::peers::Peers;
use crate::refusals::Refusals;
use crate::token::Token;
use crate::wire::{Member, Progress};

/// This member.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) options: ReplicationOptions,
    /// Where it can be reached, as last told.
    pub(crate) addresses: Mutex<Addresses>,
    pub(crate) token: Option<Token>,
    pub(crate) peers: Peers,
    /// Raised when the role or the term changed: sessions of before end.
    epoch: watch::Sender<u64>,
    /// Whether a session feeds this member: one at a time does.
    fed: AtomicBool,
    /// What is here does not fit the primary's log.
    diverged: AtomicBool,
    /// Told when a member dials: then it can be reached, most likely.
    pub(crate) knocked: Notify,
    pub(crate) refusals: Refusals,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

impl Node {
    pub(crate) fn new(engine: Engine, options: ReplicationOptions) -> Self {
        Self {
            token: options.token.as_deref().map(Token::new),
            peers: Peers::new(&options),
            engine,
            addresses: Mutex::new(options.addresses.clone()),
            options,
            epoch: watch::Sender::new(0),
            fed: AtomicBool::new(false),
            diverged: AtomicBool::new(false),
            knocked: Notify::new(),
            refusals: Refusals::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Who this member is, now.
    pub(crate) fn member(&self) -> Member {
        let status = self.engine.status();
        let addresses = self.addresses.lock().clone();
        let mut member = Member {
            cluster_id: status.cluster_id,
            member_id: status.member_id,
            name: self.options.name.clone(),
            log_term: self.engine.log_term(),
            last_sequence: status.log_sequence,
            revision: status.revision.0,
            replication_address: addresses.replication,
            rest_address: addresses.rest,
            grpc_address: addresses.grpc,
            etcd_address: addresses.etcd,
            ..Member::default()
        };
        member.set_standing(&self.engine.standing());
        member
    }

    pub(crate) fn progress(&self) -> Progress {
        let status = self.engine.status();
        Progress { sequence: status.log_sequence, revision: status.revision.0 }
    }

    /// Tells when what a session began with no longer holds.
    pub(crate) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Ends all sessions, so that they begin anew.
    pub(crate) fn begin_epoch(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
        self.options.notify.notify();
    }

    /// Takes notice of who another member is. A primary that hears of a higher term is a standby,
    /// durably, when this returns.
    pub(crate) fn meet(&self, other: &Member) -> Result<(), Status> {
        let relation = relation(&self.member(), other)?;
        let theirs = other.standing();
        let before = self.engine.standing();
        let stepped_down = block_in_place(|| match relation {
            Relation::SameCluster => self.engine.meet(&theirs.terms),
            Relation::ItIsToBeJoined => self.engine.join(&theirs.terms).map(|_joins| false),
            Relation::None => Ok(false),
        });
        let stepped_down = stepped_down.map_err(|error| unavailable(&error))?;
        let standing = self.engine.standing();
        if standing != before {
            if stepped_down {
                self.peers.stepped_down();
                tracing::warn!(
                    term = standing.term(),
                    told_by = %other.name,
                    "another member began a higher term: this one is a standby now"
                );
            }
            self.begin_epoch();
        }
        let same_term = relation == Relation::SameCluster && theirs.term() == standing.term();
        let primaries = standing.role == Role::Primary && theirs.role == Role::Primary;
        if same_term && (theirs.raised_by() != standing.raised_by() || primaries) {
            return Err(Status::failed_precondition(format!(
                "two members were made the primary in term {}: {:016x} and {:016x}; promote the \
                 one that is to stay once more",
                standing.term(),
                standing.raised_by(),
                theirs.raised_by()
            )));
        }
        Ok(())
    }

    /// Makes the caller the one that is fed; `None` while another session is.
    pub(crate) fn begin_feed(self: &Arc<Self>) -> Option<Fed> {
        let free = !self.fed.swap(true, Ordering::SeqCst);
        free.then(|| Fed(Arc::clone(self)))
    }

    pub(crate) fn is_diverged(&self) -> bool {
        self.diverged.load(Ordering::SeqCst)
    }

    pub(crate) fn set_diverged(&self, diverged: bool) {
        self.diverged.store(diverged, Ordering::SeqCst);
    }
}

/// The right to be fed, until dropped.
pub(crate) struct Fed(Arc<Node>);

impl Drop for Fed {
    fn drop(&mut self) {
        self.0.fed.store(false, Ordering::SeqCst);
    }
}

/// What another member's terms mean to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// The higher ones hold.
    SameCluster,
    /// This one is empty, and will be seeded by it: they hold, whatever this one heard elsewhere.
    ItIsToBeJoined,
    /// Nothing: one of both is empty, and knows nothing that concerns the other.
    None,
}

/// Members of two clusters have nothing to tell each other, except that an empty standby joins the
/// cluster of a primary.
fn relation(ours: &Member, other: &Member) -> Result<Relation, Status> {
    let empty =
        |member: &Member| member.last_sequence == 0 && member.standing().role == Role::Standby;
    if ours.cluster_id == other.cluster_id {
        return Ok(Relation::SameCluster);
    }
    if empty(ours) && other.standing().role == Role::Primary {
        return Ok(Relation::ItIsToBeJoined);
    }
    if empty(ours) || empty(other) {
        return Ok(Relation::None);
    }
    Err(Status::failed_precondition(format!(
        "{} is of cluster {:016x}, {} of {:016x}; give the one that is to join an empty data \
         directory",
        ours.name, ours.cluster_id, other.name, other.cluster_id
    )))
}

pub(crate) fn unavailable(error: &Error) -> Status {
    Status::unavailable(error.to_string())
}
