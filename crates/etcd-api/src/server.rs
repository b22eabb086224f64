//! The port: bound at once, served by workers, drained on request. Synchronous; owns its threads.
//!
//! One listener for all workers, so that a second server on the same port is refused by the
//! operating system instead of getting every other connection.

use std::future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::thread;
use std::time::Duration;

use decube_engine::Engine;
use decube_tls::{ServerLimits, ServerTls, TlsError};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::metrics::Counters;
use crate::options::ServeOptions;
use crate::router::Shared;
use crate::worker::{Accepted, Worker};

/// Connections that the operating system holds before they are accepted.
const BACKLOG: i32 = 4096;

/// After an error of the listener (too many open files), before it is asked again.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else has it.
    #[error("{address} is in use; stop what listens there or choose another address")]
    AddressInUse { address: SocketAddr },
    /// The operating system refused the address.
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The operating system refused a thread.
    #[error("cannot start the threads that serve {address}")]
    Start { address: SocketAddr, source: io::Error },
    /// It cannot be served with these certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A running server. Dropping it stops it at once.
pub struct EtcdServer {
    local_address: SocketAddr,
    tls: Option<ServerTls>,
    draining: CancellationToken,
    aborting: CancellationToken,
    threads: Mutex<Threads>,
}

/// All of the server's threads; each drops its sender when it ends.
struct Threads {
    handles: Vec<thread::JoinHandle<()>>,
    ended: sync_mpsc::Receiver<()>,
}

impl EtcdServer {
    /// Binds the address and serves the engine on it.
    pub fn start(engine: &Engine, mut options: ServeOptions) -> Result<Self, ServeError> {
        let handshake_timeout = options.tls_handshake_timeout;
        let limits = ServerLimits { handshake_timeout, ..ServerLimits::default() };
        let tls = options.tls.clone();
        let tls = tls.map(|files| ServerTls::open(files, limits)).transpose()?;
        let listener = listen(options.address)?;
        let local_address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: options.address, source })?;
        if options.advertise_client_urls.is_empty() {
            let scheme = if tls.is_some() { "https" } else { "http" };
            options.advertise_client_urls.push(format!("{scheme}://{local_address}"));
        }
        if options.advertise_peer_urls.is_empty() {
            options.advertise_peer_urls.push("http://localhost:2380".to_owned());
        }
        Self::start_threads(engine, &Arc::new(options), listener, tls)
            .map_err(|source| ServeError::Start { address: local_address, source })
    }

    fn start_threads(
        engine: &Engine,
        options: &Arc<ServeOptions>,
        listener: TcpListener,
        tls: Option<ServerTls>,
    ) -> io::Result<Self> {
        let local_address = listener.local_addr()?;
        let draining = CancellationToken::new();
        let aborting = CancellationToken::new();
        let counters: Arc<[_]> =
            (0..options.workers.get()).map(|_| Arc::new(Counters::default())).collect();
        let shared = Shared {
            counters: Arc::clone(&counters),
            checks: Arc::default(),
            draining: draining.clone(),
            tls: tls.clone(),
        };
        let mut senders = Vec::new();
        let mut handles = Vec::new();
        let (alive, ended) = sync_mpsc::channel();
        for (index, counters) in counters.iter().enumerate() {
            let worker = Worker {
                engine: engine.clone(),
                options: Arc::clone(options),
                counters: Arc::clone(counters),
                shared: shared.clone(),
                aborting: aborting.clone(),
            };
            let (sender, handle) = worker.start(index, alive.clone())?;
            senders.push(sender);
            handles.push(handle);
        }
        let acceptor = Acceptor {
            workers: senders,
            permits: Arc::new(Semaphore::new(options.connections_max)),
            tls_reload_interval: options.tls_reload_interval,
            shared,
        };
        handles.push(acceptor.start(listener, alive)?);
        let (workers, with_tls) = (options.workers, tls.is_some());
        tracing::info!(address = %local_address, workers, with_tls, "etcd API is served");
        let threads = Mutex::new(Threads { handles, ended });
        Ok(Self { local_address, tls, draining, aborting, threads })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What connections are made of, if TLS is served.
    #[must_use]
    pub fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }

    /// Accepts nothing more, ends streams so that clients reconnect elsewhere, answers the calls
    /// that are under way, and returns when that is done or `grace` is over; what is then left is
    /// cut off. True: everything was answered. Stopping twice is fine.
    pub fn stop(&self, grace: Duration) -> bool {
        self.draining.cancel();
        let mut threads = self.threads.lock();
        // Nothing is ever sent: it ends when every thread did.
        let drained =
            threads.ended.recv_timeout(grace) == Err(sync_mpsc::RecvTimeoutError::Disconnected);
        self.aborting.cancel();
        for thread in threads.handles.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the etcd API panicked");
            }
        }
        drained
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // For a restart: connections of the old process may still be in their last state.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { address },
        _ => ServeError::Listen { address, source },
    })
}

/// Lets TLS follow its files; never ends.
async fn follow_files(tls: Option<ServerTls>, interval: Duration) {
    match tls {
        Some(tls) => tls.follow_files(interval).await,
        None => future::pending().await,
    }
}

/// Hands connections to the workers in turn.
struct Acceptor {
    workers: Vec<mpsc::Sender<Accepted>>,
    permits: Arc<Semaphore>,
    tls_reload_interval: Duration,
    shared: Shared,
}

impl Acceptor {
    fn start(
        self,
        listener: TcpListener,
        alive: sync_mpsc::Sender<()>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("etcd-api-files")
            .build()?;
        thread::Builder::new().name("etcd-api-accept".to_owned()).spawn(move || {
            runtime.block_on(self.run(listener));
            drop(alive);
        })
    }

    async fn run(self, listener: TcpListener) {
        let Shared { draining, tls, .. } = self.shared.clone();
        tokio::select! {
            () = self.accept(listener) => {}
            () = follow_files(tls, self.tls_reload_interval) => {}
            () = draining.cancelled() => {}
        }
    }

    async fn accept(&self, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot serve the listener"),
        };
        for worker in self.workers.iter().cycle() {
            let accepted = loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        if let Some(accepted) = self.admit(stream) {
                            break accepted;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    }
                }
            };
            if worker.send(accepted).await.is_err() {
                return tracing::error!("a worker of the etcd API ended");
            }
        }
    }

    fn admit(&self, stream: tokio::net::TcpStream) -> Option<Accepted> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            tracing::warn!("too many connections; one was closed");
            return None;
        };
        Some(Accepted { stream: stream.into_std().ok()?, permit })
    }
}
