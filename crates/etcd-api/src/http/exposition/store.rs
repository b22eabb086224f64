//! What the store holds.

use std::sync::Arc;

use decube_engine::{Alarm, Held, Status};

use super::sum;
use super::text::{Kind, Page};
use crate::metrics::Counters;
use crate::service::alarm_name;

pub(super) fn keys(page: &mut Page, status: &Status, counters: &[Arc<Counters>]) {
    use Kind::{Counter, Gauge};
    for (name, help, value) in [
        ("etcd_debugging_mvcc_keys_total", "Total number of keys.", status.keys),
        ("etcd_debugging_mvcc_watcher_total", "Total number of watchers.", status.watchers),
        (
            "etcd_debugging_mvcc_slow_watcher_total",
            "Total number of unsynced slow watchers.",
            status.watchers_catching_up,
        ),
        ("decube_leases", "Live leases.", status.leases),
        (
            "etcd_mvcc_db_total_size_in_bytes",
            "Total size of the underlying database physically allocated in bytes.",
            status.db_size_bytes,
        ),
        // The same: no file keeps what was compacted until it is defragmented.
        (
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Total size of the underlying database logically in use in bytes.",
            status.db_size_bytes,
        ),
    ] {
        page.metric(name, Gauge, help, value);
    }
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
        "etcd_debugging_mvcc_events_total",
        Counter,
        "Total number of events sent by this member.",
        sum(counters, |counters| counters.events_sent.get()),
    );
    if let Some(quota_bytes) = status.quota_bytes {
        page.metric(
            "etcd_server_quota_backend_bytes",
            Gauge,
            "Current backend storage quota size in bytes.",
            quota_bytes,
        );
    }
    alarms(page, &status.alarms);
}

/// What is held at this moment for those who read, and for what is to come.
pub(super) fn held(page: &mut Page, held: Held) {
    for (name, help, value) in [
        (
            "etcd_debugging_mvcc_watch_stream_total",
            "Total number of watch streams.",
            held.watch_streams as u64,
        ),
        (
            "etcd_debugging_mvcc_pending_events_total",
            "Total number of pending events to be sent.",
            held.events_waiting as u64,
        ),
        (
            "etcd_mvcc_db_open_read_transactions",
            "The number of currently open read transactions",
            held.images as u64,
        ),
        (
            "etcd_server_snapshot_apply_in_progress_total",
            "1 if the server is applying the incoming snapshot. 0 if none.",
            held.installing,
        ),
    ] {
        page.metric(name, Kind::Gauge, help, value);
    }
}

fn alarms(page: &mut Page, alarms: &[Alarm]) {
    const ALARMS: &str = "etcd_debugging_server_alarms";
    if alarms.is_empty() {
        return;
    }
    let help = "Alarms for every member in cluster. 1 for 'server_id' label with current ID. \
                2 for 'alarm_type' label with type of this alarm";
    page.family(ALARMS, Kind::Gauge, help);
    for alarm in alarms {
        let member = format!("{:x}", alarm.member_id);
        let labels = [("alarm_type", alarm_name(alarm.kind)), ("server_id", &member)];
        page.sample(ALARMS, &labels, 1);
    }
}

pub(super) fn log(page: &mut Page, status: &Status) {
    use Kind::{Counter, Gauge};
    for (name, kind, help, value) in [
        (
            "etcd_server_proposals_committed_total",
            Gauge,
            "The total number of consensus proposals committed.",
            status.log_sequence,
        ),
        (
            "etcd_server_proposals_applied_total",
            Gauge,
            "The total number of consensus proposals applied.",
            status.log_sequence,
        ),
        (
            "etcd_server_proposals_pending",
            Gauge,
            "The current number of pending proposals to commit.",
            status.queue_length,
        ),
        (
            "etcd_disk_wal_write_bytes_total",
            Gauge,
            "Total number of bytes written in WAL.",
            status.log_bytes,
        ),
        ("decube_commits_total", Counter, "Group commits.", status.commits),
        ("decube_commands_total", Counter, "Commands committed.", status.commands),
        ("decube_log_bytes_total", Counter, "Bytes written to the log.", status.log_bytes),
    ] {
        page.metric(name, kind, help, value);
    }
}
