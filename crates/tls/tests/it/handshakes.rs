//! Who gets in, and whom a client lets in.

use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use decube_tls::{ClientAuth, ClientTls, ServerLimits, ServerTls, Socket, TlsError, TlsFiles};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::authority::{Authority, LOCALHOST, Leaf, trusting};

/// A connection's two ends.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.expect("a connection"), server.expect("a connection").0)
}

/// Shakes hands and says a word each way, because a server of TLS 1.3 refuses a client only after
/// the client's own part is done.
pub(crate) async fn talk(
    server: &ServerTls,
    client: &ClientTls,
) -> (io::Result<Socket>, io::Result<Socket>) {
    let (client_stream, server_stream) = connected().await;
    let accepted = async {
        let mut socket = server.accept(server_stream).await?;
        let mut word = [0; 4];
        socket.read_exact(&mut word).await?;
        socket.write_all(&word).await?;
        socket.flush().await?;
        Ok(socket)
    };
    let connected = async {
        let mut socket = client.connect("localhost", client_stream).await?;
        socket.write_all(b"word").await?;
        socket.flush().await?;
        let mut word = [0; 4];
        socket.read_exact(&mut word).await?;
        assert_eq!(&word, b"word");
        Ok(socket)
    };
    let both = async { tokio::join!(accepted, connected) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("an end within the bound")
}

fn server(files: TlsFiles) -> ServerTls {
    ServerTls::open(files, ServerLimits::default()).expect("good files")
}

/// A client of one authority that trusts another.
fn client(own: &Authority, trusted: &Authority) -> ClientTls {
    let files = trusting(own.issue("client", &LOCALHOST), &trusted.ca_file());
    ClientTls::open(files).expect("good files")
}

fn requiring(files: TlsFiles, authority: &Authority, client_auth: ClientAuth) -> TlsFiles {
    TlsFiles { client_auth, ..trusting(files, &authority.ca_file()) }
}

async fn check_refused_by_client(leaf: &Leaf, trusted: Option<&Authority>) {
    let authority = Authority::new("ours");
    let server = server(authority.issue("server", leaf));
    let client = client(&authority, trusted.unwrap_or(&authority));
    let (accepted, connected) = talk(&server, &client).await;
    assert!(connected.is_err(), "the client is warned of {} until {}", leaf.host, leaf.ends);
    assert!(accepted.is_err(), "nobody is served");
    assert_eq!(server.handshake_failures(), 1);
}

#[tokio::test]
async fn a_trusted_certificate_serves() {
    let authority = Authority::new("ours");
    let server = server(authority.issue("server", &LOCALHOST));
    let (accepted, connected) = talk(&server, &client(&authority, &authority)).await;
    connected.expect("the client trusts it");
    assert!(!accepted.expect("served").is_authenticated(), "nobody asked the client");
    assert_eq!(server.handshake_failures(), 0);
}

#[tokio::test]
async fn clients_refuse_a_server_that_is_untrusted_or_expired_or_another() {
    check_refused_by_client(&LOCALHOST, Some(&Authority::new("another"))).await;
    check_refused_by_client(&Leaf { ends: 2001, ..LOCALHOST }, None).await;
    check_refused_by_client(&Leaf { host: "another", ..LOCALHOST }, None).await;
}

#[tokio::test]
async fn a_required_certificate_is_checked() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let files = requiring(ours.issue("server", &LOCALHOST), &ours, ClientAuth::Require);
    let server = server(files);
    let (accepted, connected) = talk(&server, &client(&ours, &ours)).await;
    connected.expect("a good certificate");
    assert!(accepted.expect("served").is_authenticated());
    let (accepted, connected) = talk(&server, &client(&others, &ours)).await;
    assert!(accepted.is_err() && connected.is_err(), "of another authority");
}

/// An authority's own certificate, as a client's or a server's.
fn itself(authority: &Authority) -> TlsFiles {
    let (cert_file, key_file) = (authority.ca_file(), authority.path("ca.key"));
    TlsFiles { cert_file, key_file, ca_file: None, client_auth: ClientAuth::None }
}

