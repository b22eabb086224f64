//! A member's part in replication: started, asked, told, stopped. Synchronous; owns its threads.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use decube_engine::{Engine, Error, InstallError, Revision, Role, TxnRequest};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::node::Node;
use crate::options::{Addresses, ReplicationOptions};
use crate::status::ReplicationStatus;
use crate::{asking, dialer, server};

/// One streams while another waits for a file.
const THREADS: usize = 2;

/// How long sessions may take to notice that the member stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// While a standby is waited for, how often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Why replication cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else has it.
    #[error("{address} is in use; stop what listens there or choose another address")]
    AddressInUse { address: SocketAddr },
    /// The operating system refused the address.
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The operating system refused a thread.
    #[error("cannot start the threads that replicate")]
    Start { source: io::Error },
    /// There would be no way to tell a peer from a stranger.
    #[error(
        "peers must prove themselves: set the same replication.token on all of them, or require \
         client certificates"
    )]
    NoProof,
    /// It was never told what it is.
    #[error("the store has no role; open it as a primary or a standby")]
    NoRole,
}

/// Why revisions that came as writes are not taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It has them from its primary.
    #[error("this standby is copying from its primary, which sends it everything")]
    Fed,
    /// The store refused one; those before it are applied.
    #[error(transparent)]
    Refused(#[from] Error),
    /// A revision that deletes nothing is none.
    #[error("revision {} writes nothing; every revision of a primary does", revision.0)]
    NoWrites { revision: Revision },
}

/// Running replication. Dropping it stops it.
pub struct Replication {
    node: Arc<Node>,
    local_address: SocketAddr,
    /// Until it answers its peers.
    listener: Mutex<Option<TcpListener>>,
    has_joined: AtomicBool,
    runtime: Mutex<Option<Runtime>>,
    /// Promotions and demotions come one after the other.
    changing: Mutex<()>,
}

impl Replication {
    /// Answers and dials peers from now on, as what the store says it is.
    pub fn start(engine: Engine, options: ReplicationOptions) -> Result<Self, StartError> {
        let replication = Self::open(engine, options)?;
        replication.join();
        Ok(replication)
    }

