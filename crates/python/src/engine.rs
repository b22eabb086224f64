//! The store itself.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use decube_engine::{
    Command, Engine, Error, KeyRange, LeaseId, Mailbox, RangeRequest, Revision, Role, Status,
    WatchRequest,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::bell::Bell;
use crate::convert::{self, TxnArguments};
use crate::errors;
use crate::image::PyImage;
use crate::inbox::{Inbox, WatchNotice};
use crate::installer::PyImageInstaller;
use crate::listener::PyEtcdListener;
use crate::options::{EngineOptions, ListenerOptions};
use crate::owned::Owned;
use crate::pages;
use crate::purge::Purger;
use crate::range::PyRangeAnswer;
use crate::replication::{MemberOptions, PyReplication, Started};
use crate::watch::PyWatch;

#[pyclass(name = "Engine", module = "decube._native", frozen)]
pub(crate) struct PyEngine {
    store: Owned<Store>,
    request_bytes_max: usize,
}

struct Store {
    engine: Engine,
    inbox: Arc<Inbox>,
    /// The same inbox, as the engine wants it.
    mailbox: Arc<dyn Mailbox>,
    watch_ids: AtomicU64,
    closed: AtomicBool,
    /// By which the etcd port knows whom to pass calls on to.
    started: Started,
    purger: Purger,
}

impl PyEngine {
    /// The store, unless this is another process or it was closed.
    fn open_store(&self) -> PyResult<&Store> {
        let store = self.store.get()?;
        if store.closed.load(Ordering::Relaxed) {
            return Err(self.refused(&Error::Closed));
        }
        Ok(store)
    }

    fn submit(&self, py: Python<'_>, ticket: u64, command: Command) -> PyResult<()> {
        let store = self.open_store()?;
        py.detach(|| store.engine.submit(command, &store.mailbox, ticket))
            .map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &Error) -> PyErr {
        errors::refused(error, self.request_bytes_max)
    }
}

