//! `/metrics`: Prometheus' text format, with etcd's names, types and texts where what we count is what
//! etcd counts. Where it is not quite that, docs/metrics.md says what it is.

mod calls;
mod engine;
mod store;
mod text;

use std::sync::Arc;

use decube_tls::ServerTls;

use self::text::{Kind, Page};
use super::health::{Check, PATHS};
use super::process;
use crate::metrics::{CheckResults, Counters};
use crate::router::Shared;
use crate::service;
use crate::store::Store;
use crate::{ETCD_CLUSTER_VERSION, ETCD_VERSION};

/// The whole page.
pub(super) fn page(store: &Store, shared: &Shared) -> String {
    let counters = &*shared.counters;
    let mut page = Page::default();
    server(&mut page, store, counters);
    checks(&mut page, &shared.checks);
    let status = store.engine.status();
    store::keys(&mut page, &status, counters);
    store::held(&mut page, store.engine.held());
    store::log(&mut page, &status);
    engine::engine(&mut page, store.engine.meters(), counters);
    network(&mut page, counters);
    if let Some(tls) = &shared.tls {
        certificate(&mut page, tls);
    }
    calls::calls(&mut page, counters);
    calls::times(&mut page, counters);
    for (name, help, value) in process::metrics() {
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        page.metric(name, kind, help, value);
    }
    page.0
}

fn server(page: &mut Page, store: &Store, counters: &[Arc<Counters>]) {
    use Kind::{Counter, Gauge};
    let help = "Which version is running. 1 for 'server_version' label with current version.";
    page.family("etcd_server_version", Gauge, help);
    page.sample("etcd_server_version", &[("server_version", ETCD_VERSION)], 1);
    let help =
        "Which version is running. 1 for 'cluster_version' label with current cluster version";
    page.family("etcd_cluster_version", Gauge, help);
    let cluster_version = ETCD_CLUSTER_VERSION.trim_end_matches(".0");
    page.sample("etcd_cluster_version", &[("cluster_version", cluster_version)], 1);
    page.family("decube_version", Gauge, "The version of DeCube.");
    page.sample("decube_version", &[("version", &store.options.product_version)], 1);
    let help =
        "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.";
    page.family("etcd_server_id", Gauge, help);
    let member = format!("{:x}", store.identity().member_id);
    page.sample("etcd_server_id", &[("server_id", &member)], 1);
    page.metric(
        "etcd_server_has_leader",
        Gauge,
        "Whether or not a leader exists. 1 is existence, 0 is not.",
        u8::from(service::leader(store) != 0),
    );
    page.metric(
        "etcd_server_is_leader",
        Gauge,
        "Whether or not this member is a leader. 1 if is, 0 otherwise.",
        u8::from(store.engine.takes_writes()),
    );
    page.metric(
        "etcd_server_is_learner",
        Gauge,
        "Whether or not this member is a learner. 1 if is, 0 otherwise.",
        0,
    );
    page.metric(
        "etcd_server_health_success",
        Counter,
        "The total number of successful health checks",
        sum(counters, |counters| counters.health_successes.get()),
    );
    page.metric(
        "etcd_server_health_failures",
        Counter,
        "The total number of failed health checks",
        sum(counters, |counters| counters.health_failures.get()),
    );
}

fn checks(page: &mut Page, results: &CheckResults) {
    const RESULT: &str = "etcd_server_healthcheck";
    const TOTAL: &str = "etcd_server_healthchecks_total";
    let made: Vec<_> = PATHS
        .into_iter()
        .enumerate()
        .flat_map(|(at, path)| Check::ALL.map(|check| (at, path, check)))
        .filter_map(|(at, path, check)| {
            let result = results.of(at, check as usize)?;
            Some(([("name", check.name()), ("type", path)], result, result.last()?))
        })
        .collect();
    page.family(RESULT, Kind::Gauge, "The result of each kind of healthcheck.");
    for (labels, _, passed) in &made {
        page.sample(RESULT, labels, u8::from(*passed));
    }
    page.family(TOTAL, Kind::Counter, "The total number of each kind of healthcheck.");
    for ([name, path], result, _) in &made {
        for (status, count) in [("error", result.failed.get()), ("success", result.passed.get())] {
            if count > 0 {
                page.sample(TOTAL, &[*name, ("status", status), *path], count);
            }
        }
    }
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

fn sum(counters: &[Arc<Counters>], count: impl Fn(&Counters) -> u64) -> u64 {
    counters.iter().map(|counters| count(counters)).sum()
}
