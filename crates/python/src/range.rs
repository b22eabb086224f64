//! A range's answer, whose records become Python objects page by page.

use std::vec;

use decube_engine::{RangeResult, Record};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::convert;

#[pyclass(name = "RangeAnswer", module = "decube._native")]
pub(crate) struct PyRangeAnswer {
    #[pyo3(get)]
    revision: i64,
    #[pyo3(get)]
    count: i64,
    #[pyo3(get)]
    more: bool,
    keys_only: bool,
    records: vec::IntoIter<Record>,
}

impl PyRangeAnswer {
    pub(crate) fn new(result: RangeResult, keys_only: bool) -> Self {
        Self {
            revision: result.revision.0,
            count: result.count,
            more: result.more,
            keys_only,
            records: result.records.into_iter(),
        }
    }
}

#[pymethods]
impl PyRangeAnswer {
    fn take<'py>(&mut self, py: Python<'py>, records_max: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for record in self.records.by_ref().take(records_max) {
            if self.keys_only {
                // As in etcd: neither value nor lease.
                list.append((
                    PyBytes::new(py, record.key()),
                    PyBytes::new(py, &[]),
                    record.create_revision().0,
                    record.mod_revision().0,
                    record.version(),
                    0_i64,
                ))?;
            } else {
                list.append(convert::key_value(py, &record)?)?;
            }
        }
        Ok(list)
    }
}
