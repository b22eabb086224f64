//! The HTTP endpoints, over plain HTTP/1.1.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Alarm, AlarmKind, Answer, Command, Error, Mailbox};
use decube_etcd_api::wire::etcdserverpb::PutRequest;

use crate::served::{Served, serve};

/// Status line and body of an answer.
pub(crate) fn request(served: &Served, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(served.server.local_address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

fn check(served: &Served, path: &str, status: u16, body: &str) {
    let (line, answered) = request(served, "GET", path);
    assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {line}");
    assert_eq!(answered, body, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_endpoints_answer_as_etcds_do() {
    let served = serve();
    check(&served, "/health", 200, r#"{"health":"true","reason":""}"#);
    check(&served, "/livez", 200, "ok\n");
    check(&served, "/livez/serializable_read", 200, "ok\n");
    check(&served, "/livez?verbose", 200, "[+]serializable_read ok\nok\n");
    check(&served, "/readyz", 200, "ok\n");
    let verbose = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n\
                   [+]non_learner ok\n";
    check(&served, "/readyz?verbose", 200, &format!("{verbose}ok\n"));
    let without = verbose.replace("[+]non_learner ok\n", "");
    check(&served, "/readyz?verbose&exclude=non_learner", 200, &format!("{without}ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_is_unhealthy_and_not_ready() {
    let served = serve();
    served.engine.close();
    let reason = "RANGE ERROR:the store is closed";
    let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
    check(&served, "/health", 503, &body);
    check(&served, "/livez", 503, &format!("[-]serializable_read failed: {reason}\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_is_bad_health_unless_it_is_excluded() {
    let served = serve();
    let alarm = Alarm { member_id: 1, kind: AlarmKind::NoSpace };
    served.engine.execute(Command::Alarm { alarm, raised: true }).expect("an alarm");
    check(&served, "/health", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
    let (_, page) = request(&served, "GET", "/metrics");
    let line = r#"etcd_debugging_server_alarms{alarm_type="NOSPACE",server_id="1"} 1"#;
    assert!(page.lines().any(|found| found == line), "{page}");
    check(&served, "/health?exclude=NOSPACE", 200, r#"{"health":"true","reason":""}"#);
    check(&served, "/readyz", 200, "ok\n");
}

/// Whoever takes its answers by panicking.
struct Panics;

impl Mailbox for Panics {
    fn deliver(&self, _: Vec<Answer>) {
        panic!("this test stops the writer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_writes_any_more_lives_and_is_not_ready() {
    let served = serve();
    let mailbox: Arc<dyn Mailbox> = Arc::new(Panics);
    let put = decube_engine::PutRequest { key: "key".into(), ..Default::default() };
    served.engine.submit(Command::Put(put.clone()), &mailbox, 0).expect("a place in the queue");
    // The next may be of the same group, which is durable; the one after it is not.
    drop(served.engine.execute(Command::Put(put.clone())));
    let refused = served.engine.execute(Command::Put(put));
    assert!(matches!(refused, Err(Error::Latched { .. })));
    check(&served, "/livez", 200, "ok\n");
    check(&served, "/health?serializable=true", 200, r#"{"health":"true","reason":""}"#);
    for path in ["/readyz", "/health"] {
        let (line, body) = request(&served, "GET", path);
        assert!(line.starts_with("HTTP/1.1 503 "), "{path}: {line}");
        assert!(body.contains("this test stops the writer"), "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_tells_etcds_and_our_own() {
    let served = serve();
    let body = format!(
        r#"{{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0","decube":"{}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    check(&served, "/version", 200, &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_404_and_what_is_not_get_is_405() {
    let served = serve();
    check(&served, "/", 404, "404 page not found\n");
    check(&served, "/v3/kv/range", 404, "404 page not found\n");
    check(&served, "/readyz/nothing", 404, "404 page not found\n");
    assert!(request(&served, "POST", "/health").0.starts_with("HTTP/1.1 405 "));
    check(&served, "/etcdserverpb.KV/Range", 415, "this is gRPC\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_served() {
    let served = serve();
    served.put("a", "1").await;
    served.get("a").await;
    let refused = served.kv().put(PutRequest::default()).await;
    refused.expect_err("an empty key is refused");
    let (_, page) = request(&served, "GET", "/metrics");
    let service = r#"grpc_service="etcdserverpb.KV""#;
    let handled = |code: &str| {
        let labels = format!(r#"grpc_code="{code}",grpc_method="Put",{service},grpc_type="unary""#);
        format!("grpc_server_handled_total{{{labels}}} 1")
    };
    let started = format!(r#"grpc_type="unary",{service},grpc_method="Put""#);
    for line in [
        r#"etcd_server_version{server_version="3.7.1"} 1"#,
        "etcd_server_has_leader 1",
        "etcd_debugging_mvcc_current_revision 2",
        "etcd_debugging_mvcc_keys_total 1",
        &format!("grpc_server_started_total{{{started}}} 2"),
        &handled("OK"),
        &handled("InvalidArgument"),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in:\n{page}");
    }
    assert!(page.contains("process_resident_memory_bytes "), "{page}");
}
