//! Something made of files, made anew when they change.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::CryptoProvider;

use crate::expiry::not_after_s;
use crate::files::{self, Contents};
use crate::options::{TlsError, TlsFiles};

/// What is in use, and what is wrong with what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsStatus {
    /// When the certificate, or one that leads to its authority, ends: seconds since the epoch.
    pub not_after_s: u64,
    /// Why the files as they are now are not in use.
    pub refused: Option<String>,
}

/// Makes a configuration of what the files hold.
pub(crate) type Make<T> = fn(&Contents, &TlsFiles) -> Result<T, TlsError>;

/// Of a listener or of a client. Lock order: `last`, then `current`.
pub(crate) struct Reloaded<T> {
    files: TlsFiles,
    make: Make<T>,
    current: RwLock<Current<T>>,
    last: Mutex<Last>,
}

struct Current<T> {
    config: Arc<T>,
    not_after_s: u64,
}

/// What was found when the files were last looked at.
struct Last {
    /// `None`: they could not be read.
    contents: Option<Contents>,
    refused: Option<String>,
}

impl<T> Reloaded<T> {
    pub(crate) fn open(files: TlsFiles, make: Make<T>) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let current = Current::new(&contents, &files, make)?;
        Ok(Self {
            current: RwLock::new(current),
            last: Mutex::new(Last { contents: Some(contents), refused: None }),
            files,
            make,
        })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().config)
    }

    pub(crate) fn status(&self) -> TlsStatus {
        let refused = self.last.lock().refused.clone();
        TlsStatus { not_after_s: self.current.read().not_after_s, refused }
    }

    /// Looks at the files, and takes them into use if they changed; true if it did. Reads them, so
    /// it may block for as long as the disk does.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let mut last = self.last.lock();
        let changed = match Contents::read(&self.files) {
            Ok(contents) if last.contents.as_ref() == Some(&contents) => return Ok(false),
            Ok(contents) => {
                let made = Current::new(&contents, &self.files, self.make);
                last.contents = Some(contents);
                made
            }
            Err(error) => {
                last.contents = None;
                Err(error)
            }
        };
        let certificate = self.files.cert_file.display();
        match changed {
            Ok(current) => {
                let not_after_s = current.not_after_s;
                *self.current.write() = current;
                last.refused = None;
                tracing::info!(%certificate, not_after_s, "a new certificate is in use");
                Ok(true)
            }
            Err(error) => {
                let refused = Some(error.to_string());
                if last.refused != refused {
                    tracing::error!(%certificate, %error, "the new certificate is refused, the old one stays");
                    last.refused = refused;
                }
                Err(error)
            }
        }
    }
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Looks at the files again and again; ends with the task that runs it.
    pub(crate) async fn follow_files(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let reloaded = Arc::clone(&self);
            // What it has to say it logs.
            let _ = tokio::task::spawn_blocking(move || reloaded.reload().is_ok()).await;
        }
    }
}

impl<T> Current<T> {
    fn new(contents: &Contents, files: &TlsFiles, make: Make<T>) -> Result<Self, TlsError> {
        let config = Arc::new(make(contents, files)?);
        let not_after_s = not_after_s(&contents.chain(files)?)
            .map_err(|reason| files::invalid(&files.cert_file, "certificate", reason))?;
        Ok(Self { config, not_after_s })
    }
}

/// The one library of ciphers that is built in.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate and a key that rustls refuses together.
pub(crate) fn mismatch(files: &TlsFiles, error: &rustls::Error) -> TlsError {
    TlsError::Mismatch {
        cert_file: files.cert_file.clone(),
        key_file: files.key_file.clone(),
        reason: error.to_string(),
    }
}
