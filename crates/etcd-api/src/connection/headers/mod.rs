//! The headers of calls on their way to h2, which refuses some without need and keeps what it must
//! not.
//!
//! Headers are looked at when they are all there ([`authority`]): what came of a frame is held back
//! as long as nothing can be said of it. No more than a frame is, which h2 would hold as well.

mod authority;
mod block;
mod huffman;
mod unfinished;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use self::authority::mend;
pub(super) use self::unfinished::HeaderRoom;
use self::unfinished::Unfinished;
use super::frames::{CONTINUATION, FrameHead, FrameScanner, HEADERS};

/// Longer frames are refused.
const FRAME_BYTES_MAX: u32 = 16 << 10;

/// What a client sends, on its way to h2.
pub(super) struct Headers {
    scanner: FrameScanner,
    /// The beginning of headers that have yet to come to their end.
    held: Vec<u8>,
    head: Option<FrameHead>,
    /// Of `held`: has been handed on.
    released: usize,
    unfinished: Unfinished,
}

impl Headers {
    /// `preface_bytes`: before the first frame.
    pub(super) fn new(preface_bytes: usize, room: Arc<HeaderRoom>) -> Self {
        Self {
            scanner: FrameScanner::behind(preface_bytes),
            held: Vec::new(),
            head: None,
            released: 0,
            unfinished: Unfinished::new(room),
        }
    }

    /// Looks at what was received, in its place; returns how much of it is to be handed on. The
    /// rest is held back. An error ends the connection.
    pub(super) fn receive(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        while let Some(head) = self.scanner.next(bytes, &mut at) {
            if matches!(head.kind, HEADERS | CONTINUATION) {
                self.unfinished.see(head)?;
            }
            if head.kind != HEADERS || head.payload_bytes > FRAME_BYTES_MAX {
                continue;
            }
            let end = bytes.len().min(at + head.payload_bytes as usize);
            let Some(payload) = bytes.get_mut(at..end) else { continue };
            if !mend(head, payload) {
                self.held = payload.to_vec();
                self.head = Some(head);
                // Goes on to the end of these bytes, which is amid the frame.
                let held_from = at;
                self.scanner.next(bytes, &mut at);
                return Ok(held_from);
            }
        }
        Ok(bytes.len())
    }

