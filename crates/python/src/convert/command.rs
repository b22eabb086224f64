//! From Python's tuples (see `_native.pyi`) to the engine's requests.

use bytes::Bytes;
use decube_engine::{
    Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, LeaseId, Operation,
    PutRequest, RangeRequest, Revision, TxnRequest,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::errors;

/// What an operation costs beside its key and value, about as etcd encodes it.
const OPERATION_BYTES: usize = 16;

/// A transaction as Python gives it: compares, success, failure.
pub(crate) struct TxnArguments<'a, 'py> {
    pub(crate) compares: &'a Bound<'py, PyList>,
    pub(crate) success: &'a Bound<'py, PyList>,
    pub(crate) failure: &'a Bound<'py, PyList>,
}

/// Reads a transaction, unless it is larger than a request may be.
pub(crate) fn read_txn(
    arguments: &TxnArguments<'_, '_>,
    request_bytes_max: usize,
) -> PyResult<TxnRequest> {
    let mut size = Size { bytes: 0, bytes_max: request_bytes_max };
    txn(arguments, &mut size)
}

/// Keeps a request from being copied beyond its limit.
struct Size {
    bytes: usize,
    bytes_max: usize,
}

impl Size {
    fn take(&mut self, bytes: usize) -> PyResult<()> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            return Err(errors::request_too_large(self.bytes_max));
        }
        Ok(())
    }

    fn bytes(&mut self, from: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        let bytes = from.cast::<PyBytes>()?.as_bytes();
        self.take(bytes.len())?;
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn range(&mut self, tuple: &Bound<'_, PyTuple>, at: usize) -> PyResult<KeyRange> {
        Ok(KeyRange {
            key: self.bytes(&tuple.get_item(at)?)?,
            end: self.bytes(&tuple.get_item(at + 1)?)?,
        })
    }
}

fn txn(arguments: &TxnArguments<'_, '_>, size: &mut Size) -> PyResult<TxnRequest> {
    Ok(TxnRequest {
        compares: each(arguments.compares, |tuple| compare(tuple, size))?,
        success: each(arguments.success, |tuple| operation(tuple, size))?,
        failure: each(arguments.failure, |tuple| operation(tuple, size))?,
    })
}

fn each<T>(
    list: &Bound<'_, PyList>,
    mut read: impl FnMut(&Bound<'_, PyTuple>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    list.iter().map(|item| read(item.cast::<PyTuple>()?)).collect()
}

fn operation(tuple: &Bound<'_, PyTuple>, size: &mut Size) -> PyResult<Operation> {
    size.take(OPERATION_BYTES)?;
    let tag = tuple.get_item(0)?;
    Ok(match tag.extract::<&str>()? {
        "put" => Operation::Put(PutRequest {
            key: size.bytes(&tuple.get_item(1)?)?,
            value: size.bytes(&tuple.get_item(2)?)?,
            lease: LeaseId(tuple.get_item(3)?.extract()?),
            prev_kv: tuple.get_item(4)?.extract()?,
            ..PutRequest::default()
        }),
        "range" => Operation::Range(RangeRequest {
            range: size.range(tuple, 1)?,
            limit: tuple.get_item(3)?.extract()?,
            revision: Revision(tuple.get_item(4)?.extract()?),
            keys_only: tuple.get_item(5)?.extract()?,
            count_only: tuple.get_item(6)?.extract()?,
            ..RangeRequest::default()
        }),
        "delete" => Operation::DeleteRange(DeleteRangeRequest {
            range: size.range(tuple, 1)?,
            prev_kv: tuple.get_item(3)?.extract()?,
        }),
        "txn" => {
            let (compares, success, failure) =
                (tuple.get_item(1)?, tuple.get_item(2)?, tuple.get_item(3)?);
            let arguments = TxnArguments {
                compares: compares.cast()?,
                success: success.cast()?,
                failure: failure.cast()?,
            };
            Operation::Txn(txn(&arguments, size)?)
        }
        other => return Err(errors::bad_argument("operation", format!("no operation {other:?}"))),
    })
}

fn compare(tuple: &Bound<'_, PyTuple>, size: &mut Size) -> PyResult<Compare> {
    size.take(OPERATION_BYTES)?;
    let (target, operator) = (tuple.get_item(2)?, tuple.get_item(3)?);
    let operand = tuple.get_item(4)?;
    let target = match target.extract::<&str>()? {
        "version" => CompareTarget::Version(operand.extract()?),
        "create_revision" => CompareTarget::CreateRevision(operand.extract()?),
        "mod_revision" => CompareTarget::ModRevision(operand.extract()?),
        "value" => CompareTarget::Value(size.bytes(&operand)?),
        "lease" => CompareTarget::Lease(operand.extract()?),
        other => return Err(errors::bad_argument("target", format!("no target {other:?}"))),
    };
    let operator = match operator.extract::<&str>()? {
        "=" => CompareOperator::Equal,
        ">" => CompareOperator::Greater,
        "<" => CompareOperator::Less,
        "!=" => CompareOperator::NotEqual,
        other => return Err(errors::bad_argument("operator", format!("no operator {other:?}"))),
    };
    Ok(Compare { range: size.range(tuple, 0)?, operator, target })
}
