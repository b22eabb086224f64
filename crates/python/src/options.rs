//! What Python says about a store and its port, as the core wants it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Disk;
use decube_engine::{LogLocation, Options, Storage};
use decube_etcd_api::ServeOptions;
use decube_etcd_api::tls::{TlsFiles, UnknownClientAuth};
use pyo3::prelude::*;

use crate::errors;

/// The attributes of `decube.store.embedded.EmbeddedOptions`.
#[derive(FromPyObject)]
pub(crate) struct EngineOptions {
    log_dir: Option<PathBuf>,
    checkpoint_dir: Option<PathBuf>,
    quota_bytes: Option<u64>,
    segment_bytes: u64,
    checkpoint_bytes_min: u64,
    checkpoint_entries_min: u64,
    checkpoints_kept: usize,
    covered_segments_max: Option<usize>,
    log_retention_s: f64,
    log_retention_bytes: u64,
    queue_length_max: usize,
    txn_operations_max: usize,
    pub(crate) request_bytes_max: usize,
    lease_ttl_s_min: i64,
    watch_queue_bytes_max: usize,
}

impl EngineOptions {
    pub(crate) fn into_core(self) -> PyResult<Options> {
        let storage = match self.log_dir {
            None => Storage::Memory,
            Some(log_dir) => Storage::Log(LogLocation {
                checkpoint_dir: self.checkpoint_dir.unwrap_or_else(|| log_dir.clone()),
                log_dir,
                vfs: Arc::new(Disk),
            }),
        };
        Ok(Options {
            quota_bytes: self.quota_bytes,
            segment_bytes: self.segment_bytes,
            checkpoint_bytes_min: self.checkpoint_bytes_min,
            checkpoint_entries_min: self.checkpoint_entries_min,
            checkpoints_kept: self.checkpoints_kept,
            covered_segments_max: self.covered_segments_max,
            log_retention: seconds("log_retention_s", self.log_retention_s)?,
            log_retention_bytes: self.log_retention_bytes,
            queue_length_max: self.queue_length_max,
            txn_operations_max: self.txn_operations_max,
            lease_ttl_s_min: self.lease_ttl_s_min,
            watch_queue_bytes_max: self.watch_queue_bytes_max,
            ..Options::new(storage)
        })
    }
}

/// The attributes of `decube.store.embedded.EtcdListenerOptions`.
#[derive(FromPyObject)]
pub(crate) struct ListenerOptions {
    address: String,
    advertise_client_urls: Vec<String>,
    advertise_peer_urls: Vec<String>,
    member_name: String,
    product_version: String,
    request_bytes_max: usize,
    connections_max: usize,
    watch_progress_notify_interval_s: f64,
    tls: Option<TlsOptions>,
}

/// The attributes of `decube.store.embedded.ListenerTls`.
#[derive(FromPyObject)]
pub(crate) struct TlsOptions {
    cert_file: PathBuf,
    key_file: PathBuf,
    ca_file: Option<PathBuf>,
    client_auth: String,
    reload_interval_s: f64,
    handshake_timeout_s: f64,
}

impl ListenerOptions {
    /// Resolves the address, which may block.
    pub(crate) fn into_core(self) -> PyResult<ServeOptions> {
        let mut options = ServeOptions::new(resolve(&self.address)?);
        options.advertise_client_urls = self.advertise_client_urls;
        options.advertise_peer_urls = self.advertise_peer_urls;
        options.member_name = self.member_name;
        if !self.product_version.is_empty() {
            options.product_version = self.product_version;
        }
        options.request_bytes_max = self.request_bytes_max;
        options.connections_max = self.connections_max;
        options.watch_progress_notify_interval =
            seconds("watch_progress_notify_interval_s", self.watch_progress_notify_interval_s)?;
        if let Some(tls) = self.tls {
            options.tls_reload_interval = seconds("reload_interval_s", tls.reload_interval_s)?;
            options.tls_handshake_timeout =
                seconds("handshake_timeout_s", tls.handshake_timeout_s)?;
            options.tls = Some(tls.into_files()?);
        }
        Ok(options)
    }
}

impl TlsOptions {
    fn into_files(self) -> PyResult<TlsFiles> {
        let Self { cert_file, key_file, ca_file, client_auth, .. } = self;
        Self::files(cert_file, key_file, ca_file, &client_auth)
    }

    pub(crate) fn files(
        cert_file: PathBuf,
        key_file: PathBuf,
        ca_file: Option<PathBuf>,
        client_auth: &str,
    ) -> PyResult<TlsFiles> {
        let client_auth = client_auth.parse().map_err(|unknown: UnknownClientAuth| {
            errors::bad_argument("client_auth", unknown.to_string())
        })?;
        Ok(TlsFiles { cert_file, key_file, ca_file, client_auth })
    }
}

pub(crate) fn resolve(address: &str) -> PyResult<SocketAddr> {
    let mut found = address.to_socket_addrs().map_err(|error| {
        errors::bad_argument("address", format!("{address:?} is no address to listen on: {error}"))
    })?;
    found.next().ok_or_else(|| {
        errors::bad_argument("address", format!("the host of {address:?} has no address"))
    })
}

pub(crate) fn seconds(field: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| errors::bad_argument(field, format!("{field} is no duration: {value}")))
}
