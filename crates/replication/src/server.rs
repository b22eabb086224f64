//! The listener: connections in, sessions out.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use decube_tls::Socket;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service as _;

use crate::connection::RECEIVE_WINDOW_BYTES;
use crate::feed::{Caller, Session};
use crate::node::Node;
use crate::presence::Presence;
use crate::refusals::chain;
use crate::wire::{FromDialer, MESSAGE_BYTES_MAX, ReplicationServer, Service, ToDialer};

/// Connections at once; a cluster has a handful of members.
const CONNECTIONS_MAX: usize = 256;

/// Connections that the operating system holds before they are accepted.
const BACKLOG: i32 = 128;

/// After an error of the listener (too many open files), before it is asked again.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Messages of one session that wait to be sent.
const OUTBOUND_MESSAGES: usize = 4;

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // For a restart: connections of the old process may still be in their last state.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the member stops.
pub(crate) async fn run(node: Arc<Node>, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot serve the listener"),
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = node.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                    tracing::warn!("too many connections of peers; one was closed");
                    continue;
                };
                let serving = serve(Arc::clone(&node), stream, from);
                node.tasks.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of a peer");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn serve(node: Arc<Node>, stream: TcpStream, from: SocketAddr) {
    let stopping = node.stopping.clone();
    let presence = Presence::default();
    let patience = node.options.peer_timeout;
    let served = async {
        stream.set_nodelay(true)?;
        let socket = match &node.options.server_tls {
            Some(tls) => tls.accept(stream).await?,
            None => Socket::Plain(stream),
        };
        let certified = socket.is_authenticated();
        let presence = presence.clone();
        let sessions = Sessions { node: Arc::clone(&node), certified, from, presence };
        let service = ReplicationServer::new(sessions).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = service_fn(move |request| service.clone().call(request));
        http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
            .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
            .max_concurrent_streams(4)
            .timer(TokioTimer::new())
            .keep_alive_interval(patience / 2)
            .keep_alive_timeout(patience)
            .serve_connection(TokioIo::new(socket), answer)
            .await
            .map_err(io::Error::other)
    };
    tokio::select! {
        served = served => {
            let Err(error) = served else { return };
            if presence.was_proven() {
                tracing::debug!(%error, %from, "a connection of a peer broke");
            } else {
                node.refusals.tell(from.ip(), chain(&error));
            }
        }
        () = presence.end(patience) => {
            tracing::debug!(%from, "a connection without a session was closed");
        }
        () = stopping.cancelled() => {}
    }
}

/// The sessions of one connection.
struct Sessions {
    node: Arc<Node>,
    certified: bool,
    from: SocketAddr,
    presence: Presence,
}

#[tonic::async_trait]
impl Service for Sessions {
    type ConnectStream = BoxStream<ToDialer>;

    async fn connect(
        &self,
        request: Request<Streaming<FromDialer>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
        let caller = Caller {
            certified: self.certified,
            address: self.from,
            presence: self.presence.clone(),
        };
        let node = Arc::clone(&self.node);
        let session = Session { node, inbound: request.into_inner(), outbound, caller };
        self.node.tasks.spawn(session.run());
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }
}
