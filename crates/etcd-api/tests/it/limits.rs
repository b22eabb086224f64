//! What a client can make the server hold is bounded.

use decube_etcd_api::wire::etcdserverpb::kv_client::KvClient;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use decube_etcd_api::wire::etcdserverpb::{
    PutRequest, RangeRequest, RequestOp, TxnRequest, request_op,
};
use decube_etcd_api::{EtcdServer, ServeError, ServeOptions};
use tonic::Code;

use crate::served::{check_refused, connect, owned, serve, serve_with, within};

fn put_of(value_bytes: usize) -> PutRequest {
    PutRequest { key: owned("k"), value: vec![b'v'; value_bytes].into(), ..Default::default() }
}

#[tokio::test]
async fn a_request_just_too_large_is_refused_by_etcd_and_a_huge_one_by_grpc() {
    let served = serve();
    let mut kv = served.kv();
    kv.put(put_of(1536 * 1024 - 64)).await.expect("just below the limit");
    let text = "etcdserver: request is too large";
    check_refused(kv.put(put_of(1536 * 1024)).await, Code::InvalidArgument, text);
    let answer = kv.put(put_of(2 << 20)).await;
    let text = "grpc: received message larger than max (2097160 vs. 2097152)";
    check_refused(answer, Code::ResourceExhausted, text);
}

#[tokio::test]
async fn the_request_limit_can_be_set() {
    let served = serve_with(|options| options.request_bytes_max = 1000);
    let mut kv = served.kv();
    kv.put(put_of(900)).await.expect("below the limit");
    let text = "etcdserver: request is too large";
    check_refused(kv.put(put_of(1000)).await, Code::InvalidArgument, text);
}

#[tokio::test]
async fn a_taken_port_is_told_as_such() {
    let served = serve();
    let address = served.server.local_address();
    match EtcdServer::start(&served.engine, ServeOptions::new(address)) {
        Err(ServeError::AddressInUse { address: taken }) => assert_eq!(taken, address),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("two servers on one port"),
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_one_that_ends_makes_room() {
    let served = serve_with(|options| options.connections_max = 1);
    served.get("k").await;
    let refused = connect(served.server.local_address());
    let request = RangeRequest { key: owned("k"), ..Default::default() };
    let answer = within("a refusal", KvClient::new(refused).range(request.clone())).await;
    answer.expect_err("there is no room");
    let address = served.server.local_address();
    drop(served.channel);
    let admitted = async {
        loop {
            let channel = connect(address);
            if KvClient::new(channel).range(request.clone()).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within("room for another connection", admitted).await;
}

#[tokio::test]
async fn headers_above_the_limit_fail_the_call_and_not_the_connection() {
    let served = serve();
    let request_with = |bytes: usize| {
        let request = RangeRequest { key: owned("k"), ..Default::default() };
        let mut request = tonic::Request::new(request);
        let long = "x".repeat(bytes).parse().expect("a header value");
        request.metadata_mut().insert("large", long);
        request
    };
    for bytes in [20 << 10, 250 << 10] {
        within("an answer", served.kv().range(request_with(bytes))).await.expect("below the limit");
    }
    let answer = within("a refusal", served.kv().range(request_with(270 << 10))).await;
    let refusal = answer.expect_err("headers are too large");
    assert!(refusal.message().contains("431"), "{refusal}");
    served.get("k").await;
}

#[tokio::test]
async fn a_transaction_nested_too_deep_is_an_error_and_nothing_worse() {
    let served = serve();
    let mut txn = TxnRequest::default();
    for _ in 0..2_000 {
        let request = Some(request_op::Request::RequestTxn(txn));
        txn = TxnRequest { success: vec![RequestOp { request }], ..Default::default() };
    }
    let answer = within("a refusal", served.kv().txn(txn)).await;
    assert_eq!(answer.expect_err("too deep").code(), Code::Internal);
    served.get("k").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_say_what_it_speaks_is_let_go() {
    let served = serve_with(|options| options.first_byte_timeout = Duration::from_millis(100));
    served.put("k", "1").await;
    for start in ["", "P", "PRI * HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(served.server.local_address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(start.as_bytes()).expect("bytes are taken");
        let closed = stream.read_to_end(&mut Vec::new());
        let timed_out = |error: &Error| error.kind() == ErrorKind::WouldBlock;
        assert!(!closed.as_ref().is_err_and(timed_out), "left open after {start:?}");
    }
    served.get("k").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_connection_only() {
    let served = serve();
    let address = served.server.local_address();
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frame_too_large: &[u8] = &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let garbage =
        [&[0xff; 512][..], b"GET / HTTP/9.9\r\n\r\n", &[preface, frame_too_large].concat()];
    for bytes in garbage {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(bytes).expect("bytes are taken");
        // To its end: the server closes, with or without a word; a reset is as good.
        let closed = stream.read_to_end(&mut Vec::new());
        let timed_out = |error: &Error| error.kind() == ErrorKind::WouldBlock;
        assert!(!closed.as_ref().is_err_and(timed_out), "left open after {bytes:x?}");
        served.get("k").await;
    }
}
