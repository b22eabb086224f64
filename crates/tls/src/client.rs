//! A peer's side: it shows its own certificate and checks the other's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::files::Contents;
use crate::listed::Listed;
use crate::options::{TlsError, TlsFiles};
use crate::reload::{Reloaded, TlsStatus, mismatch, provider};
use crate::socket::Socket;

/// Makes TLS of connections to others. A clone is the same.
#[derive(Clone)]
pub struct ClientTls(Arc<Reloaded<ClientConfig>>);

impl ClientTls {
    /// Reads the files. Speaks HTTP/2.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Reloaded::open(files, config)?)))
    }

    /// Makes TLS of a connection to `host`, a name or an address, which the other side's
    /// certificate must name. Takes as long as the other side does.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Socket> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        // Or the second short record of a request waits for the first one's acknowledgement.
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(self.0.current()).connect(name, stream).await?;
        Ok(Socket::Tls(Box::new(stream.into())))
    }

    /// What is in use.
    #[must_use]
    pub fn status(&self) -> TlsStatus {
        self.0.status()
    }

    /// Looks at the files now; true if they changed and are in use. May block as the disk does.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.0.reload()
    }

    /// Looks at the files once an interval, for as long as it is polled.
    pub async fn follow_files(&self, interval: Duration) {
        Arc::clone(&self.0).follow_files(interval).await;
    }
}

fn config(contents: &Contents, files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    const PURPOSE: &str = "checking the certificates of peers";
    let authorities = contents.authorities(files, PURPOSE)?;
    let listed = Listed::<dyn ServerCertVerifier>::new(authorities, |roots| {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        // Only an empty store is refused.
        builder.build().ok().map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
    });
    let listed = listed.ok_or(TlsError::NoAuthorities { purpose: PURPOSE })?;
    let (chain, key) = contents.pair(files)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| mismatch(files, &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(listed))
        .with_client_auth_cert(chain, key)
        .map_err(|error| mismatch(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
