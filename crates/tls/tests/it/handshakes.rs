//! Who gets in, and whom a client lets in.

use std::io;
use std::time::Duration;

use decube_tls::{ClientAuth, ClientTls, ServerLimits, ServerTls, Socket, TlsError, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
