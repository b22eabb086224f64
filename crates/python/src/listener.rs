//! The port that serves etcd's API.

use decube_engine::Engine;
use decube_etcd_api::{EtcdServer, FindPrimary, ServeOptions};
use pyo3::prelude::*;

use crate::errors;
use crate::options::{ListenerOptions, seconds};
use crate::owned::Owned;

#[pyclass(name = "EtcdListener", module = "decube._native", frozen)]
pub(crate) struct PyEtcdListener {
    #[pyo3(get)]
    address: String,
    server: Owned<EtcdServer>,
}

impl PyEtcdListener {
    pub(crate) fn start(
        py: Python<'_>,
        engine: &Engine,
        options: ListenerOptions,
        primary: FindPrimary,
    ) -> PyResult<Self> {
        let engine = engine.clone();
        let server = py.detach(|| {
            let options = ServeOptions { primary: Some(primary), ..options.into_core()? };
            EtcdServer::start(&engine, options).map_err(|error| errors::not_served(&error))
        })?;
        Ok(Self { address: server.local_address().to_string(), server: Owned::new(server) })
    }
}

#[pymethods]
impl PyEtcdListener {
    fn tls_status(&self) -> PyResult<Option<(u64, Option<String>, u64)>> {
        Ok(self.server.get()?.tls().map(|tls| {
            let status = tls.status();
            (status.not_after_s, status.refused, tls.handshake_failures())
        }))
    }

    fn stop(&self, py: Python<'_>, grace_s: f64) -> PyResult<bool> {
        let server = self.server.get()?;
        let grace = seconds("grace_s", grace_s)?;
        Ok(py.detach(|| server.stop(grace)))
    }
}
