//! A worker: one thread, one single-threaded runtime, its share of the connections.

use std::io;
use std::sync::Arc;
use std::thread;

use decube_engine::Engine;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answers::Answers;
use crate::connection::Connections;
use crate::metrics::Counters;
use crate::options::ServeOptions;
use crate::router::{Router, Shared};
use crate::store::Store;

/// A connection on its way to a worker, with its place among the permitted ones.
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Connections accepted faster than a worker takes them wait here, then in the listener's backlog.
const ACCEPTED_WAITING_MAX: usize = 256;

/// What a worker is made of.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) options: Arc<ServeOptions>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shared: Shared,
    /// Ends what drains too slowly.
    pub(crate) aborting: CancellationToken,
}

impl Worker {
    /// Starts the thread. It ends when the sender is dropped and its connections are drained;
    /// `alive` is dropped last.
    pub(crate) fn start(
        self,
        index: usize,
        alive: std::sync::mpsc::Sender<()>,
    ) -> io::Result<(mpsc::Sender<Accepted>, thread::JoinHandle<()>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, accepted) = mpsc::channel(ACCEPTED_WAITING_MAX);
        let answers = Arc::new(Answers::default());
        let store = Store::new(
            self.engine.clone(),
            Arc::clone(&self.options),
            Arc::clone(&answers),
            Arc::clone(&self.counters),
        );
        let router = Router::new(Arc::new(store), Arc::clone(&self.counters), &self.shared)
            .map_err(io::Error::other)?;
        let thread = thread::Builder::new().name(format!("etcd-api-{index}")).spawn(move || {
            runtime.block_on(self.run(accepted, answers, router));
            drop(runtime);
            drop(alive);
        })?;
        Ok((sender, thread))
    }

    async fn run(
        self,
        mut accepted: mpsc::Receiver<Accepted>,
        answers: Arc<Answers>,
        router: Router,
    ) {
        let connections = Arc::new(Connections::new(router, self.options, self.shared));
        let open = TaskTracker::new();
        let dispatch = tokio::spawn(answers.dispatch());
        while let Some(Accepted { stream, permit }) = accepted.recv().await {
            let Ok(stream) = TcpStream::from_std(stream) else { continue };
            let counters = Arc::clone(&self.counters);
            let served = Arc::clone(&connections).serve(stream);
            open.spawn(async move {
                counters.connections_opened.add(1);
                served.await;
                counters.connections_closed.add(1);
                drop(permit);
            });
        }
        open.close();
        tokio::select! {
            () = open.wait() => {}
            () = self.aborting.cancelled() => {}
        }
        dispatch.abort();
    }
}
