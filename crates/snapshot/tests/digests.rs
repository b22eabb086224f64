//! Held to the library's digest, whatever pieces and parts a stream comes in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use decube_snapshot::PartsDigest;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[test]
fn the_digest_of_abc_is_the_standards() {
    let mut digest = PartsDigest::new();
    digest.update(b"abc");
    let digest = digest.finish().map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

proptest! {
    #[test]
    fn parts_and_whole_are_those_of_the_library(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..6),
        aligned: bool,
        piece in 1_usize..300,
    ) {
        let mut parts = parts;
        if aligned {
            for part in &mut parts {
                part.truncate(part.len() / 64 * 64);
            }
        }
        let mut digest = PartsDigest::new();
        for part in &parts {
            part.chunks(piece).for_each(|bytes| digest.update(bytes));
            prop_assert_eq!(digest.cut(), sha256(part));
        }
        prop_assert_eq!(digest.finish(), sha256(&parts.concat()));
    }
}
