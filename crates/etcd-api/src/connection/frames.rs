//! The frames of one direction of an HTTP/2 connection, by their heads (RFC 9113, section 4.1).
//!
//! The library that speaks HTTP/2 does not tell of every frame, and the bytes pass through our
//! socket anyway. Nothing is decoded or kept: per frame one look at nine bytes, wherever reads and
//! writes happen to cut them.

/// Before each payload: its length in 3 bytes, type, flags, stream.
const HEAD_BYTES: usize = 9;

/// The types that are looked at.
pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const CONTINUATION: u8 = 0x9;

/// On a `PING`: it answers one.
pub(super) const ACK: u8 = 0x1;
/// On `HEADERS`, the first on `CONTINUATION`, too.
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) payload_bytes: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    fn parse(head: [u8; HEAD_BYTES]) -> Self {
        let [length_0, length_1, length_2, kind, flags, stream @ ..] = head;
        Self {
            payload_bytes: u32::from_be_bytes([0, length_0, length_1, length_2]),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    pub(super) fn encode(self) -> [u8; HEAD_BYTES] {
        let [_, length_0, length_1, length_2] = self.payload_bytes.to_be_bytes();
        let [stream_0, stream_1, stream_2, stream_3] = self.stream.to_be_bytes();
        [
            length_0, length_1, length_2, self.kind, self.flags, stream_0, stream_1, stream_2,
            stream_3,
        ]
    }
}

/// Walks over frames as their bytes come.
#[derive(Default)]
pub(super) struct FrameScanner {
    /// The first bytes of a head that a cut went through.
    partial: [u8; HEAD_BYTES],
    partial_bytes: usize,
    /// Of the frame under way.
    payload_left: u32,
}

impl FrameScanner {
    /// Before the first frame there are so many bytes of something else.
    pub(super) fn behind(bytes: usize) -> Self {
        Self { payload_left: u32::try_from(bytes).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Shows each head that ends in these bytes.
    pub(super) fn scan(&mut self, bytes: &[u8], mut see: impl FnMut(FrameHead)) {
        let mut at = 0;
        while let Some(head) = self.next(bytes, &mut at) {
            see(head);
        }
    }

    /// The next head that ends in these bytes, of which those before `at` are done; its payload
    /// begins at what `at` is then.
    pub(super) fn next(&mut self, bytes: &[u8], at: &mut usize) -> Option<FrameHead> {
        let mut rest = bytes.get(*at..).unwrap_or_default();
        let skipped = rest.len().min(self.payload_left as usize);
        rest = rest.get(skipped..).unwrap_or_default();
        // At most what was left, which fits.
        self.payload_left -= u32::try_from(skipped).unwrap_or(u32::MAX);
        let head = if rest.is_empty() { None } else { self.next_head(&mut rest) };
        *at = bytes.len() - rest.len();
        self.payload_left = head.map_or(self.payload_left, |head| head.payload_bytes);
        head
    }

    /// Takes a head from the front; `None`: it goes on in later bytes.
    fn next_head(&mut self, bytes: &mut &[u8]) -> Option<FrameHead> {
        if self.partial_bytes == 0
            && let Some((head, rest)) = bytes.split_first_chunk()
        {
            *bytes = rest;
            return Some(FrameHead::parse(*head));
        }
        let missing = self.partial.get_mut(self.partial_bytes..)?;
        let taken = missing.len().min(bytes.len());
        let (head, rest) = bytes.split_at_checked(taken)?;
        missing.get_mut(..taken)?.copy_from_slice(head);
        *bytes = rest;
        self.partial_bytes += taken;
        if self.partial_bytes < HEAD_BYTES {
            return None;
        }
        self.partial_bytes = 0;
        Some(FrameHead::parse(self.partial))
    }

    /// How much of the frame under way has yet to come.
    pub(super) fn payload_left(&self) -> usize {
        self.payload_left as usize
    }

    /// Whether the last byte ended a frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.payload_left == 0 && self.partial_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frame() -> impl Strategy<Value = (FrameHead, Vec<u8>)> {
        (vec(any::<u8>(), 0..40), any::<u8>(), any::<u8>(), 0..=u32::MAX >> 1).prop_map(
            |(payload, kind, flags, stream)| {
                let payload_bytes = u32::try_from(payload.len()).unwrap();
                (FrameHead { payload_bytes, kind, flags, stream }, payload)
            },
        )
    }

    proptest! {
        #[test]
        fn every_head_is_seen_once_however_the_bytes_are_cut(
            frames in vec(frame(), 0..8),
            cuts in vec(1_usize..30, 1..100),
        ) {
            let bytes: Vec<u8> =
                frames.iter().flat_map(|(head, body)| [&head.encode()[..], body].concat()).collect();
            let mut scanner = FrameScanner::default();
            let mut seen = Vec::new();
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                scanner.scan(piece, |head| seen.push(head));
                rest = later;
            }
            let heads: Vec<_> = frames.iter().map(|(head, _)| *head).collect();
            prop_assert_eq!(seen, heads);
            prop_assert!(scanner.at_boundary());
        }

        #[test]
        fn a_frame_cut_short_is_no_boundary(frame in frame(), cut in any::<prop::sample::Index>()) {
            let bytes = [&frame.0.encode()[..], &frame.1].concat();
            let cut = cut.index(bytes.len());
            let mut scanner = FrameScanner::default();
            scanner.scan(&bytes[..cut], |_| {});
            prop_assert_eq!(scanner.at_boundary(), cut == 0);
        }
    }
}
