//! What a command means: its form, its compares, its effects.
//!
//! Three steps, so that a refused command leaves no trace: `validate` looks at the form alone, on
//! the caller's thread; `plan` chooses the branches and checks revisions, leases and `ignore_*`
//! against the state before the transaction; `evaluate` then writes and cannot fail any more.

mod compare;
mod evaluate;
mod intervals;
mod plan;
mod validate;

pub(crate) use evaluate::{Transaction, read_only};
pub(crate) use plan::{Plan, View, check_put};
pub(crate) use validate::{RECORD_BYTES_OVERHEAD, check_range, check_txn, validate};
