//! Between etcd's messages and the engine's types. Pure.

mod request;
mod response;

pub(crate) use request::{Transaction, delete_range, put, range, transaction, watch};
pub(crate) use response::{Keys, Reply, delete_range_reply, event, put_reply, range_reply};
