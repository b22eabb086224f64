//! A connection to a peer: one, made for a session and ended with it.

use std::error::Error as _;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use decube_tls::Socket;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tower_service::Service;

use crate::options::ReplicationOptions;
use crate::refusals::{chain, reason};
use crate::wire::{MESSAGE_BYTES_MAX, ReplicationClient};

/// For the driver of a connection that broke to notice why.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(1);

/// What may be on its way to be read, of one session.
pub(crate) const RECEIVE_WINDOW_BYTES: u32 = 4 << 20;

/// Sends requests over one HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Requests(http2::SendRequest<tonic::body::Body>);

/// An open connection; dropping it ends it.
pub(crate) struct Connection {
    pub(crate) client: ReplicationClient<Requests>,
    driver: AbortOnDropHandle<hyper::Result<()>>,
}

impl Connection {
    pub(crate) async fn open(options: &ReplicationOptions, address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = match &options.client_tls {
            Some(tls) => tls.connect(host(address), stream).await?,
            None => Socket::Plain(stream),
        };
        let (requests, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
            .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
            .timer(TokioTimer::new())
            .keep_alive_interval(options.peer_timeout / 2)
            .keep_alive_timeout(options.peer_timeout)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(connection);
        let scheme = if options.client_tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{address}").parse().map_err(io::Error::other)?;
        let client = ReplicationClient::with_origin(Requests(requests), origin)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { client, driver: AbortOnDropHandle::new(driver) })
    }

    /// Why it broke, if it did: a peer that takes no part in TLS, or refuses this member's
    /// certificate, says so only after the connection was there.
    pub(crate) async fn explain(self, status: Status) -> Status {
        if status.source().is_none() {
            return status;
        }
        match timeout(EXPLANATION_TIMEOUT, self.driver).await {
            Ok(Ok(Err(error))) => Status::unavailable(chain(&error)),
            _ => Status::unavailable(reason(&status)),
        }
    }
}

/// Of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Service<Request<tonic::body::Body>> for Requests {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = std::pin::Pin<
        Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send + 'static>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_an_address_is_what_a_certificate_names() {
        assert_eq!(host("node-1:2380"), "node-1");
        assert_eq!(host("10.0.0.1:2380"), "10.0.0.1");
        assert_eq!(host("[::1]:2380"), "::1");
    }
}
