//! The digests of a stream and of its parts.

use decube_snapshot::{PartsDigest, Sha256};
use parking_lot::Mutex;
use pyo3::prelude::*;

#[pyclass(name = "PartsDigest", module = "decube._native", frozen)]
#[derive(Default)]
pub(crate) struct PyPartsDigest {
    digest: Mutex<PartsDigest>,
}

#[pymethods]
impl PyPartsDigest {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn update(&self, py: Python<'_>, data: &[u8]) {
        py.detach(|| self.digest.lock().update(data));
    }

    fn cut(&self, py: Python<'_>) -> String {
        hexadecimal(py.detach(|| self.digest.lock().cut()))
    }

    fn hexdigest(&self, py: Python<'_>) -> String {
        hexadecimal(py.detach(|| self.digest.lock().clone().finish()))
    }
}

pub(crate) fn hexadecimal(digest: Sha256) -> String {
    digest.map(|byte| format!("{byte:02x}")).concat()
}
