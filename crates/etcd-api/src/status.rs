//! etcd's errors on the wire. Clients compare the text, so code and text are etcd's to the letter.

use std::time::Duration;

use decube_engine::Error;
use tonic::{Code, Status};

/// What a watcher that asks for negative history, and any read below the compaction, is told.
pub(crate) const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

/// Turns the engine's refusal into etcd's.
pub(crate) fn refusal(error: &Error) -> Status {
    let (code, text) = match error {
        Error::KeyEmpty => (Code::InvalidArgument, "etcdserver: key is not provided"),
        Error::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
        Error::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
        Error::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
        Error::TooManyOperations => {
            (Code::InvalidArgument, "etcdserver: too many operations in txn request")
        }
        Error::DuplicateKey => {
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request")
        }
        Error::Compacted { .. } => (Code::OutOfRange, COMPACTED),
        Error::FutureRevision { .. } => {
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision")
        }
        Error::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
        Error::LeaseExists { .. } => (Code::FailedPrecondition, "etcdserver: lease already exists"),
        Error::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
        Error::NoSpace => (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        Error::TooManyRequests => (Code::ResourceExhausted, "etcdserver: too many requests"),
        Error::RequestTooLarge => return request_too_large(),
        Error::ImageLost { .. } => (Code::Unavailable, "etcdserver: snapshot was interrupted"),
        // Clients try the other endpoints, as when a cluster elects.
        Error::NotPrimary => return no_leader(),
        Error::NotStandby
        | Error::FrameGap { .. }
        | Error::RevisionGap { .. }
        | Error::FrameUnfit { .. }
        | Error::NoLog => (Code::FailedPrecondition, "etcdserver: not leader"),
        // A store that cannot write is to its clients what a cluster without a healthy disk is:
        // they may try again elsewhere or later.
        Error::Latched { .. } => (Code::Unavailable, "etcdserver: unhealthy cluster"),
        Error::Closed => return stopped(),
    };
    Status::new(code, text)
}

/// A sort order or target that etcd does not know.
pub(crate) fn invalid_sort_option() -> Status {
    Status::invalid_argument("etcdserver: invalid sort option")
}

/// A stream of keys in another order than theirs, in etcd's words.
pub(crate) fn stream_of_sorted() -> Status {
    Status::unimplemented("RangeStream does not support custom sort orders")
}

/// A stream of some revisions' keys only, in etcd's words.
pub(crate) fn stream_of_filtered() -> Status {
    Status::unimplemented("RangeStream does not support revision filters")
}

/// A number that stands for nothing in etcd's contract.
pub(crate) fn unknown(what: &str, number: i32) -> Status {
    Status::invalid_argument(format!("etcdserver: unknown {what} {number}"))
}

/// What stops etcd from writing for good would be raised by hand only: one member has nobody to
/// differ from.
pub(crate) fn corrupt_alarm_refused() -> Status {
    Status::unimplemented("etcdserver: the alarm CORRUPT cannot be raised on a store of one member")
}

/// A write above the request limit.
pub(crate) fn request_too_large() -> Status {
    Status::invalid_argument("etcdserver: request is too large")
}

/// The server is going away; clients reconnect.
pub(crate) fn stopped() -> Status {
    Status::unavailable("etcdserver: server stopped")
}

/// Nobody here may write, and who may cannot be reached; clients try other endpoints.
pub(crate) fn no_leader() -> Status {
    Status::unavailable("etcdserver: no leader")
}

/// What became of a call is not known: whoever was to answer it is gone.
pub(crate) fn connection_lost() -> Status {
    Status::unavailable("etcdserver: request timed out, possibly due to connection lost")
}

/// A watch stream ended from the client's side.
pub(crate) fn watch_canceled() -> Status {
    Status::cancelled("etcdserver: watch canceled")
}

/// A message above gRPC's own limit, in the words of the gRPC library etcd uses.
pub(crate) fn message_too_large(length: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!(
        "grpc: received message larger than max ({length} vs. {limit})"
    ))
}

/// A message whose end did not come.
pub(crate) fn message_too_late(patience: Duration) -> Status {
    Status::deadline_exceeded(format!("grpc: the rest of a message did not come in {patience:?}"))
}

/// More than can be taken in; clients try again later.
pub(crate) fn too_many_requests() -> Status {
    refusal(&Error::TooManyRequests)
}

/// A method of etcd's that this version does not serve.
pub(crate) fn unimplemented(path: &str) -> Status {
    match path.trim_start_matches('/').split_once('/') {
        Some((service, method)) => {
            Status::unimplemented(format!("unknown method {method} for service {service}"))
        }
        None => Status::unimplemented(format!("malformed method name: {path:?}")),
    }
}
