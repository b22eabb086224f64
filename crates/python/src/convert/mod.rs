//! Between Python's tuples and the engine's types. Bytes are copied both ways: the engine's threads
//! must never own a Python object, nor Python a reference into the engine's memory.

mod answer;
mod command;

pub(crate) use answer::{answers, event, key_value};
pub(crate) use command::{TxnArguments, read_txn};
