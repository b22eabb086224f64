//! The index against an ordered map.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Branch, Index, KeyHistory};
use crate::record::{Record, Version};
use crate::types::{LeaseId, Revision};

fn record(key: &[u8], at: i64) -> Record {
    Record::put(&Version {
        key,
        value: b"",
        create_revision: Revision(at),
        mod_revision: Revision(at),
        sub_revision: 0,
        version: 1,
        lease: LeaseId::NONE,
    })
}

/// Keys that share long prefixes, are prefixes of each other, hold zeros, and differ late.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 1..3),
        (0..3_000_u32).prop_map(|number| format!("/a/long/prefix/{number:05}").into_bytes()),
        (0..3_000_u32).prop_map(|number| format!("/same-for-all/and-on-{number}").into_bytes()),
        (0..40_usize).prop_map(|zeros| vec![0; zeros + 1]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_index_holds_what_an_ordered_map_holds(
        writes in vec((key(), prop::bool::weighted(0.7)), 1..4_000),
        spans in vec((key(), key()), 20),
        ascending in any::<bool>(),
        at_end in any::<bool>(),
        kept in prop_oneof![1..3_usize, 20..200_usize],
    ) {
        let mut writes = writes;
        if ascending {
            writes.sort();
        }
        let mut index = Index::default();
        let mut map: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (at, (key, put)) in (2..).zip(&writes) {
            if *put {
                let record = record(key, at);
                let position = if at_end { index.find_at_end(key) } else { index.find(key) };
                index.push_at(position, record);
                *map.entry(key.clone()).or_default() += 1;
            } else {
                index.remove(key);
                map.remove(key);
            }
        }
        assert_same(&index, &map, &writes, &spans)?;

        let mut count = 0;
        index.retain(|_| {
            count += 1;
            count % kept == 0
        });
        let mut count = 0;
        map.retain(|_, _| {
            count += 1;
            count % kept == 0
        });
        assert_same(&index, &map, &writes, &spans)?;
        map.clear();
        for (key, _) in &writes {
            index.remove(key);
        }
        assert_same(&index, &map, &writes, &spans)?;
        for (key, _) in &writes {
            index.push_at(index.find(key), record(key, 2));
            *map.entry(key.clone()).or_default() += 1;
        }
        assert_same(&index, &map, &writes, &spans)?;
    }
}

fn assert_same(
    index: &Index,
    map: &BTreeMap<Vec<u8>, usize>,
    writes: &[(Vec<u8>, bool)],
    spans: &[(Vec<u8>, Vec<u8>)],
) -> Result<(), TestCaseError> {
    for (key, _) in writes {
        let versions = index.get(key).map(|history| history.versions().count());
        prop_assert_eq!(versions, map.get(key).copied());
    }
    for (from, end) in spans {
        let found: Vec<&[u8]> = index.range(from, Some(end)).map(KeyHistory::key).collect();
        let there = map.range(from.clone()..).map(|(key, _)| key.as_slice());
        let expected: Vec<&[u8]> = there.take_while(|key| *key < end.as_slice()).collect();
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

/// Puts keys in ascending order, so that they fill a whole number of leaves and of branches, and then
/// others behind them from the highest down.
fn check_descending(filling: impl Fn(u32) -> String, behind: impl Fn(u32) -> String) {
    let mut index = Index::default();
    let mut put =
        |key: String| index.push_at(index.find(key.as_bytes()), record(key.as_bytes(), 2));
    (0..1_024).for_each(|number| put(filling(number)));
    (0..4_000).rev().for_each(|number| put(behind(number)));
    let leaves: usize = index.branches.iter().map(Branch::len).sum();
    assert!(leaves < 5_024 / 8, "{leaves} leaves");
    assert!(index.branches.len() < leaves / 8, "{} branches", index.branches.len());
    let keys = index.range(b"", None).map(|entry| entry.key().to_vec());
    assert!(keys.eq((0..1_024).map(filling).chain((0..4_000).map(behind)).map(String::into_bytes)));
}

#[test]
fn keys_that_come_in_descending_order_behind_full_leaves_share_leaves() {
    check_descending(|number| format!("a{number:05}"), |number| format!("b{number:05}"));
    check_descending(|number| format!("a{number:05}"), |number| format!("a{:05}", 1_024 + number));
}
