//! An open image of the store, taken piece by piece, or written to files.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_engine::{Error, Image};
use decube_snapshot::{Part, PartsWriter, Stopped};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::digest::hexadecimal;
use crate::errors;
use crate::owned::Owned;

/// Bytes that go from thread to thread at once: still at hand where they come to.
const PIECE_BYTES: usize = 1 << 20;

#[pyclass(name = "Image", module = "decube._native", frozen)]
pub(crate) struct PyImage {
    #[pyo3(get)]
    revision: i64,
    image: Owned<Mutex<Option<Open>>>,
    /// It is to be closed: whoever writes a long file need not go on.
    closing: AtomicBool,
}

struct Open {
    image: Image,
    /// From the first file that is written on.
    parts: Option<PartsWriter>,
}

impl PyImage {
    pub(crate) fn new(image: Image) -> Self {
        let revision = image.head().revision.0;
        let image = Owned::new(Mutex::new(Some(Open { image, parts: None })));
        Self { revision, image, closing: AtomicBool::new(false) }
    }
}

#[pymethods]
impl PyImage {
    fn take<'py>(&self, py: Python<'py>, bytes_max: usize) -> PyResult<Bound<'py, PyBytes>> {
        let image = self.image.get()?;
        let taken = py.detach(|| match image.lock().as_mut() {
            Some(open) => open.image.take(bytes_max),
            None => Err(closed()),
        });
        let bytes = taken.map_err(|error| errors::refused(&error, 0))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn write_file(
        &self,
        py: Python<'_>,
        path: PathBuf,
        bytes_max: usize,
    ) -> PyResult<(u64, String, bool)> {
        let image = self.image.get()?;
        let part = py.detach(|| {
            let mut open = image.lock();
            let Open { image, parts } = open.as_mut().ok_or_else(|| Stopped::Refused(closed()))?;
            let file = OpenOptions::new().write(true).open(path).map_err(Stopped::Io)?;
            let parts = match parts {
                Some(parts) => parts,
                None => parts.insert(PartsWriter::start().map_err(Stopped::Io)?),
            };
            parts.write(file, bytes_max, |space| {
                if self.closing.load(Ordering::Relaxed) {
                    return Err(closed());
                }
                image.take_for(space, PIECE_BYTES)
            })
        });
        let Part { bytes, sha256, last } =
            part.map_err(|stopped| errors::stopped(stopped, |error| errors::refused(error, 0)))?;
        Ok((bytes, hexadecimal(sha256), last))
    }

    fn sha256(&self, py: Python<'_>) -> PyResult<String> {
        let image = self.image.get()?;
        let sha256 = py.detach(|| image.lock().as_ref()?.parts.as_ref().map(PartsWriter::sha256));
        sha256.map(hexadecimal).ok_or_else(|| errors::refused(&closed(), 0))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let image = self.image.get()?;
        self.closing.store(true, Ordering::Relaxed);
        py.detach(|| drop(image.lock().take()));
        Ok(())
    }
}

fn closed() -> Error {
    Error::ImageLost { reason: "it was closed" }
}
