//! `/metrics`: Prometheus' text format, with etcd's names where what we count is what etcd counts.

use std::fmt::{Display, Write};
use std::sync::Arc;

use decube_engine::{Alarm, Status};
use decube_tls::ServerTls;
use tonic::Code;

use super::process;
use crate::grpc::Method;
use crate::metrics::Counters;
use crate::router::Shared;
use crate::service::alarm_name;
use crate::store::Store;
use crate::{ETCD_CLUSTER_VERSION, ETCD_VERSION};

/// The whole page.
pub(super) fn page(store: &Store, shared: &Shared) -> String {
    let counters = &*shared.counters;
    let mut page = Page::default();
    server(&mut page, store, counters);
    let status = store.engine.status();
    keys(&mut page, &status, counters);
    log(&mut page, &status);
    network(&mut page, counters);
    if let Some(tls) = &shared.tls {
        certificate(&mut page, tls);
    }
    methods(&mut page, counters);
    for (name, help, value) in process::metrics() {
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        page.metric(name, kind, help, value);
    }
    page.0
}

fn server(page: &mut Page, store: &Store, counters: &[Arc<Counters>]) {
    use Kind::{Counter, Gauge};
    page.family("etcd_server_version", Gauge, "The etcd version whose behaviour is served.");
    page.sample("etcd_server_version", &[("server_version", ETCD_VERSION)], 1);
    page.family("etcd_cluster_version", Gauge, "The cluster version that goes with it.");
    let cluster_version = ETCD_CLUSTER_VERSION.trim_end_matches(".0");
    page.sample("etcd_cluster_version", &[("cluster_version", cluster_version)], 1);
    page.family("decube_version", Gauge, "The version of DeCube.");
    page.sample("decube_version", &[("version", &store.options.product_version)], 1);
    page.family("etcd_server_id", Gauge, "Server or member ID in hexadecimal format.");
    let member = format!("{:x}", store.identity().member_id);
    page.sample("etcd_server_id", &[("server_id", &member)], 1);
    page.metric("etcd_server_has_leader", Gauge, "Whether or not a leader exists.", 1);
    page.metric("etcd_server_is_leader", Gauge, "Whether or not this member is a leader.", 1);
    page.metric("etcd_server_is_learner", Gauge, "Whether or not this member is a learner.", 0);
    page.metric(
        "etcd_server_health_success",
        Counter,
        "The total number of successful health checks.",
        sum(counters, |counters| counters.health_successes.get()),
    );
    page.metric(
        "etcd_server_health_failures",
        Counter,
        "The total number of failed health checks.",
        sum(counters, |counters| counters.health_failures.get()),
    );
}

fn keys(page: &mut Page, status: &Status, counters: &[Arc<Counters>]) {
    use Kind::{Counter, Gauge};
    page.metric("etcd_debugging_mvcc_keys_total", Gauge, "Total number of keys.", status.keys);
    page.metric(
        "etcd_debugging_mvcc_current_revision",
        Gauge,
        "The current revision of store.",
        status.revision.0,
    );
    page.metric(
        "etcd_debugging_mvcc_compact_revision",
        Gauge,
        "The revision of the last compaction in store.",
        status.compact_revision.0,
    );
    page.metric(
        "etcd_debugging_mvcc_watcher_total",
        Gauge,
        "Total number of watchers.",
        status.watchers,
    );
    page.metric(
        "etcd_debugging_mvcc_slow_watcher_total",
        Gauge,
        "Total number of unsynced slow watchers.",
        status.watchers_catching_up,
    );
    page.metric(
        "etcd_debugging_mvcc_events_total",
        Counter,
        "Total number of events sent by this member.",
        sum(counters, |counters| counters.events_sent.get()),
    );
    if let Some(quota_bytes) = status.quota_bytes {
        let help = "Current backend storage quota size in bytes.";
        page.metric("etcd_server_quota_backend_bytes", Gauge, help, quota_bytes);
    }
    alarms(page, &status.alarms);
    page.metric("decube_leases", Gauge, "Live leases.", status.leases);
    page.metric(
        "etcd_mvcc_db_total_size_in_bytes",
        Gauge,
        "Bytes of the live image and the uncompacted history.",
        status.db_size_bytes,
    );
    page.metric(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        Gauge,
        "The same: no file keeps what was compacted until it is defragmented.",
        status.db_size_bytes,
    );
}

