//! The real file system.

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;