    /// Takes the address, but answers and dials nobody before [`Replication::ask_peers`] or
    /// [`Replication::join`]: peers are not to know of a member whose start may fail yet.
    pub fn open(engine: Engine, options: ReplicationOptions) -> Result<Self, StartError> {
        if engine.standing().role == Role::Standalone {
            return Err(StartError::NoRole);
        }
        if options.token.is_none() && (options.server_tls.is_none() || options.client_tls.is_none())
        {
            return Err(StartError::NoProof);
        }
        let address = options.listen;
        let listener = server::listen(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
            _ => StartError::Listen { address, source },
        })?;
        let local_address =
            listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("replication")
            .enable_all()
            .build()
            .map_err(|source| StartError::Start { source })?;
        Ok(Self {
            node: Arc::new(Node::new(engine, options)),
            local_address,
            listener: Mutex::new(Some(listener)),
            has_joined: AtomicBool::new(false),
            runtime: Mutex::new(Some(runtime)),
            changing: Mutex::new(()),
        })
    }

    /// Has a primary hear from its peers whether another was made the primary while it was away,
    /// before anybody writes here. Blocks for a moment, and two seconds for peers that do not answer.
    /// Peers are answered from now on: one of them may be asking too.
    pub fn ask_peers(&self) {
        let Self { node, .. } = self;
        let runtime = self.runtime.lock();
        let Some(runtime) = runtime.as_ref() else { return };
        if node.engine.standing().role != Role::Primary || node.options.peers.is_empty() {
            return;
        }
        self.answer(runtime);
        runtime.block_on(asking::ask_peers(node));
    }

    /// Answers and dials peers from now on. Joining twice is fine.
    pub fn join(&self) {
        let Self { node, .. } = self;
        let runtime = self.runtime.lock();
        let Some(runtime) = runtime.as_ref() else { return };
        if self.has_joined.swap(true, Ordering::SeqCst) {
            return;
        }
        self.answer(runtime);
        for address in &node.options.peers {
            let dialing = dialer::run(Arc::clone(node), address.clone());
            runtime.spawn(node.tasks.track_future(dialing));
        }
    }

    fn answer(&self, runtime: &Runtime) {
        let Self { node, .. } = self;
        let Some(listener) = self.listener.lock().take() else { return };
        runtime.spawn(node.tasks.track_future(server::run(Arc::clone(node), listener)));
        let reload = node.options.tls_reload_interval;
        if let Some(tls) = node.options.server_tls.clone() {
            runtime.spawn(async move { tls.follow_files(reload).await });
        }
        if let Some(tls) = node.options.client_tls.clone() {
            runtime.spawn(async move { tls.follow_files(reload).await });
        }
        tracing::info!(address = %self.local_address, "replication is served");
    }

    /// Where peers are answered.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Replication as it stands. Quick: it touches no disk.
    #[must_use]
    pub fn status(&self) -> ReplicationStatus {
        let standing = self.node.engine.standing();
        let store = self.node.engine.status();
        let leads = (standing.role == Role::Primary).then(|| standing.term());
        let (primary, peers) = self.node.peers.all(store.log_sequence, leads);
        let lag = if standing.role == Role::Standby {
            self.node.peers.lag(store.log_sequence)
        } else {
            Duration::ZERO
        };
        ReplicationStatus {
            role: standing.role,
            term: standing.term(),
            raised_by: standing.raised_by(),
            sequence: store.log_sequence,
            revision: store.revision.0,
            primary: primary.filter(|_| standing.role == Role::Standby),
            peers,
            lag_seconds: lag.as_secs_f64(),
        }
    }

    /// Files that hold what this member had written and a new primary did not have. Reads a
    /// directory.
    #[must_use]
    pub fn tails(&self) -> Vec<String> {
        let files = self.node.engine.side_files();
        let files = files.inspect_err(|error| tracing::warn!(%error, "cannot list side files"));
        files.unwrap_or_default().iter().map(|path| path.display().to_string()).collect()
    }

    /// Who this standby copies from: its identity, and where it serves etcd's API. `None` while that
    /// is not known.
    #[must_use]
    pub fn primary(&self) -> Option<(u64, String)> {
        self.node.peers.source()
    }

    /// Where this member's APIs are, told to its peers.
    pub fn announce(&self, rest: String, grpc: String, etcd: String) {
        let mut addresses = self.node.addresses.lock();
        let told = Addresses { rest, grpc, etcd, ..addresses.clone() };
        let news = *addresses != told;
        *addresses = told;
        drop(addresses);
        if news {
            self.node.begin_epoch();
        }
    }

    /// Applies revisions of the primary that came as writes, each as exactly that revision; what is
    /// here already is ignored. Returns the revision that is here then. The primary's next session
    /// begins with an image.
    pub fn copy_revisions(
        &self,
        revisions: Vec<(Revision, TxnRequest)>,
    ) -> Result<Revision, CopyError> {
        let node = &self.node;
        let _fed = node.begin_feed().ok_or(CopyError::Fed)?;
        let copied = revisions.into_iter().try_for_each(|(revision, txn)| {
            let found = node.engine.copy_revision(revision, txn)?;
            if found < revision { Err(CopyError::NoWrites { revision }) } else { Ok(()) }
        });
        copied.map(|()| node.engine.revision())
    }

    /// Makes this standby the primary, in a term of its own. Blocks while the image is written. For
    /// a primary there is nothing to do.
    pub fn promote(&self) -> Result<(), InstallError> {
        let _changing = self.changing.lock();
        let promoted = self.node.engine.promote();
        self.node.begin_epoch();
        promoted
    }

    /// Makes this primary a standby. It takes no more writes and waits, for as long as a peer may be
    /// silent, until a standby has all of them. For a standby there is nothing to do.
    pub fn demote(&self) -> Result<(), Error> {
        let _changing = self.changing.lock();
        let was_primary = self.node.engine.standing().role == Role::Primary;
        if was_primary {
            self.node.engine.stop_writes();
            self.hand_over();
        }
        let demoted = self.node.engine.demote();
        if was_primary && demoted.is_ok() {
            self.node.peers.stepped_down();
        }
        self.node.begin_epoch();
        demoted
    }

    /// Waits until a standby has everything, or for so long that it is not coming.
    fn hand_over(&self) {
        let runtime = self.runtime.lock();
        let Some(runtime) = runtime.as_ref() else { return };
        let last = self.node.engine.status().log_sequence;
        let waiting = async {
            while !self.node.peers.a_standby_has(last) {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        let patience = self.node.options.peer_timeout;
        // The timer needs the runtime it is made in.
        let late = runtime.block_on(async { timeout(patience, waiting).await });
        if late.is_err() {
            tracing::warn!("no standby has everything that this primary wrote");
        }
    }

    /// Ends all sessions. Stopping twice is fine.
    pub fn stop(&self) {
        self.node.stopping.cancel();
        self.node.tasks.close();
        if let Some(runtime) = self.runtime.lock().take() {
            let tasks = self.node.tasks.clone();
            let ended = async { timeout(STOP_GRACE, tasks.wait()).await };
            if runtime.block_on(ended).is_err() {
                tracing::error!("a session did not end in time");
            }
            runtime.shutdown_timeout(STOP_GRACE);
        }
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        self.stop();
    }
}
