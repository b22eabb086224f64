//! What was asked over the port, and how long it took.

use std::sync::Arc;

use decube_engine::Observed;
use tonic::Code;

use super::sum;
use super::text::{Kind, Page, Unit};
use crate::grpc::Method;
use crate::metrics::{Counters, Passed};

pub(super) fn calls(page: &mut Page, counters: &[Arc<Counters>]) {
    const STARTED: &str = "grpc_server_started_total";
    const RECEIVED: &str = "grpc_server_msg_received_total";
    const SENT: &str = "grpc_server_msg_sent_total";
    page.family(STARTED, Kind::Counter, "Total number of RPCs started on the server.");
    for &method in Method::ALL {
        page.sample(STARTED, &labels(method), sum(counters, |c| c.started(method)));
    }
    handled(page, counters);
    for (name, passed, help) in [
        (RECEIVED, Passed::Received, "Total number of RPC stream messages received on the server."),
        (SENT, Passed::Sent, "Total number of gRPC stream messages sent by the server."),
    ] {
        page.family(name, Kind::Counter, help);
        for &method in Method::ALL.iter().filter(|method| method.messages_are_seen()) {
            page.sample(name, &labels(method), sum(counters, |c| c.messages(method, passed)));
        }
    }
    clients(page, counters);
}

/// Of every code, as etcd: a rate needs the 0 before the first error.
fn handled(page: &mut Page, counters: &[Arc<Counters>]) {
    const HANDLED: &str = "grpc_server_handled_total";
    let help = "Total number of RPCs completed on the server, regardless of success or failure.";
    page.family(HANDLED, Kind::Counter, help);
    for &method in Method::ALL {
        let mut by_code = vec![0; 17];
        for worker in counters {
            by_code.iter_mut().zip(worker.handled(method)).for_each(|(sum, one)| *sum += one);
        }
        for (code, count) in by_code.into_iter().enumerate() {
            let [kind, service, name] = labels(method);
            let code = ("grpc_code", code_name(code));
            page.sample(HANDLED, &[code, name, service, kind], count);
        }
    }
}

fn clients(page: &mut Page, counters: &[Arc<Counters>]) {
    const REQUESTS: &str = "etcd_server_client_requests_total";
    let help = "The total number of client requests per client version.";
    page.family(REQUESTS, Kind::Counter, help);
    let Some((first, others)) = counters.split_first() else { return };
    let mut sums: Vec<_> = first.clients.counts().collect();
    for worker in others {
        for ((_, _, sum), (_, _, count)) in sums.iter_mut().zip(worker.clients.counts()) {
            *sum += count;
        }
    }
    for (version, kind, count) in sums.into_iter().filter(|(_, _, count)| *count > 0) {
        page.sample(REQUESTS, &[("client_api_version", &version), ("type", kind)], count);
    }
}

pub(super) fn times(page: &mut Page, counters: &[Arc<Counters>]) {
    const REQUESTS: &str = "etcd_server_request_duration_seconds";
    const RANGES: &str = "etcd_server_range_duration_seconds";
    let help = "Response latency distribution in seconds for each type.";
    page.family(REQUESTS, Kind::Histogram, help);
    for ((kind, succeeded), times) in added(counters, |c| c.times.asked().collect()) {
        let labels = [("success", truth(succeeded)), ("type", kind)];
        if times.count() > 0 {
            page.buckets(REQUESTS, &labels, Unit::Seconds, &times);
        }
    }
    page.family(RANGES, Kind::Histogram, "The latency distributions of txn.Range");
    for (succeeded, times) in added(counters, |c| c.times.ranges().into()) {
        if times.count() > 0 {
            page.buckets(RANGES, &[("success", truth(succeeded))], Unit::Seconds, &times);
        }
    }
    let whole = |of: fn(&Counters) -> Observed| {
        let mut all = Observed::default();
        for worker in counters {
            all.add(&of(worker));
        }
        all
    };
    page.histogram(
        "etcd_mvcc_hash_duration_seconds",
        Unit::Seconds,
        "The latency distribution of storage hash operation.",
        &whole(|counters| counters.times.hash.observed()),
    );
    page.histogram(
        "etcd_mvcc_hash_rev_duration_seconds",
        Unit::Seconds,
        "The latency distribution of storage hash by revision operation.",
        &whole(|counters| counters.times.hash_kv.observed()),
    );
}

/// What all workers saw, by its labels.
fn added<Labels>(
    counters: &[Arc<Counters>],
    of: impl Fn(&Counters) -> Vec<(Labels, Observed)>,
) -> Vec<(Labels, Observed)> {
    let Some((first, others)) = counters.split_first() else { return Vec::new() };
    let mut all = of(first);
    for worker in others {
        for ((_, sum), (_, observed)) in all.iter_mut().zip(of(worker)) {
            sum.add(&observed);
        }
    }
    all
}

pub(super) fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
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
