//! Certificates for tests, made on the spot.

use std::fs;
use std::path::{Path, PathBuf};

use decube_tls::{ClientAuth, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};

/// An authority, whose files go to a directory of its own.
pub(crate) struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate says.
pub(crate) struct Leaf {
    pub(crate) host: &'static str,
    /// The year it ends with its beginning.
    pub(crate) ends: i32,
}

pub(crate) const LOCALHOST: Leaf = Leaf { host: "localhost", ends: 2300 };

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::saying(name, |_| {})
    }

    /// One whose own certificate says more.
    pub(crate) fn saying(name: &str, say: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().expect("a name"))];
        say(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("ca.pem"), certificate.pem()).expect("a file");
        fs::write(directory.path().join("ca.key"), key.serialize_pem()).expect("a file");
        Self { directory, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Issues a certificate into `<name>.pem` and `<name>.key`, replacing what is there.
    pub(crate) fn issue(&self, name: &str, leaf: &Leaf) -> TlsFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            vec![SanType::DnsName(leaf.host.try_into().expect("a host name"))];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(leaf.ends, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert_file, key_file) =
            (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&cert_file, certificate.pem()).expect("a file");
        fs::write(&key_file, key.serialize_pem()).expect("a file");
        TlsFiles { cert_file, key_file, ca_file: None, client_auth: ClientAuth::None }
    }
}

/// The same, with authorities for the other side.
pub(crate) fn trusting(files: TlsFiles, ca_file: &Path) -> TlsFiles {
    TlsFiles { ca_file: Some(ca_file.to_owned()), ..files }
}
