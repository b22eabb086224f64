//! The set of intervals against the plain list of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::KeyIntervals;
use crate::types::KeyRange;

fn key() -> impl Strategy<Value = bytes::Bytes> {
    "[a-d]{1,2}".prop_map(bytes::Bytes::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    let end = prop_oneof![Just(bytes::Bytes::new()), key(), Just(bytes::Bytes::from_static(b"\0"))];
    (key(), end).prop_map(|(key, end)| KeyRange { key, end })
}

proptest! {
    #[test]
    fn a_key_is_in_the_set_if_it_is_in_one_of_its_intervals(
        first in vec(range(), 0..8),
        second in vec(range(), 0..8),
        key in key(),
    ) {
        let collect = |ranges| {
            let mut set = KeyIntervals::default();
            for range in ranges {
                set.insert(range);
            }
            set
        };
        let mut set = collect(&first);
        set.extend(collect(&second));
        let inside = |range: &KeyRange| match range.end.as_ref() {
            [] => range.key == key,
            end => range.key <= key && key < end,
        };
        prop_assert_eq!(set.contains(&key), first.iter().chain(&second).any(inside));
    }
}
