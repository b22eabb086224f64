//! The certificates of authorities that the other side's certificate must come from.
//!
//! webpki takes whatever it is given for an authority, whatever that says of itself and however old
//! it is: a client whose own certificate is on the list could make certificates for others. For Go's
//! library, which etcd and its clients speak TLS with, it must say that it is an authority's, and be
//! valid at the time.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// Makes what trusts whoever comes from these; `None`: there are none.
type Make<V> = Box<dyn Fn(RootCertStore) -> Option<Arc<V>> + Send + Sync>;

/// Trusts whoever comes from an authority that is valid.
pub(crate) struct Authorities<V: ?Sized> {
    all: Vec<Authority>,
    make: Make<V>,
    /// Trusts whoever comes from any of them.
    of_all: Option<Arc<V>>,
}

struct Authority {
    certificate: CertificateDer<'static>,
    /// In seconds since the epoch.
    valid: RangeInclusive<u64>,
}

impl<V: ?Sized> Authorities<V> {
    /// Those of the certificates that are authorities'.
    pub(crate) fn among(certificates: &[CertificateDer<'static>], make: Make<V>) -> Self {
        let all: Vec<_> = certificates.iter().filter_map(Authority::read).collect();
        let of_all = make(store(&all));
        Self { all, make, of_all }
    }

    /// Who is to say at this time whether a certificate is trusted.
    pub(crate) fn at(&self, now: UnixTime) -> Option<Arc<V>> {
        let is_valid = |authority: &&Authority| authority.valid.contains(&now.as_secs());
        if self.all.iter().all(|authority| is_valid(&authority)) {
            return self.of_all.clone();
        }
        (self.make)(store(self.all.iter().filter(is_valid)))
    }
}

impl<V: ?Sized> fmt::Debug for Authorities<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl Authority {
    /// `None`: what is signed with its key does not count. One of a version that could not say so is
    /// an authority's.
    fn read(der: &CertificateDer<'static>) -> Option<Self> {
        let read = CertificateInner::<Raw>::from_der(der).ok()?;
        let read = read.tbs_certificate();
        let is_authority = match read.get_extension::<BasicConstraints>().ok()? {
            Some((_, told)) => told.ca,
            None => read.version() != Version::V3,
        };
        let usage = read.get_extension::<KeyUsage>().ok()?;
        let signs = usage.is_none_or(|(_, told)| told.key_cert_sign());
        let validity = read.validity();
        let valid = validity.not_before.to_unix_duration().as_secs()
            ..=validity.not_after.to_unix_duration().as_secs();
        (is_authority && signs).then(|| Self { certificate: der.clone(), valid })
    }
}

fn store<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Each can be read: that was looked at with all that the file holds.
    roots.add_parsable_certificates(
        authorities.into_iter().map(|authority| authority.certificate.clone()),
    );
    roots
}
