//! Making a store out of an image where none runs.

use std::path::PathBuf;
use std::sync::Arc;

use decube_engine::vfs::Disk;
use decube_engine::{
    NewNumbers, OfflineError, OfflineRestore, ReplayTo, Revision, Storage, SystemClock,
};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors;
use crate::options::{EngineOptions, seconds};

#[pyclass(name = "OfflineRestore", module = "decube._native", frozen)]
pub(crate) struct PyOfflineRestore {
    restore: Mutex<Option<OfflineRestore>>,
}

#[pymethods]
impl PyOfflineRestore {
    #[new]
    fn new() -> Self {
        let restore = OfflineRestore::new(Arc::new(SystemClock::new()));
        Self { restore: Mutex::new(Some(restore)) }
    }

    fn push(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        self.with(py, |restore| restore.push(data))
    }

    #[expect(clippy::needless_pass_by_value, reason = "Python hands over values")]
    fn replay(
        &self,
        py: Python<'_>,
        log_dir: PathBuf,
        to_revision: Option<i64>,
        to_time_s: Option<f64>,
    ) -> PyResult<(i64, f64)> {
        let to = match (to_revision, to_time_s) {
            (Some(revision), None) => ReplayTo::Revision(Revision(revision)),
            (None, Some(time_s)) => ReplayTo::Time(seconds("to_time_s", time_s)?),
            _ => return Err(errors::bad_argument("to_revision", "a revision or a time, not both")),
        };
        let point = self.with(py, |restore| restore.replay(&Disk, &log_dir, to))?;
        Ok((point.revision.0, point.wall.as_secs_f64()))
    }

    fn create<'py>(
        &self,
        py: Python<'py>,
        options: EngineOptions,
        keep_numbers: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = options.into_core()?;
        if matches!(options.storage, Storage::Memory) {
            return Err(errors::bad_argument(
                "log_dir",
                "a store in memory cannot be restored into",
            ));
        }
        let numbers = if keep_numbers { NewNumbers::Kept } else { NewNumbers::FarAbove };
        let created = py
            .detach(|| {
                let restore = self.restore.lock().take();
                restore.map(|restore| restore.create(&options, numbers))
            })
            .ok_or_else(used)?
            .map_err(|error| errors::not_made(&error))?;
        let figures = PyDict::new(py);
        figures.set_item("revision", created.revision.0)?;
        figures.set_item("restored_revision", created.point.revision.0)?;
        figures.set_item("restored_at_s", created.point.wall.as_secs())?;
        figures.set_item("cluster_id", created.cluster_id)?;
        figures.set_item("member_id", created.member_id)?;
        figures.set_item("keys", created.keys)?;
        figures.set_item("leases", created.leases)?;
        Ok(figures)
    }
}

impl PyOfflineRestore {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut OfflineRestore) -> Result<T, OfflineError> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.restore.lock().as_mut().map(work));
        done.ok_or_else(used)?.map_err(|error| errors::not_made(&error))
    }
}

fn used() -> PyErr {
    errors::bad_argument("restore", "a store was made of it already")
}
