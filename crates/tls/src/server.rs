//! A listener's side.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::files::Contents;
use crate::listed::Listed;
use crate::options::{ClientAuth, TlsError, TlsFiles};
use crate::reload::{Reloaded, TlsStatus, mismatch, provider};
use crate::socket::Socket;

/// What a refused client may still send, and for how long.
const PARTING_BYTES_MAX: u64 = 256 << 10;
const PARTING_TIME: Duration = Duration::from_secs(1);

/// What clients may cost before they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// From the first byte to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Handshakes under way; further ones wait, within their own time.
    pub handshakes_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(10), handshakes_max: 1_000 }
    }
}

/// Makes TLS of accepted connections. A clone is the same.
#[derive(Clone)]
pub struct ServerTls(Arc<Inner>);

struct Inner {
    reloaded: Arc<Reloaded<ServerConfig>>,
    limits: ServerLimits,
    handshakes: Semaphore,
    failures: AtomicU64,
}

impl ServerTls {
    /// Reads the files. Offers HTTP/2 and HTTP/1.1.
    pub fn open(files: TlsFiles, limits: ServerLimits) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Inner {
            reloaded: Arc::new(Reloaded::open(files, config)?),
            limits,
            handshakes: Semaphore::new(limits.handshakes_max),
            failures: AtomicU64::new(0),
        })))
    }

    /// Makes TLS of a connection, or fails within the time for it.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Socket> {
        let handshake = async {
            // Never closed.
            let _permit = self.0.handshakes.acquire().await;
            TlsAcceptor::from(self.0.reloaded.current()).accept(stream).into_fallible().await
        };
        let error = match timeout(self.0.limits.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => return Ok(Socket::Tls(Box::new(stream.into()))),
            Ok(Err((error, stream))) => {
                part(stream).await;
                error
            }
            Err(_late) => io::ErrorKind::TimedOut.into(),
        };
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        Err(error)
    }

    /// Handshakes that failed, of clients that came with a wrong certificate or none, did not trust
    /// ours, spoke something else or took too long.
    #[must_use]
    pub fn handshake_failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// What is in use.
    #[must_use]
    pub fn status(&self) -> TlsStatus {
        self.0.reloaded.status()
    }

    /// Looks at the files now; true if they changed and are in use. May block as the disk does.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.0.reloaded.reload()
    }

    /// Looks at the files once an interval, for as long as it is polled.
    pub async fn follow_files(&self, interval: Duration) {
        Arc::clone(&self.0.reloaded).follow_files(interval).await;
    }
}

/// Lets a client that was refused read why. It may have sent more by then, and closing before that
/// is read would reset the connection, and the reason with it.
async fn part(mut stream: TcpStream) {
    let parting = async {
        stream.shutdown().await?;
        copy(&mut stream.take(PARTING_BYTES_MAX), &mut sink()).await
    };
    // Gone in any case.
    let _ = timeout(PARTING_TIME, parting).await;
}

fn config(contents: &Contents, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let (chain, key) = contents.pair(files)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| mismatch(files, &error))?;
    let builder = match client_verifier(contents, files)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| mismatch(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn client_verifier(
    contents: &Contents,
    files: &TlsFiles,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    const PURPOSE: &str = "checking the certificates of clients";
    if files.client_auth == ClientAuth::None {
        return Ok(None);
    }
    let authorities = contents.authorities(files, PURPOSE)?;
    let client_auth = files.client_auth;
    let listed = Listed::<dyn ClientCertVerifier>::new(authorities, move |roots| {
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        if client_auth == ClientAuth::Request {
            builder = builder.allow_unauthenticated();
        }
        // Only an empty store is refused.
        builder.build().ok()
    });
    let listed = listed.ok_or(TlsError::NoAuthorities { purpose: PURPOSE })?;
    Ok(Some(Arc::new(listed)))
}
