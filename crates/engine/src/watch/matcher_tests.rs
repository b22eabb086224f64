//! The matcher against asking every watcher.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Matcher;
use crate::types::KeyRange;

fn range() -> impl Strategy<Value = KeyRange> {
    let key = || "[a-d]{1,3}".prop_map(bytes::Bytes::from);
    let end = prop_oneof![Just(bytes::Bytes::new()), key(), Just(bytes::Bytes::from_static(b"\0"))];
    (key(), end).prop_map(|(key, end)| KeyRange { key, end })
}

fn contains(range: &KeyRange, key: &[u8]) -> bool {
    match range.end.as_ref() {
        [] => key == range.key,
        [0] => key >= range.key.as_ref(),
        end => key >= range.key.as_ref() && key < end,
    }
}

proptest! {
    #[test]
    fn a_key_finds_the_watchers_whose_range_holds_it(
        ranges in vec(range(), 0..60),
        removed in vec(any::<prop::sample::Index>(), 0..20),
        keys in vec("[a-d]{1,3}", 1..20),
    ) {
        let mut matcher = Matcher::default();
        let mut watchers: Vec<Option<KeyRange>> = Vec::new();
        for (watcher, range) in ranges.iter().enumerate() {
            matcher.insert(range, watcher);
            watchers.push(Some(range.clone()));
        }
        for index in removed {
            if let Some(at) = (!watchers.is_empty()).then(|| index.index(watchers.len()))
                && let Some(range) = watchers[at].take()
            {
                matcher.remove(&range, at);
            }
        }
        matcher.settle();
        for key in keys {
            let key = key.as_bytes();
            let mut found: Vec<usize> = Vec::new();
            matcher.find(key, |watchers| found.extend(watchers));
            found.sort_unstable();
            let wants = |range: &Option<KeyRange>| range.as_ref().is_some_and(|r| contains(r, key));
            let expected: Vec<usize> =
                (0..watchers.len()).filter(|at| wants(&watchers[*at])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
