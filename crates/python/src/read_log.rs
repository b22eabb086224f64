//! The log of a store that does not run, or a side file of one, entry by entry.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use decube_engine::vfs::Disk;
use decube_engine::{AlarmKind, Entry, Frame, Revision, read_log, read_side_file};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3::{IntoPyObjectExt, intern};

use crate::{convert, errors};

/// Entries that cross at once.
const BATCH: usize = 1_000;

#[pyfunction]
#[pyo3(name = "read_log")]
#[expect(clippy::needless_pass_by_value, reason = "Python hands over values")]
pub(crate) fn read(py: Python<'_>, path: PathBuf, take: Py<PyAny>) -> PyResult<()> {
    let mut batch = Vec::new();
    let mut stopped = None;
    let read = py.detach(|| {
        let mut take = |frame, revision| {
            batch.push((frame, revision));
            if batch.len() < BATCH {
                return ControlFlow::Continue(());
            }
            match Python::attach(|py| hand_over(py, &take, &mut batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    stopped = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        if path.is_file() {
            read_side_file(&Disk, &path, &mut take)
        } else {
            read_log(&Disk, &path, &mut take)
        }
    });
    if let Some(error) = stopped {
        return Err(error);
    }
    hand_over(py, &take, &mut batch)?;
    read.map_err(|error| errors::not_opened(&error))
}

fn hand_over(py: Python<'_>, take: &Py<PyAny>, batch: &mut Vec<(Frame, Revision)>) -> PyResult<()> {
    let list = PyList::empty(py);
    for (frame, revision) in batch.drain(..) {
        list.append(entry_of(py, &frame, revision)?)?;
    }
    take.call1(py, (list,)).map(drop)
}

fn entry_of<'py>(
    py: Python<'py>,
    frame: &Frame,
    revision: Revision,
) -> PyResult<Bound<'py, PyTuple>> {
    let seconds = |moment: &Duration| moment.as_secs_f64();
    let change = match &frame.entry {
        Entry::Write { records, .. } => {
            let list = PyList::empty(py);
            for record in records {
                list.append((convert::key_value(py, record)?, record.is_tombstone()))?;
            }
            (intern!(py, "write"), list).into_bound_py_any(py)
        }
        Entry::LeaseGrant { id, ttl_s, expires_at } => {
            (intern!(py, "lease_grant"), id.0, ttl_s, seconds(expires_at)).into_bound_py_any(py)
        }
        Entry::LeaseKeepAlive { id, expires_at } => {
            (intern!(py, "lease_keep_alive"), id.0, seconds(expires_at)).into_bound_py_any(py)
        }
        Entry::LeaseEnd { id, .. } => (intern!(py, "lease_end"), id.0).into_bound_py_any(py),
        Entry::Compact { revision } => (intern!(py, "compact"), revision.0).into_bound_py_any(py),
        Entry::Alarm { alarm, raised } => {
            let kind = match alarm.kind {
                AlarmKind::NoSpace => "no_space",
                AlarmKind::Corrupt => "corrupt",
            };
            (intern!(py, "alarm"), alarm.member_id, kind, raised).into_bound_py_any(py)
        }
    }?;
    (frame.sequence, frame.term, seconds(&frame.wall), revision.0, change).into_pyobject(py)
}
