//! What is configured, and what can be wrong with it.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

/// Where certificates come from; all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its key: PKCS #8, PKCS #1 or SEC 1.
    pub key_file: PathBuf,
    /// The authorities that the other side's certificate must come from.
    pub ca_file: Option<PathBuf>,
    /// What a listener asks of its clients.
    pub client_auth: ClientAuth,
}

/// What a listener asks of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate, which is checked if there is one.
    Request,
    /// A certificate.
    Require,
}

/// A word that names no [`ClientAuth`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client_auth must be none, request or require, not {0:?}")]
pub struct UnknownClientAuth(pub String);

impl FromStr for ClientAuth {
    type Err = UnknownClientAuth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "request" => Ok(Self::Request),
            "require" => Ok(Self::Require),
            _ => Err(UnknownClientAuth(text.to_owned())),
        }
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// Not what it should be.
    #[error("{path} holds no valid {what}: {reason}")]
    Invalid { path: PathBuf, what: &'static str, reason: String },
    /// No handshake can be made with it.
    #[error(
        "the key in {key_file} is {kind}: usable are keys on the curves P-256 and P-384, of \
         Ed25519, and of RSA with 2048 to 8192 bits"
    )]
    UnusableKey { key_file: PathBuf, kind: String },
    /// Two files that do not belong together.
    #[error("the key in {key_file} does not fit the certificate in {cert_file}: {reason}")]
    Mismatch { cert_file: PathBuf, key_file: PathBuf, reason: String },
    /// Certificates of the other side are to be checked, but not against what.
    #[error("{purpose} needs the authorities they come from; name them by ca_file")]
    NoAuthorities { purpose: &'static str },
}
