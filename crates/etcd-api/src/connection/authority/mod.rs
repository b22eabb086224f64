//! Makes something that a URI can have of every `:authority`.
//!
//! Neither etcd nor we look at it, and some clients send there what no URI can have: Go's clientv3
//! 3.5.0 `#initially=[http://a:2379]`, gRPC in C `a:1,b:2` for several addresses in one target, or
//! a socket's path. h2 would refuse their calls. So where the headers of a call bring such a one as
//! a literal, other letters are written over it: as many as there were, because the client counts
//! them in its table of headers as h2 does (RFC 7541, section 4.1), and in as many bytes, so that
//! no length in the frame changes.
//!
//! Headers are looked at when they are all there: what came of a frame is held back as long as
//! nothing can be said of it. No more than a frame is, which h2 would hold as well. What is left
//! as it is: a value that goes on in another frame, and one of letters that take more than 13 bits
//! each, which no text does.

mod block;
mod huffman;

use http::uri::Authority;
use tokio::io::ReadBuf;

use self::block::{Found, find_authority};
use super::frames::{FrameHead, FrameScanner, HEADERS, PADDED, WITH_PRIORITY};

/// Longer frames are refused.
const FRAME_BYTES_MAX: u32 = 16 << 10;

/// Of what is behind the flag [`WITH_PRIORITY`].
const PRIORITY_BYTES: usize = 5;

/// What a client sends, on its way to h2.
pub(super) struct Authorities {
    scanner: FrameScanner,
    /// The beginning of headers that have yet to come to their end.
    held: Vec<u8>,
    head: Option<FrameHead>,
    /// Of `held`: has been handed on.
    released: usize,
}

impl Authorities {
    /// `preface_bytes`: before the first frame.
    pub(super) fn new(preface_bytes: usize) -> Self {
        let scanner = FrameScanner::behind(preface_bytes);
        Self { scanner, held: Vec::new(), head: None, released: 0 }
    }

    /// Looks at what was received, in its place; returns how much of it is to be handed on. The
    /// rest is held back.
    pub(super) fn receive(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while let Some(head) = self.scanner.next(bytes, &mut at) {
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
                return held_from;
            }
        }
        bytes.len()
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

/// Looks at what there is of the payload of headers; false: more is needed.
fn mend(head: FrameHead, payload: &mut [u8]) -> bool {
    let is_whole = payload.len() >= head.payload_bytes as usize;
    let Some(fragment) = fragment(head, payload) else { return is_whole };
    match find_authority(fragment) {
        Found::Authority(literal) => {
            if let Some(value) = fragment.get_mut(literal.at) {
                replace(value, literal.is_huffman);
            }
            true
        }
        Found::Nothing => true,
        Found::Cut => is_whole,
    }
}

/// The part of a header block that is in a frame, without what is around it.
fn fragment(head: FrameHead, payload: &mut [u8]) -> Option<&mut [u8]> {
    let (mut start, mut end) = (0, head.payload_bytes as usize);
    if head.flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*payload.first()?))?;
        start += 1;
    }
    if head.flags & WITH_PRIORITY != 0 {
        start += PRIORITY_BYTES;
    }
    let end = end.min(payload.len());
    payload.get_mut(start..end)
}

