//! The port of a standby: what only the primary can do is passed on to the primary's own port.
//!
//! A standby answers serializable reads and watches itself. Everything that writes, reads what must
//! be the latest, or speaks of leases goes on as it came, and the answer comes back so, over one
//! connection a worker; the client cannot tell. When the primary is not known or does not answer,
//! the client is told that there is no leader, and tries the other endpoints; when it broke off in
//! the middle of a call, that nobody knows what became of it. A standby that is made the primary
//! while a call waits for one carries it out itself.

mod body;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_engine::Engine;
use decube_tls::{ClientTls, Socket};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::{Either, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

pub(crate) use self::body::Untrailed;
use crate::grpc::{Method, Relayed, ReplyBody, error_response};
use crate::status;
use crate::store::Store;

/// A call that was passed on is not passed on again: two members may each think that the other one
/// is the primary.
static FORWARDED: HeaderName = HeaderName::from_static("decube-forwarded");

/// For the connection to the primary, its handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A primary whose machine is gone says nothing: so often it is asked while a call waits for it, and
/// for so long waited for. More often, or without a call, it would send us away as it does others.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// While a primary is looked for, how often.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What may be on its way, of one call and of all.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// The body of a call that is passed on: as it comes, or read already.
pub(crate) type Body = Either<Untrailed, Full<Bytes>>;

/// The primary of a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Its identity.
    pub member_id: u64,
    /// Where it serves etcd's API, as host:port.
    pub etcd_address: String,
}

/// Tells who the primary is; called for each call that is passed on.
#[derive(Clone)]
pub struct FindPrimary(Arc<dyn Fn() -> Option<Primary> + Send + Sync>);

impl FindPrimary {
    /// By a function that returns quickly.
    pub fn new(find: impl Fn() -> Option<Primary> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    pub(crate) fn find(&self) -> Option<Primary> {
        (self.0)()
    }
}

impl fmt::Debug for FindPrimary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FindPrimary").finish()
    }
}

/// Whether a standby passes on calls of this method. Of a range it depends on what it asks for.
pub(crate) fn may_need_primary(method: Method) -> bool {
    matches!(
        method,
        Method::Range
            | Method::RangeStream
            | Method::Put
            | Method::Txn
            | Method::DeleteRange
            | Method::Compact
            | Method::LeaseGrant
            | Method::LeaseRevoke
            | Method::LeaseKeepAlive
            | Method::LeaseTimeToLive
            | Method::LeaseLeases
            | Method::Alarm
    )
}

/// Who carries a call out.
pub(crate) enum Place {
    /// The primary.
    There(Connection),
    /// This member: it is the primary by now.
    Here,
}

/// One worker's way to the primary.
pub(crate) struct Forwarder {
    engine: Engine,
    find: Option<FindPrimary>,
    patience: Duration,
    /// With TLS here, the primary's port has it too.
    tls: Option<ClientTls>,
    /// The primary's port has TLS, and there is nothing to check its certificate against.
    blind: bool,
    connection: Mutex<Option<Connection>>,
}

/// An open connection to the primary.
#[derive(Clone)]
pub(crate) struct Connection {
    address: String,
    requests: SendRequest<Body>,
}

impl Forwarder {
    pub(crate) fn new(store: &Store) -> Self {
        let options = &store.options;
        let trusted = options.tls.clone().filter(|files| files.ca_file.is_some());
        let tls = trusted.and_then(|files| {
            let opened = ClientTls::open(files);
            opened.inspect_err(|error| tracing::warn!(%error, "no calls are passed on")).ok()
        });
        let blind = options.tls.is_some() && tls.is_none();
        let (find, patience) = (options.primary.clone(), options.primary_patience);
        let engine = store.engine.clone();
        Self { engine, find, patience, tls, blind, connection: Mutex::new(None) }
    }

    /// Who the primary is, if it is known.
    pub(crate) fn primary(&self) -> Option<Primary> {
        self.find.as_ref()?.find()
    }

