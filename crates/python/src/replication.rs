//! The store's part in replication.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use decube_engine::{
    DeleteRangeRequest, Engine, KeyRange, LeaseId, Notify, Operation, PutRequest, Revision, Role,
    SystemClock, TxnRequest,
};
use decube_etcd_api::{FindPrimary, Primary};
use decube_replication::tls::{ClientTls, ServerLimits, ServerTls, TlsError};
use decube_replication::{
    Addresses, CopyError, PeerStatus, Replication, ReplicationOptions, ReplicationStatus,
};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::errors;
use crate::options::{TlsOptions, resolve, seconds};
use crate::owned::Owned;

/// Bytes of frames on their way to one standby.
const WINDOW_BYTES: usize = 8 << 20;

#[pyclass(name = "Replication", module = "decube._native", frozen)]
pub(crate) struct PyReplication {
    #[pyo3(get)]
    address: String,
    replication: Owned<Arc<Replication>>,
}

/// Where the etcd port of the same store finds the replication that was started.
#[derive(Clone, Default)]
pub(crate) struct Started(Arc<Mutex<Weak<Replication>>>);

impl Started {
    /// Who the primary is, as the replication knows it at that moment.
    pub(crate) fn find_primary(&self) -> FindPrimary {
        let started = self.clone();
        FindPrimary::new(move || {
            let replication = started.0.lock().upgrade()?;
            let (member_id, etcd_address) = replication.primary()?;
            Some(Primary { member_id, etcd_address })
        })
    }
}

/// The attributes of `decube.store.embedded.replication.ReplicationOptions`.
#[derive(FromPyObject)]
pub(crate) struct MemberOptions {
    role: String,
    node_id: String,
    listen_address: String,
    peer_addresses: Vec<String>,
    token: String,
    tls: Option<PeerTlsOptions>,
    peer_timeout_s: f64,
    retry_interval_s: f64,
    retries_max: u32,
}

/// The attributes of `decube.store.embedded.replication.PeerTls`.
#[derive(FromPyObject)]
struct PeerTlsOptions {
    cert_file: PathBuf,
    key_file: PathBuf,
    ca_file: Option<PathBuf>,
    client_auth: String,
    reload_interval_s: f64,
}

/// Without TLS there is nothing to reload.
const NEVER: Duration = Duration::MAX;

/// Python looks when it wants to know.
struct Unheard;

impl Notify for Unheard {
    fn notify(&self) {}
}

impl MemberOptions {
    fn role(&self) -> PyResult<Role> {
        match self.role.as_str() {
            "primary" => Ok(Role::Primary),
            "standby" => Ok(Role::Standby),
            other => Err(errors::bad_argument("role", format!("no role {other:?}"))),
        }
    }

    /// Resolves the address and reads certificates: blocks.
    fn into_core(self) -> PyResult<ReplicationOptions> {
        let listen = resolve(&self.listen_address)?;
        let (mut server_tls, mut client_tls, mut tls_reload_interval) = (None, None, NEVER);
        if let Some(tls) = self.tls {
            let PeerTlsOptions { cert_file, key_file, ca_file, client_auth, .. } = tls;
            let files = TlsOptions::files(cert_file, key_file, ca_file, &client_auth)?;
            tls_reload_interval = seconds("reload_interval_s", tls.reload_interval_s)?;
            let bad = |error: TlsError| errors::bad_argument("tls", error.to_string());
            client_tls = Some(ClientTls::open(files.clone()).map_err(bad)?);
            server_tls = Some(ServerTls::open(files, ServerLimits::default()).map_err(bad)?);
        }
        Ok(ReplicationOptions {
            listen,
            peers: self.peer_addresses,
            token: Some(self.token).filter(|token| !token.is_empty()),
            server_tls,
            client_tls,
            tls_reload_interval,
            name: self.node_id,
            addresses: Addresses { replication: self.listen_address, ..Addresses::default() },
            peer_timeout: seconds("peer_timeout_s", self.peer_timeout_s)?
                .max(Duration::from_millis(1)),
            retry_interval: seconds("retry_interval_s", self.retry_interval_s)?
                .max(Duration::from_millis(1)),
            max_retries: self.retries_max,
            window_bytes: WINDOW_BYTES,
            clock: Arc::new(SystemClock::new()),
            notify: Arc::new(Unheard),
        })
    }
}

impl PyReplication {
    pub(crate) fn start(
        py: Python<'_>,
        engine: &Engine,
        options: MemberOptions,
        started: &Started,
    ) -> PyResult<Self> {
        let engine = engine.clone();
        let replication = py.detach(|| {
            let role = options.role()?;
            let options = options.into_core()?;
            engine.take_role(role).map_err(|error| errors::refused(&error, 0))?;
            Replication::open(engine, options).map_err(|error| errors::not_replicated(&error))
        })?;
        let address = replication.local_address().to_string();
        let replication = Arc::new(replication);
        *started.0.lock() = Arc::downgrade(&replication);
        Ok(Self { address, replication: Owned::new(replication) })
    }