/// Writes letters over a value that is no authority.
fn replace(value: &mut [u8], is_huffman: bool) {
    if !is_huffman {
        if Authority::try_from(&*value).is_err() {
            value.fill(b'a');
        }
        return;
    }
    if let Some(decoded) = huffman::decode(value)
        && Authority::try_from(&decoded[..]).is_err()
        && !huffman::fill(value, decoded.len())
    {
        tracing::debug!("an authority cannot be replaced");
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::connection::frames::DATA;

    const END_HEADERS: u8 = 0x4;
    /// `:method: POST`, `:scheme: http`.
    const BEFORE: &[u8] = b"\x83\x86";
    /// A path, and a field of a name of its own.
    const BEHIND: &[u8] = b"\x44\x02/a\x40\x01x\x08a,b,c,d,";
    /// Go's `#initially=[http://127.0.0.1:2379]`, and C's `127.0.0.1:1,127.0.0.1:2`, as it is and
    /// percent-encoded.
    const IMPOSSIBLE: [&[u8]; 3] = [
        b"\xff\xa3\x54\x64\x98\x74\x51\xea\x0f\xfd\xce\x94\xd7\x71\x86\x02\x27\x57\x02\xe0\x5c\
          \x37\x04\xcb\xaf\xff\xf3",
        b"\x08\x9d\x5c\x0b\x81\x70\xdc\x0f\xd0\x44\xea\xe0\x5c\x0b\x86\xe0\xbf",
        b"\x08\x9d\x5c\x0b\x81\x70\xdc\x0a\xa2\xbc\x11\x3a\xb8\x17\x02\xe1\xb8\x2f",
    ];

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let payload_bytes = u32::try_from(payload.len()).unwrap();
        let head = FrameHead { payload_bytes, kind, flags, stream: 1 };
        [&head.encode()[..], payload].concat()
    }

    /// A literal with the name `:authority` of the static table.
    fn literal(value: &[u8], is_huffman: bool) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[0x41, u8::from(is_huffman) << 7 | length], value].concat()
    }

    /// What h2 gets of bytes that come in pieces.
    fn handed_on(bytes: &[u8], mut cuts: impl Iterator<Item = usize>) -> Vec<u8> {
        let mut authorities = Authorities::new(0);
        let (mut rest, mut all) = (bytes, Vec::new());
        let mut released = [0; 7];
        while !rest.is_empty() {
            let cut = cuts.next().unwrap().min(authorities.missing().unwrap_or(usize::MAX));
            let (piece, later) = rest.split_at(rest.len().min(cut));
            rest = later;
            if authorities.missing().is_some() {
                authorities.resume(piece);
            } else {
                let mut piece = piece.to_vec();
                let handed_on = authorities.receive(&mut piece);
                all.extend_from_slice(&piece[..handed_on]);
            }
            if rest.is_empty() && authorities.missing().is_some() {
                authorities.resume(&[]);
            }
            loop {
                let mut buffer = ReadBuf::new(&mut released);
                if !authorities.release(&mut buffer) {
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
    fn what_clients_send_that_no_uri_can_have_is_replaced_by_as_many_letters() {
        for encoded in IMPOSSIBLE {
            let decoded = huffman::decode(encoded).expect("a text");
            assert!(Authority::try_from(&decoded[..]).is_err(), "{decoded:?}");
            let mut replaced = encoded.to_vec();
            replace(&mut replaced, true);
            let letters = huffman::decode(&replaced).expect("a text");
            assert_eq!(letters.len(), decoded.len());
            Authority::try_from(&letters[..]).expect("an authority");
            let mut plain = decoded.clone();
            replace(&mut plain, false);
            assert_eq!(plain.len(), decoded.len());
            Authority::try_from(&plain[..]).expect("an authority");
        }
    }

    #[test]
    fn it_is_replaced_however_the_bytes_are_cut_and_nothing_else_is() {
        for (value, is_huffman) in
            [(IMPOSSIBLE[0], true), (IMPOSSIBLE[1], true), (b"a:1,b:2", false)]
        {
            let block = [BEFORE, &literal(value, is_huffman), BEHIND].concat();
            let other = frame(DATA, 0, b"\x41\x03a,b");
            for (flags, around) in [
                (0, (&b""[..], &b""[..])),
                (PADDED, (b"\x03", b"\0\0\0")),
                (WITH_PRIORITY, (b"\0\0\0\x01\xff", b"")),
                (PADDED | WITH_PRIORITY, (b"\x01\0\0\0\x01\xff", b"\0")),
            ] {
                let payload = [around.0, &block, around.1].concat();
                let bytes = [&other, &frame(HEADERS, flags | END_HEADERS, &payload), &other[..]];
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
            let bytes = frame(HEADERS, PADDED, &payload);
            assert_eq!(handed_on(&bytes, std::iter::repeat(3)), bytes);
        }
        let long = frame(HEADERS, 0, &vec![b'a'; FRAME_BYTES_MAX as usize + 1]);
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
            let bytes = frame(HEADERS, END_HEADERS, &block).repeat(3);
            prop_assert_eq!(handed_on(&bytes, cuts.into_iter().cycle()), bytes);
        }

        #[test]
        fn any_bytes_pass_in_full_length(
            payloads in vec((vec(any::<u8>(), 0..60), any::<u8>()), 0..6),
            rest in vec(any::<u8>(), 0..30),
            cuts in vec(1_usize..30, 1..100),
        ) {
            let frames = payloads.iter().flat_map(|(payload, flags)| frame(HEADERS, *flags, payload));
            let bytes: Vec<u8> = frames.chain(rest).collect();
            let whole = handed_on(&bytes, [bytes.len()].into_iter());
            let cut = handed_on(&bytes, cuts.into_iter().cycle());
            prop_assert_eq!(cut.len(), bytes.len());
            prop_assert_eq!(cut, whole);
        }
    }
}