#[pymethods]
impl PyEngine {
    #[staticmethod]
    fn open(py: Python<'_>, options: EngineOptions) -> PyResult<Self> {
        let request_bytes_max = options.request_bytes_max;
        let options = options.into_core()?;
        pages::take_small_ones();
        let bell = Bell::new()
            .map_err(|error| errors::io_failed_at("cannot make a socket pair", &error))?;
        let purger = Purger::start()
            .map_err(|error| errors::io_failed_at("cannot start a thread", &error))?;
        let inbox = Arc::new(Inbox::new(bell));
        let mailbox: Arc<dyn Mailbox> = Arc::clone(&inbox) as Arc<dyn Mailbox>;
        let engine =
            py.detach(|| Engine::open(options)).map_err(|error| errors::not_opened(&error))?;
        let (watch_ids, closed) = (AtomicU64::new(1), AtomicBool::new(false));
        let started = Started::default();
        let store = Store { engine, inbox, mailbox, watch_ids, closed, started, purger };
        Ok(Self { store: Owned::new(store), request_bytes_max })
    }

    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.store.get()?.inbox.bell().descriptor())
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Vec<u64>)> {
        let inbox = &self.store.get()?.inbox;
        let waiting = py.detach(|| inbox.take());
        let answers = convert::answers(py, waiting.answers, self.request_bytes_max)?;
        Ok((answers, waiting.watches))
    }

    #[expect(clippy::too_many_arguments, reason = "plain arguments cross cheapest on a hot path")]
    fn range(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyBytes>,
        end: &Bound<'_, PyBytes>,
        limit: i64,
        revision: i64,
        keys_only: bool,
        count_only: bool,
    ) -> PyResult<PyRangeAnswer> {
        let store = self.open_store()?;
        let request = RangeRequest {
            range: key_range(key, end),
            limit,
            revision: Revision(revision),
            keys_only,
            count_only,
            ..RangeRequest::default()
        };
        let result = py.detach(|| store.engine.range(&request));
        result
            .map(|result| PyRangeAnswer::new(result, keys_only))
            .map_err(|error| self.refused(&error))
    }

    fn submit_txn(
        &self,
        py: Python<'_>,
        ticket: u64,
        compares: &Bound<'_, PyList>,
        success: &Bound<'_, PyList>,
        failure: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let arguments = TxnArguments { compares, success, failure };
        let txn = convert::read_txn(&arguments, self.request_bytes_max)?;
        self.submit(py, ticket, Command::Txn(txn))
    }

    fn submit_compact(&self, py: Python<'_>, ticket: u64, revision: i64) -> PyResult<()> {
        self.submit(py, ticket, Command::Compact(Revision(revision)))
    }

    fn submit_lease_grant(
        &self,
        py: Python<'_>,
        ticket: u64,
        lease_id: i64,
        ttl_s: i64,
    ) -> PyResult<()> {
        self.submit(py, ticket, Command::LeaseGrant { id: LeaseId(lease_id), ttl_s })
    }

    fn submit_lease_revoke(&self, py: Python<'_>, ticket: u64, lease_id: i64) -> PyResult<()> {
        self.submit(py, ticket, Command::LeaseRevoke { id: LeaseId(lease_id) })
    }

    fn submit_lease_keep_alive(&self, py: Python<'_>, ticket: u64, lease_id: i64) -> PyResult<()> {
        self.submit(py, ticket, Command::LeaseKeepAlive { id: LeaseId(lease_id) })
    }

    fn lease_status<'py>(
        &self,
        py: Python<'py>,
        lease_id: i64,
        with_keys: bool,
    ) -> PyResult<(i64, i64, Vec<Bound<'py, PyBytes>>)> {
        let store = self.open_store()?;
        let status = py
            .detach(|| store.engine.lease_status(LeaseId(lease_id), with_keys))
            .map_err(|error| self.refused(&error))?;
        let keys = status.keys.iter().map(|key| PyBytes::new(py, key)).collect();
        Ok((status.remaining_ttl_s, status.granted_ttl_s, keys))
    }

    fn leases(&self, py: Python<'_>) -> PyResult<Vec<i64>> {
        let store = self.open_store()?;
        Ok(py.detach(|| store.engine.leases().into_iter().map(|id| id.0).collect()))
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.open_store()?;
        let engine = &store.engine;
        let (status, latched, role) =
            py.detach(|| (engine.status(), engine.check_writes().is_err(), engine.standing().role));
        figures(py, &status, (latched, role == Role::Standby))
    }

    fn is_primary(&self) -> PyResult<bool> {
        Ok(self.open_store()?.engine.standing().role == Role::Primary)
    }

    fn troubles(&self, py: Python<'_>) -> PyResult<(Option<String>, Option<String>)> {
        let store = self.open_store()?;
        let (status, writes) = py.detach(|| (store.engine.status(), store.engine.check_writes()));
        let latched = writes.err().map(|error| error.to_string());
        Ok((latched, status.storage_failure.map(|reason| reason.to_string())))
    }

    fn hash_kv(&self, py: Python<'_>, revision: i64) -> PyResult<(u32, i64, i64, i64)> {
        let store = self.open_store()?;
        let hash = py
            .detach(|| store.engine.hash_kv(Revision(revision)))
            .map_err(|error| self.refused(&error))?;
        Ok((hash.hash, hash.hash_revision.0, hash.compact_revision.0, hash.revision.0))
    }

    fn watch(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyBytes>,
        end: &Bound<'_, PyBytes>,
        start_revision: i64,
        prev_kv: bool,
    ) -> PyResult<PyWatch> {
        let store = self.open_store()?;
        let id = store.watch_ids.fetch_add(1, Ordering::Relaxed);
        let notice = Arc::new(WatchNotice { inbox: Arc::clone(&store.inbox), id });
        let request = WatchRequest {
            range: key_range(key, end),
            start_revision: Revision(start_revision),
            prev_kv,
            ..WatchRequest::default()
        };
        let (stream, created) = py
            .detach(|| {
                let stream = store.engine.watch_stream(notice)?;
                let created = stream.create(request);
                Ok((stream, created))
            })
            .map_err(|error| self.refused(&error))?;
        match created {
            Ok((_, revision)) => Ok(PyWatch::new(id, revision.0, stream)),
            Err(refusal) => {
                let status = py.detach(|| {
                    drop(stream);
                    store.engine.status()
                });
                Err(errors::watch_refused(refusal, status.compact_revision.0))
            }
        }
    }

    fn serve_etcd(&self, py: Python<'_>, options: ListenerOptions) -> PyResult<PyEtcdListener> {
        let store = self.open_store()?;
        PyEtcdListener::start(py, &store.engine, options, store.started.find_primary())
    }

    fn open_image(&self, py: Python<'_>, history: bool) -> PyResult<PyImage> {
        let store = self.open_store()?;
        let image = py.detach(|| store.engine.image(history));
        image.map(PyImage::new).map_err(|error| self.refused(&error))
    }

    fn open_installer(&self, py: Python<'_>, mode: &str) -> PyResult<PyImageInstaller> {
        PyImageInstaller::begin(py, &self.open_store()?.engine, mode)
    }

    fn start_replication(&self, py: Python<'_>, options: MemberOptions) -> PyResult<PyReplication> {
        let store = self.open_store()?;
        PyReplication::start(py, &store.engine, options, &store.started)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let store = self.store.get()?;
        store.closed.store(true, Ordering::Relaxed);
        py.detach(|| store.engine.close());
        store.purger.stop();
        Ok(())
    }
}

fn key_range(key: &Bound<'_, PyBytes>, end: &Bound<'_, PyBytes>) -> KeyRange {
    KeyRange {
        key: Bytes::copy_from_slice(key.as_bytes()),
        end: Bytes::copy_from_slice(end.as_bytes()),
    }
}

fn figures<'py>(
    py: Python<'py>,
    status: &Status,
    (latched, standby): (bool, bool),
) -> PyResult<Bound<'py, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("revision", status.revision.0)?;
    figures.set_item("compact_revision", status.compact_revision.0)?;
    for (name, figure) in [
        ("term", status.term),
        ("log_sequence", status.log_sequence),
        ("db_size_bytes", status.db_size_bytes),
        ("db_size_in_use_bytes", status.db_size_in_use_bytes),
        ("keys", status.keys),
        ("leases", status.leases),
        ("watchers", status.watchers),
        ("watchers_catching_up", status.watchers_catching_up),
        ("cluster_id", status.cluster_id),
        ("member_id", status.member_id),
        ("alarms", status.alarms.len() as u64),
        ("queue_length", status.queue_length),
        ("commits", status.commits),
        ("commands", status.commands),
        ("log_bytes", status.log_bytes),
        ("storage_failures", status.storage_failures),
        ("latched", u64::from(latched)),
        ("standby", u64::from(standby)),
    ] {
        figures.set_item(name, figure)?;
    }
    Ok(figures)
}
