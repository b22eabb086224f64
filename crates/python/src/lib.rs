//! The extension module `decube._native`: coarse calls into the engine, with the GIL released.
//!
//! Plain data crosses, nothing is decided here. Two rules keep the GIL and the engine's locks from
//! waiting for each other: no Rust lock is taken while the GIL is held, and no Python is called
//! while a lock is held. Hence every call first reads its arguments, then works inside
//! [`pyo3::Python::detach`], then makes Python objects of the result.
//!
//! What it offers is documented in `src/decube/_native.pyi`; stubtest holds the two together.

mod bell;
mod convert;
mod digest;
mod engine;
mod errors;
mod image;
mod image_codec;
mod inbox;
mod installer;
mod listener;
mod logs;
mod offline;
mod options;
mod owned;
mod pages;
mod purge;
mod range;
mod read_log;
mod replication;
mod watch;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The engine and its etcd listener, for `decube.store.embedded` alone.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::digest::PyPartsDigest;
    #[pymodule_export]
    use crate::engine::PyEngine;
    #[pymodule_export]
    use crate::errors::StoreError;
    #[pymodule_export]
    use crate::image::PyImage;
    #[pymodule_export]
    use crate::image_codec::{PyImageDecoder, PyImageEncoder};
    #[pymodule_export]
    use crate::installer::PyImageInstaller;
    #[pymodule_export]
    use crate::listener::PyEtcdListener;
    #[pymodule_export]
    use crate::logs::PyLogQueue;
    #[pymodule_export]
    use crate::offline::PyOfflineRestore;
    #[pymodule_export]
    use crate::range::PyRangeAnswer;
    #[pymodule_export]
    use crate::read_log::read;
    #[pymodule_export]
    use crate::replication::PyReplication;
    #[pymodule_export]
    use crate::watch::PyWatch;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
