//! Two states over the same blocks.

use sha2::block_api::compress256;

use super::{Block, State};

/// Takes the blocks into both states. Where the processor has no instructions for SHA-256, or they
/// are not known here, one after the other.
pub(crate) fn compress(first: &mut State, second: &mut State, blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if super::pair_x86::compress(first, second, blocks) {
        return;
    }
    compress256(first, blocks);
    compress256(second, blocks);
}
