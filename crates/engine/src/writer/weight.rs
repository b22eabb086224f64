//! What a queued command holds in memory, roughly: the queue is bounded by it.

use super::Work;
use crate::types::{Command, Compare, CompareTarget, KeyRange, Operation, TxnRequest};

/// Counted for each command and each part of one, beside the bytes that its caller gave.
const PART_BYTES: usize = 128;

impl Work {
    /// Bytes of what a caller gave. The store's own work is bounded by those who make it.
    pub(crate) fn bytes(&self) -> usize {
        let Self::Command(command) = self else { return 0 };
        PART_BYTES
            + match command {
                Command::Put(put) => put.key.len() + put.value.len(),
                Command::DeleteRange(delete) => range_bytes(&delete.range),
                Command::Txn(txn) => txn_bytes(txn),
                _ => 0,
            }
    }
}

fn txn_bytes(txn: &TxnRequest) -> usize {
    let compares: usize = txn.compares.iter().map(compare_bytes).sum();
    let operations = txn.success.iter().chain(&txn.failure);
    compares + operations.map(operation_bytes).sum::<usize>()
}

fn operation_bytes(operation: &Operation) -> usize {
    PART_BYTES
        + match operation {
            Operation::Put(put) => put.key.len() + put.value.len(),
            Operation::Range(range) => range_bytes(&range.range),
            Operation::DeleteRange(delete) => range_bytes(&delete.range),
            Operation::Txn(nested) => txn_bytes(nested),
            Operation::Empty => 0,
        }
}

fn compare_bytes(compare: &Compare) -> usize {
    let operand = match &compare.target {
        CompareTarget::Value(value) => value.len(),
        _ => 0,
    };
    PART_BYTES + range_bytes(&compare.range) + operand
}

fn range_bytes(range: &KeyRange) -> usize {
    range.key.len() + range.end.len()
}