/// Lets an authority itself come as a client, and be the server, each to somebody who trusts
/// `trusted`; tells who was let in.
async fn shown_by(shown: &Authority, trusted: &Authority) -> (bool, bool) {
    let others = Authority::new("others");
    let files = others.issue("server", &LOCALHOST);
    let strict = server(requiring(files, trusted, ClientAuth::Require));
    let client_itself = ClientTls::open(trusting(itself(shown), &others.ca_file()));
    let (accepted, _) = talk(&strict, &client_itself.expect("good files")).await;
    let (_, connected) = talk(&server(itself(shown)), &client(&others, trusted)).await;
    (accepted.is_ok_and(|socket| socket.is_authenticated()), connected.is_ok())
}

#[tokio::test]
async fn an_authority_may_come_itself_where_it_is_listed() {
    let (ours, same_name) = (Authority::new("ours"), Authority::new("ours"));
    assert_eq!(shown_by(&ours, &ours).await, (true, true));
    assert_eq!(shown_by(&ours, &same_name).await, (false, false), "another of the same name");
}

#[tokio::test]
async fn an_authority_that_comes_itself_is_held_to_what_it_says() {
    let expired = Authority::saying("ours", |params| params.not_after = date_time_ymd(2001, 1, 1));
    assert_eq!(shown_by(&expired, &expired).await, (false, false));
    let for_servers = Authority::saying("ours", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(shown_by(&for_servers, &for_servers).await, (false, true));
    let for_all = Authority::saying("ours", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    });
    assert_eq!(shown_by(&for_all, &for_all).await, (true, true));
    let elsewhere = Authority::saying("ours", |params| {
        params.subject_alt_names = vec![SanType::DnsName("another".try_into().expect("a name"))];
    });
    assert_eq!(shown_by(&elsewhere, &elsewhere).await, (true, false));
}

/// Lets a client and a server come from an authority, each to somebody who trusts that; tells who was
/// let in.
async fn come_from(authority: &Authority) -> (bool, bool) {
    let others = Authority::new("others");
    let files = others.issue("server", &LOCALHOST);
    let strict = server(requiring(files, authority, ClientAuth::Require));
    let (accepted, _) = talk(&strict, &client(authority, &others)).await;
    let theirs = server(authority.issue("server", &LOCALHOST));
    let (_, connected) = talk(&theirs, &client(&others, authority)).await;
    (accepted.is_ok_and(|socket| socket.is_authenticated()), connected.is_ok())
}

#[tokio::test]
async fn who_is_listed_and_is_no_authority_lets_nobody_else_in() {
    for is_ca in [IsCa::ExplicitNoCa, IsCa::NoCa] {
        let leaf = Authority::saying("ours", |params| params.is_ca = is_ca);
        assert_eq!(shown_by(&leaf, &leaf).await, (true, true));
        assert_eq!(come_from(&leaf).await, (false, false));
    }
    let usages = |usage| Authority::saying("ours", |params| params.key_usages = vec![usage]);
    let no_authority = usages(KeyUsagePurpose::DigitalSignature);
    assert_eq!(come_from(&no_authority).await, (false, false));
    let authority = usages(KeyUsagePurpose::KeyCertSign);
    assert_eq!(come_from(&authority).await, (true, true));
}

#[tokio::test]
async fn an_authority_that_is_not_valid_lets_nobody_in_and_another_does() {
    let expired = Authority::saying("ours", |params| params.not_after = date_time_ymd(2001, 1, 1));
    let early = Authority::saying("ours", |params| params.not_before = date_time_ymd(2200, 1, 1));
    let valid = Authority::new("ours");
    assert_eq!(come_from(&expired).await, (false, false));
    assert_eq!(come_from(&early).await, (false, false));
    // The same name, and all in one file.
    let read = |authority: &Authority| fs::read_to_string(authority.ca_file()).expect("a file");
    let all = [read(&expired), read(&early), read(&valid)].concat();
    for authority in [&expired, &early, &valid] {
        fs::write(authority.ca_file(), &all).expect("a file");
    }
    assert_eq!(come_from(&expired).await, (false, false));
    assert_eq!(come_from(&valid).await, (true, true));
}