    /// Refuses a change to what is so already.
    fn require_other(&self, role: Role) -> PyResult<&Replication> {
        let replication = self.replication.get()?;
        if replication.status().role == role {
            return Err(errors::role_held(role_name(role)));
        }
        Ok(replication)
    }
}

#[pymethods]
impl PyReplication {
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let replication = self.replication.get()?;
        let status = py.detach(|| replication.status());
        told(py, &status)
    }

    fn tails<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let replication = self.replication.get()?;
        PyTuple::new(py, py.detach(|| replication.tails()))
    }

    fn ask_peers(&self, py: Python<'_>) -> PyResult<()> {
        let replication = self.replication.get()?;
        py.detach(|| replication.ask_peers());
        Ok(())
    }

    fn announce(&self, py: Python<'_>, rest: String, grpc: String, etcd: String) -> PyResult<()> {
        let replication = self.replication.get()?;
        py.detach(|| {
            replication.announce(rest, grpc, etcd);
            replication.join();
        });
        Ok(())
    }

    fn promote(&self, py: Python<'_>) -> PyResult<()> {
        let replication = self.require_other(Role::Primary)?;
        py.detach(|| replication.promote()).map_err(|error| errors::not_installed(&error))
    }

    fn demote(&self, py: Python<'_>) -> PyResult<()> {
        let replication = self.require_other(Role::Standby)?;
        py.detach(|| replication.demote()).map_err(|error| errors::refused(&error, 0))
    }

    fn copy_revisions(&self, py: Python<'_>, revisions: Vec<Writes>) -> PyResult<i64> {
        let replication = self.replication.get()?;
        let revisions = revisions.into_iter().map(txn_of).collect();
        let copied = py.detach(|| replication.copy_revisions(revisions));
        match copied {
            Ok(revision) => Ok(revision.0),
            Err(CopyError::Refused(error)) => Err(errors::refused(&error, 0)),
            Err(error @ CopyError::Fed) => Err(errors::fed(&error)),
            Err(error @ CopyError::NoWrites { .. }) => {
                Err(errors::bad_argument("entries", error.to_string()))
            }
        }
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let replication = self.replication.get()?;
        py.detach(|| replication.stop());
        Ok(())
    }
}

/// A revision with its writes: key, value or nothing for a delete, lease.
type Writes = (i64, Vec<(Vec<u8>, Option<Vec<u8>>, i64)>);

fn txn_of((revision, writes): Writes) -> (Revision, TxnRequest) {
    let operation = |(key, value, lease): (Vec<u8>, Option<Vec<u8>>, i64)| match value {
        Some(value) => Operation::Put(PutRequest {
            key: key.into(),
            value: value.into(),
            lease: LeaseId(lease),
            ..PutRequest::default()
        }),
        None => Operation::DeleteRange(DeleteRangeRequest {
            range: KeyRange { key: key.into(), ..KeyRange::default() },
            prev_kv: false,
        }),
    };
    let success = writes.into_iter().map(operation).collect();
    (Revision(revision), TxnRequest { success, ..TxnRequest::default() })
}

fn told<'py>(py: Python<'py>, status: &ReplicationStatus) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("role", role_name(status.role))?;
    state.set_item("term", status.term)?;
    state.set_item("revision", status.revision)?;
    state.set_item("sequence", status.sequence)?;
    state.set_item("lag_s", status.lag_seconds)?;
    let primary = status.primary.as_ref().map_or("", |peer| peer.address.as_str());
    state.set_item("primary_address", primary)?;
    let peers = PyList::empty(py);
    for peer in &status.peers {
        peers.append(told_of(py, peer)?)?;
    }
    state.set_item("peers", peers)?;
    Ok(state)
}

#[expect(clippy::cast_precision_loss, reason = "a moment, in whole seconds")]
fn told_of<'py>(py: Python<'py>, peer: &PeerStatus) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("address", &peer.address)?;
    state.set_item("node_id", &peer.name)?;
    state.set_item("role", role_name(peer.role))?;
    state.set_item("connected", peer.connected)?;
    state.set_item("last_heartbeat_s", peer.last_heartbeat_s as f64)?;
    state.set_item("term", peer.term)?;
    state.set_item("revision", peer.revision)?;
    state.set_item("sequence", peer.sequence)?;
    state.set_item("lag_s", peer.lag_seconds)?;
    state.set_item("rest_address", &peer.rest_address)?;
    state.set_item("grpc_address", &peer.grpc_address)?;
    state.set_item("etcd_address", &peer.etcd_address)?;
    state.set_item("error", &peer.error)?;
    Ok(state)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Standalone => "none",
        Role::Primary => "primary",
        Role::Standby => "standby",
    }
}
