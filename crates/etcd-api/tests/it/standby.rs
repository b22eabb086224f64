//! The port of a standby. What it has itself is told from what its primary has by the value.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_engine::vfs::Faulty;
use decube_engine::{LogLocation, Options, Role, Storage};
use decube_etcd_api::wire::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RangeRequest, RangeResponse,
    StatusRequest,
};
use decube_etcd_api::{FindPrimary, Primary};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::Code;

use crate::served::{Served, check_refused, owned, serve, serve_store};

/// A store that is a standby, on a disk of its own.
fn standby_store() -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(Faulty::new(1));
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    Options { role: Role::Standby, ..Options::new(Storage::Log(location)) }
}

/// A standby with nothing in it; `who` is whom it takes for its primary. All its clients share one
/// worker, and the way to the primary.
fn standby(who: &Arc<Mutex<Option<Primary>>>) -> Served {
    let who = Arc::clone(who);
    serve_store(standby_store(), |options| {
        options.workers = NonZeroUsize::MIN;
        options.primary_patience = Duration::from_millis(500);
        options.primary = Some(FindPrimary::new(move || who.lock().clone()));
    })
}

fn pair() -> (Served, Served) {
    let primary = serve();
    let etcd_address = primary.server.local_address().to_string();
    let member_id = primary.engine.identity().member_id;
    let who = Arc::new(Mutex::new(Some(Primary { member_id, etcd_address })));
    (primary, standby(&who))
}

#[tokio::test]
async fn writes_and_latest_reads_of_a_standby_are_its_primarys() {
    let (primary, standby) = pair();
    let put = standby.put("a", "1").await;
    let header = put.header.expect("a header");
    assert_eq!(header.member_id, primary.engine.identity().member_id);
    assert_eq!(primary.get("a").await.kvs.len(), 1);
    assert_eq!(standby.get("a").await.kvs.len(), 1);
    let here = RangeRequest { key: owned("a"), serializable: true, ..RangeRequest::default() };
    let here = standby.kv().range(here).await.expect("a read").into_inner();
    assert!(here.kvs.is_empty(), "it has nothing of its own");
    assert_eq!(standby.delete("a").await, 1);
    let long = "x".repeat(1 << 20);
    standby.put("long", &long).await;
    assert_eq!(standby.get("long").await.kvs[0].value(), long.as_bytes());
}

#[tokio::test]
async fn a_stream_of_keys_is_the_primarys_unless_what_is_here_will_do() {
    let (_primary, standby) = pair();
    for number in 0..25 {
        standby.put(&format!("{number:02}"), "1").await;
    }
    for (serializable, keys, chunks) in [(false, 25, 2), (true, 0, 1)] {
        let (key, range_end) = (owned("\0"), owned("\0"));
        let request = RangeRequest { key, range_end, serializable, ..RangeRequest::default() };
        let mut stream = standby.kv().range_stream(request).await.expect("a stream").into_inner();
        let mut read = Vec::new();
        while let Some(chunk) = stream.message().await.expect("a chunk") {
            read.push(chunk.range_response.expect("a range response").kvs.len());
        }
        assert_eq!((read.iter().sum::<usize>(), read.len()), (keys, chunks), "{serializable}");
    }
}

#[tokio::test]
async fn a_read_that_came_compressed_is_passed_on_as_it_was_read() {
    let (_primary, standby) = pair();
    standby.put("a", "1").await;
    let read = RangeRequest { key: owned("a"), ..RangeRequest::default() };
    let mut message = GzEncoder::new(Vec::new(), Compression::default());
    message.write_all(&read.encode_to_vec()).expect("memory takes it");
    let message = message.finish().expect("memory takes it");
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    let body = [&[1][..], &length, &message].concat();
    let request = Request::post("http://decube/etcdserverpb.KV/Range")
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .header("content-length", body.len())
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let socket = TcpStream::connect(standby.server.local_address()).await.expect("it listens");
    let (mut client, connection) =
        client::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let response = client.send_request(request).await.expect("an answer");
    let answer = response.into_body().collect().await.expect("it comes whole");
    let code = answer.trailers().and_then(|trailers| trailers.get("grpc-status"));
    assert_eq!(code.map(HeaderValue::as_bytes), Some(&b"0"[..]));
    let answer = RangeResponse::decode(answer.to_bytes().slice(5..)).expect("a message");
    assert_eq!(answer.kvs.len(), 1);
}

#[tokio::test]
async fn errors_of_the_primary_come_back_to_the_letter() {
    let (_primary, standby) = pair();
    let refused = standby.kv().put(PutRequest::default()).await;
    check_refused(refused, Code::InvalidArgument, "etcdserver: key is not provided");
}