    /// Where a call with these headers is carried out; else what it is answered.
    pub(crate) async fn place(&self, headers: &HeaderMap) -> Result<Place, Response<ReplyBody>> {
        let found = if headers.contains_key(&FORWARDED) {
            Err(io::Error::other("it was passed on already"))
        } else {
            self.reach().await
        };
        found.map_err(|error| not_passed_on(&error))
    }

    /// Passes a call on, and its answer back.
    pub(crate) async fn pass_on(
        &self,
        Connection { address, mut requests }: Connection,
        mut request: Request<Body>,
    ) -> Response<ReplyBody> {
        let scheme = if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        match elsewhere(request.uri(), scheme, &address) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return not_passed_on(&error),
        }
        request.headers_mut().remove(http::header::HOST);
        request.headers_mut().insert(&FORWARDED, HeaderValue::from_static("1"));
        match requests.try_send_request(request).await {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let body = Relayed::new(&parts.headers, body, status::connection_lost());
                Response::from_parts(parts, ReplyBody::Tonic(tonic::body::Body::new(body)))
            }
            Err(failure) => {
                self.forget(&address);
                let sent = failure.message().is_none();
                let error = failure.into_error();
                if !sent {
                    return not_passed_on(&io::Error::other(error));
                }
                tracing::debug!(%error, "the primary did not answer a call that was passed on");
                error_response(status::connection_lost())
            }
        }
    }

    /// The primary, and the way to it. One that is about to be found is waited for, as etcd waits
    /// for an election, and it may be this member.
    async fn reach(&self) -> io::Result<Place> {
        let mut failure = io::Error::other("no primary is known");
        let looking = async {
            loop {
                if let Some(primary) = self.primary() {
                    match self.connect(primary.etcd_address).await {
                        Ok(connection) => return Place::There(connection),
                        Err(error) => failure = error,
                    }
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        // Beside it: the primary of before may be one that no connection comes to.
        let promoted = async {
            while !self.engine.takes_writes() {
                sleep(LOOK_INTERVAL).await;
            }
            Place::Here
        };
        let found = async {
            tokio::select! {
                biased;
                here = promoted => here,
                there = looking => there,
            }
        };
        timeout(self.patience, found).await.map_err(|_late| failure)
    }

    async fn connect(&self, address: String) -> io::Result<Connection> {
        let open = self.connection.lock().clone();
        if let Some(connection) = open
            && connection.address == address
            && !connection.requests.is_closed()
        {
            return Ok(connection);
        }
        let connecting = timeout(CONNECT_TIMEOUT, self.open(&address)).await;
        let requests = connecting.map_err(|_late| io::ErrorKind::TimedOut)??;
        let connection = Connection { address, requests };
        *self.connection.lock() = Some(connection.clone());
        Ok(connection)
    }

    async fn open(&self, address: &str) -> io::Result<SendRequest<Body>> {
        if self.blind {
            return Err(io::Error::other(
                "the primary's certificate cannot be checked: no ca_file",
            ));
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let socket = match &self.tls {
            Some(tls) => tls.connect(host.trim_matches(['[', ']']), stream).await?,
            None => Socket::Plain(stream),
        };
        let (requests, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the primary broke");
            }
        });
        Ok(requests)
    }

    fn forget(&self, address: &str) {
        let mut connection = self.connection.lock();
        if connection.as_ref().is_some_and(|open| open.address == address) {
            *connection = None;
        }
    }
}

/// The answer to a call of which nothing was done.
fn not_passed_on(error: &io::Error) -> Response<ReplyBody> {
    tracing::debug!(%error, "a call could not be passed on to the primary");
    error_response(status::no_leader())
}

/// The same path at another server.
fn elsewhere(uri: &Uri, scheme: Scheme, address: &str) -> io::Result<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(scheme);
    parts.authority = Some(Authority::try_from(address).map_err(io::Error::other)?);
    Uri::from_parts(parts).map_err(io::Error::other)
}
