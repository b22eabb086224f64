//! What is read of a log when it is opened.

use std::path::PathBuf;

use crate::entry::{Frame, ImageItem};
use crate::types::Revision;

/// What recovery feeds: the image of the newest valid checkpoint, then every frame after it.
///
/// A refusal (the entry does not fit the state) makes the store unopenable, as damage at that
/// frame's place, with the returned reason.
///
/// It is called by a thread of its own.
pub trait Replay: Send {
    /// Forgets everything taken so far. Called when a checkpoint turned out to be damaged after
    /// part of it was handed out, and an older one is tried.
    fn restart(&mut self);
    /// Takes a piece of the image; [`ImageItem::Head`] comes first. On a store without a checkpoint
    /// there are none.
    fn item(&mut self, item: ImageItem) -> Result<(), String>;
    /// Takes the next frame; sequence numbers are consecutive.
    fn frame(&mut self, frame: Frame) -> Result<(), String>;
}

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The sequence number of the checkpoint it started from; 0 for none.
    pub checkpoint_sequence: u64,
    /// Frames replayed after it.
    pub frames: u64,
    /// The last sequence number; 0 on a fresh store.
    pub sequence: u64,
    /// The term of the last frame or of the checkpoint; 1 on a fresh store.
    pub term: u64,
    /// The revision the last frame or the checkpoint left; 1 on a fresh store.
    pub revision: Revision,
    /// Bytes of an unfinished commit that were cut off the log's end.
    pub tail_bytes_cut: u64,
    /// Damaged checkpoints that were moved aside, each with what is wrong with it. To be logged.
    pub checkpoints_set_aside: Vec<(PathBuf, String)>,
}
