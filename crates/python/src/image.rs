//! An open image of the store, taken piece by piece.

use decube_engine::{Error, Image};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;
use crate::owned::Owned;

#[pyclass(name = "Image", module = "decube._native", frozen)]
pub(crate) struct PyImage {
    #[pyo3(get)]
    revision: i64,
    image: Owned<Mutex<Option<Image>>>,
}

impl PyImage {
    pub(crate) fn new(image: Image) -> Self {
        let revision = image.head().revision.0;
        Self { revision, image: Owned::new(Mutex::new(Some(image))) }
    }
}

#[pymethods]
impl PyImage {
    fn take<'py>(&self, py: Python<'py>, bytes_max: usize) -> PyResult<Bound<'py, PyBytes>> {
        let image = self.image.get()?;
        let taken = py.detach(|| match image.lock().as_mut() {
            Some(image) => image.take(bytes_max),
            None => Err(Error::ImageLost { reason: "it was closed" }),
        });
        let bytes = taken.map_err(|error| errors::refused(&error, 0))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let image = self.image.get()?;
        py.detach(|| drop(image.lock().take()));
        Ok(())
    }
}
