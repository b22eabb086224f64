//! A client that pings too often is sent away, as etcd's gRPC library sends it away, and no other.

use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, SendStream};
use http::Request;
use tokio::task::JoinHandle;

use crate::served::{Served, serve, serve_with, within};

/// A connection by hand, whose pings are sent when the test says so.
struct RawConnection {
    calls: SendRequest<Bytes>,
    pings: PingPong,
    served: JoinHandle<Result<(), h2::Error>>,
}

impl RawConnection {
    async fn open(served: &Served) -> Self {
        let address = served.server.local_address();
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let (calls, mut connection) = h2::client::handshake(stream).await.expect("a greeting");
        let pings = connection.ping_pong().expect("the first to ask for it");
        Self { calls, pings, served: tokio::spawn(connection) }
    }

    /// False: there is no connection any more.
    async fn ping(&mut self) -> bool {
        within("an answer to a ping", self.pings.ping(Ping::opaque())).await.is_ok()
    }

    fn call(&mut self, path: &str, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = request.body(()).expect("a request");
        self.calls.send_request(request, ends).expect("a call")
    }

    /// A call that stays open.
    fn renew_leases(&mut self) -> (ResponseFuture, SendStream<Bytes>) {
        self.call("/etcdserverpb.Lease/LeaseKeepAlive", false)
    }

    async fn check_sent_away(mut self) {
        assert!(!self.ping().await, "one ping too many");
        let ended = within("the end", self.served).await.expect("no panic");
        let error = ended.expect_err("told why");
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
        assert!(format!("{error:?}").contains("too_many_pings"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_calls_that_keeps_pinging_is_sent_away_and_the_others_stay() {
    let served = serve();
    served.put("k", "1").await;
    let mut client = RawConnection::open(&served).await;
    for _ in 0..3 {
        assert!(client.ping().await, "the first and two strikes");
    }
    client.check_sent_away().await;
    assert_eq!(served.get("k").await.count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pinging_faster_than_allowed_is_too_often_with_a_call_open_too() {
    let served = serve();
    let mut client = RawConnection::open(&served).await;
    let (answer, _open) = client.renew_leases();
    within("headers", answer).await.expect("the call is taken");
    for _ in 0..3 {
        assert!(client.ping().await, "one forgiven by the headers, and two strikes");
    }
    client.check_sent_away().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_as_often_as_allowed_keep_a_connection_with_an_open_call() {
    let served = serve_with(|options| options.client_ping_interval_min = Duration::ZERO);
    let mut client = RawConnection::open(&served).await;
    let (answer, mut open) = client.renew_leases();
    let answer = within("headers", answer).await.expect("the call is taken");
    for _ in 0..20 {
        assert!(client.ping().await, "fine while the call is open");
    }
    open.send_data(Bytes::new(), true).expect("the end of the call");
    let mut body = answer.into_body();
    assert!(body.data().await.is_none(), "nothing was asked");
    within("trailers", body.trailers()).await.expect("an end in good order");
    for _ in 0..3 {
        assert!(client.ping().await, "one forgiven by the end, and two strikes");
    }
    client.check_sent_away().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_after_each_answer_is_never_too_often() {
    let served = serve();
    let mut client = RawConnection::open(&served).await;
    for _ in 0..20 {
        assert!(client.ping().await, "a measurement");
        let (answer, _) = client.call("/no.Service/Method", true);
        within("an answer", answer).await.expect("headers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_piece_gets_the_reason_before_the_end() {
    let served = serve();
    let mut stream =
        std::net::TcpStream::connect(served.server.local_address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let greeting: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    stream.write_all(&[greeting, &ping.repeat(20_000)].concat()).expect("bytes are taken");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end without a reset");
    let reason = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";
    assert!(answer.ends_with(reason), "{answer:x?}");
}