    /// Ready when the end of headers has been waited for too long.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.unfinished.poll_late(context)
    }

    /// How many bytes are to be received before anything else; `None`: nothing is held back.
    pub(super) fn missing(&self) -> Option<usize> {
        self.head.map(|_| self.scanner.payload_left())
    }

    /// Takes some of what was missing; nothing: it does not come.
    pub(super) fn resume(&mut self, bytes: &[u8]) {
        self.scanner.next(bytes, &mut 0);
        self.held.extend_from_slice(bytes);
        self.head = self.head.filter(|head| !bytes.is_empty() && !mend(*head, &mut self.held));
    }

    /// Hands on what was held back; false: there is nothing.
    pub(super) fn release(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.head.is_some() || self.held.is_empty() {
            return false;
        }
        let rest = self.held.get(self.released..).unwrap_or_default();
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..taken).unwrap_or_default());
        self.released += taken;
        if self.released == self.held.len() {
            self.held = Vec::new();
            self.released = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use std::time::Duration;

    use super::authority::tests::IMPOSSIBLE;
    use super::*;
    use crate::connection::frames::{DATA, END_HEADERS, PADDED, WITH_PRIORITY};

    /// `:method: POST`, `:scheme: http`.
    const BEFORE: &[u8] = b"\x83\x86";
    /// A path, and a field of a name of its own.
    const BEHIND: &[u8] = b"\x44\x02/a\x40\x01x\x08a,b,c,d,";
    /// A frame of the `nth` call.
    fn frame(nth: usize, kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let payload_bytes = u32::try_from(payload.len()).unwrap();
        let stream = u32::try_from(2 * nth + 1).unwrap();
        let head = FrameHead { payload_bytes, kind, flags, stream };
        [&head.encode()[..], payload].concat()
    }

    /// A literal with the name `:authority` of the static table.
    fn literal(value: &[u8], is_huffman: bool) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[0x41, u8::from(is_huffman) << 7 | length], value].concat()
    }

    fn headers() -> Headers {
        Headers::new(0, Arc::new(HeaderRoom::new(1, Duration::from_secs(1))))
    }

    /// What h2 gets of bytes that come in pieces.
    fn handed_on(bytes: &[u8], mut cuts: impl Iterator<Item = usize>) -> Vec<u8> {
        let mut headers = headers();
        let (mut rest, mut all) = (bytes, Vec::new());
        let mut released = [0; 7];
        while !rest.is_empty() {
            let cut = cuts.next().unwrap().min(headers.missing().unwrap_or(usize::MAX));
            let (piece, later) = rest.split_at(rest.len().min(cut));
            rest = later;
            if headers.missing().is_some() {
                headers.resume(piece);
            } else {
                let mut piece = piece.to_vec();
                let handed_on = headers.receive(&mut piece).expect("room");
                all.extend_from_slice(&piece[..handed_on]);
            }
            if rest.is_empty() && headers.missing().is_some() {
                headers.resume(&[]);
            }
            loop {
                let mut buffer = ReadBuf::new(&mut released);
                if !headers.release(&mut buffer) {
                    break;
                }
                all.extend_from_slice(buffer.filled());
            }
        }
        all
    }

    /// However the bytes come, h2 gets others in the place of the value, and no more of them.
    fn check(before: &[u8], value: &[u8], behind: &[u8]) {
        let bytes = [before, value, behind].concat();
        let whole = handed_on(&bytes, [bytes.len()].into_iter());
        assert_eq!(whole.len(), bytes.len());
        assert!(whole.starts_with(before) && whole.ends_with(behind), "{whole:x?}");
        assert_ne!(whole, bytes);
        for cut in 1..bytes.len() {
            assert_eq!(
                handed_on(&bytes, std::iter::once(cut).chain(std::iter::repeat(1_000))),
                whole,
                "cut at {cut}"
            );
            assert_eq!(handed_on(&bytes, std::iter::repeat(cut)), whole, "in pieces of {cut}");
        }
    }

    #[test]
    fn it_is_replaced_however_the_bytes_are_cut_and_nothing_else_is() {
        for (value, is_huffman) in
            [(IMPOSSIBLE[0], true), (IMPOSSIBLE[1], true), (b"a:1,b:2", false)]
        {
            let block = [BEFORE, &literal(value, is_huffman), BEHIND].concat();
            let other = frame(0, DATA, 0, b"\x41\x03a,b");
            for (flags, around) in [
                (0, (&b""[..], &b""[..])),
                (PADDED, (b"\x03", b"\0\0\0")),
                (WITH_PRIORITY, (b"\0\0\0\x01\xff", b"")),
                (PADDED | WITH_PRIORITY, (b"\x01\0\0\0\x01\xff", b"\0")),
            ] {
                let payload = [around.0, &block, around.1].concat();
                let bytes = [&other, &frame(0, HEADERS, flags | END_HEADERS, &payload), &other[..]];
                let bytes = bytes.concat();
                let at = bytes.windows(value.len()).position(|window| window == value).unwrap();
                check(&bytes[..at], value, &bytes[at + value.len()..]);
            }
        }
    }

    #[test]
    fn a_value_that_goes_on_behind_the_fragment_is_left_as_it_is() {
        for padding in [&b"\0"[..], b"\x02\0\0"] {
            let block = [&b"\x41\x09a,b"[..], &padding[1..]].concat();
            let payload = [&padding[..1], &block].concat();
            let bytes = frame(0, HEADERS, PADDED | END_HEADERS, &payload);
            assert_eq!(handed_on(&bytes, std::iter::repeat(3)), bytes);
        }
        let long = frame(0, HEADERS, END_HEADERS, &vec![b'a'; FRAME_BYTES_MAX as usize + 1]);
        assert_eq!(handed_on(&long, std::iter::repeat(1_000)), long);
    }

    proptest! {
        #[test]
        fn blocks_of_possible_authorities_pass_as_they_are(
            value in "[a-z0-9.-]{1,40}(:[0-9]{1,4})?",
            before in vec(prop_oneof![Just(0x83_u8), Just(0x86), Just(0xbe)], 0..4),
            cuts in vec(1_usize..30, 1..100),
        ) {
            let block = [&before[..], &literal(value.as_bytes(), false), BEHIND].concat();
            let calls = (0..3).flat_map(|nth| frame(nth, HEADERS, END_HEADERS, &block));
            let bytes: Vec<u8> = calls.collect();
            prop_assert_eq!(handed_on(&bytes, cuts.into_iter().cycle()), bytes);
        }

        #[test]
        fn any_bytes_pass_in_full_length(
            payloads in vec((vec(any::<u8>(), 0..60), any::<u8>()), 0..6),
            rest in vec(any::<u8>(), 0..9),
            cuts in vec(1_usize..30, 1..100),
        ) {
            let calls = payloads.iter().enumerate();
            let frames = calls.flat_map(|(nth, (payload, flags))| {
                frame(nth, HEADERS, flags | END_HEADERS, payload)
            });
            let bytes: Vec<u8> = frames.chain(rest).collect();
            let whole = handed_on(&bytes, [bytes.len()].into_iter());
            let cut = handed_on(&bytes, cuts.into_iter().cycle());
            prop_assert_eq!(cut.len(), bytes.len());
            prop_assert_eq!(cut, whole);
        }
    }
}
