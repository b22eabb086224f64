//! One watch: a stream of the engine with a single watcher on it.

use decube_engine::{Error, WatchItem, WatchStream};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{IntoPyObjectExt, intern};

use crate::owned::Owned;
use crate::{convert, errors};

#[pyclass(name = "Watch", module = "decube._native", frozen)]
pub(crate) struct PyWatch {
    #[pyo3(get)]
    id: u64,
    #[pyo3(get)]
    revision: i64,
    stream: Owned<Mutex<Option<WatchStream>>>,
}

impl PyWatch {
    pub(crate) fn new(id: u64, revision: i64, stream: WatchStream) -> Self {
        Self { id, revision, stream: Owned::new(Mutex::new(Some(stream))) }
    }
}

#[pymethods]
impl PyWatch {
    fn take<'py>(&self, py: Python<'py>, bytes_max: usize) -> PyResult<Bound<'py, PyList>> {
        let stream = self.stream.get()?;
        let items = py.detach(|| match stream.lock().as_ref() {
            Some(stream) => stream.take(bytes_max),
            None => vec![WatchItem::Closed],
        });
        let list = PyList::empty(py);
        for item in items {
            list.append(item_of(py, item)?)?;
        }
        Ok(list)
    }

    fn request_progress(&self, py: Python<'_>) -> PyResult<()> {
        let stream = self.stream.get()?;
        py.detach(|| {
            if let Some(stream) = stream.lock().as_ref() {
                stream.request_progress(None);
            }
        });
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let stream = self.stream.get()?;
        py.detach(|| drop(stream.lock().take()));
        Ok(())
    }
}

fn item_of(py: Python<'_>, item: WatchItem) -> PyResult<Bound<'_, PyAny>> {
    match item {
        WatchItem::Events { events, .. } => {
            let list = PyList::empty(py);
            for event in events.iter() {
                list.append(convert::event(py, event)?)?;
            }
            (intern!(py, "events"), list).into_bound_py_any(py)
        }
        WatchItem::Progress { revision, .. } => {
            (intern!(py, "progress"), revision.0).into_bound_py_any(py)
        }
        WatchItem::Compacted { compact_revision, .. } => {
            (intern!(py, "compacted"), compact_revision.0).into_bound_py_any(py)
        }
        WatchItem::Closed => (intern!(py, "closed"),).into_bound_py_any(py),
        WatchItem::Latched { reason } => {
            let error = errors::refused(&Error::Latched { reason }, 0);
            (intern!(py, "failed"), error.into_value(py)).into_bound_py_any(py)
        }
    }
}
