//! A failed IO call, with what it was for and on which file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;

/// An IO call of the log that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct IoFailure {
    /// What was tried, as a verb: "write", "sync", ..
    pub operation: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl IoFailure {
    /// Operation, file and cause in one line, for a place that holds no error chain.
    #[must_use]
    pub fn reason(&self) -> Arc<str> {
        format!("{self}: {}", self.source).into()
    }
}

impl From<IoFailure> for OpenError {
    fn from(failure: IoFailure) -> Self {
        let IoFailure { operation, path, source } = failure;
        Self::Io { operation, path, source }
    }
}

/// Names the operation and the file of a result's error.
pub(crate) trait Named<T> {
    fn named(self, operation: &'static str, path: &Path) -> Result<T, IoFailure>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, operation: &'static str, path: &Path) -> Result<T, IoFailure> {
        self.map_err(|source| IoFailure { operation, path: path.to_owned(), source })
    }
}
