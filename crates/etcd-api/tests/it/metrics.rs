//! `/metrics`: what is counted, under etcd's names.

use std::path::PathBuf;
use std::sync::Arc;

use decube_engine::vfs::{Errno, Fault, Faulty};
use decube_engine::{Command, LogLocation, Options, Role, Storage};
use decube_etcd_api::wire::etcdserverpb::{
    HashKvRequest, LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RangeRequest,
};
use decube_etcd_api::wire::health::HealthCheckRequest;
use decube_etcd_api::wire::health::health_client::HealthClient;
use decube_etcd_api::{FindPrimary, Primary};
use tonic::Request;
use tonic::metadata::MetadataValue;

use crate::http::request;
use crate::served::{Served, owned, serve, serve_store};

fn page(served: &Served) -> String {
    request(served, "GET", "/metrics").1
}

/// The page has these lines.
fn check(served: &Served, lines: &[&str]) {
    let page = page(served);
    for &line in lines {
        assert!(page.lines().any(|found| found == line), "{line} is missing in:\n{page}");
    }
}

fn of_call(name: &str, (service, method, kind): (&str, &str, &str), count: u64) -> String {
    let service = format!("etcdserverpb.{service}");
    let kind = format!(r#"grpc_type="{kind}""#);
    format!(r#"{name}{{{kind},grpc_service="{service}",grpc_method="{method}"}} {count}"#)
}

fn handled(code: &str, (service, method, kind): (&str, &str, &str), count: u64) -> String {
    let service = format!(r#"grpc_service="etcdserverpb.{service}""#);
    let call = format!(r#"grpc_method="{method}",{service},grpc_type="{kind}""#);
    format!(r#"grpc_server_handled_total{{grpc_code="{code}",{call}}} {count}"#)
}

const PUT: (&str, &str, &str) = ("KV", "Put", "unary");

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_served() {
    let served = serve();
    served.put("a", "1").await;
    served.get("a").await;
    let refused = served.kv().put(PutRequest::default()).await;
    refused.expect_err("an empty key is refused");
    check(
        &served,
        &[
            r#"etcd_server_version{server_version="3.7.1"} 1"#,
            "etcd_server_has_leader 1",
            "etcd_server_is_leader 1",
            "etcd_server_leader_changes_seen_total 1",
            "etcd_debugging_mvcc_current_revision 2",
            "etcd_debugging_mvcc_keys_total 1",
            "etcd_mvcc_put_total 1",
            "etcd_mvcc_range_total 1",
            "etcd_debugging_mvcc_total_put_size_in_bytes 2",
            &of_call("grpc_server_started_total", PUT, 2),
            &of_call("grpc_server_msg_received_total", PUT, 2),
            &of_call("grpc_server_msg_sent_total", PUT, 1),
            &handled("OK", PUT, 1),
            &handled("InvalidArgument", PUT, 1),
            // A rate of errors needs the 0 before the first, and so do the dashboards' open streams.
            &handled("Unavailable", PUT, 0),
            &handled("OK", ("Watch", "Watch", "bidi_stream"), 0),
        ],
    );
    assert!(page(&served).contains("process_resident_memory_bytes "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_takes_is_timed_in_etcds_buckets() {
    let served = serve();
    served.put("a", "1").await;
    served.get("a").await;
    served.maintenance().hash_kv(HashKvRequest::default()).await.expect("a hash");
    let of_put = r#"op="Put",success="true",version="v3""#;
    check(
        &served,
        &[
            r#"etcd_disk_backend_commit_duration_seconds_bucket{le="8.192"} 1"#,
            "etcd_disk_backend_commit_duration_seconds_count 1",
            // There is no log.
            "etcd_disk_wal_fsync_duration_seconds_count 0",
            &format!(r#"etcd_server_apply_duration_seconds_bucket{{{of_put},le="52.4288"}} 1"#),
            &format!("etcd_server_apply_duration_seconds_count{{{of_put}}} 1"),
            r#"etcd_server_range_duration_seconds_bucket{success="true",le="52.4288"} 1"#,
            r#"etcd_server_request_duration_seconds_count{success="true",type="Range"} 1"#,
            r#"etcd_server_request_duration_seconds_count{success="true",type="Put"} 1"#,
            r#"etcd_mvcc_hash_rev_duration_seconds_bucket{le="163.84"} 1"#,
            r#"etcd_debugging_lease_ttl_total_bucket{le="8.388608e+06"} 0"#,
            "etcd_server_slow_apply_total 0",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_streams_are_counted_one_by_one() {
    const KEEP_ALIVE: (&str, &str, &str) = ("Lease", "LeaseKeepAlive", "bidi_stream");
    const RANGES: (&str, &str, &str) = ("KV", "RangeStream", "server_stream");
    let served = serve();
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    served.lease().lease_grant(grant).await.expect("a lease");
    let renewals = tokio_stream::iter([7, 7, 8].map(|id| LeaseKeepAliveRequest { id }));
    let mut answers = served.lease().lease_keep_alive(renewals).await.expect("a stream");
    while answers.get_mut().message().await.expect("an answer").is_some() {}
    for number in 0..25 {
        served.put(&format!("{number:02}"), "1").await;
    }
    let all = RangeRequest { key: owned("\0"), range_end: owned("\0"), ..Default::default() };
    let mut chunks = served.kv().range_stream(all).await.expect("a stream");
    while chunks.get_mut().message().await.expect("a chunk").is_some() {}
    check(
        &served,
        &[
            &of_call("grpc_server_msg_received_total", KEEP_ALIVE, 3),
            &of_call("grpc_server_msg_sent_total", KEEP_ALIVE, 3),
            &of_call("grpc_server_msg_received_total", RANGES, 1),
            &of_call("grpc_server_msg_sent_total", RANGES, 2),
            "etcd_debugging_lease_granted_total 1",
            "etcd_debugging_lease_renewed_total 2",
            r#"etcd_debugging_lease_ttl_total_bucket{le="32"} 0"#,
            r#"etcd_debugging_lease_ttl_total_bucket{le="64"} 1"#,
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_those_who_watch_the_servers_health_are_counted() {
    let served = serve();
    let mut health = HealthClient::new(served.channel.clone());
    let watched = health.watch(HealthCheckRequest::default()).await.expect("a stream");
    watched.into_inner().message().await.expect("an answer").expect("one at once");
    let labels =
        r#"grpc_type="server_stream",grpc_service="grpc.health.v1.Health",grpc_method="Watch""#;
    for name in ["grpc_server_msg_received_total", "grpc_server_msg_sent_total"] {
        check(&served, &[&format!("{name}{{{labels}}} 1")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_health_are_told_one_by_one() {
    let served = serve();
    request(&served, "GET", "/livez");
    request(&served, "GET", "/readyz?exclude=linearizable_read");
    served.engine.close();
    request(&served, "GET", "/livez/serializable_read");
    check(
        &served,
        &[
            r#"etcd_server_healthcheck{name="serializable_read",type="livez"} 0"#,
            r#"etcd_server_healthcheck{name="serializable_read",type="readyz"} 1"#,
            r#"etcd_server_healthchecks_total{name="serializable_read",status="success",type="livez"} 1"#,
            r#"etcd_server_healthchecks_total{name="serializable_read",status="error",type="livez"} 1"#,
            r#"etcd_server_healthchecks_total{name="non_learner",status="success",type="readyz"} 1"#,
        ],
    );
    assert!(!page(&served).contains("linearizable_read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_told_apart_by_the_version_of_the_client() {
    let served = serve();
    for version in ["3.5", "3.5", "made up"] {
        let mut put = Request::new(PutRequest { key: owned("a"), ..PutRequest::default() });
        let version = MetadataValue::try_from(version).expect("it is plain");
        put.metadata_mut().insert("client-api-version", version);
        served.kv().put(put).await.expect("a put");
    }
    served.put("a", "1").await;
    let of = |version: &str, count: u64| {
        let labels = format!(r#"client_api_version="{version}",type="unary""#);
        format!("etcd_server_client_requests_total{{{labels}}} {count}")
    };
    check(&served, &[&of("3.5", 2), &of("other", 1), &of("unknown", 1)]);
    assert!(!page(&served).contains("made up"));
}

fn on(disk: &Faulty, role: Role) -> Options {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(disk.clone());
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    Options { role, ..Options::new(Storage::Log(location)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_commit_is_a_sync_of_the_log_and_failed_ones_are_failed_proposals() {
    let disk = Faulty::new(1);
    let served = serve_store(on(&disk, Role::Standalone), |_| {});
    served.put("a", "1").await;
    let syncs = "etcd_disk_wal_fsync_duration_seconds_count 1";
    let writes = "etcd_disk_wal_write_duration_seconds_count 1";
    check(&served, &[syncs, writes, "etcd_server_proposals_failed_total 0"]);
    for call in 1..=8 {
        disk.inject(disk.calls() + call, Fault::Fail(Errno::Io));
    }
    for _ in 0..2 {
        let put = decube_engine::PutRequest { key: "a".into(), ..Default::default() };
        served.engine.execute(Command::Put(put)).expect_err("the disk is broken");
    }
    check(&served, &[syncs, "etcd_server_proposals_failed_total 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_no_leader_and_tells_whether_there_is_one() {
    let standby = |primary: Option<Primary>| {
        serve_store(on(&Faulty::new(1), Role::Standby), |options| {
            options.primary = Some(FindPrimary::new(move || primary.clone()));
        })
    };
    let etcd_address = "127.0.0.1:1".to_owned();
    let known = standby(Some(Primary { member_id: 7, etcd_address }));
    check(&known, &["etcd_server_is_leader 0", "etcd_server_has_leader 1"]);
    check(&standby(None), &["etcd_server_is_leader 0", "etcd_server_has_leader 0"]);
}
