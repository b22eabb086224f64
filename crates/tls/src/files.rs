//! The files' contents, and what they say.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::keys;
use crate::options::{TlsError, TlsFiles};

/// As they lie on the disk. Compared to find out whether anything changed: unlike times and sizes
/// that cannot miss a change.
#[derive(PartialEq, Eq)]
pub(crate) struct Contents {
    certificates: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Contents {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Ok(Self {
            certificates: read(&files.cert_file)?,
            key: read(&files.key_file)?,
            authorities: files.ca_file.as_deref().map(read).transpose()?,
        })
    }

    pub(crate) fn chain(&self, files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates(&self.certificates, &files.cert_file)
    }

    /// The chain, and a key that handshakes can be made with; not whether they fit.
    pub(crate) fn pair(&self, files: &TlsFiles) -> Result<Pair, TlsError> {
        let chain = self.chain(files)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| invalid(&files.key_file, "private key", reason(&error)))?;
        keys::check_usable(files, &chain, &key)?;
        Ok((chain, key))
    }

    /// What the file of authorities holds, and the same as certificates; `purpose` is what fails
    /// without them.
    pub(crate) fn authorities(
        &self,
        files: &TlsFiles,
        purpose: &'static str,
    ) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
        let (Some(pem), Some(path)) = (&self.authorities, &files.ca_file) else {
            return Err(TlsError::NoAuthorities { purpose });
        };
        let mut roots = RootCertStore::empty();
        let certificates = certificates(pem, path)?;
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| invalid(path, "certificate of an authority", error.to_string()))?;
        }
        Ok((roots, certificates))
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(invalid(path, "certificate", reason(&PemError::NoItemsFound)))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(path, "certificate", reason(&error))),
    }
}

pub(crate) fn invalid(path: &Path, what: &'static str, reason: String) -> TlsError {
    TlsError::Invalid { path: path.to_owned(), what, reason }
}

/// Never quotes the file, which may hold a key.
fn reason(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "there is none in PEM".to_owned(),
        PemError::MissingSectionEnd { .. } => "its end is missing".to_owned(),
        PemError::IllegalSectionStart { .. } => "its first line is damaged".to_owned(),
        PemError::Base64Decode(_) => "it is no base64".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}
