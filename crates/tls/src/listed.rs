//! Certificates that are trusted because the file of authorities holds themselves.
//!
//! One that signed itself, as `openssl req -x509` makes it, says that it is an authority's, and is
//! shown by a client or server as its own. For Go's library, which etcd and its clients speak TLS
//! with, whoever is on the list is trusted, as long as the time and the purposes that the
//! certificate tells fit. webpki takes no authority for a client or server, whoever it is. That
//! somebody has the certificate's key is proved by the handshake as ever.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::authorities::Authorities;

/// What a certificate is shown for (RFC 5280, section 4.2.1.12).
const ANYTHING: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Trusts whom the file of authorities holds, and who comes from one of them.
#[derive(Debug)]
pub(crate) struct Listed<V: ?Sized> {
    certificates: Vec<CertificateDer<'static>>,
    /// Takes all of them for authorities: of one of them it says whether it is valid.
    other: Arc<V>,
    authorities: Authorities<V>,
}

impl<V: ?Sized> Listed<V> {
    /// `make` makes what trusts whoever comes from such; `None`, as it does then: there are none.
    pub(crate) fn new(
        (roots, certificates): (RootCertStore, Vec<CertificateDer<'static>>),
        make: impl Fn(RootCertStore) -> Option<Arc<V>> + Send + Sync + 'static,
    ) -> Option<Self> {
        let other = make(roots)?;
        let authorities = Authorities::among(&certificates, Box::new(make));
        Some(Self { certificates, other, authorities })
    }

    /// Who is to say whether a certificate is trusted.
    fn judge(&self, shown: &CertificateDer<'_>, now: UnixTime) -> Result<Arc<V>, Error> {
        if self.certificates.contains(shown) {
            return Ok(Arc::clone(&self.other));
        }
        let nobody = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        self.authorities.at(now).ok_or(nobody)
    }

    /// Whether this certificate was refused for nothing but being an authority's, or one that comes
    /// from nobody on the list. Time and purposes were looked at before.
    fn holds(
        &self,
        shown: &CertificateDer<'_>,
        purpose: ObjectIdentifier,
        refused: &Error,
    ) -> bool {
        is_about_issuer(refused) && self.certificates.contains(shown) && serves(shown, purpose)
    }
}

fn is_about_issuer(refused: &Error) -> bool {
    match refused {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(reason)) => {
            reason.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        _ => false,
    }
}

/// Whether a certificate is for a purpose. One that tells none is for all.
fn serves(certificate: &CertificateDer<'_>, purpose: ObjectIdentifier) -> bool {
    let Ok(certificate) = CertificateInner::<Raw>::from_der(certificate) else { return false };
    match certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
        Ok(Some((_, told))) => told.0.iter().any(|told| [ANYTHING, purpose].contains(told)),
        Ok(None) => true,
        Err(_) => false,
    }
}

impl ClientCertVerifier for Listed<dyn ClientCertVerifier> {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judge = self.judge(end_entity, now)?;
        judge.verify_client_cert(end_entity, intermediates, now).or_else(|refused| {
            if self.holds(end_entity, CLIENT, &refused) {
                return Ok(ClientCertVerified::assertion());
            }
            Err(refused)
        })
    }

    fn offer_client_auth(&self) -> bool {
        self.other.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.other.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.other.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.other.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.other.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.other.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Listed<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = self.judge(end_entity, now)?;
        let verified =
            judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.or_else(|refused| {
            if !self.holds(end_entity, SERVER, &refused) {
                return Err(refused);
            }
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.other.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.other.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.other.supported_verify_schemes()
    }
}