#[tokio::test]
async fn who_is_listed_is_trusted_whoever_made_the_certificate() {
    let unknown = Authority::new("unknown");
    for (ends, trusted) in [(2300, true), (2001, false)] {
        let leaf = unknown.issue("leaf", &Leaf { host: "localhost", ends });
        let others = Authority::new("others");
        let strict = TlsFiles {
            client_auth: ClientAuth::Require,
            ..trusting(others.issue("server", &LOCALHOST), &leaf.cert_file)
        };
        let itself = ClientTls::open(trusting(leaf.clone(), &others.ca_file()));
        let (accepted, _) = talk(&server(strict), &itself.expect("good files")).await;
        assert_eq!(accepted.is_ok_and(|socket| socket.is_authenticated()), trusted, "{ends}");
        let files = trusting(others.issue("client", &LOCALHOST), &leaf.cert_file);
        let client = ClientTls::open(files).expect("good files");
        assert_eq!(talk(&server(leaf), &client).await.1.is_ok(), trusted, "{ends}");
    }
}

/// A client that shows a certificate whose key it has not.
fn thief(shown: &Authority, own: &Authority, trusted: &Authority) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let read = |path| CertificateDer::from_pem_file(path).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(itself(own).key_file).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key of a known kind");
    let stolen = CertifiedKey::new(vec![read(shown.ca_file())], key);
    let mut roots = RootCertStore::empty();
    roots.add(read(trusted.ca_file())).expect("an authority");
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)))
}

#[tokio::test]
async fn who_comes_as_an_authority_proves_to_have_its_key() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let files = others.issue("server", &LOCALHOST);
    let strict = server(requiring(files, &ours, ClientAuth::Require));
    let accepted_of = async |own: &Authority| {
        let connector = TlsConnector::from(Arc::new(thief(&ours, own, &others)));
        let (client_stream, server_stream) = connected().await;
        let name = ServerName::try_from("localhost").expect("a name");
        let (accepted, _client) =
            tokio::join!(strict.accept(server_stream), connector.connect(name, client_stream));
        accepted.is_ok()
    };
    assert!(accepted_of(&ours).await, "with the key");
    assert!(!accepted_of(&others).await, "with another");
}

#[tokio::test]
async fn a_silent_client_is_let_go_in_time_and_one_beyond_the_limit_waits() {
    let authority = Authority::new("ours");
    let limits = ServerLimits { handshake_timeout: Duration::from_millis(100), handshakes_max: 1 };
    let files = authority.issue("server", &LOCALHOST);
    let server = ServerTls::open(files, limits).expect("good files");
    let ((_silent, first), (_quiet, second)) = (connected().await, connected().await);
    let (first, second) = tokio::join!(server.accept(first), server.accept(second));
    for ended in [first, second] {
        assert_eq!(ended.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    }
    assert_eq!(server.handshake_failures(), 2);
}

#[test]
fn bad_files_are_refused_by_name() {
    let authority = Authority::new("ours");
    let good = authority.issue("good", &LOCALHOST);
    let other = authority.issue("other", &LOCALHOST);
    let check = |files: TlsFiles, expected: &str| {
        let error = ServerTls::open(files, ServerLimits::default()).err().expect("refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let absent = authority.path("absent.pem");
    check(TlsFiles { cert_file: absent, ..good.clone() }, "absent.pem: No such file");
    let mismatched = TlsFiles { key_file: other.key_file, ..good.clone() };
    check(mismatched, "good.pem: keys may not be consistent");
    let no_key = TlsFiles { key_file: good.cert_file.clone(), ..good.clone() };
    check(no_key, "good.pem holds no valid private key: there is none in PEM");
    let no_certificate = TlsFiles { cert_file: good.key_file.clone(), ..good.clone() };
    check(no_certificate, "good.key holds no valid certificate: there is none in PEM");
    let nobody = TlsFiles { client_auth: ClientAuth::Require, ..good.clone() };
    check(nobody, "name them by ca_file");
    let error = ClientTls::open(good).err().expect("a client trusts somebody");
    assert!(matches!(error, TlsError::NoAuthorities { .. }));
}
