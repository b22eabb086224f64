//! What the engine did, and how long it took.

use std::sync::Arc;

use decube_engine::{Counts, Meters};

use super::calls::truth;
use super::sum;
use super::text::{Kind, Page, Unit};
use crate::metrics::Counters;

pub(super) fn engine(page: &mut Page, meters: &Meters, counters: &[Arc<Counters>]) {
    let counts = meters.counts();
    let slow_reads = sum(counters, |counters| counters.times.slow_reads.get());
    disk(page, meters);
    applied(page, meters, &counts, slow_reads);
    operations(page, &counts);
    leases(page, meters, &counts);
    compactions(page, meters, &counts);
}

fn disk(page: &mut Page, meters: &Meters) {
    for (name, help, times) in [
        (
            "etcd_disk_wal_fsync_duration_seconds",
            "The latency distributions of fsync called by WAL.",
            meters.log_sync.observed(),
        ),
        (
            "etcd_disk_wal_write_duration_seconds",
            "The latency distributions of write called by WAL.",
            meters.log_write.observed(),
        ),
        (
            "etcd_disk_backend_commit_duration_seconds",
            "The latency distributions of commit called by backend.",
            meters.commit.observed(),
        ),
    ] {
        page.histogram(name, Unit::Seconds, help, &times);
    }
}

fn applied(page: &mut Page, meters: &Meters, counts: &Counts, slow_reads: u64) {
    const APPLIED: &str = "etcd_server_apply_duration_seconds";
    let help = "The latency distributions of v2 apply called by backend.";
    page.family(APPLIED, Kind::Histogram, help);
    for (kind, succeeded, times) in meters.applied().filter(|(_, _, times)| times.count() > 0) {
        let labels = [("op", kind.name()), ("success", truth(succeeded)), ("version", "v3")];
        page.buckets(APPLIED, &labels, Unit::Seconds, &times);
    }
    for (name, help, value) in [
        (
            "etcd_server_leader_changes_seen_total",
            "The number of leader changes seen.",
            counts.leader_changes,
        ),
        (
            "etcd_server_proposals_failed_total",
            "The total number of failed proposals seen.",
            counts.failed,
        ),
        (
            "etcd_server_slow_apply_total",
            "The total number of slow apply requests (likely overloaded from slow disk).",
            counts.slow_applies + slow_reads,
        ),
        // A read asks nobody whether it is up to date, and nobody has to be told who leads.
        (
            "etcd_server_read_indexes_failed_total",
            "The total number of failed read indexes seen.",
            0,
        ),
        (
            "etcd_server_slow_read_indexes_total",
            "The total number of pending read indexes not in sync with leader's or timed out \
             read index requests.",
            0,
        ),
        (
            "etcd_server_heartbeat_send_failures_total",
            "The total number of leader heartbeat send failures (likely overloaded from slow \
             disk).",
            0,
        ),
    ] {
        page.metric(name, Kind::Counter, help, value);
    }
}

fn operations(page: &mut Page, counts: &Counts) {
    for (name, help, value) in [
        ("etcd_mvcc_put_total", "Total number of puts seen by this member.", counts.puts),
        ("etcd_mvcc_delete_total", "Total number of deletes seen by this member.", counts.deletes),
        ("etcd_mvcc_range_total", "Total number of ranges seen by this member.", counts.ranges),
        ("etcd_mvcc_txn_total", "Total number of txns seen by this member.", counts.txns),
    ] {
        page.metric(name, Kind::Counter, help, value);
    }
    page.metric(
        "etcd_debugging_mvcc_total_put_size_in_bytes",
        Kind::Gauge,
        "The total size of put kv pairs seen by this member.",
        counts.put_bytes,
    );
}

fn leases(page: &mut Page, meters: &Meters, counts: &Counts) {
    for (name, help, value) in [
        (
            "etcd_debugging_lease_granted_total",
            "The total number of granted leases.",
            counts.leases_granted,
        ),
        (
            "etcd_debugging_lease_revoked_total",
            "The total number of revoked leases.",
            counts.leases_revoked,
        ),
        (
            "etcd_debugging_lease_renewed_total",
            "The number of renewed leases seen by the leader.",
            counts.leases_renewed,
        ),
        (
            "etcd_debugging_server_lease_expired_total",
            "The total number of expired leases.",
            counts.leases_expired,
        ),
    ] {
        page.metric(name, Kind::Counter, help, value);
    }
    page.histogram(
        "etcd_debugging_lease_ttl_total",
        Unit::One,
        "Bucketed histogram of lease TTLs.",
        &meters.lease_ttls_s.observed(),
    );
}

fn compactions(page: &mut Page, meters: &Meters, counts: &Counts) {
    page.metric(
        "etcd_debugging_mvcc_db_compaction_keys_total",
        Kind::Counter,
        "Total number of db keys compacted.",
        counts.compaction_versions,
    );
    page.metric(
        "etcd_debugging_mvcc_db_compaction_last",
        Kind::Gauge,
        "The unix time of the last db compaction. Resets to 0 on start.",
        counts.compaction_last_s,
    );
    page.histogram(
        "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
        Unit::Milliseconds,
        "Bucketed histogram of db compaction pause duration.",
        &meters.compaction_slice.observed(),
    );
    page.histogram(
        "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
        Unit::Milliseconds,
        "Bucketed histogram of db compaction total duration.",
        &meters.compaction.observed(),
    );
}
