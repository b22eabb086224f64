//! TLS for listeners ([`ServerTls`]) and for connections to peers ([`ClientTls`]), on rustls.
//!
//! Both are what their files say: a certificate with its key, and the authorities that the other
//! side must come from. The files are read again from time to time ([`ServerTls::follow_files`]),
//! by their contents, so that any way of replacing them works. A pair that does not fit is refused,
//! told once by an error in the log and by [`TlsStatus`] for as long as it is there, and the one
//! before it stays in use. Connections that are open keep what they began with.
//!
//! TLS 1.2 and 1.3. Nothing here logs or formats key material.

mod authorities;
mod client;
mod expiry;
mod files;
mod keys;
mod listed;
mod options;
mod reload;
mod server;
mod socket;

pub use client::ClientTls;
pub use options::{ClientAuth, TlsError, TlsFiles, UnknownClientAuth};
pub use reload::TlsStatus;
pub use server::{ServerLimits, ServerTls};
pub use socket::Socket;
