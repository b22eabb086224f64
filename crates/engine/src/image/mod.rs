//! Images: the whole store at one revision, as the bytes of a checkpoint file.
//!
//! There is one format for checkpoints, snapshots, restores and re-seeding
//! (`docs/store-format.md`, section 4). [`ImageEncoder`] and [`ImageDecoder`] turn items into bytes
//! and back, and know neither files nor the state. [`Walk`] reads the items from the state, a slice
//! at a time, while writes go on; [`Pins`] keeps compactions from dropping what a walk has yet to
//! read. [`Image`] is a walk that somebody outside takes the bytes of.

mod block;
mod decoder;
mod encoder;
mod item;
mod order;
mod pins;
mod reader;
mod space;
#[cfg(test)]
mod tests;
mod walk;

pub use decoder::{ImageDecoder, ImageError};
pub use encoder::{ImageEncoder, ImageOrigin};
pub use reader::Image;

pub(crate) use encoder::{PREFACE_BYTES, preface};
pub(crate) use pins::Pins;
pub(crate) use space::Space;
pub(crate) use walk::{Extent, Walk, WalkEnd, read_key};

#[cfg(test)]
pub(crate) use tests::sample;
