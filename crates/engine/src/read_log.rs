//! What the log of a store that does not run says was done: for people, and for tests that hold it
//! against what clients saw.

use std::ops::ControlFlow;
use std::path::Path;

use crate::entry::Frame;
use crate::error::OpenError;
use crate::log::{self, Archive};
use crate::types::Revision;
use crate::vfs::Vfs;

/// Hands out every frame that the log has kept, in order, and the store's revision after it, until
/// it is told to stop. Nothing is changed; segments that were let go are missing at the beginning.
/// Where the sequence numbers jump, an image took the place of the state.
pub fn read_log(
    vfs: &dyn Vfs,
    log_dir: &Path,
    mut take: impl FnMut(Frame, Revision) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    Archive::open(vfs, log_dir)?.read_all(&mut |frame, written| Ok(take(frame, written.revision)))
}

/// Hands out every frame of a side file ([`crate::log::SideFile`]) in the same way.
pub fn read_side_file(
    vfs: &dyn Vfs,
    path: &Path,
    mut take: impl FnMut(Frame, Revision) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    log::read_side_file(vfs, path, &mut |frame, written| Ok(take(frame, written.revision)))
}