fn alarms(page: &mut Page, alarms: &[Alarm]) {
    const ALARMS: &str = "etcd_debugging_server_alarms";
    page.family(ALARMS, Kind::Gauge, "Alarms for every member in cluster. 1 for raised.");
    for alarm in alarms {
        let member = format!("{:x}", alarm.member_id);
        let labels = [("alarm_type", alarm_name(alarm.kind)), ("server_id", &member)];
        page.sample(ALARMS, &labels, 1);
    }
}

fn log(page: &mut Page, status: &Status) {
    use Kind::{Counter, Gauge};
    page.metric(
        "etcd_server_proposals_committed_total",
        Gauge,
        "The log's last durable sequence number.",
        status.log_sequence,
    );
    page.metric(
        "etcd_server_proposals_applied_total",
        Gauge,
        "The log's last applied sequence number.",
        status.log_sequence,
    );
    page.metric(
        "etcd_server_proposals_pending",
        Gauge,
        "Commands waiting for the writer.",
        status.queue_length,
    );
    page.metric("decube_commits_total", Counter, "Group commits.", status.commits);
    page.metric("decube_commands_total", Counter, "Commands committed.", status.commands);
    page.metric("decube_log_bytes_total", Counter, "Bytes written to the log.", status.log_bytes);
}

fn network(page: &mut Page, counters: &[Arc<Counters>]) {
    use Kind::{Counter, Gauge};
    page.metric(
        "etcd_network_client_grpc_received_bytes_total",
        Counter,
        "The total number of bytes received from grpc clients.",
        sum(counters, |counters| counters.received_bytes.get()),
    );
    page.metric(
        "etcd_network_client_grpc_sent_bytes_total",
        Counter,
        "The total number of bytes sent to grpc clients.",
        sum(counters, |counters| counters.sent_bytes.get()),
    );
    let opened = sum(counters, |counters| counters.connections_opened.get());
    let closed = sum(counters, |counters| counters.connections_closed.get());
    page.metric("decube_connections", Gauge, "Open connections.", opened.saturating_sub(closed));
    page.metric("decube_connections_total", Counter, "Connections accepted.", opened);
}

fn certificate(page: &mut Page, tls: &ServerTls) {
    use Kind::{Counter, Gauge};
    const NOT_AFTER: &str = "decube_tls_certificate_not_after_timestamp_seconds";
    let help = "When the certificate of a listener expires, or another of its chain before.";
    let status = tls.status();
    page.family(NOT_AFTER, Gauge, help);
    page.sample(NOT_AFTER, &[("listener", "etcd")], status.not_after_s);
    page.metric(
        "decube_tls_certificate_refused",
        Gauge,
        "Whether the certificate files hold something else, which cannot be used.",
        u8::from(status.refused.is_some()),
    );
    page.metric(
        "decube_tls_handshake_failures_total",
        Counter,
        "TLS handshakes that failed.",
        tls.handshake_failures(),
    );
}

fn methods(page: &mut Page, counters: &[Arc<Counters>]) {
    const STARTED: &str = "grpc_server_started_total";
    const HANDLED: &str = "grpc_server_handled_total";
    page.family(STARTED, Kind::Counter, "Total number of RPCs started on the server.");
    for &method in Method::ALL {
        page.sample(STARTED, &labels(method), sum(counters, |c| c.started(method)));
    }
    let help = "Total number of RPCs completed on the server, regardless of success or failure.";
    page.family(HANDLED, Kind::Counter, help);
    for &method in Method::ALL {
        let mut by_code = vec![0; 17];
        for worker in counters {
            by_code.iter_mut().zip(worker.handled(method)).for_each(|(sum, one)| *sum += one);
        }
        for (code, count) in by_code.into_iter().enumerate().filter(|&(_, count)| count > 0) {
            let [kind, service, name] = labels(method);
            let code = ("grpc_code", code_name(code));
            page.sample(HANDLED, &[code, name, service, kind], count);
        }
    }
}

fn labels(method: Method) -> [(&'static str, &'static str); 3] {
    [
        ("grpc_type", method.kind()),
        ("grpc_service", method.service()),
        ("grpc_method", method.name()),
    ]
}

fn code_name(code: usize) -> &'static str {
    match Code::from_i32(i32::try_from(code).unwrap_or(2)) {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

fn sum(counters: &[Arc<Counters>], count: impl Fn(&Counters) -> u64) -> u64 {
    counters.iter().map(|counters| count(counters)).sum()
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// The text as it grows. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{opening}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn metric(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}
