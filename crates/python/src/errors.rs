//! The one conversion of the core's errors: a kind, a text for people, attributes for programs.

use std::io;

use decube_engine::{
    Error, ImageError, InstallError, OfflineError, OpenError, Point, WatchRefused,
};
use decube_etcd_api::ServeError;
use decube_replication::{CopyError, StartError};
use decube_snapshot::Stopped;
use pyo3::PyErrArguments;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

create_exception!(
    decube._native,
    StoreError,
    PyException,
    "Why the engine refused: `args` is kind, message, attributes."
);

type Attributes = Vec<(&'static str, Attribute)>;

#[derive(IntoPyObject)]
enum Attribute {
    Number(i64),
    Text(String),
}

struct Arguments {
    kind: &'static str,
    message: String,
    attributes: Attributes,
}

impl PyErrArguments for Arguments {
    fn arguments(self, py: Python<'_>) -> Py<PyAny> {
        let attributes = PyDict::new(py);
        let told = self
            .attributes
            .into_iter()
            .try_for_each(|(name, value)| attributes.set_item(name, value));
        let arguments = told.and_then(|()| {
            let arguments = (self.kind, self.message, attributes).into_pyobject(py)?;
            Ok(arguments.into_any().unbind())
        });
        // Out of memory; Python says so itself.
        arguments.unwrap_or_else(|error| error.into_value(py).into_any())
    }
}

fn raise(kind: &'static str, message: String, attributes: Attributes) -> PyErr {
    PyErr::new::<StoreError, _>(Arguments { kind, message, attributes })
}

/// What the system refuses, as Python itself tells it: an `OSError` of the kind that its number says.
pub(crate) fn of_system(error: &io::Error) -> PyErr {
    let text = error.to_string();
    let Some(number) = error.raw_os_error() else { return PyOSError::new_err(text) };
    let reason = text.split(" (os error").next().unwrap_or_default();
    PyOSError::new_err((number, reason.to_owned()))
}

/// Why files were not read, or written, to their ends; `refused` tells why an image was not.
pub(crate) fn stopped<E>(stopped: Stopped<E>, refused: impl FnOnce(&E) -> PyErr) -> PyErr {
    match stopped {
        Stopped::Io(error) => of_system(&error),
        Stopped::Refused(error) => refused(&error),
    }
}

/// An argument that the engine's types cannot hold.
pub(crate) fn bad_argument(field: &str, message: impl Into<String>) -> PyErr {
    raise("bad_argument", message.into(), vec![("field", Attribute::Text(field.to_owned()))])
}

/// A call in a process that did not make the thing.
pub(crate) fn forked(owner: u32) -> PyErr {
    let message = format!("the store belongs to process {owner}; open one in this process");
    raise("forked", message, vec![("pid", Attribute::Number(owner.into()))])
}

/// A command above the request limit.
pub(crate) fn request_too_large(limit_bytes: usize) -> PyErr {
    raise(
        "request_too_large",
        format!("the request is larger than {limit_bytes} bytes"),
        vec![("limit_bytes", number(limit_bytes))],
    )
}

/// A command that the engine answered with another's outcome.
pub(crate) fn unexpected(what: &str) -> PyErr {
    raise("internal", format!("the engine answered with {what}"), Vec::new())
}

/// A refusal of the engine; `request_bytes_max` is told where the engine does not know the limit.
pub(crate) fn refused(error: &Error, request_bytes_max: usize) -> PyErr {
    let (kind, attributes) = match error {
        Error::KeyEmpty => ("key_empty", Vec::new()),
        Error::KeyNotFound => ("key_not_found", Vec::new()),
        Error::ValueProvided => ("value_provided", Vec::new()),
        Error::LeaseProvided => ("lease_provided", Vec::new()),
        Error::TooManyOperations => ("too_many_operations", Vec::new()),
        Error::DuplicateKey => ("duplicate_key", Vec::new()),
        Error::Compacted { compact_revision } => {
            ("compacted", vec![("compact_revision", Attribute::Number(compact_revision.0))])
        }
        Error::FutureRevision { current } => {
            ("future_revision", vec![("current", Attribute::Number(current.0))])
        }
        Error::LeaseNotFound => ("lease_not_found", Vec::new()),
        Error::LeaseExists { id } => ("lease_exists", vec![("lease", Attribute::Number(id.0))]),
        Error::LeaseTtlTooLarge => ("lease_ttl_too_large", Vec::new()),
        Error::NoSpace => ("no_space", Vec::new()),
        Error::TooManyRequests => ("too_many_requests", Vec::new()),
        Error::RequestTooLarge => {
            ("request_too_large", vec![("limit_bytes", number(request_bytes_max))])
        }
        Error::NotPrimary => ("not_primary", Vec::new()),
        Error::NotStandby => ("not_standby", Vec::new()),
        Error::FrameGap { wanted } => {
            ("frame_gap", vec![("wanted", Attribute::Number(wanted.cast_signed()))])
        }
        Error::RevisionGap { wanted } => {
            ("revision_gap", vec![("wanted", Attribute::Number(wanted.0))])
        }
        Error::FrameUnfit { sequence, .. } => {
            ("frame_unfit", vec![("sequence", Attribute::Number(sequence.cast_signed()))])
        }
        Error::NoLog => ("no_log", Vec::new()),
        Error::ImageLost { .. } => ("image_lost", Vec::new()),
        Error::Latched { .. } => ("latched", Vec::new()),
        Error::Closed => ("closed", Vec::new()),
    };
    raise(kind, error.to_string(), attributes)
}

/// Bytes that are no image.
pub(crate) fn bad_image(error: &ImageError) -> PyErr {
    let (kind, attributes) = match error {
        ImageError::Damaged { offset, .. } => ("corrupt", vec![("offset", number(*offset))]),
        ImageError::Newer { found, supported } => (
            "newer_format",
            vec![
                ("found", Attribute::Number((*found).into())),
                ("supported", Attribute::Number((*supported).into())),
            ],
        ),
    };
    raise(kind, error.to_string(), attributes)
}

/// A store that was not made out of an image.
pub(crate) fn not_made(error: &OfflineError) -> PyErr {
    let (kind, attributes) = match error {
        OfflineError::Image(error) => return bad_image(error),
        OfflineError::Open(error) => return not_opened(error),
        OfflineError::OtherCluster { path, .. } => {
            ("other_cluster", vec![("path", Attribute::Text(path.display().to_string()))])
        }
        OfflineError::LogTooShort { begins, .. } => {
            ("log_too_short", vec![("begins", Attribute::Number(begins.0))])
        }
        OfflineError::ImageTooNew { image } => ("image_too_new", point(image)),
        OfflineError::LogEnds { reached } => ("log_ends", point(reached)),
    };
    raise(kind, error.to_string(), attributes)
}

fn point(point: &Point) -> Attributes {
    let time_s = number(point.wall.as_secs());
    vec![("revision", Attribute::Number(point.revision.0)), ("time_s", time_s)]
}

/// An image that was not installed.
pub(crate) fn not_installed(error: &InstallError) -> PyErr {
    match error {
        InstallError::Image(error) => bad_image(error),
        InstallError::Io(failure) => {
            let path = Attribute::Text(failure.path.display().to_string());
            io_failed(&failure.to_string(), &failure.source, vec![("path", path)])
        }
        InstallError::Refused(error) => refused(error, 0),
        InstallError::Moved | InstallError::Overtaken => {
            raise("moved", error.to_string(), Vec::new())
        }
    }
}

/// A store that cannot be opened.
pub(crate) fn not_opened(error: &OpenError) -> PyErr {
    let path = |path: &std::path::Path| ("path", Attribute::Text(path.display().to_string()));
    let (kind, attributes) = match error {
        OpenError::Locked { path: at, pid } => {
            ("locked", vec![path(at), ("pid", Attribute::Number((*pid).into()))])
        }
        OpenError::Corrupt { path: at, offset, .. } => {
            ("corrupt", vec![path(at), ("offset", number(*offset))])
        }
        OpenError::NotEmpty { path: at } => ("not_empty", vec![path(at)]),
        OpenError::NewerFormat { path: at, found, supported } => (
            "newer_format",
            vec![
                path(at),
                ("found", Attribute::Number((*found).into())),
                ("supported", Attribute::Number((*supported).into())),
            ],
        ),
        OpenError::Io { operation, path: at, source } => {
            return io_failed(
                &error.to_string(),
                source,
                vec![path(at), ("operation", Attribute::Text((*operation).to_owned()))],
            );
        }
        OpenError::Promotion { source } => return not_installed(source),
        OpenError::Thread { source, .. } => {
            return io_failed(&error.to_string(), source, Vec::new());
        }
    };
    raise(kind, error.to_string(), attributes)
}

/// A watch that was not made.
pub(crate) fn watch_refused(refusal: WatchRefused, compact_revision: i64) -> PyErr {
    let (kind, attributes) = match refusal {
        WatchRefused::EmptyRange => ("watch_range_empty", Vec::new()),
        WatchRefused::NegativeStart => {
            ("compacted", vec![("compact_revision", Attribute::Number(compact_revision.max(0)))])
        }
        WatchRefused::TooManyWatchers => ("too_many_watchers", Vec::new()),
        WatchRefused::Closed => ("closed", Vec::new()),
        WatchRefused::DuplicateId => return unexpected("a watch of ours that it has already"),
    };
    raise(kind, refusal.to_string(), attributes)
}

/// A port that cannot be served.
pub(crate) fn not_served(error: &ServeError) -> PyErr {
    let (address, source) = match error {
        ServeError::AddressInUse { address } => {
            let attributes = vec![("address", Attribute::Text(address.to_string()))];
            return raise("address_in_use", error.to_string(), attributes);
        }
        ServeError::Listen { address, source } | ServeError::Start { address, source } => {
            (address, source)
        }
        ServeError::Tls(_) => return bad_argument("tls", error.to_string()),
    };
    let attributes = vec![("address", Attribute::Text(address.to_string()))];
    io_failed(&error.to_string(), source, attributes)
}

/// Replication that cannot start.
pub(crate) fn not_replicated(error: &StartError) -> PyErr {
    match error {
        StartError::AddressInUse { address } => {
            let attributes = vec![("address", Attribute::Text(address.to_string()))];
            raise("address_in_use", error.to_string(), attributes)
        }
        StartError::Listen { source, .. } | StartError::Start { source } => {
            io_failed(&error.to_string(), source, Vec::new())
        }
        StartError::NoProof => bad_argument("token", error.to_string()),
        StartError::NoRole => bad_argument("role", error.to_string()),
    }
}

/// A change of the role to what it is.
pub(crate) fn role_held(role: &str) -> PyErr {
    raise("role_held", format!("this node is a {role} already"), Vec::new())
}

/// Revisions come to a standby that has them from its primary.
pub(crate) fn fed(error: &CopyError) -> PyErr {
    raise("fed", error.to_string(), Vec::new())
}

/// Something that the operating system refused, with its reason.
pub(crate) fn io_failed_at(operation: &str, source: &io::Error) -> PyErr {
    io_failed(operation, source, Vec::new())
}

fn io_failed(what: &str, source: &io::Error, mut attributes: Attributes) -> PyErr {
    if let Some(errno) = source.raw_os_error() {
        attributes.push(("errno", Attribute::Number(errno.into())));
    }
    raise("io", format!("{what}: {source}"), attributes)
}

fn number(value: impl TryInto<i64>) -> Attribute {
    Attribute::Number(value.try_into().unwrap_or(i64::MAX))
}