#[tokio::test]
async fn leases_are_kept_alive_through_a_standby() {
    let (primary, standby) = pair();
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    standby.lease().lease_grant(grant).await.expect("a lease");
    assert_eq!(primary.engine.leases().len(), 1);
    let renewals = tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]);
    let mut answers =
        standby.lease().lease_keep_alive(renewals).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("an answer").expect("an answer");
    assert_eq!((answer.id, answer.ttl), (7, 60));
    assert!(answers.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn without_a_primary_there_is_no_leader_and_reads_of_what_is_here_go_on() {
    let who = Arc::new(Mutex::new(None));
    let standby = standby(&who);
    let put = || PutRequest { key: owned("a"), ..PutRequest::default() };
    check_refused(standby.kv().put(put()).await, Code::Unavailable, "etcdserver: no leader");
    let latest = RangeRequest { key: owned("a"), ..RangeRequest::default() };
    let refused = standby.kv().range(latest.clone()).await;
    check_refused(refused, Code::Unavailable, "etcdserver: no leader");
    let here = RangeRequest { serializable: true, ..latest };
    standby.kv().range(here).await.expect("a read of what is here");
    // Nobody listens there, and then itself: what was passed on is not passed on again.
    let own = standby.server.local_address().to_string();
    for etcd_address in ["127.0.0.1:1".to_owned(), own] {
        *who.lock() = Some(Primary { member_id: 9, etcd_address });
        check_refused(standby.kv().put(put()).await, Code::Unavailable, "etcdserver: no leader");
    }
    let status = standby.maintenance().status(StatusRequest::default()).await;
    assert_eq!(status.expect("a status").into_inner().leader, 9);
}

#[tokio::test]
async fn headers_of_calls_that_wait_for_a_primary_share_room_and_give_it_back() {
    let standby = serve_store(standby_store(), |options| {
        options.workers = NonZeroUsize::MIN;
        options.primary_patience = Duration::from_millis(500);
        options.primary = Some(FindPrimary::new(|| None));
        options.arriving_bytes_max = 64 << 10;
    });
    let codes = async || {
        let put = async || {
            let request = PutRequest { key: owned("a"), ..PutRequest::default() };
            let mut request = tonic::Request::new(request);
            let long = "x".repeat(40 << 10).parse().expect("a header value");
            request.metadata_mut().insert("large", long);
            standby.kv().put(request).await.expect_err("there is no primary").code()
        };
        let (first, second) = tokio::join!(put(), put());
        [first, second]
    };
    for _ in 0..2 {
        let codes = codes().await;
        assert!(codes.contains(&Code::ResourceExhausted), "{codes:?}");
        assert!(codes.contains(&Code::Unavailable), "{codes:?}");
    }
}

/// A primary that takes connections, reads until it has seen a key, and then hangs up, or says nothing
/// for ever.
async fn broken_primary(
    key: &'static str,
    hangs_up: bool,
) -> (Served, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let etcd_address = listener.local_addr().expect("its address").to_string();
    let serving = tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = Vec::new();
            while !heard.windows(key.len()).any(|window| window == key.as_bytes()) {
                let count = stream.read_buf(&mut heard).await.expect("what the standby says");
                assert!(count > 0, "the standby hung up before it said {key}");
            }
            silent.extend((!hangs_up).then_some(stream));
        }
    });
    let who = Arc::new(Mutex::new(Some(Primary { member_id: 9, etcd_address })));
    (standby(&who), serving)
}

#[tokio::test]
async fn a_write_that_the_primary_may_have_done_is_not_told_as_refused() {
    for hangs_up in [true, false] {
        let (standby, _serving) = broken_primary("the-key", hangs_up).await;
        let put = PutRequest { key: owned("the-key"), ..PutRequest::default() };
        check_refused(
            standby.kv().put(put).await,
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to connection lost",
        );
    }
}

/// A primary whose answers have headers, these bytes, and no end.
async fn primary_that_breaks_off(bytes: &'static [u8], resets: bool) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let etcd_address = listener.local_addr().expect("its address").to_string();
    let answer = move |_request: Request<Incoming>| async move {
        let frame = Ok(Frame::data(Bytes::from_static(bytes)));
        let reset = resets.then(|| Err(io::Error::other("it goes away")));
        let body = StreamBody::new(tokio_stream::iter([frame].into_iter().chain(reset)));
        Response::builder().header("content-type", "application/grpc").body(body)
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(serving);
        }
    });
    standby(&Arc::new(Mutex::new(Some(Primary { member_id: 9, etcd_address }))))
}

#[tokio::test]
async fn an_answer_of_the_primary_that_breaks_off_ends_with_a_status() {
    for (bytes, resets) in [(b"" as &[u8], true), (b"\0\0\0\0\x09abc", true), (b"", false)] {
        let standby = primary_that_breaks_off(bytes, resets).await;
        let put = PutRequest { key: owned("a"), ..PutRequest::default() };
        check_refused(
            standby.kv().put(put).await,
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to connection lost",
        );
    }
}

