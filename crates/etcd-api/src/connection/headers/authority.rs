//! Makes something that a URI can have of every `:authority`.
//!
//! Neither etcd nor we look at it, and some clients send there what no URI can have: Go's clientv3
//! 3.5.0 `#initially=[http://a:2379]`, gRPC in C `a:1,b:2` for several addresses in one target, or
//! a socket's path. h2 would refuse their calls. So where the headers of a call bring such a one as
//! a literal, other letters are written over it: as many as there were, because the client counts
//! them in its table of headers as h2 does (RFC 7541, section 4.1), and in as many bytes, so that
//! no length in the frame changes.
//!
//! What is left as it is: a value that goes on in another frame, and one of letters that take more
//! than 13 bits each, which no text does.

use http::uri::Authority;

use super::block::{Found, find_authority};
use super::huffman;
use crate::connection::frames::{FrameHead, PADDED, WITH_PRIORITY};

/// Of what is behind the flag [`WITH_PRIORITY`].
const PRIORITY_BYTES: usize = 5;

/// Looks at what there is of the payload of headers; false: more is needed.
pub(super) fn mend(head: FrameHead, payload: &mut [u8]) -> bool {
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
pub(super) mod tests {
    use super::*;

    /// Go's `#initially=[http://127.0.0.1:2379]`, and C's `127.0.0.1:1,127.0.0.1:2`, as it is and
    /// percent-encoded.
    pub(in super::super) const IMPOSSIBLE: [&[u8]; 3] = [
        b"\xff\xa3\x54\x64\x98\x74\x51\xea\x0f\xfd\xce\x94\xd7\x71\x86\x02\x27\x57\x02\xe0\x5c\
          \x37\x04\xcb\xaf\xff\xf3",
        b"\x08\x9d\x5c\x0b\x81\x70\xdc\x0f\xd0\x44\xea\xe0\x5c\x0b\x86\xe0\xbf",
        b"\x08\x9d\x5c\x0b\x81\x70\xdc\x0a\xa2\xbc\x11\x3a\xb8\x17\x02\xe1\xb8\x2f",
    ];

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
}
