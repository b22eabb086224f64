//! A call whose client has given up is not carried out, or not answered as if it waited.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use decube_etcd_api::wire::etcdserverpb::PutRequest;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tonic::{Code, Status};

use crate::http::request;
use crate::served::{Served, owned, serve, within};

const EXCEEDED: &str = "context deadline exceeded";

/// Begins a call of the half of a message, and returns code and text of its answer. By hand,
/// because a client that keeps to `grpc-timeout` does not wait for what a server makes of it.
async fn half_a_call(served: &Served, method: &str, timeout: &str) -> (Code, String) {
    let stream = tokio::net::TcpStream::connect(served.server.local_address()).await;
    let stream = TokioIo::new(stream.expect("a connection"));
    let greeted = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
    let (mut calls, connection) = greeted.expect("a greeting");
    let connection = tokio::spawn(connection);
    let half = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"\0\0\0\0\x09half")));
    let body = StreamBody::new(tokio_stream::once(half).chain(tokio_stream::pending()));
    let request = Request::post(format!("http://test/etcdserverpb.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(body)
        .expect("a request");
    let answer = within("an answer", calls.send_request(request)).await.expect("an answer");
    connection.abort();
    let status = Status::from_header_map(answer.headers()).expect("an error at once");
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_call_whose_time_is_over_before_it_begins_is_refused() {
    let served = serve();
    for method in ["KV/Put", "KV/Range", "Watch/Watch", "Lease/LeaseKeepAlive"] {
        let (code, text) = half_a_call(&served, method, "0n").await;
        assert_eq!((code, &text[..]), (Code::DeadlineExceeded, EXCEEDED), "{method}");
    }
}

#[tokio::test]
async fn what_is_no_time_is_refused_and_a_long_one_is_waited_for() {
    let served = serve();
    let (code, text) = half_a_call(&served, "KV/Put", "1x").await;
    assert_eq!(code, Code::Internal);
    assert_eq!(text, "malformed grpc-timeout: transport: timeout unit is not recognized: \"1x\"");
    let mut put = tonic::Request::new(PutRequest { key: owned("k"), ..Default::default() });
    put.metadata_mut().insert("grpc-timeout", "99999999H".parse().expect("a header value"));
    served.kv().put(put).await.expect("an answer in time");
}

#[tokio::test]
async fn a_call_whose_time_passes_while_it_waits_is_answered_then() {
    let served = serve();
    let began = Instant::now();
    let (code, text) = half_a_call(&served, "KV/Put", "200m").await;
    assert_eq!((code, &text[..]), (Code::DeadlineExceeded, EXCEEDED));
    assert!(began.elapsed() >= Duration::from_millis(200));
    let (_, page) = request(&served, "GET", "/metrics");
    let of_put = page.lines().filter(|line| line.contains(r#"grpc_method="Put""#));
    let counted: Vec<_> = of_put.filter(|line| line.contains("DeadlineExceeded")).collect();
    assert!(counted.len() == 1 && counted[0].ends_with(" 1"), "{counted:?}");
}
