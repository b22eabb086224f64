//! Keys of a kind that handshakes cannot be made with, told apart from those that do not fit.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};

use crate::options::{TlsError, TlsFiles};
use crate::reload::provider;

/// Object identifiers (RFC 5480, RFC 8017 and SEC 2).
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const CURVES: &[(ObjectIdentifier, &str)] = &[
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), "P-256"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "P-384"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "P-521"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "secp256k1"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), "P-224"),
];

/// Refuses a key that no handshake can be made with, whatever certificate it belongs to.
pub(crate) fn check_usable(
    files: &TlsFiles,
    chain: &[CertificateDer<'_>],
    key: &PrivateKeyDer<'static>,
) -> Result<(), TlsError> {
    let loaded = provider().key_provider.load_private_key(key.clone_key());
    loaded.map(drop).map_err(|_unknown| TlsError::UnusableKey {
        key_file: files.key_file.clone(),
        kind: chain.first().and_then(|leaf| kind_of(leaf)).unwrap_or("of no known kind".to_owned()),
    })
}

/// What its certificate says of a key; what the key itself says is behind a format for each kind.
fn kind_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = CertificateInner::<Raw>::from_der(certificate).ok()?;
    let algorithm = &certificate.tbs_certificate().subject_public_key_info().algorithm;
    if algorithm.oid == RSA {
        return Some("of RSA, of another length or damaged".to_owned());
    }
    if algorithm.oid != ELLIPTIC {
        return None;
    }
    let parameters = algorithm.parameters.as_ref().map(AnyRef::from)?;
    let curve: ObjectIdentifier = parameters.decode_as().ok()?;
    let known = CURVES.iter().find(|(known, _)| *known == curve);
    Some(match known {
        Some((_, name)) => format!("on the curve {name}"),
        None => format!("on the curve {curve}"),
    })
}
