//! One connection: HTTP/1.1 or HTTP/2, told apart by its first bytes, with TLS or without.
//!
//! What h2 gives against hostile clients: a bound on streams reset before they were answered, on
//! headers, on frames buffered, one answer at a time to pings (a client that does not read them is
//! not read from). gRPC's `too_many_pings` is ours (`pings.rs`).

mod calls;
mod coalesce;
mod frames;
mod headers;
mod pings;

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use decube_tls::Socket;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::options::ServeOptions;
use crate::router::{Router, Shared};

use self::calls::{AnswerBody, OpenCalls};
use self::coalesce::Coalesced;
use self::headers::HeaderRoom;
use self::pings::PingWatch;

/// What a client may send ahead of being read: of one call, and of all calls of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// What waits to be sent of one call.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Of a request of HTTP/1.1.
const HTTP1_HEADER_BYTES_MAX: usize = 16 << 10;

/// A worker's connections that may be amid headers of several frames.
const UNFINISHED_HEADERS_MAX: usize = 64;

/// For a client that is sent away to read why, while what it still sends is read and forgotten:
/// closing before would reset the connection, and the reason with it.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// How one worker serves its connections.
pub(crate) struct Connections {
    builder: Builder<TokioExecutor>,
    router: Arc<Router>,
    options: Arc<ServeOptions>,
    shared: Shared,
    header_room: Arc<HeaderRoom>,
}

impl Connections {
    pub(crate) fn new(router: Router, options: Arc<ServeOptions>, shared: Shared) -> Self {
        let header_room = HeaderRoom::new(UNFINISHED_HEADERS_MAX, options.arriving_timeout);
        Self {
            builder: builder(&options),
            router: Arc::new(router),
            options,
            shared,
            header_room: Arc::new(header_room),
        }
    }

    /// Serves one connection until it ends, or, once draining, until its calls are answered.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Only the last frame of an answer is short, and it must not wait for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let greeted = tokio::select! {
            greeted = self.greet(stream) => greeted,
            () = self.shared.draining.cancelled() => return,
        };
        let ended = match greeted {
            Ok(socket) => self.speak(socket).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// Waits for the first byte, and makes TLS of the connection if that is spoken.
    async fn greet(&self, stream: TcpStream) -> io::Result<Socket> {
        timeout(self.options.first_byte_timeout, stream.readable()).await??;
        let Some(tls) = &self.shared.tls else { return Ok(Socket::Plain(stream)) };
        let client = stream.peer_addr();
        // Boxed, because it is over soon and large, and the connection lives on without it.
        Box::pin(tls.accept(stream)).await.inspect_err(|error| {
            // Who only looks whether the port is open leaves without a word.
            if error.kind() != io::ErrorKind::UnexpectedEof {
                let client = client.map_or_else(|_gone| "gone".to_owned(), |at| at.to_string());
                tracing::info!(%client, %error, "a TLS handshake failed");
            }
        })
    }

    /// Speaks HTTP.
    async fn speak(&self, socket: Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
        let calls = OpenCalls::default();
        let pings = PingWatch::new(calls.clone(), self.options.client_ping_interval_min);
        let stream = Coalesced::new(socket, pings, Arc::clone(&self.header_room));
        let router = Arc::clone(&self.router);
        let service = service_fn(move |request| {
            let (answer, call) = (router.answer(request), calls.clone());
            async move {
                let response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| AnswerBody { body, _call: call }))
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream.clone()), service);
        let mut connection = pin!(connection);
        let mut leaving = pin!(self.shared.draining.cancelled());
        let mut is_leaving = false;
        let mut patience = pin!(Some(sleep(self.options.first_byte_timeout)));
        let served = poll_fn(|context| {
            if let Some(waiting) = patience.as_mut().as_pin_mut() {
                if stream.is_greeted() {
                    patience.set(None);
                } else if waiting.poll(context).is_ready() {
                    let silent = io::Error::new(io::ErrorKind::TimedOut, "the client is silent");
                    return Poll::Ready(Err(silent.into()));
                }
            }
            if !is_leaving && leaving.as_mut().poll(context).is_ready() {
                is_leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            let served = connection.as_mut().poll(context);
            // Not until here is anything written: all that this poll brought forth, at once.
            match (stream.poll_drain(context), served) {
                (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error.into())),
                (_, served) => served,
            }
        });
        match served.await {
            Ok(()) => Ok(drain(&stream, self.options.ping_timeout).await?),
            Err(error) => {
                if stream.bid_farewell() {
                    // Whether it was told or not, it goes.
                    let _ = timeout(FAREWELL_TIME, dismiss(stream.clone())).await;
                }
                Err(error)
            }
        }
    }
}

fn builder(options: &ServeOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.first_byte_timeout)
        .max_buf_size(HTTP1_HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(options.streams_per_connection_max)
        .max_header_list_size(options.header_bytes_max)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(options.ping_interval)
        .keep_alive_timeout(options.ping_timeout);
    builder
}

/// Sends the last word, and forgets what the client still sends until it leaves.
async fn dismiss(mut stream: Coalesced) -> io::Result<()> {
    stream.shutdown().await?;
    poll_fn(|context| stream.poll_discard(context)).await;
    Ok(())
}

/// Sends what is left of an ended connection, to a client that still reads.
async fn drain(stream: &Coalesced, bound: Duration) -> io::Result<()> {
    let drained = timeout(bound, poll_fn(|context| stream.poll_drain(context)));
    drained.await.unwrap_or_else(|_too_slow| Err(io::ErrorKind::TimedOut.into()))
}
