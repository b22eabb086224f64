//! The same port with TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use decube_etcd_api::tls::{ClientTls, Socket, TlsFiles};
use decube_etcd_api::wire::etcdserverpb::cluster_client::ClusterClient;
use decube_etcd_api::wire::etcdserverpb::{MemberListRequest, RangeRequest};
use decube_etcd_api::{EtcdServer, ServeError, ServeOptions};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower_service::Service;

use crate::authority::{Authority, LOCALHOST, Leaf, trusting};
use crate::served::{Served, any_port, owned, serve, serve_with, within};

/// Connects a channel by TLS.
#[derive(Clone)]
struct Connector {
    tls: ClientTls,
    address: SocketAddr,
}

impl Connector {
    /// A client of the same authority.
    fn new(authority: &Authority, address: SocketAddr) -> Self {
        let files = trusting(authority.issue("client", &LOCALHOST), &authority.ca_file());
        Self { tls: ClientTls::open(files).expect("good files"), address }
    }

    async fn connect(&self) -> io::Result<Socket> {
        self.tls.connect("localhost", TcpStream::connect(self.address).await?).await
    }

    fn channel(self) -> Channel {
        let endpoint = Endpoint::from_static("http://localhost");
        endpoint.connect_with_connector_lazy(self)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

/// A server with a certificate of the authority, and a client that trusts it.
fn serve_tls(authority: &Authority) -> (Served, TlsFiles) {
    let files = authority.issue("server", &LOCALHOST);
    let mut served = serve_with(|options| {
        options.tls = Some(files.clone());
        options.tls_reload_interval = Duration::from_millis(50);
    });
    served.channel = Connector::new(authority, served.server.local_address()).channel();
    (served, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn short_and_long_answers_go_through_tls_and_members_say_https() {
    let authority = Authority::new("ours");
    let (served, _files) = serve_tls(&authority);
    for key in 0..300 {
        served.put(&format!("{key:03}"), &"v".repeat(1000)).await;
    }
    let all = RangeRequest { key: owned("\0"), range_end: owned("\0"), ..Default::default() };
    let read = within("a long answer", served.kv().range(all)).await.expect("a read").into_inner();
    assert_eq!((read.kvs.len(), served.get("007").await.kvs.len()), (300, 1));
    let mut cluster = ClusterClient::new(served.channel.clone());
    let list = cluster.member_list(MemberListRequest::default()).await.expect("a list");
    let url = format!("https://{}", served.server.local_address());
    assert_eq!(list.into_inner().members[0].client_ur_ls, [url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_a_farewell_go_through_tls() {
    let authority = Authority::new("ours");
    let (served, _files) = serve_tls(&authority);
    let connector = Connector::new(&authority, served.server.local_address());
    let talk = async |request: &[u8]| {
        let mut socket = connector.connect().await.expect("a connection");
        socket.write_all(request).await.expect("bytes are taken");
        socket.flush().await.expect("bytes are taken");
        let mut answer = Vec::new();
        within("the end", socket.read_to_end(&mut answer)).await.expect("an end in good order");
        answer
    };
    let page = talk(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await;
    let page = String::from_utf8(page).expect("text");
    // 1 January 2300.
    let line = r#"decube_tls_certificate_not_after_timestamp_seconds{listener="etcd"} 10413792000"#;
    assert!(page.lines().any(|found| found == line), "{page}");
    let greeting: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let pings = b"\0\0\x08\x06\0\0\0\0\0abcdefgh".repeat(4);
    let answer = talk(&[greeting, &pings].concat()).await;
    assert!(answer.ends_with(b"\x0btoo_many_pings"), "{answer:x?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_serves_the_new_certificate_and_leaves_open_connections_alone() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (served, files) = serve_tls(&old);
    served.put("k", "1").await;
    let replacement = new.issue("server", &Leaf { ends: 2200, ..LOCALHOST });
    std::fs::copy(&replacement.cert_file, &files.cert_file).expect("a copy");
    std::fs::copy(&replacement.key_file, &files.key_file).expect("a copy");
    let tls = served.server.tls().expect("TLS is served").clone();
    let changed = async {
        while tls.status().not_after_s != 7_258_118_400 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the listener's own look at its files", changed).await;
    assert_eq!(served.get("k").await.count, 1, "the open connection");
    let address = served.server.local_address();
    assert!(Connector::new(&new, address).connect().await.is_ok());
    assert!(Connector::new(&old, address).connect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_silent_after_its_handshake_is_let_go() {
    let authority = Authority::new("ours");
    let files = authority.issue("server", &LOCALHOST);
    let served = serve_with(|options| {
        options.tls = Some(files);
        options.first_byte_timeout = Duration::from_millis(100);
    });
    let connector = Connector::new(&authority, served.server.local_address());
    let mut socket = connector.connect().await.expect("a handshake");
    let mut answer = Vec::new();
    // With a word of TLS or without one.
    let _ = within("the end", socket.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_tls_do_not_mix_and_harm_nobody() {
    let authority = Authority::new("ours");
    let (with_tls, _files) = serve_tls(&authority);
    let mut plain = TcpStream::connect(with_tls.server.local_address()).await.expect("a port");
    plain.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").await.expect("bytes");
    let mut answer = Vec::new();
    // Closed, with an alert or by a reset.
    let _ = within("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:x?}");
    assert_eq!(with_tls.put("k", "1").await.prev_kv, None);
    let without = serve();
    let connector = Connector::new(&authority, without.server.local_address());
    assert!(within("a refusal", connector.connect()).await.is_err());
    without.put("k", "1").await;
}

#[tokio::test]
async fn a_port_with_bad_certificates_does_not_open() {
    let authority = Authority::new("ours");
    let engine = serve().engine;
    let files = authority.issue("server", &LOCALHOST);
    let key_file = authority.issue("other", &LOCALHOST).key_file;
    let tls = Some(TlsFiles { key_file, ..files });
    let refused = EtcdServer::start(&engine, ServeOptions { tls, ..ServeOptions::new(any_port()) });
    assert!(matches!(refused.err(), Some(ServeError::Tls(_))));
}
