//! What stands behind the last good frame: nothing, an unfinished commit, or damage.
//!
//! At most one commit was not yet durable when the process ended, and all of it was zero before.
//! So what stands there is the rest of an unfinished commit only if (1) nothing shows that a later
//! commit began, and (2) the first bad frame has a sector, or an end, that is still zero. Anything
//! else is damage of what was acknowledged. `docs/store-format.md`, section 6, argues it.

use std::io;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader};
use super::window::Window;

/// What a disk writes whole or not at all, at the least.
const SECTOR_BYTES: u64 = 512;
/// Bytes looked at together.
const SCAN_BYTES: usize = 1 << 20;

/// What stands behind the last good frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Clean,
    /// Part of a commit that was never acknowledged, of so many bytes.
    Unfinished(u64),
    /// Something else.
    Damaged(String),
}

/// Judges what stands at `offset`, where no good frame starts, and behind it. `expected` is the
/// sequence number that a frame there should have.
pub(crate) fn judge(
    window: &mut Window<'_>,
    salt: u32,
    offset: u64,
    expected: u64,
) -> io::Result<Tail> {
    let Some(end) = end_of_bytes(window, offset)? else { return Ok(Tail::Clean) };
    if let Some(at) = find_later_commit(window, salt, offset..end, expected)? {
        let reason = format!("the frame is bad, and a later commit follows at byte {at}");
        return Ok(Tail::Damaged(reason));
    }
    let header = FrameHeader::decode(salt, window.at(offset, FRAME_HEADER_BYTES)?);
    let header_end = offset + FRAME_HEADER_BYTES as u64;
    let frame_end = header.map_or(header_end, |header| offset + header.frame_bytes());
    let cut_short = end < frame_end || end <= header_end;
    if cut_short || has_zero_sector(window, offset..frame_end)? {
        return Ok(Tail::Unfinished(end - offset));
    }
    let part = if header.is_some() { "payload" } else { "header" };
    Ok(Tail::Damaged(format!("the frame was written whole, but its {part}'s checksum is wrong")))
}

/// Where the bytes that are not zero end, from `offset` on.
fn end_of_bytes(window: &mut Window<'_>, offset: u64) -> io::Result<Option<u64>> {
    let mut end = None;
    let mut at = offset;
    loop {
        let chunk = window.at(at, SCAN_BYTES)?;
        if chunk.is_empty() {
            return Ok(end);
        }
        if let Some(length) = length_without_zeros(chunk) {
            end = Some(at + length as u64);
        }
        at += chunk.len() as u64;
    }
}

/// The length of the bytes up to the last that is not zero.
fn length_without_zeros(bytes: &[u8]) -> Option<usize> {
    // Most of a segment is zero: whole blocks are told in one go.
    let zero = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) == 0;
    let last = bytes.chunks(4096).rposition(|block| !zero(block))?;
    let end = bytes.len().min((last + 1) * 4096);
    bytes.get(..end)?.iter().rposition(|byte| *byte != 0).map(|at| at + 1)
}

/// Looks for the header of a frame whose commit starts after `expected`. Such a commit was written
/// only once the one that holds `expected` was durable.
fn find_later_commit(
    window: &mut Window<'_>,
    salt: u32,
    range: std::ops::Range<u64>,
    expected: u64,
) -> io::Result<Option<u64>> {
    let mut at = range.start;
    while at < range.end {
        let chunk = window.at(at, SCAN_BYTES)?;
        let found = chunk.windows(FRAME_HEADER_BYTES).position(|bytes| {
            FrameHeader::is_likely(bytes)
                && FrameHeader::decode(salt, bytes)
                    .is_some_and(|header| header.commit_start() > expected)
        });
        if let Some(found) = found {
            return Ok(Some(at + found as u64));
        }
        // Step so that a header across two chunks is whole in the second.
        let step = chunk.len().saturating_sub(FRAME_HEADER_BYTES - 1);
        if step == 0 {
            return Ok(None);
        }
        at += step as u64;
    }
    Ok(None)
}

/// Whether a sector that holds part of the range is zero from the range's start to the sector's
/// end. What the file does not reach is zero.
fn has_zero_sector(window: &mut Window<'_>, range: std::ops::Range<u64>) -> io::Result<bool> {
    let mut at = range.start;
    while at < range.end {
        let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let length = usize::try_from(sector_end - at).unwrap_or(usize::MAX);
        if window.at(at, length)?.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        at = sector_end;
    }
    Ok(false)
}
