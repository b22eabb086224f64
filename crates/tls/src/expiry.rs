//! When a certificate ends.

use rustls::pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

/// The first end among a chain's certificates, in seconds since the epoch: what comes after it is
/// worth nothing without it.
pub(crate) fn not_after_s(chain: &[CertificateDer<'_>]) -> Result<u64, String> {
    let mut first = u64::MAX;
    for certificate in chain {
        // `Raw`: whatever the certificate's habits, only this one field is looked at.
        let certificate =
            CertificateInner::<Raw>::from_der(certificate).map_err(|error| error.to_string())?;
        let not_after = certificate.tbs_certificate().validity().not_after;
        first = first.min(not_after.to_unix_duration().as_secs());
    }
    Ok(first)
}
