//! From the engine's answers to Python's tuples (see `_native.pyi`).

use decube_engine::{
    Answer, DeleteRangeResult, Event, OperationResult, Outcome, PutResult, RangeResult, Record,
    TxnResult,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use pyo3::{IntoPyObjectExt, intern};

use crate::errors;

/// Answers by ticket; a refusal is an exception object in place of an answer.
pub(crate) fn answers(
    py: Python<'_>,
    answers: Vec<Answer>,
    request_bytes_max: usize,
) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for answer in answers {
        let result = match answer.result {
            Ok(outcome) => outcome_of(py, outcome)?,
            Err(error) => errors::refused(&error, request_bytes_max).into_bound_py_any(py)?,
        };
        list.append((answer.ticket, result))?;
    }
    Ok(list)
}

fn outcome_of(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Txn(result) => txn(py, result)?.into_bound_py_any(py),
        Outcome::Compact { revision } | Outcome::LeaseRevoke { revision } => {
            revision.0.into_bound_py_any(py)
        }
        Outcome::LeaseGrant { id, ttl_s, .. } => (id.0, ttl_s).into_bound_py_any(py),
        Outcome::LeaseKeepAlive { ttl_s, .. } => ttl_s.into_bound_py_any(py),
        Outcome::Put(_) => errors::unexpected("a put").into_bound_py_any(py),
        Outcome::Copied { .. } | Outcome::Stands => {
            errors::unexpected("a change of role").into_bound_py_any(py)
        }
        Outcome::Alarm { .. } => errors::unexpected("an alarm").into_bound_py_any(py),
        Outcome::DeleteRange(_) => errors::unexpected("a delete").into_bound_py_any(py),
    }
}

fn txn(py: Python<'_>, result: TxnResult) -> PyResult<(i64, bool, Bound<'_, PyList>)> {
    let results = PyList::empty(py);
    for operation in result.results {
        results.append(operation_result(py, operation)?)?;
    }
    Ok((result.revision.0, result.succeeded, results))
}

fn operation_result(py: Python<'_>, result: OperationResult) -> PyResult<Bound<'_, PyAny>> {
    match result {
        OperationResult::Put(PutResult { revision, previous }) => {
            let previous = previous.map(|record| key_value(py, &record)).transpose()?;
            (intern!(py, "put"), revision.0, previous).into_bound_py_any(py)
        }
        OperationResult::Range(RangeResult { revision, records, count, more }) => {
            let records = key_values(py, &records)?;
            (intern!(py, "range"), revision.0, records, count, more).into_bound_py_any(py)
        }
        OperationResult::DeleteRange(DeleteRangeResult { revision, deleted, previous }) => {
            let previous = key_values(py, &previous)?;
            (intern!(py, "delete"), revision.0, deleted, previous).into_bound_py_any(py)
        }
        OperationResult::Txn(result) => {
            let (revision, succeeded, results) = txn(py, result)?;
            (intern!(py, "txn"), revision, succeeded, results).into_bound_py_any(py)
        }
    }
}

/// Many versions.
pub(crate) fn key_values<'py>(py: Python<'py>, records: &[Record]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for record in records {
        list.append(key_value(py, record)?)?;
    }
    Ok(list)
}

/// One version; of a tombstone only the key and the revision are set.
pub(crate) fn key_value<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyTuple>> {
    (
        PyBytes::new(py, record.key()),
        PyBytes::new(py, record.value()),
        record.create_revision().0,
        record.mod_revision().0,
        record.version(),
        record.lease().0,
    )
        .into_pyobject(py)
}

/// One change.
pub(crate) fn event<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let previous = event.previous.as_ref().map(|record| key_value(py, record)).transpose()?;
    (key_value(py, &event.record)?, event.record.is_tombstone(), previous).into_pyobject(py)
}