#[tokio::test]
async fn a_standby_that_was_promoted_answers_by_itself() {
    let (primary, standby) = pair();
    standby.put("a", "there").await;
    standby.engine.promote().expect("a promotion");
    standby.put("b", "here").await;
    assert!(primary.get("b").await.kvs.is_empty());
    assert!(standby.get("a").await.kvs.is_empty());
}

/// A call of a standby that knows no primary, and is promoted while the call waits for one.
async fn promoted_meanwhile<T>(call: impl AsyncFnOnce(&Served) -> T) -> (Served, T) {
    let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
    let standby = serve_store(standby_store(), |options| {
        options.primary_patience = Duration::from_secs(20);
        options.primary = Some(FindPrimary::new(move || {
            let _ = looked.send(());
            None
        }));
    });
    let promoting = async {
        looks.recv().await.expect("a call that waits");
        standby.engine.promote().expect("a promotion");
    };
    let (answer, ()) = tokio::join!(call(&standby), promoting);
    (standby, answer)
}

#[tokio::test]
async fn calls_that_wait_for_a_primary_are_carried_out_by_the_member_that_becomes_it() {
    let (standby, put) = promoted_meanwhile(async |standby| standby.put("a", "1").await).await;
    let own = standby.engine.identity().member_id;
    assert_eq!(put.header.expect("a header").member_id, own);
    assert_eq!(standby.get("a").await.kvs.len(), 1);
    let (_standby, read) = promoted_meanwhile(async |standby| standby.get("a").await).await;
    assert!(read.kvs.is_empty());
    let renewing = async |standby: &Served| {
        let renewals = tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]);
        let answers = standby.lease().lease_keep_alive(renewals).await.expect("a stream");
        answers.into_inner().message().await.expect("an answer")
    };
    let (_standby, answer) = promoted_meanwhile(renewing).await;
    assert_eq!(
        answer.map(|answer| (answer.id, answer.ttl)),
        Some((7, 0)),
        "there is no such lease"
    );
}

/// A message of a call, behind its prefix.
fn framed(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    Bytes::from([&[0][..], &length, &message].concat())
}

/// A call by hand, with trailers, and what its answer ends with.
async fn call_with_trailers(
    client: &mut client::SendRequest<UnsyncBoxBody<Bytes, Infallible>>,
    method: &str,
    headers: &HeaderMap,
    message: Bytes,
    trailers: Option<HeaderMap>,
) -> Option<HeaderValue> {
    let frames = [Some(Frame::data(message)), trailers.map(Frame::trailers)];
    let body = StreamBody::new(tokio_stream::iter(frames.into_iter().flatten().map(Ok)));
    let mut request = Request::post(format!("http://decube/etcdserverpb.{method}"))
        .header("content-type", "application/grpc")
        .body(body.boxed_unsync())
        .expect("a request");
    request.headers_mut().extend(headers.clone());
    let answer = client.send_request(request).await.expect("an answer");
    let status = answer.headers().get("grpc-status").cloned();
    let rest = answer.into_body().collect().await.expect("it comes whole");
    status.or_else(|| rest.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()))
}

#[tokio::test]
async fn trailers_of_one_client_cost_the_others_no_call() {
    let (_primary, standby) = pair();
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    standby.lease().lease_grant(grant).await.expect("a lease");
    let (renew, renewals) = tokio::sync::mpsc::channel(1);
    renew.send(LeaseKeepAliveRequest { id: 7 }).await.expect("a stream");
    let renewals = tokio_stream::wrappers::ReceiverStream::new(renewals);
    let mut answers =
        standby.lease().lease_keep_alive(renewals).await.expect("a stream").into_inner();
    answers.message().await.expect("an answer").expect("an answer");

    let socket = TcpStream::connect(standby.server.local_address()).await.expect("it listens");
    let (mut client, connection) =
        client::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("HTTP/2");
    tokio::spawn(connection);
    // The first call puts it into the table of headers, so that it takes the second few bytes.
    let long = HeaderMap::from_iter([(
        HeaderName::from_static("a"),
        HeaderValue::try_from("x".repeat(1_000)).expect("a header value"),
    )]);
    let status = framed(&StatusRequest::default());
    call_with_trailers(&mut client, "Maintenance/Status", &long, status, None).await;
    let put = framed(&PutRequest { key: owned("a"), ..PutRequest::default() });
    let told = call_with_trailers(&mut client, "KV/Put", &HeaderMap::new(), put, Some(long)).await;
    renew.send(LeaseKeepAliveRequest { id: 7 }).await.expect("the stream is open");
    answers.message().await.expect("an answer").expect("an answer");
    assert_eq!(told.as_ref().map(HeaderValue::as_bytes), Some(&b"0"[..]));
}
