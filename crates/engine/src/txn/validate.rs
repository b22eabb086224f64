//! Checks of a command's form, the same whatever the state. Pure.

use std::collections::HashSet;

use super::intervals::KeyIntervals;
use crate::error::Error;
use crate::log::ENTRY_BYTES_MAX;
use crate::types::{
    Command, DeleteRangeRequest, KeyRange, Operation, PutRequest, RangeRequest, TxnRequest,
};

/// Refuses a malformed command, as etcd's `v3rpc/key.go` does and in its order.
pub(crate) fn validate(command: &Command, operations_max: usize) -> Result<(), Error> {
    match command {
        Command::Put(put) => {
            check_put(put)?;
            check_size(put_bytes(put))
        }
        Command::DeleteRange(delete) => check_key(&delete.range),
        Command::Txn(txn) => check_txn(txn, operations_max),
        Command::Compact(_)
        | Command::LeaseGrant { .. }
        | Command::LeaseRevoke { .. }
        | Command::LeaseKeepAlive { .. }
        | Command::Alarm { .. } => Ok(()),
    }
}

/// Refuses a malformed read.
pub(crate) fn check_range(range: &RangeRequest) -> Result<(), Error> {
    check_key(&range.range)
}

/// Refuses a malformed transaction.
pub(crate) fn check_txn(txn: &TxnRequest, operations_max: usize) -> Result<(), Error> {
    check_operations(txn, operations_max)?;
    check_size(txn_put_bytes(txn))?;
    check_duplicates(&txn.success)?;
    check_duplicates(&txn.failure)
}

fn check_key(range: &KeyRange) -> Result<(), Error> {
    if range.key.is_empty() { Err(Error::KeyEmpty) } else { Ok(()) }
}

fn check_put(put: &PutRequest) -> Result<(), Error> {
    if put.key.is_empty() {
        Err(Error::KeyEmpty)
    } else if put.ignore_value && !put.value.is_empty() {
        Err(Error::ValueProvided)
    } else if put.ignore_lease && put.lease.0 != 0 {
        Err(Error::LeaseProvided)
    } else {
        Ok(())
    }
}

/// A nested transaction may use what the lists around it left of the limit.
fn check_operations(txn: &TxnRequest, operations_max: usize) -> Result<(), Error> {
    let longest = txn.compares.len().max(txn.success.len()).max(txn.failure.len());
    let left = operations_max.checked_sub(longest).ok_or(Error::TooManyOperations)?;
    for compare in &txn.compares {
        check_key(&compare.range)?;
    }
    for operation in txn.success.iter().chain(&txn.failure) {
        match operation {
            Operation::Range(range) => check_range(range)?,
            Operation::Put(put) => check_put(put)?,
            Operation::DeleteRange(delete) => check_key(&delete.range)?,
            Operation::Txn(nested) => check_operations(nested, left)?,
            Operation::Empty => return Err(Error::KeyNotFound),
        }
    }
    Ok(())
}

/// What one branch writes.
#[derive(Default)]
struct Writes<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: KeyIntervals<'a>,
}

fn check_duplicates(operations: &[Operation]) -> Result<(), Error> {
    let writes = |operation: &&Operation| !matches!(operation, Operation::Range(_));
    if let [] | [Operation::Put(_) | Operation::DeleteRange(_)] =
        operations.iter().filter(writes).collect::<Vec<_>>()[..]
    {
        return Ok(());
    }
    collect_writes(operations).map(drop)
}

/// A key may be put once, and not inside a deleted range. Of a nested transaction both branches
/// count, but one key may be put in both, since only one of them runs. Deletes may overlap, and so
/// may a nested put with a delete in a later nested transaction (as in etcd).
fn collect_writes(operations: &[Operation]) -> Result<Writes<'_>, Error> {
    let mut all = Writes::default();
    for delete in operations.iter().filter_map(as_delete) {
        all.deletes.insert(&delete.range);
    }
    for nested in operations.iter().filter_map(as_txn) {
        let success = collect_writes(&nested.success)?;
        let failure = collect_writes(&nested.failure)?;
        for key in &success.puts {
            all.put(key)?;
        }
        for key in failure.puts.difference(&success.puts) {
            all.put(key)?;
        }
        all.deletes.extend(success.deletes);
        all.deletes.extend(failure.deletes);
    }
    for put in operations.iter().filter_map(as_put) {
        all.put(&put.key)?;
    }
    Ok(all)
}

impl<'a> Writes<'a> {
    fn put(&mut self, key: &'a [u8]) -> Result<(), Error> {
        if self.deletes.contains(key) || !self.puts.insert(key) {
            return Err(Error::DuplicateKey);
        }
        Ok(())
    }
}

fn as_put(operation: &Operation) -> Option<&PutRequest> {
    if let Operation::Put(put) = operation { Some(put) } else { None }
}

fn as_delete(operation: &Operation) -> Option<&DeleteRangeRequest> {
    if let Operation::DeleteRange(delete) = operation { Some(delete) } else { None }
}

fn as_txn(operation: &Operation) -> Option<&TxnRequest> {
    if let Operation::Txn(txn) = operation { Some(txn) } else { None }
}

fn put_bytes(put: &PutRequest) -> usize {
    put.key.len().saturating_add(put.value.len()).saturating_add(RECORD_BYTES_OVERHEAD)
}

fn txn_put_bytes(txn: &TxnRequest) -> usize {
    let of_operation = |operation: &Operation| match operation {
        Operation::Put(put) => put_bytes(put),
        Operation::Txn(nested) => txn_put_bytes(nested),
        Operation::Range(_) | Operation::DeleteRange(_) | Operation::Empty => 0,
    };
    txn.success.iter().chain(&txn.failure).map(of_operation).fold(0, usize::saturating_add)
}

/// More than what a record costs in the log beside its key and value.
pub(crate) const RECORD_BYTES_OVERHEAD: usize = 128;

fn check_size(bytes: usize) -> Result<(), Error> {
    if bytes > ENTRY_BYTES_MAX { Err(Error::RequestTooLarge) } else { Ok(()) }
}
