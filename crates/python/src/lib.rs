//! The extension module `decube._native`: coarse calls into the engine, with the GIL released.

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The engine and its etcd listener, for `decube.store.embedded`.
#[pymodule]
mod _native {}
